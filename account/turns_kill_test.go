package account_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
)

// leaver is a person who has activated and whose one employment ends.
func (w *world) leaver(t *testing.T, n int) life {
	t.Helper()
	mine := *w.Lifecycle
	mine.Leaving = account.DefaultLeavingRules()
	p := life{&world{Lifecycle: &mine, t: t, js: w.js, n: 10000 + 100*n}, fmt.Sprint(108000 + n), fmt.Sprint(258000 + n), tenor(t, 500+n)}
	mine.Now = p.clock
	p.on("2027-01-04 08:00")
	p.works(job("1", "2027-01-04", ""))
	p.activates(account.Employee)
	return p
}

// A worker is killed before and after each thing that it writes while somebody
// leaves: the event, the letter's day, the suspension, the closing. However it
// was, each fact is told once and the one letter goes out.
func TestALeaverKilledAnywhereIsToldOfOnce(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	n := 0
	for more := true; more && !t.Failed(); {
		n++
		p := w.leaver(t, n)
		whole := *p.Lifecycle
		e := &effects{Directory: p.Directory, Claims: p.Claims, Publisher: p.Publisher, n: n}
		e.at = func() error { return errKilled }
		p.Directory, p.Claims, p.Publisher = e, e, e
		killed := 0
		again := func(do func() error) {
			t.Helper()
			err := do()
			if errors.Is(err, errKilled) {
				killed++
				p.Directory, p.Claims, p.Publisher = whole.Directory, whole.Claims, whole.Publisher
				p.publishUnsent() // another worker's sweep
				err = do()
			}
			p.must(err)
		}
		m := p.meta(events.SourceHR, p.hr)
		again(func() error {
			return p.EmployeeEnded(t.Context(), m, events.EmployeeEnded{EmployeeNo: p.hr, Employment: "1", End: "2027-01-31", Reason: "resigned"})
		})
		for _, day := range []string{"2027-02-01 00:00", "2027-03-03 00:00", "2027-06-01 00:00"} {
			at, err := parseOslo(day)
			p.must(err)
			p.at(at)
			again(func() error { _, err := p.TakeTurns(t.Context()); return err })
		}
		more = killed > 0
		p.is("closed left")
		p.facts("account.suspended done", "account.closed done")
		p.letters("activated", "activation", "leaving")
		if got := slices.DeleteFunc(p.told(p.me().ID), func(s string) bool { return s != "account.updated done" }); len(got) != 2 {
			t.Errorf("the end, and the affiliation that went with it, are told as %v", got)
		}
		if t.Failed() {
			t.Errorf("killed at point %d", n)
		}
	}
	if n < 15 {
		t.Errorf("leaving has only %d points", n)
	}
}

func TestOfManyWorkersOneTakesATurn(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		p := w.leaver(t, 90)
		p.leaves("", "2027-01-31", "resigned")
		at, err := parseOslo("2027-03-10 08:00")
		p.must(err)
		p.at(at)
		var all sync.WaitGroup
		errs := make([]error, 6)
		for i := range errs {
			all.Go(func() { _, errs[i] = p.TakeTurns(t.Context()) })
		}
		all.Wait()
		p.must(errors.Join(errs...))
		p.turns() // what a loser of the race left to the next round
		p.is("suspended left")
		p.facts("account.suspended done")
		p.letters("activated", "activation", "leaving")
	})
}
