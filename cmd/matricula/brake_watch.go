package main

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// brakeWatch tells operators what the brake holds: a metric, a line in the log,
// and an audit fact. Every worker watches; the fact is stored once.
type brakeWatch struct {
	brake *stream.Brake
	pub   account.Publisher
	log   zerolog.Logger
	held  *prometheus.GaugeVec
	told  map[string]time.Time // kind, and when the log last said so
	done  map[string]bool      // facts that are published
}

const (
	brakeEvery = 5 * time.Second
	brakeAgain = 10 * time.Minute // a hold is logged anew
)

func newBrakeWatch(b *stream.Brake, pub account.Publisher, log zerolog.Logger) *brakeWatch {
	w := &brakeWatch{
		brake: b, pub: pub, log: log, told: map[string]time.Time{}, done: map[string]bool{},
		held: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "matricula_brake_held", Help: "1 while changes of this kind are held until somebody releases them.",
		}, []string{"kind"}),
	}
	for _, kind := range account.Brakes() {
		w.held.WithLabelValues(kind).Set(0)
	}
	return w
}

// run looks until ctx ends.
func (w *brakeWatch) run(ctx context.Context) error {
	if w.brake == nil {
		return nil
	}
	tick := time.NewTicker(brakeEvery)
	defer tick.Stop()
	for {
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn().Err(err).Msg("brake could not be read")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (w *brakeWatch) look(ctx context.Context) error {
	for _, kind := range account.Brakes() {
		s, err := w.brake.State(ctx, kind)
		if err != nil {
			return err
		}
		if !s.Released.IsZero() {
			if err := w.once(ctx, brakeReleased(kind, s)); err != nil {
				return err
			}
		}
		if s.Held.IsZero() {
			w.held.WithLabelValues(kind).Set(0)
			delete(w.told, kind)
			continue
		}
		w.held.WithLabelValues(kind).Set(1)
		if err := w.once(ctx, brakeHeld(kind, s, w.brake.Max, w.brake.Per)); err != nil {
			return err
		}
		if said, ok := w.told[kind]; !ok || time.Since(said) >= brakeAgain {
			w.told[kind] = time.Now()
			w.log.Warn().Str("kind", kind).Time("since", s.Held).Int("allowed", w.brake.Max).
				Msg("brake holds a mass change: see matricula brake show")
		}
	}
	return nil
}

// once publishes a fact that this process has not published yet.
func (w *brakeWatch) once(ctx context.Context, e events.Event) error {
	if w.done[e.ID] {
		return nil
	}
	err := w.pub.Publish(ctx, e)
	w.done[e.ID] = err == nil
	return err
}

// checkBrake is the brake's line of check.
func (s *system) checkBrake(ctx context.Context) []finding {
	b := s.newBrake(s.publisher(s.js))
	if b == nil {
		return []finding{{What: "brake", Warn: true, Text: "there is none: brake.max_changes is 0"}}
	}
	var out []finding
	for _, kind := range account.Brakes() {
		state, err := b.State(ctx, kind)
		switch {
		case err != nil:
			return []finding{{What: "brake", Text: err.Error()}}
		case !state.Held.IsZero():
			out = append(out, finding{What: "brake", Text: fmt.Sprintf(
				"holds %s since %s: see matricula brake show; have the feed corrected, or matricula brake release %s", kind, oslo(state.Held), kind)})
		}
	}
	if len(out) == 0 {
		out = append(out, finding{What: "brake", OK: true, Text: "holds nothing"})
	}
	return out
}
