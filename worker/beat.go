package worker

import (
	"context"
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
	for _, it := range list[:len(list)-1] {
		if it.raw.InProgress() != nil {
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, a.ackWait/3)
	defer cancel()
	if list[len(list)-1].raw.InProgress(nats.Context(ctx)) != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, it := range list {
		if time.Since(it.sure) <= a.ackWait { // else it may be somebody else's already
			it.sure = sent
		}
	}
}

// kept tells whether a message is ours for certain.
func (a *ahead) kept(it *item) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Since(it.sure) <= a.ackWait
}
