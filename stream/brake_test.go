package stream

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// brakes are n processes' brakes over one bucket, with a clock that the test
// moves.
func brakes(t *testing.T, n, maximum int) ([]*Brake, *atomic.Int64, *broker) {
	t.Helper()
	b, _, _ := declared(t)
	var now atomic.Int64
	now.Store(time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC).Unix())
	var out []*Brake
	for range n {
		_, js := b.connect()
		p := NewPublisher(js)
		t.Cleanup(func() { _ = p.Close(patience(t)) })
		out = append(out, &Brake{Publisher: p, Max: maximum, Per: 24 * time.Hour, Now: func() time.Time { return time.Unix(now.Load(), 0) }})
	}
	return out, &now, b
}

func ask(t *testing.T, b *Brake, kind, account string) bool {
	t.Helper()
	ok, err := b.Allow(patience(t), kind, account)
	if err != nil {
		t.Fatalf("the brake does not answer for %s: %v", account, err)
	}
	return ok
}

func TestBrakeLetsNoMoreThanItsMaximumThroughHoweverManyWorkersAsk(t *testing.T) {
	t.Parallel()
	const workers, maximum, people = 4, 20, 300
	bs, _, _ := brakes(t, workers, maximum)
	var through sync.Map
	var wait sync.WaitGroup
	for w, b := range bs {
		wait.Go(func() { // each asks for everybody, in an order of its own
			for i := range people {
				account := fmt.Sprintf("a%d", (i*7+w*50)%people)
				if ok, err := b.Allow(patience(t), "suspended", account); err != nil {
					t.Errorf("the brake does not answer: %v", err)
				} else if ok {
					through.Store(account, true)
				}
			}
		})
	}
	wait.Wait()
	n := 0
	through.Range(func(account, _ any) bool {
		n++
		if !ask(t, bs[0], "suspended", account.(string)) {
			t.Errorf("%s was allowed and asks again in vain: a worker that died in between would never finish", account)
		}
		return true
	})
	if n != maximum {
		t.Errorf("%d accounts went through a brake of %d", n, maximum)
	}
	waits, err := BrakeWaits(patience(t), jsOf(t, bs[0]), "suspended", 0)
	if err != nil || len(waits) != people-maximum {
		t.Errorf("%d accounts are shown as waiting, %d wait: %v", len(waits), people-maximum, err)
	}
	if !ask(t, bs[1], "leaving", "a1") {
		t.Error("another kind is held, too")
	}
}

func TestHoldLastsBeyondItsPeriodUntilSomebodyReleasesIt(t *testing.T) {
	t.Parallel()
	bs, now, server := brakes(t, 2, 2)
	b, other := bs[0], bs[1]
	for _, account := range []string{"a1", "a2"} {
		if !ask(t, b, "closed", account) {
			t.Fatalf("%s is held by a brake of 2", account)
		}
	}
	for _, account := range []string{"a3", "a4"} {
		if ask(t, b, "closed", account) {
			t.Fatalf("%s goes through a brake of 2", account)
		}
	}
	now.Add(int64((72 * time.Hour).Seconds()))
	server.stop()
	server.start()
	eventually(t, "the broker answers after its restart", func() bool {
		_, err := other.State(patience(t), "closed")
		return err == nil
	})
	if ask(t, other, "closed", "a5") {
		t.Error("the hold is over because time went by, or the broker was restarted")
	}
	before, err := other.Release(patience(t), "closed", "ola")
	if err != nil || before.Held.IsZero() {
		t.Fatalf("it cannot be released: %+v, %v", before, err)
	}
	for _, account := range []string{"a3", "a4", "a5"} {
		if !ask(t, other, "closed", account) {
			t.Errorf("%s waited and does not go after the release", account)
		}
	}
	if s, err := other.State(patience(t), "closed"); err != nil || len(s.Allowed) != 0 || !s.Held.IsZero() || s.By != "ola" {
		t.Errorf("who was released counts against the next: %+v, %v", s, err)
	}
	if !ask(t, other, "closed", "a6") || !ask(t, other, "closed", "a7") || ask(t, other, "closed", "a8") {
		t.Error("after a release the brake does not count anew")
	}
	if waits, err := BrakeWaits(patience(t), jsOf(t, b), "closed", mustState(t, b).Upto); err != nil || len(waits) != 1 || waits[0].Account != "a8" {
		t.Errorf("only a8 waits: %+v, %v", waits, err)
	}
	if _, err := b.Release(patience(t), "leaving", "ola"); !errors.Is(err, ErrNotHeld) {
		t.Errorf("releasing what is not held answers %v", err)
	}
}

func TestReleaseReachesAProcessThatRemembersTheHold(t *testing.T) {
	t.Parallel()
	bs, _, _ := brakes(t, 2, 1)
	if !ask(t, bs[0], "leaving", "a1") || ask(t, bs[0], "leaving", "a2") {
		t.Fatal("a brake of 1 lets one through")
	}
	if _, err := bs[1].Release(patience(t), "leaving", "ola"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process that had been told no lets it through", func() bool { return ask(t, bs[0], "leaving", "a2") })
}

func mustState(t *testing.T, b *Brake) BrakeState {
	t.Helper()
	s, err := b.State(patience(t), "closed")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func jsOf(t *testing.T, b *Brake) jetstream.JetStream {
	t.Helper()
	js, err := JetStream(b.Publisher.conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
