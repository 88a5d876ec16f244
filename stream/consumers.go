package stream

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
)

// LaneConsumers are the durables over INTAKE, one per lane. All workers read
// all of them; the broker lets one message per lane be under way.
func LaneConsumers(ctx context.Context, js jetstream.JetStream, s Settings) ([]jetstream.Consumer, error) {
	lanes := make([]jetstream.Consumer, s.Lanes)
	for i := range lanes {
		c, err := js.Consumer(ctx, Intake, laneName(i, s.Lanes))
		if err != nil {
			return nil, broken("consumer "+laneName(i, s.Lanes), err)
		}
		lanes[i] = c
	}
	return lanes, nil
}

// UrgentConsumer is the durable over letters that are due and go before the
// others, see events.UrgentLetters.
func UrgentConsumer(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	c, err := js.Consumer(ctx, Mail, durableUrgent)
	return c, broken("consumer "+durableUrgent, err)
}

// MailConsumer is the durable over all other letters that are due.
func MailConsumer(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	c, err := js.Consumer(ctx, Mail, durableMail)
	return c, broken("consumer "+durableMail, err)
}

// DueConsumer is the durable over messages that were put aside and are due
// again, see [Aside].
func DueConsumer(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	c, err := js.Consumer(ctx, Wait, durableDue)
	return c, broken("consumer "+durableDue, err)
}
