package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// TailOptions say where to begin and when to stop. The zero value reads all
// there is and stops.
type TailOptions struct {
	Sequence uint64    // begin with this one; 0 for the oldest
	Since    time.Time // or with the first that was stored then, in the broker's time
	Follow   bool      // wait for more, until the context ends
	Filter   string    // subject; "" for "audit.>"
}

// Tail calls f for each fact of AUDIT in the order they were stored, with
// Position set. It stops when f answers an error, which it returns, and at the
// end unless told to follow; then the context's end is no error. A message
// that cannot be decoded is handed to f with Meta only.
func Tail(ctx context.Context, js jetstream.JetStream, o TailOptions, f func(events.Event) error) error {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: []string{"audit.>"}}
	if o.Filter != "" {
		cfg.FilterSubjects[0] = o.Filter
	}
	switch {
	case o.Sequence > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, o.Sequence
	case !o.Since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &o.Since
	}
	err := each(ctx, js, Audit, cfg, o.Follow, func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		e, err := events.Decode(m.Subject(), m.Headers(), m.Data(), time.Now().AddDate(100, 0, 0)) // a clock of its own judged these
		if err != nil {
			e.Data = nil // its Meta is all that could be read
		}
		e.Position = meta.Sequence.Stream
		return f(e)
	})
	if o.Follow && ctx.Err() != nil {
		err = nil
	}
	return err
}

// each reads a stream in order with a consumer of its own.
func each(ctx context.Context, js jetstream.JetStream, stream string, cfg jetstream.OrderedConsumerConfig, follow bool, f func(jetstream.Msg) error) error {
	c, err := js.OrderedConsumer(ctx, stream, cfg)
	if err != nil {
		return broken("read "+stream, err)
	}
	defer func() { // else it stays for five minutes, and a stream has a thousand at most
		if i := c.CachedInfo(); i != nil {
			_ = js.DeleteConsumer(context.WithoutCancel(ctx), stream, i.Name)
		}
	}()
	if !follow {
		info, err := c.Info(ctx)
		if err != nil {
			return broken("read "+stream, err)
		}
		if info.NumPending == 0 {
			return nil
		}
	}
	it, err := c.Messages()
	if err != nil {
		return broken("read "+stream, err)
	}
	var patience []jetstream.NextOpt
	if !follow {
		patience = append(patience, jetstream.NextMaxWait(2*time.Second))
	}
	silent := 0
	defer it.Stop()
	defer context.AfterFunc(ctx, it.Stop)()
	for {
		m, err := it.Next(patience...)
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) && ctx.Err() != nil {
			return events.Unavailable(ctx.Err())
		}
		if errors.Is(err, nats.ErrTimeout) && !follow {
			// The broker counts messages that it cannot read: their bytes went bad.
			info, err := c.Info(ctx)
			if err != nil {
				return broken("read "+stream, err)
			}
			if silent++; info.NumPending == 0 {
				return nil
			} else if silent == 5 {
				return events.Unavailable(fmt.Errorf("read %s: %d messages do not come", stream, info.NumPending))
			}
			continue
		}
		if err != nil {
			return broken("read "+stream, err)
		}
		silent = 0
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		if err := f(m); err != nil {
			return err
		}
		if !follow && meta.NumPending == 0 {
			return nil
		}
	}
}
