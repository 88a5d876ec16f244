package portal

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"usn.no/matricula/account"
)

func TestPressesOfOnePersonAreOneAfterTheOther(t *testing.T) {
	t.Parallel()
	var s single
	var inside, most, presses atomic.Int64
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			done, err := s.turn(t.Context(), "karnor", account.Choice{})
			if err != nil {
				t.Error(err)
				return
			}
			if n := inside.Add(1); n > most.Load() {
				most.Store(n)
			}
			presses.Add(1)
			inside.Add(-1)
			done(false)
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
	done, err := s.turn(t.Context(), "karnor", account.Choice{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := s.turn(t.Context(), "olanor", account.Choice{})
	if err != nil {
		t.Fatalf("somebody else's press waits: %v", err)
	}
	other(false)
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := s.turn(gone, "karnor", account.Choice{}); !errors.Is(err, account.ErrBusy) {
		t.Errorf("a second press whose time is up is answered %v, not busy", err)
	}
	done(false)
	again, err := s.turn(t.Context(), "karnor", account.Choice{})
	if err != nil {
		t.Fatalf("the next press: %v", err)
	}
	again(false)
}

func TestSecondPressOfADoubleClickAsksNobody(t *testing.T) {
	t.Parallel()
	choice := account.Choice{Proof: "a", Password: "Fjord-Lyngheim-Sildretind"}
	other := choice
	other.Password = "Sildretind-Fjord-Lyngheim"
	for _, c := range []struct {
		what   string
		second account.Choice
		worked bool
		want   error
	}{
		{"the same press again", choice, true, account.ErrSpent},
		{"the same press, where the first came to nothing", choice, false, nil},
		{"another password, which the directory is to refuse", other, true, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			var s single
			done, err := s.turn(t.Context(), "karnor", choice)
			if err != nil {
				t.Fatal(err)
			}
			second := make(chan error, 1)
			go func() {
				done, err := s.turn(t.Context(), "karnor", c.second)
				if err == nil {
					done(true)
				}
				second <- err
			}()
			synctest.Wait() // it waits for the first
			done(c.worked)
			if err := <-second; !errors.Is(err, c.want) {
				t.Errorf("%s was answered %v, not %v", c.what, err, c.want)
			}
			if len(s.busy) != 0 {
				t.Errorf("%s leaves something behind", c.what)
			}
		})
	}
}
