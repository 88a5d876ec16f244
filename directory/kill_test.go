package directory_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
	"usn.no/matricula/testkit"
)

// ledger is what the directory has said is done.
type ledger struct {
	mu   sync.Mutex
	done map[string]account.Account
}

func (l *ledger) write(a account.Account) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done[a.ID] = a
	return len(l.done)
}

func TestAcknowledgedWritesSurviveAKill(t *testing.T) {
	t.Parallel()
	s := testkit.Slapd(t)
	d := open(t, config(s, s.Worker))
	l := &ledger{done: map[string]account.Account{}}
	const writers, kills, step = 4, 3, 40
	stop, reached := make(chan struct{}), make(chan int, 1<<16)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; ; i += writers {
				select {
				case <-stop:
					return
				default:
				}
				if !write(t, d, l, i, reached, stop) {
					return
				}
			}
		})
	}
	for kill := 1; kill <= kills; kill++ {
		deadline := time.After(60 * time.Second)
		for n := 0; n < kill*step; {
			select {
			case n = <-reached:
			case <-deadline:
				t.Fatalf("%d writes after %d kills and no more in 60 s", n, kill-1)
			}
		}
		s.Kill() // in the middle of what the writers are at
		s.Start()
	}
	close(stop)
	wg.Wait()
	back(t, d)
	for id, want := range l.done {
		got, err := d.Find(t.Context(), account.Key{Kind: account.ByID, Value: id})
		if err != nil {
			t.Errorf("account %s was acknowledged at revision %d and is not there: %v", id, want.Revision, err)
			continue
		}
		if got.Revision < want.Revision || got.Revision == want.Revision && len(got.Handles) != len(want.Handles) {
			t.Errorf("account %s was acknowledged at revision %d and is at %d", id, want.Revision, got.Revision)
		}
	}
	t.Logf("%d acknowledged accounts over %d kills", len(l.done), kills)
}

// back waits until d has found its server again.
func back(t *testing.T, d *directory.Directory) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for err := d.Ping(t.Context()); err != nil; err = d.Ping(t.Context()) {
		if time.Now().After(deadline) {
			t.Fatalf("the directory is back and not found: %v", err)
		}
		runtime.Gosched()
	}
}

// write creates one account and updates it, through whatever outage.
func write(t *testing.T, d *directory.Directory, l *ledger, i int, reached chan int, stop chan struct{}) bool {
	through := func(what string, f func() error, fine ...error) bool {
		for {
			err := f()
			if err == nil {
				return true
			}
			for _, e := range fine {
				if errors.Is(err, e) {
					return true
				}
			}
			if !errors.Is(err, account.ErrUnavailable) {
				t.Errorf("%s of account %d: %v", what, i, err)
				return false
			}
			select {
			case <-stop:
				return false
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	a := person(i)
	if !through("create", func() error { return d.Create(t.Context(), a) }, account.ErrTaken) { // taken: by us, before an outage
		return false
	}
	a.Revision = 1
	reached <- l.write(a)
	now := a.Clone()
	now.Handles = append(now.Handles, fmt.Sprintf("num.%d", i))
	if !through("update", func() error { return d.Update(t.Context(), a, now) }, account.ErrStale) {
		return false
	}
	now.Revision = 2
	l.write(now)
	return true
}
