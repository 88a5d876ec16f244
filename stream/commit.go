package stream

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// An atomic batch costs one durable server about 3 ms whatever it holds, a
// single publish about 0.3 ms. Figures: BenchmarkBatchSize and
// BenchmarkGrouping.
const (
	batchFrom = 24      // messages; below, singles cost the server less
	batchMost = 256     // messages in one commit
	batchSize = 4 << 20 // bytes in one commit
)

// effect is what one caller wants written: one message, or several that stand
// or fall together.
type effect struct {
	ctx  context.Context
	msgs []*nats.Msg
	done chan error // takes one answer
	// stale tells whether the broker refuses this effect by itself, which is
	// asked when a batch it was in was refused. nil: unknown.
	stale func(context.Context) (bool, error)
	// why the last attempt left the outcome open
	last atomic.Pointer[error]
}

func (e *effect) answer(err error) {
	select {
	case e.done <- err:
	default: // its caller has the answer already
	}
}

func (e *effect) size() int {
	n := 0
	for _, m := range e.msgs {
		n += m.Size()
	}
	return n
}

// roundsMost is how many commits of one stream are under way at once: while the
// server writes one, the next is on its way. What comes meanwhile piles up.
const roundsMost = 2

// committer writes to one stream. Further effects pile up while as many commits
// are under way as may be; they are the next commit.
type committer struct {
	batches bool // the stream takes atomic batches
	patient func() bool
	conn    *nats.Conn
	free    chan *wire // those that no commit uses
	calm    time.Time  // no single message waits for others before; only run has it

	mu       sync.Mutex
	queue    []*effect
	busy     map[string]bool // subjects under way
	batching bool            // a batch is under way
	rounds   int             // under way
	closed   bool
	wake     chan struct{} // holds one token when something may have changed
	ended    chan struct{}
}

// newCommitter makes one; within is how long an attempt waits for its answers.
func newCommitter(nc *nats.Conn, batches bool, patient func() bool, within time.Duration) *committer {
	c := &committer{
		conn: nc, batches: batches, patient: patient, busy: map[string]bool{},
		free: make(chan *wire, roundsMost), wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	for range roundsMost {
		c.free <- &wire{conn: nc, within: within}
	}
	go c.run()
	return c
}

// errClosed: the publisher was closed before the effect was handed in.
var errClosed = errors.New("publisher is closed")

func (c *committer) add(e *effect) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		e.answer(errClosed)
		return
	}
	c.queue = append(c.queue, e)
	c.nudge()
}

func (c *committer) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// close lets what was handed in finish.
func (c *committer) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.nudge()
}

func (c *committer) run() {
	defer close(c.ended)
	for {
		w := <-c.free
		c.gather()
		round, over := c.take()
		if len(round) > 0 {
			go c.carry(w, round)
			continue
		}
		c.free <- w
		if over {
			break
		}
		<-c.wake
	}
	for range roundsMost {
		(<-c.free).close()
	}
}

// carry brings a round to the server. What remains open goes first in the next.
func (c *committer) carry(w *wire, round []*effect) {
	again := c.commit(w, round)
	if len(again) == 0 {
		w.failed = 0
	} else {
		time.Sleep(min(time.Second, 20*time.Millisecond<<min(w.failed, 6)))
		w.failed++
	}
	c.end(round, again)
	c.free <- w
	c.nudge()
}

// take removes the next round from the queue. An effect whose subject is in the
// round or under way already waits: the second would refuse the first. So does
// a batch while another is under way, which gets fuller by it.
func (c *committer) take() (round []*effect, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.batchBehindBatch() {
		return nil, false
	}
	c.queue = slices.DeleteFunc(c.queue, func(e *effect) bool {
		if e.ctx.Err() == nil {
			return false
		}
		e.answer(e.ctx.Err())
		return true
	})
	var left []*effect
	subjects, msgs, bytes := maps.Clone(c.busy), 0, 0
	for i, e := range c.queue {
		n := e.size()
		if msgs > 0 && (msgs+len(e.msgs) > batchMost || bytes+n > batchSize) {
			left = append(left, c.queue[i:]...)
			break
		}
		waits := slices.ContainsFunc(e.msgs, func(m *nats.Msg) bool { return subjects[m.Subject] })
		for _, m := range e.msgs {
			subjects[m.Subject] = true // those behind it wait as well: order per subject
		}
		if waits {
			left = append(left, e)
			continue
		}
		round, msgs, bytes = append(round, e), msgs+len(e.msgs), bytes+n
	}
	if c.asBatch(round) && c.batching {
		return nil, false
	}
	c.queue = left
	c.begin(round)
	return round, c.closed && c.rounds == 0 && len(left) == 0
}

// batchBehindBatch tells at a glance that the next round would be a batch and
// that another is under way: with a hundred persons in hand somebody comes every
// moment, and a look at all that wait would be in vain each time. With the lock.
func (c *committer) batchBehindBatch() bool {
	return c.batching && len(c.queue) > 0 && c.queue[0].ctx.Err() == nil && len(c.queue[0].msgs) > 1 &&
		!slices.ContainsFunc(c.queue[0].msgs, func(m *nats.Msg) bool { return c.busy[m.Subject] })
}

// begin notes what is under way. With the lock.
func (c *committer) begin(round []*effect) {
	if len(round) == 0 {
		return
	}
	c.rounds++
	c.batching = c.batching || c.asBatch(round)
	for _, e := range round {
		for _, m := range e.msgs {
			c.busy[m.Subject] = true
		}
	}
}

// end takes back into the queue what is to be tried again.
func (c *committer) end(round, again []*effect) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rounds--
	c.batching = c.batching && !c.asBatch(round)
	for _, e := range round {
		for _, m := range e.msgs {
			delete(c.busy, m.Subject)
		}
	}
	c.queue = append(again, c.queue...)
}

// asBatch tells whether a round goes all or none, and not one by one.
func (c *committer) asBatch(round []*effect) bool { return c.batches && worthBatch(round) }
