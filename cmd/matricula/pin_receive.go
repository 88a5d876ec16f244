package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// pinReceiver takes PINs as an access system does. Killed at any point it takes
// the same one again, which sets the same code once more.
type pinReceiver struct {
	pins    *stream.PINs
	keys    []events.SealKey
	discard bool // what does not open is taken away, not left for later
	log     zerolog.Logger
	now     func() time.Time
	take    func(receivedPIN) error // hands one over; nil means that the doors know it
}

const (
	pinPause  = time.Second            // how long one look lasts, and the wait after an outage
	pinGlance = 250 * time.Millisecond // the last look of those who take only what waits
	pinAgain  = time.Minute            // until what does not open is tried again
)

// errUnopened: the key is another one, or the message is damaged.
var errUnopened = errors.New("pin does not open with the keys at hand")

// run takes what waits, and then what comes until ctx ends; once: only the
// former, and an error if some of it could not be taken.
func (r *pinReceiver) run(ctx context.Context, js jetstream.JetStream, once bool) error {
	c, err := stream.AccessConsumer(ctx, js)
	if err != nil {
		return err
	}
	look, left := pinPause, 0
	if once {
		look = pinGlance
	}
	for ctx.Err() == nil {
		m, err := c.Next(jetstream.FetchMaxWait(look))
		if err == nil {
			err = r.receive(ctx, m)
		}
		switch {
		case err == nil:
		case errors.Is(err, nats.ErrTimeout) || errors.Is(err, jetstream.ErrNoMessages):
			if once {
				return unopened(left)
			}
		case errors.Is(err, errUnopened):
			left++
			r.log.Warn().Err(err).Msg("pin not taken")
		case once:
			return err
		default:
			r.log.Warn().Err(err).Msg("pin not taken")
			r.rest(ctx)
		}
	}
	return nil
}

func unopened(n int) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d could not be opened: is pin.private_key_file the other half of the portal's pin.public_key_file?", n)
}

func (r *pinReceiver) rest(ctx context.Context) {
	t := time.NewTimer(pinPause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// receive sees one PIN to its end. The receipt is stored before the PIN is
// acknowledged: in that order none is lost, and the person's page is right.
func (r *pinReceiver) receive(ctx context.Context, m jetstream.Msg) error {
	// Other clocks than ours judged the time; the sequence says what is newer.
	e, err := events.Decode(m.Subject(), m.Headers(), m.Data(), time.Now().AddDate(100, 0, 0))
	set, ok := e.Data.(events.PINSet)
	if err != nil || !ok {
		return r.unopenable(m, err)
	}
	mark, err := r.pins.Mark(ctx, set.Account, set.Campus)
	if err != nil {
		return err
	}
	if mark.Sequence > e.Sequence || mark.Sequence == e.Sequence && mark.State == events.PINConfirmed {
		return m.DoubleAck(ctx) // a newer one has taken its place, or it was taken before
	}
	h, err := r.open(e, set)
	if err != nil {
		if r.discard {
			err = r.receipt(ctx, set, e.Sequence, events.PINFailed)
		}
		return r.unopenable(m, err)
	}
	if err := r.receipt(ctx, set, e.Sequence, events.PINDelivered); err != nil {
		return err
	}
	p := receivedPIN{Account: set.Account, Campus: set.Campus, Sequence: e.Sequence, Set: e.Time,
		Holder: &pinHolder{Username: h.Username, Numbers: h.Numbers, PIN: h.PIN}}
	if err := r.take(p); err != nil {
		return fmt.Errorf("hand over: %w", err)
	}
	if err := r.receipt(ctx, set, e.Sequence, events.PINConfirmed); err != nil {
		return err
	}
	return m.DoubleAck(ctx)
}

// open finds the key that a PIN is sealed to.
func (r *pinReceiver) open(e events.Event, set events.PINSet) (events.PINHolder, error) {
	for _, key := range r.keys {
		if key.Public().Print() == set.Key {
			return events.OpenPIN(key, set.Account, set.Campus, e.Sequence, set.Sealed)
		}
	}
	return events.PINHolder{}, fmt.Errorf("it is sealed to key %s", set.Key)
}

func (r *pinReceiver) receipt(ctx context.Context, set events.PINSet, sequence uint64, state string) error {
	return r.pins.Receipt(ctx, set.Account, set.Campus, events.PINMark{Sequence: sequence, State: state, At: r.now()})
}

// unopenable leaves a message for later or takes it away.
func (r *pinReceiver) unopenable(m jetstream.Msg, err error) error {
	if r.discard {
		if err != nil && events.IsUnavailable(err) {
			return err
		}
		return m.TermWithReason("does not open")
	}
	return fmt.Errorf("%w: %w", errUnopened, errors.Join(err, m.NakWithDelay(pinAgain)))
}
