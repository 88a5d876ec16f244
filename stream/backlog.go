package stream

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Backlog is how many letters are due: those that a mailer may take now, those
// of them that go first, and those that the relay refused for now and that wait
// for their next attempt.
type Backlog struct {
	Due      int `json:"due"`    // urgent ones included
	Urgent   int `json:"urgent"` // of them
	Retrying int `json:"retrying"`

	// Since is when the longest waiting of them came; zero: none waits.
	Since time.Time `json:"since,omitzero"`
}

// ReadBacklog counts the letters in MAIL. It needs the admin identity.
func ReadBacklog(ctx context.Context, js jetstream.JetStream) (Backlog, error) {
	var b Backlog
	for _, name := range []string{durableUrgent, durableMail} {
		c, err := js.Consumer(ctx, Mail, name)
		if err != nil {
			return b, broken("consumer "+name, err)
		}
		info := c.CachedInfo()
		n := int(info.NumPending) + info.NumAckPending
		b.Due += n
		if name == durableUrgent {
			b.Urgent = n
		}
	}
	st, err := js.Stream(ctx, Mail)
	if err != nil {
		return b, broken("stream "+Mail, err)
	}
	info, err := st.Info(ctx, jetstream.WithSubjectFilter(holdMail+">"))
	if err != nil {
		return b, broken("stream "+Mail, err)
	}
	b.Retrying = len(info.State.Subjects)
	if info.State.Msgs > 0 {
		b.Since = info.State.FirstTime
	}
	return b, nil
}

// Facts counts the facts of one kind ("letter.sent") that AUDIT has stored
// since then, in the broker's time, without reading them. It needs the admin
// identity or the auditor's.
func Facts(ctx context.Context, js jetstream.JetStream, what string, since time.Time) (int, error) {
	c, err := js.CreateConsumer(ctx, Audit, jetstream.ConsumerConfig{
		FilterSubject: "audit." + what + ".*", DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since,
		AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: 10 * time.Second, MemoryStorage: true, Replicas: 1,
	})
	if err != nil {
		return 0, broken("count audit facts", err)
	}
	info := c.CachedInfo()
	if err := js.DeleteConsumer(ctx, Audit, info.Name); err != nil {
		return 0, broken(fmt.Sprintf("consumer %s of %s", info.Name, Audit), err)
	}
	return int(info.NumPending), nil
}
