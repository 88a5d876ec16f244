package account_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// pair is one person with two accounts: an employee and a student with a number
// each, who both can sign in.
type pair struct {
	*world
	hr, adm      string // employee and student number
	first, other string // identity numbers
	n            int
}

func (w *world) newPair(n int) pair {
	w.t.Helper()
	p := pair{world: w, hr: fmt.Sprint(105000 + n), adm: fmt.Sprint(258000 + n), first: tenor(w.t, 100+2*n), other: tenor(w.t, 101+2*n), n: n}
	w.at(august.Add(-time.Hour))
	w.must(p.employee(june, p.first))
	p.student(june)
	w.at(august.Add(time.Hour))
	return p
}

func (p pair) family() string { return "Aasen" + strings.Repeat("b", p.n%7) + string(rune('a'+p.n%26)) }

func (p pair) employee(at time.Time, numbers ...string) error {
	var ids []events.Identifier
	for _, n := range numbers {
		ids = append(ids, events.Identifier{Type: "fnr", Value: n})
	}
	e := employee(p.hr, "Asha", p.family(), p.hr+"@example.org", ids)
	e.Employments[0].Title = at.Format(time.DateOnly)
	return p.EmployeeUpdated(p.t.Context(), p.meta(events.SourceHR, p.hr, at), events.EmployeeUpdated{Employee: e})
}

func (p pair) student(at time.Time) {
	p.t.Helper()
	s := student(p.adm, "Asha", "Rao", p.adm+"@example.org", fnr(p.other))
	s.Programmes[0].Code = at.Format(time.DateOnly)
	p.must(p.StudentUpdated(p.t.Context(), p.meta(events.SourceAdmissions, p.adm, at), events.StudentUpdated{Student: s}))
}

// activate gives the account of username a password.
func (p pair) activate(username, role, number, word string) {
	p.t.Helper()
	proof, err := p.portal().Prove(p.t.Context(), p.ticket(username, account.PurposeActivate), role, number)
	p.must(err)
	_, err = p.portal().Activate(p.t.Context(), account.Choice{Proof: proof.Token, Rules: rules, Password: word})
	p.must(err)
	p.publishUnsent()
}

func (p pair) merge(m events.Meta, into string) error {
	return p.AccountMerged(p.t.Context(), m, events.AccountMerged{Username: m.Subject, Into: into, Reason: "one person", Actor: "servicedesk"})
}

// merged holds everything that is so once username is merged into kept.
func (p pair) merged(username, kept string) account.Account {
	p.t.Helper()
	from, into := p.find(account.ByUsername, username), p.find(account.ByUsername, kept)
	if from.State != account.Closed || from.Why.Reason != account.WhyMerged || from.Merged != into.ID {
		p.t.Errorf("%s is %s %s, merged into %q", username, from.State, from.Why.Reason, from.Merged)
	}
	if len(from.Numbers)+len(from.Roles)+len(from.Told)+len(from.Handles)+len(from.Marks) != 0 || from.Address != "" || from.Name != (account.Name{}) {
		p.t.Errorf("%s still holds %+v", username, from)
	}
	if len(into.Numbers) != 2 || len(into.Roles) != 2 || len(into.Told) != 2 {
		p.t.Errorf("%s has %d numbers, %d roles of %d sources", kept, len(into.Numbers), len(into.Roles), len(into.Told))
	}
	for _, key := range []string{"employee:" + p.hr, "student:" + p.adm} {
		if a := p.find(account.ByLIN, key); a.ID != into.ID {
			p.t.Errorf("%s is %s", key, a.Username)
		}
	}
	var keys []string
	for _, n := range []string{p.first, p.other} {
		keys = append(keys, p.Identity.NumberHandle("fnr", n))
	}
	keys = append(keys, p.Identity.SourceHandle(events.SourceHR, p.hr), p.Identity.SourceHandle(events.SourceAdmissions, p.adm))
	held, err := p.Claims.Read(p.t.Context(), append(keys, account.UsernameHandle(username)))
	p.must(err)
	for _, key := range append(keys, account.UsernameHandle(username)) {
		var c account.Claim
		p.must(json.Unmarshal(held[key], &c))
		if c.Account != into.ID {
			p.t.Errorf("claim %s is %s's", key, c.Username)
		}
	}
	slices.Sort(keys)
	if !slices.Equal(into.Handles, keys) {
		p.t.Errorf("%s has handles %v, not %v", kept, into.Handles, keys)
	}
	count := func(id, fact string) (n int) {
		for _, f := range p.told(id) {
			if f == fact {
				n++
			}
		}
		return n
	}
	if n := count(from.ID, "account.closed done"); n != 1 {
		p.t.Errorf("that %s is closed was told %d times", username, n)
	}
	return into
}

func TestTwoAccountsOfOnePersonAreParkedMergedAndReplayed(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		for n := range 2 { // into the employee, into the student
			p := w.newPair(n)
			hired, studies := p.find(account.ByLIN, "employee:"+p.hr), p.find(account.ByLIN, "student:"+p.adm)
			p.activate(hired.Username, account.Employee, p.first, password+"-ansatt")
			p.activate(studies.Username, account.Student, p.other, password+"-student")
			from, into, word := studies, hired, password+"-ansatt"
			if n == 1 {
				from, into, word = hired, studies, password+"-student"
			}
			before := []uint64{p.find(account.ByID, hired.ID).Revision, p.find(account.ByID, studies.ID).Revision}
			r, ok := events.Rejected(p.employee(june.AddDate(0, 1, 0), p.first, p.other))
			if !ok || r.Reason != events.ReasonParked || !strings.Contains(r.Text, hired.ID) || !strings.Contains(r.Text, studies.ID) {
				t.Fatalf("one number on two accounts: %+v", r)
			}
			after := []uint64{p.find(account.ByID, hired.ID).Revision, p.find(account.ByID, studies.ID).Revision}
			if !slices.Equal(before, after) {
				t.Errorf("a parked event wrote revisions %v after %v", after, before)
			}
			from, into = p.find(account.ByID, from.ID), p.find(account.ByID, into.ID)
			m := p.it(from.Username, w.clock())
			for range 2 {
				p.must(p.merge(m, into.Username))
			}
			p.merged(from.Username, into.Username)
			kept := p.find(account.ByID, into.ID)
			if kept.State != account.Active || !kept.PasswordSince.Equal(into.PasswordSince) || !p.binds(into.Username, word) {
				t.Errorf("%s is %s with a password of %s", kept.Username, kept.State, kept.PasswordSince)
			}
			if _, err := p.portal().Own(t.Context(), into.ID, into.SessionsFrom); err != nil {
				t.Errorf("its session: %v", err)
			}
			if !slices.Equal(kept.Affiliations, []string{account.Employee, "member", account.Student}) {
				t.Errorf("it publishes %v", kept.Affiliations)
			}
			for _, word := range []string{password + "-ansatt", password + "-student"} {
				if p.binds(from.Username, word) {
					t.Errorf("%s still binds", from.Username)
				}
			}
			if _, err := p.portal().Own(t.Context(), from.ID, from.SessionsFrom); !errors.Is(err, account.ErrSignedOut) {
				t.Errorf("the session of %s: %v", from.Username, err)
			}
			// What was parked is done now, and both sources find one account.
			p.must(p.employee(june.AddDate(0, 2, 0), p.first, p.other))
			p.student(june.AddDate(0, 2, 0))
			a := p.merged(from.Username, into.Username)
			for _, r := range a.Roles {
				if r.Title != "2027-08-01" {
					t.Errorf("the %s role is as told on %s", r.Kind, r.Title)
				}
			}
			rebuild := account.Rebuild{Life: w.Lifecycle, Ledger: &stream.Ledger{JS: w.js}}
			if plan, _, err := rebuild.Plan(t.Context()); err != nil || len(plan) != 0 {
				t.Errorf("made again from the entries, %d claims would be others (%v)", len(plan), err)
			}
			// Again by another order; and the name is nobody's.
			p.must(p.merge(p.it(from.Username, w.clock().Add(time.Minute)), into.Username))
			if got := p.told(from.ID); got[len(got)-1] != "account.closed denied already" {
				t.Errorf("merged again: %v", got)
			}
			w.must(w.EmployeeRegistered(t.Context(), w.meta(events.SourceHR, fmt.Sprint(106000+n), june), events.EmployeeRegistered{
				Employee: employee(fmt.Sprint(106000+n), "Asha", p.family(), "x@example.org", fnr(tenor(t, 300+n)))}))
			if b := p.find(account.ByLIN, fmt.Sprint("employee:", 106000+n)); b.Username == from.Username || b.Username == into.Username {
				t.Errorf("%s was given again", b.Username)
			}
		}
	})
}

// Whatever contradicts what is known of two persons changes neither of them.
func TestNumbersThatDisagreeChangeNothingAndNameBothAccounts(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		p := w.newPair(3)
		so := "15532510071"
		w.must(w.SONumberIssued(t.Context(), w.meta(events.SourceAdmissions, p.adm, june), events.SONumberIssued{StudentNo: p.adm, SONumber: so}))
		hired, studies := p.find(account.ByLIN, "employee:"+p.hr), p.find(account.ByLIN, "student:"+p.adm)
		at := june.AddDate(0, 1, 0)
		hr := func() events.Meta { return w.meta(events.SourceHR, p.hr, at) }
		old, other := events.Identifier{Type: "fnr", Value: p.first}, events.Identifier{Type: "fnr", Value: p.other}
		for sentence, err := range map[string]error{
			"an event names a number of each":                     p.employee(at, p.first, p.other),
			"a number moves from one person to the other":         p.employee(at, p.other),
			"a number is replaced by the other's":                 w.EmployeeIDChanged(t.Context(), hr(), events.EmployeeIDChanged{EmployeeNo: p.hr, IDChange: events.IDChange{Old: old, New: other}}),
			"the other's number is replaced by a new one":         w.EmployeeIDChanged(t.Context(), hr(), events.EmployeeIDChanged{EmployeeNo: p.hr, IDChange: events.IDChange{Old: other, New: events.Identifier{Type: "fnr", Value: tenor(t, 299)}}}),
			"a third subject has a number of each":                w.EmployeeRegistered(t.Context(), w.meta(events.SourceHR, "107999", at), events.EmployeeRegistered{Employee: employee("107999", "Asha", "Rao", "a@example.org", []events.Identifier{old, other})}),
			"the temporary number of one is announced of another": p.employeeSO(at, so),
		} {
			r, ok := events.Rejected(err)
			if !ok || r.Reason != events.ReasonParked || !strings.Contains(r.Text, hired.ID) || !strings.Contains(r.Text, studies.ID) {
				t.Errorf("%s: %v", sentence, err)
			}
			if strings.Contains(fmt.Sprint(err), p.first) || strings.Contains(fmt.Sprint(err), p.other) {
				t.Errorf("%s: the dead letter holds a number", sentence)
			}
		}
		if held, err := w.Claims.Read(t.Context(), w.Identity.NumberHandles("fnr", tenor(t, 299))); err != nil || len(held) != 0 {
			t.Errorf("a number of a parked event is claimed: %v, %v", held, err)
		}
		for _, was := range []account.Account{hired, studies} {
			if now := p.find(account.ByID, was.ID); now.Revision != was.Revision {
				t.Errorf("%s was written", was.Username)
			}
		}
		if n := len(w.all()); n != 2 {
			t.Errorf("%d accounts, not 2", n)
		}
		w.must(p.employee(at, p.first)) // corrected at its source
	})
}

// employeeSO is an update of HR's that names a temporary number.
func (p pair) employeeSO(at time.Time, so string) error {
	e := employee(p.hr, "Asha", p.family(), p.hr+"@example.org", append(fnr(p.first), events.Identifier{Type: "so", Value: so}))
	return p.EmployeeUpdated(p.t.Context(), p.meta(events.SourceHR, p.hr, at), events.EmployeeUpdated{Employee: e})
}

// Many may share an address that letters came back from.
func TestAddressThatBouncedIsNobodysKey(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	p := w.newPair(1)
	for _, a := range w.all() {
		now := a.Clone()
		now.Marks = append(now.Marks, account.Mark{Source: events.SourceIT, Subject: "shared@example.org", Facet: account.FacetAddress, Time: june})
		w.must(w.Directory.Update(t.Context(), a, now))
	}
	rebuild := account.Rebuild{Life: w.Lifecycle, Ledger: &stream.Ledger{JS: w.js}}
	if plan, all, err := rebuild.Plan(t.Context()); err != nil || all != 2 || len(plan) != 0 {
		t.Errorf("of %d entries %d would claim other keys (%v)", all, len(plan), err)
	}
	hired := p.find(account.ByLIN, "employee:"+p.hr)
	w.must(p.merge(w.it(p.adm, w.clock()), hired.Username))
	p.merged(p.adm, hired.Username)
}

// effects stand around the ports of a lifecycle and do something at the n-th
// write.
type effects struct {
	account.Directory
	account.Claims
	account.Publisher
	n  int
	at func() error // instead of the write, or before it
}

func (e *effects) pass() error {
	if e.n--; e.n == 0 {
		return e.at()
	}
	return nil
}

func (e *effects) Update(ctx context.Context, was, now account.Account) error {
	if err := e.pass(); err != nil {
		return err
	}
	return errors.Join(e.Directory.Update(ctx, was, now), e.pass())
}

func (e *effects) Take(ctx context.Context, keys []string, value []byte) (map[string][]byte, error) {
	if err := e.pass(); err != nil {
		return nil, err
	}
	held, err := e.Claims.Take(ctx, keys, value)
	return held, errors.Join(err, e.pass())
}

func (e *effects) Move(ctx context.Context, keys, while []string, was, now []byte) (map[string][]byte, error) {
	if err := e.pass(); err != nil {
		return nil, err
	}
	held, err := e.Claims.Move(ctx, keys, while, was, now)
	return held, errors.Join(err, e.pass())
}

func (e *effects) Publish(ctx context.Context, evs ...events.Event) error {
	if err := e.pass(); err != nil {
		return err
	}
	return errors.Join(e.Publisher.Publish(ctx, evs...), e.pass())
}

var errKilled = errors.New("killed")

// Before and after each thing that a merger writes another event of the person
// comes in between, and after each the worker is killed. However it was, the
// merger ends the same and nothing is lost.
func TestMergerSurvivesAnEndAndAnEventBetweenAnyTwoSteps(t *testing.T) {
	t.Parallel()
	w := slapdWorld(t)
	points := 0
	for more := true; more && !t.Failed(); {
		points++
		more = w.interrupted(t, points, false)
		if points%2 == 0 && more {
			w.interrupted(t, points, true)
		}
	}
	if points < 20 {
		t.Errorf("a merger has only %d points", points)
	}
}

// interrupted merges two accounts, and answers whether there was an n-th point.
func (w *world) interrupted(t *testing.T, n int, kill bool) (came bool) {
	t.Helper()
	p := w.newPair(2*n + map[bool]int{true: 1}[kill])
	hired, studies := p.find(account.ByLIN, "employee:"+p.hr), p.find(account.ByLIN, "student:"+p.adm)
	m := p.it(studies.Username, w.clock())
	e := &effects{Directory: w.Directory, Claims: w.Claims, Publisher: w.Publisher, n: n}
	e.at = func() error {
		if came = true; kill {
			return errKilled
		}
		p.student(june.AddDate(0, 1, 0)) // by another worker
		return nil
	}
	l := *w.Lifecycle
	l.Directory, l.Claims, l.Publisher = e, e, e
	err := l.AccountMerged(t.Context(), m, events.AccountMerged{Username: m.Subject, Into: hired.Username})
	if (err != nil) != (came && kill) {
		t.Errorf("point %d: %v", n, err)
	}
	p.must(p.merge(m, hired.Username))
	p.student(june.AddDate(0, 2, 0))
	w.publishUnsent()
	a := p.merged(studies.Username, hired.Username)
	if i := slices.IndexFunc(a.Roles, func(r account.Role) bool { return r.Kind == account.Student }); i < 0 || a.Roles[i].Title != "2027-08-01" {
		t.Errorf("the student role is as told in %+v", a.Roles)
	}
	if t.Failed() {
		t.Errorf("point %d, killed %v", n, kill)
	}
	return came
}

func TestOfTwoOppositeMergersOneIsMade(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		for n := range 4 {
			p := w.newPair(n)
			hired, studies := p.find(account.ByLIN, "employee:"+p.hr), p.find(account.ByLIN, "student:"+p.adm)
			one, other := p.it(studies.Username, w.clock()), p.it(hired.Username, w.clock())
			var both sync.WaitGroup
			errs := make([]error, 2)
			both.Go(func() { errs[0] = p.merge(one, hired.Username) })
			both.Go(func() { errs[1] = p.merge(other, studies.Username) })
			both.Wait()
			w.must(errors.Join(errs...))
			if p.find(account.ByID, studies.ID).State == account.Closed {
				p.merged(studies.Username, hired.Username)
			} else {
				p.merged(hired.Username, studies.Username)
			}
		}
	})
}

func TestMergersInARowLeadToTheLastAndKeepALock(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	p, q := w.newPair(1), w.newPair(2)
	a, b, c := p.find(account.ByLIN, "employee:"+p.hr), p.find(account.ByLIN, "student:"+p.adm), p.find(account.ByLIN, "employee:"+q.hr)
	w.suspend(w.it(a.Username, w.clock()))
	w.must(p.merge(w.it(a.Username, w.clock()), b.Username))
	w.must2(w.stands(b.Username), "suspended locked", "what a locked account was merged into")
	w.must(p.merge(w.it(b.Username, w.clock()), c.Username))
	w.restore(w.it(a.Username, w.clock().Add(time.Minute))) // by the oldest name
	w.must2(w.stands(c.Username), "pending registered", "restored")
	w.must(p.employee(june.AddDate(0, 2, 0), p.first))
	if got := p.find(account.ByLIN, "employee:"+p.hr); got.ID != c.ID || len(got.Numbers) != 3 {
		t.Errorf("an event of the first is %s's, who has %d numbers", got.Username, len(got.Numbers))
	}
	for name, into := range map[string]string{a.Username: p.adm, c.Username: a.Username, b.Username: q.adm} {
		id := w.find(account.ByUsername, name).ID
		w.must(p.merge(w.it(name, w.clock().Add(time.Hour)), into))
		if got := w.told(id); !strings.HasPrefix(got[len(got)-1], "account.closed denied") {
			t.Errorf("merging %s into %s: %v", name, into, got)
		}
	}
}
