package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// Publisher publishes events. What several callers want written to one stream
// at the same moment is committed together, because a durable server syncs
// once per commit; each caller waits for its own outcome and learns nothing of
// the others.
//
// Publishing an event again repeats nothing: on AUDIT the server keeps one
// message per subject for as long as it keeps any; on INTAKE and MAIL it knows
// the ID again within its window (an hour, ten minutes), beyond which the
// recency of the source's facts and the sent mark of the letter protect; on
// WAIT a letter replaces itself. An answer that does not come is therefore
// asked for again until the caller's context ends.
//
// A Publisher is safe for concurrent use. Make it with NewPublisher, and Close
// it.
type Publisher struct {
	// Patient tells whether callers have enough else under way that what is
	// handed in may wait for more, at most 100 ms: a commit that is written all
	// or none costs the server milliseconds, however much it holds. nil: never.
	// Set it before the first use.
	Patient func() bool

	conn *nats.Conn

	mu         sync.Mutex
	closed     bool
	committers map[string]*committer
}

// NewPublisher makes a publisher on a connection.
func NewPublisher(js jetstream.JetStream) *Publisher {
	return &Publisher{conn: js.Conn(), committers: map[string]*committer{}}
}

// Publish stores evs, each exactly once, and returns when each is stored or
// cannot be. Together they are not atomic.
//
// An error of which events.IsUnavailable is true means that it is not known
// whether all are stored; publish them again. Any other error names an event
// that the broker refuses or that is no event.
func (p *Publisher) Publish(ctx context.Context, evs ...events.Event) error {
	effects := make([]*effect, 0, len(evs))
	streams := make([]string, 0, len(evs))
	for _, e := range evs {
		m, stream, err := message(e)
		if err != nil {
			return err
		}
		effects, streams = append(effects, &effect{ctx: ctx, msgs: []*nats.Msg{m}, done: make(chan error, 1)}), append(streams, stream)
	}
	for i, e := range effects {
		p.committer(streams[i]).add(e)
	}
	var errs []error
	for i, e := range effects {
		if err := e.wait("publish on " + streams[i]); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// message encodes an event for its stream.
func message(e events.Event) (*nats.Msg, string, error) {
	if e.Data == nil {
		return nil, "", errors.New("event has no data")
	}
	subject := e.Subject()
	stream, ok := streamOf(subject)
	if !ok {
		return nil, "", fmt.Errorf("event type %s: no stream takes it", e.Data.EventType())
	}
	header, body, err := events.Encode(e)
	if err != nil {
		return nil, "", err
	}
	m := &nats.Msg{Subject: subject, Header: header, Data: body}
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	switch stream {
	case Intake, Secret:
		m.Header.Set(nats.MsgIdHdr, e.MsgID())
	case Mail:
		m.Header.Set(nats.MsgIdHdr, subject) // template and letter: all that a letter is
	}
	return m, stream, nil
}

// publish writes one message, or several all or none, to a stream.
func (p *Publisher) publish(ctx context.Context, stream string, stale func(context.Context) (bool, error), msgs ...*nats.Msg) error {
	e := &effect{ctx: ctx, msgs: msgs, done: make(chan error, 1), stale: stale}
	p.committer(stream).add(e)
	return e.wait("write to " + stream)
}

// wait returns the effect's outcome. The caller's context ends an effect that
// waits for its turn and the wait for an answer; then nothing is known.
func (e *effect) wait(what string) error {
	select {
	case err := <-e.done:
		if errors.Is(err, errClosed) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return events.Unavailable(fmt.Errorf("%s: %w", what, err))
		}
		return broken(what, err)
	case <-e.ctx.Done():
	}
	select {
	case err := <-e.done: // it came at the same moment
		if err == nil {
			return nil
		}
	default:
	}
	if last := e.last.Load(); last != nil {
		what = fmt.Sprintf("%s: last attempt: %v", what, *last)
	}
	return events.Unavailable(fmt.Errorf("%s: outcome unknown: %w", what, e.ctx.Err()))
}

// schedules is the committer of WAIT's and MAIL's schedules. They never go in a
// batch: the server copies a schedule's headers to what it fires, and those of
// a batch would be among them.
const schedules = "schedules"

// batching tells which streams take atomic batches. INTAKE does not: others
// publish there too, and the server allows fifty open batches per stream.
func batching(stream string) bool {
	switch stream {
	case Wait, Mail, Audit:
		return true
	}
	return strings.HasPrefix(stream, bucketStream(""))
}

func (p *Publisher) committer(stream string) *committer {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, ok := p.committers[stream]
	if !ok {
		c = newCommitter(p.conn, batching(stream), p.Patient, answerWithin)
		if p.closed {
			c.close()
		}
		p.committers[stream] = c
	}
	return c
}

// Close takes no more, writes what was handed in, and returns when that is
// done or ctx has ended.
func (p *Publisher) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	var all []*committer
	for _, c := range p.committers {
		c.close()
		all = append(all, c)
	}
	p.mu.Unlock()
	for _, c := range all {
		select {
		case <-c.ended:
		case <-ctx.Done():
			return events.Unavailable(fmt.Errorf("publisher: not all is written: %w", ctx.Err()))
		}
	}
	return nil
}
