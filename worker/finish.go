package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"usn.no/matricula/events"
)

// MaxBody is how much of a message a dead letter keeps. A larger one is found
// by its stream and sequence and known by its hash.
const MaxBody = 64 << 10

// maxText bounds what an error may write into a dead letter.
const maxText = 1 << 10

// finish stores what follows from the answer, before the acknowledgement.
func (c *course) finish(hard context.Context) verdict {
	switch at, postponed := events.Postponed(c.answer); {
	case c.answer == nil:
		return done
	case postponed:
		c.w.pass("before wait")
		if !c.insist(hard, func(ctx context.Context) error { return c.w.Aside.Wait(ctx, at, c.message) }) {
			return left
		}
		return later
	}
	r, ok := events.Rejected(c.answer)
	if !ok {
		return left
	}
	d := c.deadLetter(r)
	c.dead = d.ID
	c.w.pass("before bury")
	if !c.insist(hard, func(ctx context.Context) error { return c.w.Aside.Bury(ctx, d) }) {
		return left
	}
	c.w.pass("before audit")
	if !c.insist(hard, func(ctx context.Context) error { return c.w.Publisher.Publish(ctx, c.rejection(r, d)) }) {
		return left
	}
	return rejected
}

// insist repeats a write until it succeeds: what a message led to is stored or
// the message comes again, whatever the error says.
func (c *course) insist(hard context.Context, write func(context.Context) error) bool {
	for failed := 1; ; failed++ {
		ctx, cancel := context.WithTimeout(hard, c.w.timeout())
		err := write(ctx)
		cancel()
		if err == nil {
			c.w.state.works(c.slot)
			return true
		}
		if hard.Err() != nil {
			return false
		}
		c.fails(brokerDown{err})
		if !pause(hard, c.w.Backoff.after(failed)) {
			return false
		}
	}
}

func (c *course) deadLetter(r *events.Rejection) events.DeadLetter {
	text := r.Text
	if r.Err != nil {
		if text != "" {
			text += ": "
		}
		text += r.Err.Error()
	}
	d := events.DeadLetter{
		ID: c.id(), Reason: r.Reason, Field: r.Field, Text: shorten(text),
		Attempts: c.origin.Attempts + int(c.meta.NumDelivered) + max(c.tries-1, 0),
		Stream:   c.origin.Stream, Sequence: c.origin.Sequence, Subject: c.origin.Subject, Consumer: c.meta.Consumer,
		Time: c.w.now().UTC(), Header: c.raw.Header, BodySize: len(c.raw.Data),
	}
	if len(c.raw.Data) <= MaxBody {
		d.Body = c.raw.Data
		return d
	}
	sum := sha256.Sum256(c.raw.Data)
	d.BodyHash = hex.EncodeToString(sum[:])
	return d
}

// rejection is the audit event of a dead letter, named by it.
func (c *course) rejection(r *events.Rejection, d events.DeadLetter) events.Event {
	details := map[string]string{"dead_letter": d.ID}
	if r.Field != "" {
		details["field"] = r.Field
	}
	if c.event.Data != nil {
		details["type"] = c.event.Data.EventType()
	}
	return events.Once(d.ID+"-rejected", d.Time, events.Audit{
		What: events.AuditEventRejected, Actor: events.Actor{Kind: "worker"}, Outcome: "failed",
		Reason: r.Reason, Cause: c.event.ID, Details: details,
	})
}

func shorten(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}

// report writes the message's one line and counts it.
func (c *course) report() {
	took := time.Since(c.began)
	name := "unknown"
	if c.event.Data != nil {
		name = c.event.Data.EventType()
	}
	c.w.Metrics.handled(c.w, name, c.verdict, took, len(c.event.Unknown))
	level := zerolog.InfoLevel
	if c.verdict == rejected || c.verdict == left {
		level = zerolog.WarnLevel
	}
	line := c.w.Log.WithLevel(level).Str("worker", c.w.Name).Str("type", name).Str("key", c.key()).Str("id", c.event.ID).
		Str("verdict", string(c.verdict)).Str("reason", c.reason()).Dur("took", took).
		Str("stream", c.origin.Stream).Uint64("sequence", c.origin.Sequence).
		Int("attempts", c.tries).Uint64("delivery", c.meta.NumDelivered)
	if r, ok := events.Rejected(c.answer); ok {
		line = line.Str("field", r.Field).Str("dead_letter", c.dead)
		if r.Err != nil {
			line = line.Err(r.Err)
		}
	}
	if c.unacked {
		line = line.Bool("ack_unknown", true)
	}
	line.Msg("message")
}

func (c *course) reason() string {
	if r, ok := events.Rejected(c.answer); ok {
		return r.Reason
	}
	if at, ok := events.Postponed(c.answer); ok {
		return "until " + at.UTC().Format(time.RFC3339)
	}
	if errors.Is(c.answer, errLeft) {
		return "left"
	}
	return ""
}
