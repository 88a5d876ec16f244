package portal

import (
	"context"
	"sync"

	"usn.no/matricula/account"
)

// single lets what concerns one person happen one after the other in this
// process. Everybody presses a button twice; without it both presses hash a
// password, which is what a portal has least of, and one of them for nothing.
// Between replicas it is the directory that decides.
type single struct {
	mu   sync.Mutex
	busy map[string]*press
}

// press is one press of the button.
type press struct {
	choice account.Choice
	over   chan struct{} // closed when it is over
	worked bool          // since then
}

// turn waits until nobody else works on key; done ends it, and says whether it
// worked. It fails with account.ErrBusy when ctx ends first, and with
// account.ErrSpent when the one that it waited for was the same choice, and
// worked: then nobody needs to be asked.
func (s *single) turn(ctx context.Context, key string, choice account.Choice) (done func(worked bool), err error) {
	for {
		s.mu.Lock()
		before := s.busy[key]
		if before == nil {
			mine := &press{choice: choice, over: make(chan struct{})}
			if s.busy == nil {
				s.busy = map[string]*press{}
			}
			s.busy[key] = mine
			s.mu.Unlock()
			return func(worked bool) {
				s.mu.Lock()
				delete(s.busy, key)
				s.mu.Unlock()
				mine.worked = worked
				close(mine.over)
			}, nil
		}
		s.mu.Unlock()
		select {
		case <-before.over:
			if before.worked && before.choice == choice {
				return nil, account.ErrSpent
			}
		case <-ctx.Done():
			return nil, account.ErrBusy
		}
	}
}
