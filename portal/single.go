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
	busy map[string]chan struct{} // closed when the one before is done
}

// turn waits until nobody else works on key; done ends it. It fails with
// account.ErrBusy when ctx ends first.
func (s *single) turn(ctx context.Context, key string) (done func(), err error) {
	for {
		s.mu.Lock()
		before, taken := s.busy[key]
		if !taken {
			mine := make(chan struct{})
			if s.busy == nil {
				s.busy = map[string]chan struct{}{}
			}
			s.busy[key] = mine
			s.mu.Unlock()
			return func() {
				s.mu.Lock()
				delete(s.busy, key)
				s.mu.Unlock()
				close(mine)
			}, nil
		}
		s.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, account.ErrBusy
		}
	}
}
