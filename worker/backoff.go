package worker

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is the time between tries: it doubles from First up to Max, and a
// random half of it is taken off so that lanes do not come back together. Max
// is also how long a worker goes on waiting for a server that is back.
type Backoff struct {
	First time.Duration // default 100 ms
	Max   time.Duration // default 5 s
}

// after is the pause after n failures in a row, n from 1.
func (b Backoff) after(n int) time.Duration {
	d, limit := orElse(b.First, 100*time.Millisecond), orElse(b.Max, 5*time.Second)
	for ; n > 1 && d < limit; n-- {
		d *= 2
	}
	d = min(d, limit)
	return d/2 + rand.N(d/2+1)
}

// pause waits, and answers false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
