package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// endOfTime is "until somebody says otherwise".
var endOfTime = time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC)

// Drift says in plain words how the broker differs from s; nothing means it
// does not. Only the streams named are looked at, all where none are: a role
// has the right to read only those it uses. Of the durables it looks at those
// it may, which is what [LaneConsumers] and its siblings need.
func Drift(ctx context.Context, js jetstream.JetStream, s Settings, streams ...string) ([]string, error) {
	var out []string
	for _, want := range streamConfigs(s) {
		if len(streams) > 0 && !slices.Contains(streams, want.Name) {
			continue
		}
		st, err := js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			out = append(out, fmt.Sprintf("stream %s is missing", want.Name))
			continue
		}
		if err != nil {
			return out, broken("stream "+want.Name, err)
		}
		out = append(out, streamDrift(st.CachedInfo().Config, want)...)
		more, err := consumersDrift(ctx, js, want.Name, consumerConfigs(s)[want.Name])
		if err != nil {
			return out, err
		}
		out = append(out, more...)
	}
	return out, nil
}

func consumersDrift(ctx context.Context, js jetstream.JetStream, stream string, wants []jetstream.ConsumerConfig) ([]string, error) {
	var out []string
	for _, want := range wants {
		c, err := js.Consumer(ctx, stream, want.Durable)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			out = append(out, fmt.Sprintf("consumer %s of %s is missing", want.Durable, stream))
			continue
		}
		if err != nil {
			return out, broken("consumer "+want.Durable, err)
		}
		out = append(out, consumerDrift(stream, c.CachedInfo().Config, want)...)
		if c.CachedInfo().Paused && stream != Wait {
			out = append(out, fmt.Sprintf("consumer %s of %s is paused", want.Durable, stream))
		}
	}
	return out, nil
}

// differences collects sentences.
type differences struct {
	of  string
	out []string
}

func (d *differences) compare(what string, have, want any) {
	if h, w := fmt.Sprint(have), fmt.Sprint(want); h != w {
		d.out = append(d.out, fmt.Sprintf("%s: %s is %s, should be %s", d.of, what, h, w))
	}
}

func streamDrift(have, want jetstream.StreamConfig) []string {
	d := differences{of: "stream " + want.Name}
	d.compare("subjects", sorted(have.Subjects), sorted(want.Subjects))
	d.compare("retention", have.Retention, want.Retention)
	d.compare("storage", have.Storage, want.Storage)
	d.compare("replicas", have.Replicas, want.Replicas)
	d.compare("age", age(have.MaxAge), age(want.MaxAge))
	d.compare("discard policy", have.Discard, want.Discard)
	d.compare("discard new per subject", have.DiscardNewPerSubject, want.DiscardNewPerSubject)
	d.compare("messages", unlimited(have.MaxMsgs), unlimited(want.MaxMsgs))
	d.compare("bytes", unlimited(have.MaxBytes), unlimited(want.MaxBytes))
	d.compare("message size", unlimited(int64(have.MaxMsgSize)), unlimited(int64(want.MaxMsgSize)))
	d.compare("messages per subject", unlimited(have.MaxMsgsPerSubject), unlimited(want.MaxMsgsPerSubject))
	d.compare("duplicate window", have.Duplicates, want.Duplicates)
	d.compare("partitions", transform(have), transform(want))
	d.compare("acknowledgements off", have.NoAck, want.NoAck)
	d.compare("sealed", have.Sealed, want.Sealed)
	d.compare("delete refused", have.DenyDelete, want.DenyDelete)
	d.compare("purge refused", have.DenyPurge, want.DenyPurge)
	d.compare("rollups", have.AllowRollup, want.AllowRollup)
	d.compare("direct reads", have.AllowDirect, want.AllowDirect)
	d.compare("atomic batches", have.AllowAtomicPublish, want.AllowAtomicPublish)
	d.compare("schedules", have.AllowMsgSchedules, want.AllowMsgSchedules)
	d.compare("message ttl", have.AllowMsgTTL, want.AllowMsgTTL)
	d.compare("persist mode", have.PersistMode, want.PersistMode) // async acknowledges before the disk has it
	d.compare("sources", len(have.Sources), len(want.Sources))
	d.compare("mirror", have.Mirror != nil, want.Mirror != nil)
	d.compare("republish", have.RePublish != nil, want.RePublish != nil)
	return d.out
}

func consumerDrift(stream string, have, want jetstream.ConsumerConfig) []string {
	d := differences{of: fmt.Sprintf("consumer %s of %s", want.Durable, stream)}
	d.compare("filter", filters(have), filters(want))
	d.compare("acknowledgement", have.AckPolicy, want.AckPolicy)
	d.compare("ack wait", have.AckWait, want.AckWait)
	d.compare("deliveries", unlimited(int64(have.MaxDeliver)), unlimited(int64(want.MaxDeliver)))
	d.compare("unacknowledged at most", have.MaxAckPending, want.MaxAckPending)
	d.compare("priorities", priorities(have), priorities(want))
	d.compare("push", have.DeliverSubject, want.DeliverSubject)
	return d.out
}

func priorities(c jetstream.ConsumerConfig) string {
	if c.PriorityPolicy == jetstream.PriorityPolicyNone {
		return "none"
	}
	return fmt.Sprint(c.PriorityPolicy, c.PriorityGroups)
}

func filters(c jetstream.ConsumerConfig) string {
	f := slices.Clone(c.FilterSubjects)
	if c.FilterSubject != "" {
		f = append(f, c.FilterSubject)
	}
	return sorted(f)
}

func sorted(s []string) string {
	s = slices.Clone(s)
	slices.Sort(s)
	return strings.Join(s, " ")
}

func transform(c jetstream.StreamConfig) string {
	if c.SubjectTransform == nil {
		return "none"
	}
	return c.SubjectTransform.Source + " to " + c.SubjectTransform.Destination
}

func unlimited(n int64) string {
	if n <= 0 {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

func age(d time.Duration) string {
	if d <= 0 {
		return "unlimited"
	}
	return d.String()
}
