package worker

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"time"

	"usn.no/matricula/events"
)

// verdict is how a message's course ended in this process.
type verdict string

const (
	done     verdict = "done"
	later    verdict = "later"
	rejected verdict = "rejected"
	left     verdict = "left" // not finished: the broker delivers it again
)

// course is one message on its way from delivery to acknowledgement.
type course struct {
	*lane
	*message
	slot  int         // what the worker's state knows it by
	kept  func() bool // whether it is ours for certain
	began time.Time

	event   events.Event
	tries   int // that failed for another reason than an outage
	answer  error
	verdict verdict
	dead    string // ID of the dead letter
	unacked bool   // it is not known whether the broker took the acknowledgement
	leave   func() // what enter took, or nil
}

// run decides, stores what follows, and acknowledges last.
func (c *course) run(soft, hard context.Context) {
	c.w.pass("received")
	defer c.out()
	c.decide(soft, hard)
	if c.verdict == left {
		if c.kept() { // else a Nak would take it from whoever has it now
			_ = c.raw.Nak() // it is delivered at once and before any later one
		}
		return
	}
	c.w.pass("before ack")
	if !c.alone || soft.Err() != nil || c.pull.chain(c.message) != nil {
		c.acknowledge(hard)
	}
	c.w.pass("after ack")
}

// decide brings a message to its end but for the acknowledgement.
func (c *course) decide(soft, hard context.Context) {
	c.answer = c.work(soft, hard)
	c.verdict = c.finish(hard)
}

// errLeft: the message was not finished here.
var errLeft = errors.New("left for the next delivery")

// work calls the handler until it answers for good. It answers nil, a
// rejection, a postponement, or errLeft.
func (c *course) work(soft, hard context.Context) error {
	e, err := c.w.decode(c.origin.Subject, c.raw.Header, c.raw.Data)
	if err != nil {
		return events.Reject(err)
	}
	e.Position, e.Received = c.origin.Sequence, c.origin.Received
	c.event = e
	handler, ok := c.w.handlers[reflect.TypeOf(e.Data)]
	if !ok {
		return events.Refuse(events.ReasonUnhandled, "type", "nothing handles this type yet; replay it when something does")
	}
	if err := c.suspect(soft); err != nil {
		return err
	}
	for failed := 1; ; failed++ {
		if failed > 1 && !c.kept() {
			return fmt.Errorf("%w: the broker may have given it to another", errLeft)
		}
		c.enter()
		err := c.attempt(hard, handler)
		if _, ok := events.Postponed(err); ok || err == nil {
			c.w.state.works(c.slot)
			return err
		}
		if r, ok := events.Rejected(err); ok {
			c.w.state.works(c.slot)
			return r
		}
		switch {
		case hard.Err() != nil:
			return errLeft
		case events.IsUnavailable(err):
			c.fails(err)
		default:
			c.w.state.works(c.slot)
			if c.tries++; c.tries >= c.w.attempts() {
				return &events.Rejection{Reason: events.ReasonGaveUp, Err: err}
			}
		}
		c.out()
		if !pause(soft, c.w.Backoff.after(failed)) {
			return errLeft
		}
	}
}

// enter makes a message that was delivered suspiciously often wait until no
// other is in hand, and the others until it is through: if it does kill the
// process, it takes none of them with it. What is entered is left after the
// acknowledgement, or before a pause.
func (c *course) enter() {
	if c.suspicious() {
		c.w.alone.Lock()
		c.leave = c.w.alone.Unlock
		return
	}
	c.w.alone.RLock()
	c.leave = c.w.alone.RUnlock
}

func (c *course) out() {
	if c.leave != nil {
		c.leave()
		c.leave = nil
	}
}

func (c *course) suspicious() bool { return int(c.meta.NumDelivered) > c.w.deliveries()/4 }

// suspect slows down and in the end refuses a message that was delivered again
// and again and never finished: it may be what kills its worker. Each process
// that comes back would die of it, and the messages in the lanes beside it are
// delivered again just as often for nothing they did. The pause is random, so
// that each time about half of those get done, one at a time, before it
// strikes. While an outage is on, restarts are not the message's fault.
func (c *course) suspect(soft context.Context) error {
	if !c.suspicious() {
		return nil
	}
	limit, n := c.w.deliveries(), int(c.meta.NumDelivered)
	if !pause(soft, c.w.Backoff.after(n-limit/4)) {
		return errLeft
	}
	if n > limit && len(c.w.Outages()) == 0 {
		text := fmt.Sprintf("delivered %d times and never finished: it may stop the process that handles it", n)
		return events.Refuse(events.ReasonGaveUp, "", text)
	}
	return nil
}

// attempt calls the handler once. A panic is an error like any other.
func (c *course) attempt(hard context.Context, handler func(context.Context, events.Event) error) (err error) {
	ctx, cancel := context.WithTimeout(hard, c.w.timeout())
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = panicked(p)
			if c.tries == 0 { // once per message
				c.w.Log.Error().Str("worker", c.w.Name).Str("id", c.event.ID).Str("type", c.event.Data.EventType()).
					Bytes("stack", debug.Stack()).Msg("handler panicked")
			}
		}
	}()
	return handler(ctx, c.event)
}

// panicked tells what a panic was. A value that is not the runtime's own could
// hold anything about a person, so of it only the type is told.
func panicked(p any) error {
	var r runtime.Error
	if err, ok := p.(error); ok && errors.As(err, &r) {
		return fmt.Errorf("handler panicked: %s", r.Error())
	}
	return fmt.Errorf("handler panicked with a %T", p)
}

// acknowledge waits for the broker's word. Without it the message is done all
// the same and may come again.
func (c *course) acknowledge(hard context.Context) {
	for range 2 {
		ctx, cancel := context.WithTimeout(hard, min(c.ackWait, 5*time.Second))
		err := c.DoubleAck(ctx)
		cancel()
		if err == nil {
			return
		}
	}
	c.unacked = true
}
