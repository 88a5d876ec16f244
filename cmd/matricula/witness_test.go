package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
)

func TestClockIsReliedOnOnlyWithinASecondOfTheBrokers(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		what   string
		ahead  time.Duration // this machine's clock before the broker's
		relied bool
	}{
		{"the same clock", 0, true},
		{"900 ms ahead", 900 * time.Millisecond, true},
		{"900 ms behind", -900 * time.Millisecond, true},
		{"1.1 s ahead", 1100 * time.Millisecond, false},
		{"1.1 s behind", -1100 * time.Millisecond, false},
		{"two hours behind", -2 * time.Hour, false},
	} {
		w := &witness{
			now: time.Now, log: zerolog.Nop(),
			broker: func(context.Context) (time.Time, error) { return time.Now().Add(-row.ahead), nil },
		}
		var err error
		eventually(t, patience, row.what+": a reading that did not take too long", func() (bool, string) {
			err = w.agrees(t.Context())
			return w.last.Load() != nil, fmt.Sprint(err)
		})
		if relied := err == nil; relied != row.relied {
			t.Errorf("%s: the answer is %v", row.what, err)
		}
		if err != nil && !errors.Is(err, account.ErrUnavailable) {
			t.Errorf("%s: %v is no outage", row.what, err)
		}
	}
}

func TestClockIsComparedAgainWhenItWasSet(t *testing.T) {
	t.Parallel()
	var ahead, asked atomic.Int64
	w := &witness{
		log: zerolog.Nop(), now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) },
		broker: func(context.Context) (time.Time, error) { asked.Add(1); return time.Now(), nil },
	}
	agrees := func(what, want string) {
		t.Helper()
		eventually(t, patience, what, func() (bool, string) { // a reading may take too long
			err := w.agrees(t.Context())
			return strings.Contains(fmt.Sprint(err), want), fmt.Sprint(err)
		})
	}
	eventually(t, patience, "three clicks in a row ask the broker once", func() (bool, string) {
		agrees("a clock that is right", "<nil>")
		before := asked.Load()
		for range 2 {
			agrees("a clock that is right", "<nil>")
		}
		return asked.Load() == before, fmt.Sprint(asked.Load())
	})
	ahead.Store(int64(-2 * time.Hour))
	agrees("a clock that was set back two hours", "2h0m0s behind")
	ahead.Store(0)
	agrees("a clock that was set right again", "<nil>")
}

func TestClockThatCannotBeComparedIsNotReliedOn(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	w := &witness{now: time.Now, log: zerolog.Nop(), broker: func(context.Context) (time.Time, error) {
		if down.Load() {
			return time.Time{}, account.ErrUnavailable
		}
		return time.Now(), nil
	}}
	down.Store(true)
	if err := w.agrees(t.Context()); !errors.Is(err, account.ErrUnavailable) {
		t.Errorf("without a broker: %v", err)
	}
	eventually(t, patience, "a broker that is away for a moment is no outage", func() (bool, string) {
		down.Store(false)
		eventually(t, patience, "a broker that is there again", func() (bool, string) { err := w.agrees(t.Context()); return err == nil, fmt.Sprint(err) })
		down.Store(true)
		err := w.look(t.Context())
		return err == nil, fmt.Sprint(err)
	})
	slow := reading{low: -300 * time.Millisecond, high: 1200 * time.Millisecond}
	if slow.within() || slow.off() {
		t.Error("an answer that took longer than the limit counts as one")
	}
}

func TestPortalWhoseClockIsOffLetsNobodyIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	clock := r.file("clock", "-1500ms")
	r.start("worker")
	r.start("mailer")
	r.startAt("portal", "clock="+clock)
	p := employeeNo(t, 700)
	r.publish(p.registered(time.Now().Add(-time.Minute)))
	link := linkOf(r.letter(p, events.LetterActivation))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := newVisitor().do(req); err != nil || got.Status != http.StatusServiceUnavailable { // who does not insist
		t.Errorf("1.5 s off, the portal answers %d, %v", got.Status, err)
	}
	r.file("clock", "0s")
	if done := r.click(p).activate(link, goodPassword); done.Path != "/activate/done" {
		t.Errorf("with the clock set right the click ends at %s", done.Path)
	}
	r.stop("portal")
	if log := r.log["portal"].String(); !strings.Contains(log, "the clock is off the broker's") {
		t.Errorf("nothing in the log: %s", log)
	}
	cmd := r.command("clock="+r.file("clock", "3s"), "check")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "ahead of the broker's") {
		t.Errorf("check says %s (%v)", out, err)
	}
}
