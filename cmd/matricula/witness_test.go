package main

import (
	"context"
	"errors"
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
		err := w.agrees(t.Context())
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
	for range 3 {
		if err := w.agrees(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("three clicks in a row asked the broker %d times, not once", n)
	}
	ahead.Store(int64(-2 * time.Hour))
	if err := w.agrees(t.Context()); err == nil || !strings.Contains(err.Error(), "2h0m0s behind") {
		t.Errorf("a clock that was set back two hours: %v", err)
	}
	ahead.Store(0)
	if err := w.agrees(t.Context()); err != nil {
		t.Errorf("a clock that was set right again: %v", err)
	}
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
	down.Store(false)
	if err := w.agrees(t.Context()); err != nil {
		t.Fatal(err)
	}
	down.Store(true)
	if err := w.look(t.Context()); err != nil {
		t.Errorf("a broker that is away for a moment: %v", err)
	}
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
	if got := r.click(p).get(link); got.Status != http.StatusServiceUnavailable {
		t.Errorf("1.5 s off, the portal answers %d", got.Status)
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
