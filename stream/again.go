package stream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Again has the broker deliver the intake once more, from what came at since
// on, to workers that may be running. It answers from which sequence, and how
// many messages that are. Handling them again changes nothing that is there.
func Again(ctx context.Context, js jetstream.JetStream, s Settings, since time.Time) (from, messages uint64, err error) {
	st, err := js.Stream(ctx, Intake)
	if err != nil {
		return 0, 0, broken("stream "+Intake, err)
	}
	if from, err = firstSince(ctx, js, since); err != nil || from == 0 {
		return 0, 0, err
	}
	for i := range s.Lanes {
		if _, err := js.ResetConsumerToSequence(ctx, Intake, laneName(i, s.Lanes), from); err != nil {
			return 0, 0, broken("consumer "+laneName(i, s.Lanes), err)
		}
	}
	return from, st.CachedInfo().State.LastSeq - from + 1, nil
}

// firstSince is the sequence of the first message of the intake that came at
// since or later, 0 where there is none.
func firstSince(ctx context.Context, js jetstream.JetStream, since time.Time) (uint64, error) {
	c, err := js.OrderedConsumer(ctx, Intake, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since, HeadersOnly: true,
	})
	if err != nil {
		return 0, broken("consumer of "+Intake, err)
	}
	defer func() {
		if i := c.CachedInfo(); i != nil {
			_ = js.DeleteConsumer(ctx, Intake, i.Name) // else it is there for minutes, as a reader that is behind
		}
	}()
	m, err := c.Next(jetstream.FetchMaxWait(2 * time.Second))
	for failed := 0; errors.Is(err, nats.ErrNoResponders) && failed < 8; failed++ {
		if err := pause(ctx, failed); err != nil { // the servers of a cluster do not hear of a consumer in the same instant
			return 0, err
		}
		m, err = c.Next(jetstream.FetchMaxWait(2 * time.Second))
	}
	if errors.Is(err, jetstream.ErrMsgIteratorClosed) || errors.Is(err, jetstream.ErrNoMessages) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
		return 0, nil
	}
	if err != nil {
		return 0, broken("first message of "+Intake, err)
	}
	meta, err := m.Metadata()
	if err != nil {
		return 0, broken("first message of "+Intake, err)
	}
	return meta.Sequence.Stream, nil
}
