package stream

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// hearing runs a Crowd on a connection until stop is called; began counts how
// often giving way has begun.
func hearing(t *testing.T, nc *nats.Conn) (stop func(), began func() int64) {
	t.Helper()
	_, stop, began, _ = crowdOn(t, nc)
	return stop, began
}

func crowdOn(t *testing.T, nc *nats.Conn) (c *Crowd, stop func(), began, ended func() int64) {
	t.Helper()
	var on, off atomic.Int64
	c = &Crowd{Changed: func(gives bool) {
		if gives {
			on.Add(1)
		} else {
			off.Add(1)
		}
	}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx, nc) }()
	t.Cleanup(cancel)
	return c, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}, on.Load, off.Load
}

func TestCrowdSlowsWhatCanWaitAndStopsNothing(t *testing.T) {
	t.Parallel()
	b := newBroker(t, false)
	portal, _ := b.connect()
	worker, _ := b.connect()
	c, stop, began, ended := crowdOn(t, worker)

	for range 1000 { // nobody has to wait while no portal says so
		c.Turn(t.Context())
	}

	eventually(t, "giving way begins", func() bool { return TellCrowded(portal) == nil && began() == 1 })
	for range 50 { // however often it is said
		if err := TellCrowded(portal); err != nil {
			t.Fatal(err)
		}
	}
	const n = CrowdFloor
	at := time.Now()
	for range n {
		c.Turn(t.Context())
	}
	if took, least := time.Since(at), (n-1)*time.Second/CrowdFloor; took < least/2 {
		t.Errorf("%d turns were given within %s, as if nobody waited", n, took)
	}

	// Whoever ends does not wait for turns.
	left := make(chan struct{})
	for range 200 {
		go func() { c.Turn(t.Context()); left <- struct{}{} }()
	}
	stop()
	for range 200 {
		<-left
	}
	if began() != 1 || ended() != 1 {
		t.Errorf("giving way began %d times and ended %d times, not once each", began(), ended())
	}
	c.Turn(t.Context())
}

func TestCrowdIsForgottenInSteps(t *testing.T) {
	t.Parallel()
	before := CrowdFloor
	for quiet := time.Duration(0); quiet < time.Minute; quiet += 100 * time.Millisecond {
		rate := crowdRate(quiet)
		if quiet <= crowdHolds && rate != CrowdFloor {
			t.Errorf("%s after a portal's word %d a second go on, not %d", quiet, rate, CrowdFloor)
		}
		if rate == 0 {
			if quiet < crowdHolds+2*crowdEases {
				t.Errorf("%s after a portal's word all go on at once", quiet)
			}
			return
		}
		if rate != before && rate != 2*before {
			t.Errorf("%s after a portal's word %d a second go on, and %d before", quiet, rate, before)
		}
		before = rate
	}
	t.Error("a portal's word holds for a minute")
}
