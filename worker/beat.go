package worker

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
)

// beats tells the broker now and then that what it has delivered is in hand.
func (a *ahead) beats() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		every := time.NewTicker(a.ackWait / 3)
		defer every.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
				a.beat(ctx)
			}
		}
	}()
	return cancel
}

// beat asks for a reply on the last: that is what tells a working connection
// from a buffer that is filling.
func (a *ahead) beat(ctx context.Context) {
	a.mu.Lock()
	var list []*item
	for _, of := range [][]*item{a.items, a.parked} {
		for _, it := range of {
			if time.Since(it.sure) > a.ackWait/6 {
				list = append(list, it)
			}
		}
	}
	a.mu.Unlock()
	if len(list) == 0 {
		return
	}
	sent := time.Now()
	for _, it := range list {
		if err := it.raw.InProgress(); err != nil && !errors.Is(err, nats.ErrMsgAlreadyAckd) {
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, a.ackWait/3)
	defer cancel()
	// Once more, in a way that also asks for what was acknowledged meanwhile.
	if _, err := a.w.Conn.RequestWithContext(ctx, list[len(list)-1].raw.Reply, []byte("+WPI")); err != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, it := range list {
		if a.ours(it) {
			it.sure = sent
		}
	}
}

// kept tells whether a message is ours for certain.
func (a *ahead) kept(it *item) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ours(it)
}

// ours tells the same; later it may be somebody else's. With the lock.
func (a *ahead) ours(it *item) bool { return time.Since(it.sure) <= a.ackWait }
