package stream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// What a dead letter keeps of the original.
const (
	keptBody   = 64 << 10
	keptHeader = 16 << 10
)

// Aside is where a message goes that is not done now. Both calls may be
// repeated.
type Aside struct {
	Publisher *Publisher
	Clock     Clock
}

// Bury stores a dead letter on "dead.<reason>.<ID>". The same one stored again
// is stored once. What exceeds 64 KiB of body or 16 KiB of headers is left out;
// then BodyHash is set, and the original is found by Stream and Sequence.
func (a *Aside) Bury(ctx context.Context, d events.DeadLetter) error {
	if d.ID == "" || d.Reason == "" {
		return fmt.Errorf("dead letter has no ID or no reason")
	}
	m, err := buried(d)
	if err != nil {
		return err
	}
	return a.Publisher.publish(ctx, Dead, nil, m)
}

func buried(d events.DeadLetter) (*nats.Msg, error) {
	header, whole := trimmed(d.Header)
	d.Header = header
	if d.BodySize == 0 {
		d.BodySize = len(d.Body)
	}
	if (!whole || len(d.Body) > keptBody) && d.BodyHash == "" {
		sum := sha256.Sum256(d.Body)
		d.BodyHash = hex.EncodeToString(sum[:])
	}
	if len(d.Body) > keptBody {
		d.Body = nil
	}
	body, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("dead letter %s: %w", d.ID, err)
	}
	m := nats.NewMsg("dead." + token(d.Reason) + "." + events.Key(d.ID))
	m.Header.Set("Content-Type", "application/json")
	m.Data = body
	return m, nil
}

// token makes a subject token of a reason: the contract's reasons are tokens.
func token(s string) string {
	if s == "" || strings.ContainsAny(s, ".*> \t\r\n") {
		return events.Key(s)
	}
	return s
}

// trimmed drops the broker's own headers, and of the rest what exceeds the
// size that is kept. whole tells whether all of the rest is there.
func trimmed(header map[string][]string) (kept map[string][]string, whole bool) {
	size, whole := 0, true
	kept = map[string][]string{}
	names := make([]string, 0, len(header))
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if internal(name) {
			continue
		}
		n := len(name)
		for _, v := range header[name] {
			n += len(v)
		}
		if size+n > keptHeader {
			whole = false
			continue
		}
		size += n
		kept[name] = header[name]
	}
	return kept, whole
}

// internal headers are not the sender's: the server's tell it what to do with
// one message (a batch, a schedule, a rollup, a duplicate), and ours where one
// was put aside. Neither may be carried to another message.
func internal(name string) bool {
	name = strings.ToLower(name)
	return strings.HasPrefix(name, "nats-") || strings.HasPrefix(name, "matricula-")
}

// Wait stores a message until at. Then it is delivered again by [DueConsumer],
// or for a letter by [MailConsumer] or [UrgentConsumer], with its header and body and with its
// origin, which events.Origin reads. msg.Subject may be the stored or the
// published subject. A message that waits already is moved to at.
//
// The broker keeps whole seconds, so that it comes up to a second later than
// at and never before.
func (a *Aside) Wait(ctx context.Context, at time.Time, msg jetstream.Msg) error {
	meta, err := msg.Metadata()
	if err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	o := events.Origin{Stream: meta.Stream, Sequence: meta.Sequence.Stream, Subject: events.Unpartition(msg.Subject()), Received: meta.Timestamp}
	if meta.Stream == Wait || meta.Stream == Mail { // nobody else writes there
		if carried, ok := events.CarriedOrigin(msg.Headers()); ok {
			o = carried
		}
	}
	o.Attempts += int(meta.NumDelivered)
	m := nats.NewMsg("")
	var due string
	m.Subject, due = holdSubjects(meta.Stream, o)
	for name, values := range msg.Headers() {
		if !internal(name) {
			m.Header[name] = values
		}
	}
	o.Put(m.Header)
	m.Header.Set("Nats-Schedule", "@at "+roundUp(a.Clock.broker(at)).UTC().Format(time.RFC3339))
	m.Header.Set("Nats-Schedule-Target", due)
	m.Data = msg.Data()
	return a.Publisher.publish(ctx, schedules, nil, m)
}

// holdSubjects are where a message waits and where it goes then. A letter
// stays in MAIL, because its mailer has no right to read WAIT.
func holdSubjects(stream string, o events.Origin) (hold, due string) {
	if stream == Mail {
		return holdMail + strings.TrimPrefix(o.Subject, "mail."), o.Subject
	}
	place := o.Stream + "." + strconv.FormatUint(o.Sequence, 10) + "." + o.Subject
	return holdWait + place, dueWait + place
}

// roundUp is the next whole second: earlier than at, a message would come back
// only to be told to wait again.
func roundUp(at time.Time) time.Time {
	if t := at.Truncate(time.Second); t.Before(at) {
		return t.Add(time.Second)
	}
	return at
}
