package worker

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// lane reads one consumer: one message at a time, or those of many persons at
// the same time, see ahead. It goes past none: one that is not finished when the
// process ends is the last, and one that the broker may have given to another is
// delivered again before any later one is acknowledged.
type lane struct {
	w       *Worker
	number  int
	ackWait time.Duration
	alone   bool // the consumer has one message under way at most
	pull    *puller
	ahead   *ahead // nil: one message after the other
}

func newLane(w *Worker, c jetstream.Consumer, number int) *lane {
	info := c.CachedInfo()
	wait := info.Config.AckWait
	if wait <= 0 {
		wait = 30 * time.Second // the server's own default
	}
	alive := func() { w.state.works(number) }
	l := &lane{w: w, number: number, ackWait: wait, alone: info.Config.MaxAckPending == 1}
	looks := time.Duration(0)
	if l.ahead = newAhead(l, info); l.ahead != nil {
		looks = lookEvery
	}
	l.pull = newPuller(w, info, looks, alive)
	return l
}

// run reads until soft ends. hard ends when the grace period is over.
func (l *lane) run(soft, hard context.Context) {
	defer l.pull.close()
	if l.ahead != nil {
		l.ahead.run(soft, hard)
		return
	}
	for failed := 0; soft.Err() == nil; {
		m, err := l.pull.next(soft, true, nil)
		switch {
		case err == nil:
			failed = 0
			l.w.state.works(l.number)
			l.see(soft, hard, m)
		case errors.Is(err, errNothing):
			failed = 0
			l.w.state.works(l.number)
		case soft.Err() != nil:
			return
		default:
			l.fails(brokerDown{err})
			failed++
			pause(soft, l.w.Backoff.after(failed))
		}
	}
}

// brokerDown is an outage of the broker itself.
type brokerDown struct{ error }

func (brokerDown) Unavailable() bool  { return true }
func (brokerDown) Dependency() string { return "broker" }
func (b brokerDown) Unwrap() error    { return b.error }

// fails notes an outage in this lane.
func (l *lane) fails(err error) { l.suffers(l.number, err) }

// fails notes an outage that this message waits for.
func (c *course) fails(err error) { c.suffers(c.slot, err) }

// suffers notes an outage and logs it once for all who wait.
func (l *lane) suffers(slot int, err error) {
	if d, first := l.w.state.fails(slot, err, time.Now()); first {
		l.w.Log.Error().Str("worker", l.w.Name).Str("dependency", d).Err(err).Msg("outage begins")
	}
}

// see brings one message to its end, or leaves it to the next delivery.
func (l *lane) see(soft, hard context.Context, m *message) {
	hold := l.hold(m)
	defer hold.release()
	c := &course{lane: l, message: m, slot: l.number, kept: hold.kept, began: time.Now()}
	l.w.state.takes(l.number, m.meta.Timestamp)
	defer l.w.state.drops(l.number)
	c.run(soft, hard)
	c.report()
}
