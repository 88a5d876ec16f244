package stream

import (
	"context"
	"errors"
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

// committer writes to one stream. While one commit is under way further
// effects pile up; they are the next commit.
type committer struct {
	wire    wire
	batches bool // the stream takes atomic batches
	patient func() bool

	mu     sync.Mutex
	queue  []*effect
	closed bool
	wake   chan struct{} // holds one token when the queue may have grown
	ended  chan struct{}
}

func newCommitter(nc *nats.Conn, batches bool, patient func() bool) *committer {
	c := &committer{wire: wire{conn: nc}, batches: batches, patient: patient, wake: make(chan struct{}, 1), ended: make(chan struct{})}
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
	defer c.wire.close()
	for failed := 0; ; {
		c.gather()
		round, over := c.take()
		if over {
			return
		}
		if len(round) == 0 {
			<-c.wake
			continue
		}
		again := c.commit(round)
		if len(again) == 0 {
			failed = 0
			continue
		}
		c.mu.Lock()
		c.queue = append(again, c.queue...)
		c.mu.Unlock()
		time.Sleep(min(time.Second, 20*time.Millisecond<<min(failed, 6)))
		failed++
	}
}

// take removes the next round from the queue. Two effects on one subject never
// go in one round: the second would refuse the first.
func (c *committer) take() (round []*effect, over bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var left []*effect
	subjects, msgs, bytes := map[string]bool{}, 0, 0
	for i, e := range c.queue {
		if e.ctx.Err() != nil {
			e.answer(e.ctx.Err())
			continue
		}
		n := e.size()
		if msgs > 0 && (msgs+len(e.msgs) > batchMost || bytes+n > batchSize) {
			left = append(left, c.queue[i:]...)
			break
		}
		fits := true
		for _, m := range e.msgs {
			fits = fits && !subjects[m.Subject]
		}
		if !fits {
			left = append(left, e)
			for _, m := range e.msgs {
				subjects[m.Subject] = true // those behind it wait as well: order per subject
			}
			continue
		}
		for _, m := range e.msgs {
			subjects[m.Subject] = true
		}
		round, msgs, bytes = append(round, e), msgs+len(e.msgs), bytes+n
	}
	c.queue = left
	return round, c.closed && len(round) == 0 && len(left) == 0
}

// commit writes a round and answers its effects, except those whose outcome is
// not known: they are to be tried again, which repeats nothing.
func (c *committer) commit(round []*effect) (again []*effect) {
	if c.wire.conn.IsClosed() {
		for _, e := range round {
			e.answer(nats.ErrConnectionClosed)
		}
		return nil
	}
	if c.batches && worthBatch(round) {
		return c.batch(round)
	}
	return c.singles(round)
}

func worthBatch(round []*effect) bool {
	n := 0
	for _, e := range round {
		if len(e.msgs) > 1 {
			return true
		}
		n += len(e.msgs)
	}
	return n >= batchFrom
}

func (c *committer) singles(round []*effect) (again []*effect) {
	msgs := make([]*nats.Msg, len(round))
	for i, e := range round {
		msgs[i] = e.msgs[0]
	}
	ctx, cancel := anyOf(round)
	defer cancel()
	for i, err := range c.wire.singles(ctx, msgs) {
		if !round[i].settle(err) {
			again = append(again, round[i])
		}
	}
	return again
}

// settle answers an effect once the outcome is known.
func (e *effect) settle(err error) bool {
	var refused *apiError
	switch {
	case err == nil:
		e.answer(nil)
	case errors.As(err, &refused) && refused.told():
		e.answer(nil)
	case errors.As(err, &refused) && !refused.passing():
		e.answer(refused)
	default:
		e.last.Store(&err)
		return false
	}
	return true
}

// batch commits a round as one. A refusal is about one of them and does not
// say which: those that know themselves refused are answered, the rest goes
// again.
func (c *committer) batch(round []*effect) (again []*effect) {
	var msgs []*nats.Msg
	for _, e := range round {
		msgs = append(msgs, e.msgs...)
	}
	ctx, cancel := anyOf(round)
	err := c.wire.batch(ctx, msgs)
	cancel()
	var refused *apiError
	switch {
	case err == nil:
		for _, e := range round {
			e.answer(nil)
		}
		return nil
	case !errors.As(err, &refused) || refused.passing():
		for _, e := range round {
			e.last.Store(&err)
		}
		return round
	case len(round) == 1:
		round[0].answer(refused)
		return nil
	}
	return c.split(round)
}

// split writes by itself what a refused batch held.
func (c *committer) split(round []*effect) (again []*effect) {
	var alone, groups []*effect
	for _, e := range round {
		if len(e.msgs) == 1 && e.stale == nil {
			alone = append(alone, e)
			continue
		}
		if e.stale != nil {
			if stale, err := e.stale(e.ctx); err == nil && stale {
				e.answer(&apiError{Code: 400, ErrCode: codeWrongLast, Description: "wrong last sequence"})
				continue
			}
		}
		groups = append(groups, e)
	}
	if len(alone) > 0 {
		again = c.singles(alone)
	}
	if len(groups) < len(round)-len(alone) && len(groups) > 1 {
		return append(again, c.batch(groups)...)
	}
	for _, e := range groups { // nobody owned up, so each for itself
		again = append(again, c.batch([]*effect{e})...)
	}
	return again
}

// anyOf lives as long as the longest of the callers.
func anyOf(round []*effect) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	var stops []func() bool
	var mu sync.Mutex
	left := len(round)
	for _, e := range round {
		stops = append(stops, context.AfterFunc(e.ctx, func() {
			mu.Lock()
			defer mu.Unlock()
			if left--; left == 0 {
				cancel()
			}
		}))
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}
