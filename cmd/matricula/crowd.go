package main

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// toldEvery is how often a portal says that people wait there.
const toldEvery = time.Second

// tellCrowded says to the workers that people wait in this portal, at once and
// as long as they do. It stands beside the answers and delays none. What it says
// may be lost: it is said again, and where it is not, nobody waits.
func tellCrowded(ctx context.Context, waits <-chan struct{}, nc *nats.Conn) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-waits:
		}
		_ = stream.TellCrowded(nc)
		select {
		case <-ctx.Done():
			return
		case <-time.After(toldEvery):
		}
	}
}

// inTurn is a handler that waits for its turn while people wait in a portal.
func inTurn[T events.Data](c *stream.Crowd, h func(context.Context, events.Meta, T) error) func(context.Context, events.Meta, T) error {
	return func(ctx context.Context, m events.Meta, d T) error {
		c.Turn(ctx)
		return h(ctx, m, d)
	}
}

// crowdWatch tells operators when a worker gives way to a portal: a metric, and
// a line in the log when it begins and when it ends.
type crowdWatch struct {
	*stream.Crowd
	slowed prometheus.Gauge
	log    zerolog.Logger
}

func newCrowdWatch(log zerolog.Logger) *crowdWatch {
	w := &crowdWatch{log: log, slowed: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "matricula_intake_slowed", Help: "1 while what the sources told of goes slowly because people wait in a portal.",
	})}
	w.Crowd = &stream.Crowd{Changed: w.changed}
	return w
}

func (w *crowdWatch) changed(gives bool) {
	if gives {
		w.slowed.Set(1)
		w.log.Info().Int("per_second", stream.CrowdFloor).Msg("intake goes slowly: people wait in a portal")
		return
	}
	w.slowed.Set(0)
	w.log.Info().Msg("intake goes at its own pace again")
}
