package portal

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"usn.no/matricula/account"
)

func TestPressesOfOnePersonAreOneAfterTheOther(t *testing.T) {
	t.Parallel()
	var s single
	var inside, most, presses atomic.Int64
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			done, err := s.turn(t.Context(), "karnor")
			if err != nil {
				t.Error(err)
				return
			}
			if n := inside.Add(1); n > most.Load() {
				most.Store(n)
			}
			presses.Add(1)
			inside.Add(-1)
			done()
		})
	}
	wait.Wait()
	if most.Load() != 1 || presses.Load() != 50 || len(s.busy) != 0 {
		t.Errorf("%d presses of 50, %d at once, %d left behind", presses.Load(), most.Load(), len(s.busy))
	}
}

func TestPressWaitsForNobodyElseAndNotForever(t *testing.T) {
	t.Parallel()
	var s single
	done, err := s.turn(t.Context(), "karnor")
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.turn(t.Context(), "olanor")
	if err != nil {
		t.Fatalf("somebody else's press waits: %v", err)
	}
	other()
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := s.turn(gone, "karnor"); !errors.Is(err, account.ErrBusy) {
		t.Errorf("a second press whose time is up is answered %v, not busy", err)
	}
	done()
	again, err := s.turn(t.Context(), "karnor")
	if err != nil {
		t.Fatalf("the next press: %v", err)
	}
	again()
}
