package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Declare makes the streams, buckets and durables, or brings them to s. It
// needs the admin identity and may be repeated.
//
// Without force it refuses to narrow a stream that holds messages, because the
// server would delete what no longer fits, and to change the number of lanes.
// For the latter stop the workers first: the new lanes start paused at the
// oldest message that an old lane had not finished, and run once the old ones
// are gone, so that nothing is skipped and what is handled twice is handled in
// order.
func Declare(ctx context.Context, js jetstream.JetStream, s Settings, force bool) error {
	if err := s.Validate(); err != nil {
		return fmt.Errorf("stream settings: %w", err)
	}
	for _, want := range streamConfigs(s) {
		if err := declareStream(ctx, js, want, force); err != nil {
			return err
		}
	}
	if err := regroup(ctx, js, s, force); err != nil {
		return err
	}
	for stream, consumers := range consumerConfigs(s) {
		for _, want := range consumers {
			if err := declareConsumer(ctx, js, stream, want); err != nil {
				return err
			}
		}
	}
	return nil
}

// declareConsumer leaves alone where an existing durable started: that cannot
// be changed, and lanes that replaced others did not start at the beginning.
func declareConsumer(ctx context.Context, js jetstream.JetStream, stream string, want jetstream.ConsumerConfig) error {
	c, err := js.Consumer(ctx, stream, want.Durable)
	if err == nil {
		have := c.CachedInfo().Config
		want.DeliverPolicy, want.OptStartSeq = have.DeliverPolicy, have.OptStartSeq
		if len(consumerDrift(stream, have, want)) == 0 {
			return nil
		}
	} else if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return broken("consumer "+want.Durable, err)
	}
	_, err = js.CreateOrUpdateConsumer(ctx, stream, want)
	return broken("consumer "+want.Durable, err)
}

func declareStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, force bool) error {
	have, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = js.CreateStream(ctx, want)
		return broken("stream "+want.Name, err)
	}
	if err != nil {
		return broken("stream "+want.Name, err)
	}
	info := have.CachedInfo()
	if len(streamDrift(info.Config, want)) == 0 {
		return nil
	}
	if lost := narrows(info.Config, want); len(lost) > 0 && info.State.Msgs > 0 && !force {
		return fmt.Errorf("stream %s holds %d messages and would be narrowed (%s): say force if some may be deleted",
			want.Name, info.State.Msgs, strings.Join(lost, ", "))
	}
	_, err = js.UpdateStream(ctx, want)
	return broken("stream "+want.Name, err)
}

// narrows lists what want keeps less of than have.
func narrows(have, want jetstream.StreamConfig) []string {
	var lost []string
	limit := func(name string, have, want int64) {
		if want > 0 && (have <= 0 || want < have) {
			lost = append(lost, fmt.Sprintf("%s from %s to %d", name, unlimited(have), want))
		}
	}
	if want.MaxAge > 0 && (have.MaxAge <= 0 || want.MaxAge < have.MaxAge) {
		lost = append(lost, fmt.Sprintf("age from %s to %s", age(have.MaxAge), want.MaxAge))
	}
	limit("messages", have.MaxMsgs, want.MaxMsgs)
	limit("bytes", have.MaxBytes, want.MaxBytes)
	limit("message size", int64(have.MaxMsgSize), int64(want.MaxMsgSize))
	limit("messages per subject", have.MaxMsgsPerSubject, want.MaxMsgsPerSubject)
	if want.Replicas < have.Replicas {
		lost = append(lost, fmt.Sprintf("replicas from %d to %d", have.Replicas, want.Replicas))
	}
	for _, subject := range have.Subjects {
		if !slices.Contains(want.Subjects, subject) {
			lost = append(lost, "subject "+subject)
		}
	}
	return lost
}

// regroup replaces the lanes where others are wanted: of another number, or as
// an older version made them. Lanes that
// an interrupted regrouping left paused are wanted ones.
func regroup(ctx context.Context, js jetstream.JetStream, s Settings, force bool) error {
	old, paused, err := lanes(ctx, js, s)
	if err != nil {
		return err
	}
	if len(old) > 0 {
		if !force {
			return fmt.Errorf("stream %s has other lanes (%s) than are wanted (%s): stop the workers, then say force",
				Intake, old[0].Name, laneName(0, s.Lanes))
		}
		from := old[0].AckFloor.Stream
		for _, lane := range old {
			from = min(from, lane.AckFloor.Stream)
		}
		if err := createPaused(ctx, js, s, from+1); err != nil {
			return err
		}
		for _, lane := range old {
			if err := js.DeleteConsumer(ctx, Intake, lane.Name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
				return broken("consumer "+lane.Name, err)
			}
		}
		if _, paused, err = lanes(ctx, js, s); err != nil {
			return err
		}
	}
	for _, lane := range paused {
		if _, err := js.ResumeConsumer(ctx, Intake, lane.Name); err != nil {
			return broken("consumer "+lane.Name, err)
		}
	}
	return nil
}

// lanes are the durables of INTAKE that are others than wanted, and
// of the wanted ones those that are paused.
func lanes(ctx context.Context, js jetstream.JetStream, s Settings) (old, paused []*jetstream.ConsumerInfo, err error) {
	st, err := js.Stream(ctx, Intake)
	if err != nil {
		return nil, nil, broken("stream "+Intake, err)
	}
	list := st.ListConsumers(ctx)
	for info := range list.Info() {
		switch {
		case strings.HasPrefix(info.Name, oldLanePrefix):
			old = append(old, info)
		case !strings.HasPrefix(info.Name, lanePrefix):
		case !strings.HasSuffix(info.Name, fmt.Sprintf("-of-%d", s.Lanes)):
			old = append(old, info)
		case info.Paused:
			paused = append(paused, info)
		}
	}
	return old, paused, broken("consumers of "+Intake, list.Err())
}

// createPaused makes the new lanes while the old ones still say how far they
// came. Lanes that exist already are from an interrupted attempt and started
// at an older place, which is as good.
func createPaused(ctx context.Context, js jetstream.JetStream, s Settings, from uint64) error {
	for i := range s.Lanes {
		c := laneConfig(s, i)
		c.DeliverPolicy, c.OptStartSeq, c.PauseUntil = jetstream.DeliverByStartSequencePolicy, from, &endOfTime
		if _, err := js.CreateConsumer(ctx, Intake, c); err != nil && !errors.Is(err, jetstream.ErrConsumerExists) {
			return broken("consumer "+c.Durable, err)
		}
	}
	return nil
}
