// Package worker takes messages from a stream and sees each one to its end:
// done, waiting for its time, or buried with a reason. It keeps the order of a
// person, retries by itself and acknowledges last. It knows no accounts, and
// it must not know what a stream is called or where dead letters lie.
package worker

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"usn.no/matricula/events"
)

// Aside is where a message goes that is not done now. Both calls are repeated
// until they succeed or the process ends, so both must be idempotent.
type Aside interface {
	// Bury stores a dead letter; d.ID names it.
	Bury(ctx context.Context, d events.DeadLetter) error
	// Wait stores msg until at, when it is delivered again. msg.Subject is
	// the one the sender published on, without the partition.
	Wait(ctx context.Context, at time.Time, msg jetstream.Msg) error
}

// Publisher publishes events, each exactly once however often it is called
// with the same one.
type Publisher interface {
	Publish(ctx context.Context, evs ...events.Event) error
}

// Worker handles the messages of its lanes. Fill in the fields, register
// handlers with Handle, then call Run once.
//
// A handler answers by its return. nil: done. events.Reject: the message goes
// to the dead letters and the audit stream. events.Later: it waits. An outage
// (events.IsUnavailable): it is tried again in place, for as long as the outage
// lasts. Any other error, and a panic: it is tried again up to Attempts times
// and then buried as gave_up. Nothing is acknowledged before all of that is
// stored, so a handler can see a message more than once.
type Worker struct {
	Conn      *nats.Conn // with its own inbox prefix
	Aside     Aside
	Publisher Publisher // for audit.event.rejected
	Log       zerolog.Logger
	Name      string   // "intake", "mail": in the log and the metrics
	Metrics   *Metrics // nil: none

	// AtOnce is how many messages of one lane may be handled at the same time,
	// each of another person, where the consumer has a priority group and
	// filters by partition, or not at all. Its MaxAckPending is how far others
	// may go past one that takes its time. The stream must allow direct reads.
	// Zero: one message after the other, as delivered.
	AtOnce int
	// Attempts is how often a message may fail in this process for another
	// reason than an outage. Default 8.
	Attempts int
	// Deliveries is how often the broker may have delivered a message that no
	// process ever finished, which is what a message that kills its worker
	// looks like, before it is buried unseen. Default 20.
	Deliveries int
	// Backoff between tries of one message.
	Backoff Backoff
	// Timeout of one call of a handler. Default 1 minute.
	Timeout time.Duration
	// Grace is how long the messages in hand may take once Run's context has
	// ended. Default 20 s.
	Grace time.Duration
	// Now is the product's clock. Default time.Now.
	Now func() time.Time
	// Key tells from its subject whose a message is: one person's are handled
	// in their order, those of different persons at the same time. Default: the
	// last part.
	Key func(subject string) string
	// Decode reads a message. Default events.Decode.
	Decode func(subject string, header map[string][]string, body []byte, now time.Time) (events.Event, error)

	handlers map[reflect.Type]func(context.Context, events.Event) error
	state    state
	alone    sync.RWMutex       // held whole while a message that may kill the process is in hand
	slots    atomic.Int64       // for messages that are handled beside others of their lane
	leases   atomic.Int64       // lanes that are asked for all that comes
	readers  map[string]*reader // by consumer
	at       func(point string) // named points, for tests that kill the process there
}

// Handle makes h the handler of every event whose data is a T, whatever its
// event type says: one registration of MailRequest takes all templates. It
// panics when T has a handler already, or is an interface.
func Handle[T events.Data](w *Worker, h func(context.Context, events.Meta, T) error) {
	t := reflect.TypeFor[T]()
	if t.Kind() == reflect.Interface || t.Kind() == reflect.Pointer {
		panic(fmt.Sprintf("worker: handler for %s: not an event type", t))
	}
	if _, taken := w.handlers[t]; taken {
		panic(fmt.Sprintf("worker: second handler for %s", t))
	}
	if w.handlers == nil {
		w.handlers = map[reflect.Type]func(context.Context, events.Event) error{}
	}
	w.handlers[t] = func(ctx context.Context, e events.Event) error {
		d, ok := e.Data.(T)
		if !ok {
			return fmt.Errorf("data is %T, not %s", e.Data, t)
		}
		return h(ctx, e.Meta, d)
	}
}

// Run works on every lane until ctx ends, then lets the messages in hand
// finish (at most Grace) and returns. A lane is a pull consumer that is read
// one message at a time, or AtOnce; the same consumer given n times is n lanes.
// What keeps a person's order is a consumer with MaxAckPending 1, or AtOnce.
//
// An error means that Run could not start, or that a handler did not end
// within the grace period.
func (w *Worker) Run(ctx context.Context, consumers []jetstream.Consumer) error {
	if err := w.check(consumers); err != nil {
		return err
	}
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(w.grace(), cancel) })()
	if w.Metrics != nil {
		defer w.Metrics.watch(w)()
	}
	w.slots.Store(int64(len(consumers)))
	defer w.closeReaders()
	var lanes sync.WaitGroup
	for i, c := range consumers {
		l := newLane(w, c, i)
		lanes.Go(func() { l.run(ctx, hard) })
	}
	done := make(chan struct{})
	go func() { lanes.Wait(); close(done) }()
	w.state.start()
	defer w.state.stop()
	select {
	case <-done:
		return nil
	case <-hard.Done():
	}
	select { // handlers that heed their context end now
	case <-done:
		return nil
	case <-time.After(time.Second):
		return errors.New("worker: a handler did not end within the grace period")
	}
}

// reader is a lane's own: lanes are at different places, and each would read
// again what another has just dropped.
func (w *Worker) reader(stream, consumer string) *reader {
	if w.readers == nil {
		w.readers = map[string]*reader{}
	}
	if w.readers[consumer] == nil {
		w.readers[consumer] = &reader{conn: w.Conn, stream: stream}
	}
	return w.readers[consumer]
}

func (w *Worker) closeReaders() {
	for _, r := range w.readers {
		r.close()
	}
}

func (w *Worker) check(consumers []jetstream.Consumer) error {
	switch {
	case w.Conn == nil || w.Aside == nil || w.Publisher == nil:
		return errors.New("worker: connection, aside and publisher are needed")
	case len(consumers) == 0:
		return errors.New("worker: no consumers")
	}
	for _, c := range consumers {
		cfg := c.CachedInfo().Config
		if cfg.AckPolicy != jetstream.AckExplicitPolicy {
			return fmt.Errorf("worker: consumer %s does not ask for explicit acknowledgements", cfg.Durable)
		}
		if cfg.MaxDeliver > 0 {
			// the server would stop delivering without a word
			return fmt.Errorf("worker: consumer %s limits deliveries", cfg.Durable)
		}
	}
	return nil
}

func (w *Worker) attempts() int          { return orElse(w.Attempts, 8) }
func (w *Worker) deliveries() int        { return orElse(w.Deliveries, 20) }
func (w *Worker) timeout() time.Duration { return orElse(w.Timeout, time.Minute) }
func (w *Worker) grace() time.Duration   { return orElse(w.Grace, 20*time.Second) }

func (w *Worker) key(subject string) string {
	if w.Key != nil {
		return w.Key(subject)
	}
	return subject[strings.LastIndexByte(subject, '.')+1:]
}

func (w *Worker) now() time.Time {
	if w.Now == nil {
		return time.Now()
	}
	return w.Now()
}

func (w *Worker) decode(subject string, header map[string][]string, body []byte) (events.Event, error) {
	if w.Decode == nil {
		return events.Decode(subject, header, body, w.now())
	}
	return w.Decode(subject, header, body, w.now())
}

func (w *Worker) pass(point string) {
	if w.at != nil {
		w.at(point)
	}
}

func orElse[T int | time.Duration](v, standard T) T {
	if v == 0 {
		return standard
	}
	return v
}
