package stream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// crowdSubject carries a portal's word that people wait there. No stream has
// it: who does not hear it at once has missed nothing.
const crowdSubject = "crowd.portal"

// TellCrowded says to all workers that people wait in this portal. Nobody
// answers, and where nobody hears it nothing is lost but some haste.
func TellCrowded(nc *nats.Conn) error {
	if err := nc.Publish(crowdSubject, nil); err != nil {
		return fmt.Errorf("crowd: %w", err)
	}
	return nil
}

// How a worker gives way. From the last word of a portal on it does so for
// crowdHolds, at CrowdFloor; then twice as fast with each crowdEases, until
// crowdOver a second are no way of giving way any more. Nobody waits longer than
// crowdLongest: that is far from what a handler may take.
const (
	crowdHolds   = 10 * time.Second
	crowdEases   = time.Second
	crowdOver    = 400
	crowdLongest = 10 * time.Second
)

// CrowdFloor is how many a second go on at least, whatever portals say.
const CrowdFloor = 15

// Crowd makes what can wait go slowly while people wait in a portal. The word of
// a portal is only ever heeded so far: whatever is said, and however often,
// CrowdFloor go on each second.
type Crowd struct {
	// Changed is told when giving way begins and when it has ended. nil: nobody.
	Changed func(gives bool)

	mu    sync.Mutex
	turns chan struct{} // one for each who goes on; nil: nobody waits
	over  chan struct{} // closed when nobody waits any more
}

// Run listens to the portals until ctx ends.
func (c *Crowd) Run(ctx context.Context, nc *nats.Conn) error {
	said := make(chan struct{}, 1)
	sub, err := nc.Subscribe(crowdSubject, func(*nats.Msg) {
		select {
		case said <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return fmt.Errorf("crowd: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-said:
			c.give(ctx, said)
		}
	}
}

// Turn waits for a turn while turns are given, and not at all else.
func (c *Crowd) Turn(ctx context.Context) {
	c.mu.Lock()
	turns, over := c.turns, c.over
	c.mu.Unlock()
	if turns == nil {
		return
	}
	longest := time.NewTimer(crowdLongest)
	defer longest.Stop()
	select {
	case <-turns:
	case <-over:
	case <-longest.C:
	case <-ctx.Done():
	}
}

// give gives turns for as long as portals ask for it, and a little longer.
func (c *Crowd) give(ctx context.Context, said <-chan struct{}) {
	turns, over := make(chan struct{}), make(chan struct{})
	c.set(turns, over)
	defer close(over)
	defer c.set(nil, nil)
	heard, next := time.Now(), time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-said:
			heard = time.Now()
			continue
		case <-next.C:
		}
		rate := crowdRate(time.Since(heard))
		if rate == 0 {
			return
		}
		next.Reset(time.Second / time.Duration(rate))
		select {
		case turns <- struct{}{}:
		default: // nobody waits
		}
	}
}

func (c *Crowd) set(turns, over chan struct{}) {
	c.mu.Lock()
	c.turns, c.over = turns, over
	c.mu.Unlock()
	if c.Changed != nil {
		c.Changed(turns != nil)
	}
}

// crowdRate is how many turns are given a second so long after the last word of
// a portal. Zero: nobody waits for one any more.
func crowdRate(quiet time.Duration) int {
	rate := CrowdFloor
	for quiet -= crowdHolds; quiet > 0; quiet -= crowdEases {
		if rate *= 2; rate >= crowdOver {
			return 0
		}
	}
	return rate
}
