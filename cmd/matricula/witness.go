package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"golang.org/x/sync/singleflight"

	"usn.no/matricula/account"
	"usn.no/matricula/stream"
)

const (
	clockLimit   = time.Second      // how far a clock may be off the broker's
	clockFresh   = 15 * time.Second // how long a reading counts
	clockStale   = time.Minute      // how long, where no other can be had
	clockEvery   = 10 * time.Second // how often a portal takes one unasked
	clockPatient = 2 * time.Second
)

// witness compares this machine's clock with the broker's. What is decided by
// the time, as a window is, must not be decided by a clock that nobody else
// shares: two witnesses that disagree know only that one of them is wrong.
type witness struct {
	broker func(context.Context) (time.Time, error)
	now    func() time.Time // this machine's wall clock
	log    zerolog.Logger

	once  singleflight.Group
	last  atomic.Pointer[reading]
	wrong atomic.Bool // what the log said last
}

// witness asks the server that leads a stream which this role may look at.
func (s *system) witness(js jetstream.JetStream, name string) *witness {
	return &witness{now: machineTime, log: s.log, broker: func(ctx context.Context) (time.Time, error) {
		return stream.BrokerTime(ctx, js, name)
	}}
}

// reading is how far this machine's clock was ahead of the broker's: between
// low and high, as far apart as the question took.
type reading struct {
	low, high time.Duration
	wall      time.Time // this machine's, without the monotonic clock
	taken     time.Time // monotonic
}

// within says whether the whole of the reading is inside the limit, off whether
// the whole of it is outside. A slow answer may be neither.
func (r reading) within() bool { return r.low >= -clockLimit && r.high <= clockLimit }
func (r reading) off() bool    { return r.low > clockLimit || r.high < -clockLimit }

// agrees is nil while the clock is known to be within the limit. Else it is an
// outage: nothing that the time decides can be answered.
func (w *witness) agrees(ctx context.Context) error {
	if r := w.last.Load(); r != nil && w.holds(*r, clockFresh) {
		return r.verdict()
	}
	return w.look(ctx)
}

// look takes a new reading; several at once share it.
func (w *witness) look(ctx context.Context) error {
	took := w.once.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clockPatient)
		defer cancel()
		return nil, w.read(ctx)
	})
	var err error
	select {
	case got := <-took:
		err = got.Err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if r := w.last.Load(); r != nil && w.holds(*r, clockStale) {
		return r.verdict()
	}
	if err != nil {
		return fmt.Errorf("clock cannot be compared with the broker's: %w", err)
	}
	return fmt.Errorf("clock: the broker's answer took too long to compare with: %w", account.ErrUnavailable)
}

// holds says whether a reading still counts: it is not too old, and the clock
// has not been set since.
func (w *witness) holds(r reading, atMost time.Duration) bool {
	age := time.Since(r.taken)
	jump := w.now().Round(0).Sub(r.wall) - age
	return age < atMost && jump.Abs() < clockLimit/4
}

func (w *witness) read(ctx context.Context) error {
	taken, wall := time.Now(), w.now().Round(0)
	at, err := w.broker(ctx)
	if err != nil {
		return err
	}
	r := reading{low: wall.Sub(at), wall: wall, taken: taken}
	r.high = r.low + time.Since(taken)
	if !r.within() && !r.off() {
		return nil
	}
	w.last.Store(&r)
	if off := r.off(); w.wrong.Swap(off) != off {
		if off {
			w.log.Error().Dur("ahead", r.low).Msg("the clock is off the broker's: nobody can activate here")
		} else {
			w.log.Info().Dur("ahead", r.low).Msg("the clock agrees with the broker's again")
		}
	}
	return nil
}

func (r reading) verdict() error {
	if r.within() {
		return nil
	}
	return fmt.Errorf("clock is %s, the limit is %s: set both by NTP: %w", r, clockLimit, account.ErrUnavailable)
}

// String is how far off, in words.
func (r reading) String() string {
	switch {
	case r.low > 0:
		return r.low.Round(time.Millisecond).String() + " ahead of the broker's"
	case r.high < 0:
		return (-r.high).Round(time.Millisecond).String() + " behind the broker's"
	}
	return "in step with the broker's"
}

// watch takes a reading now and then until ctx ends, so that the log and
// readyz tell before somebody clicks.
func (w *witness) watch(ctx context.Context) {
	tick := time.NewTicker(clockEvery)
	defer tick.Stop()
	for {
		_ = w.look(ctx) // told in the log, by readyz and to whoever clicks
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
