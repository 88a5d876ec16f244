package worker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// message is one delivered message. It is a jetstream.Msg so that it can be
// handed on, but it is read from a plain subscription: the client library
// takes an empty message with a "Status" header for word from the server and
// drops it, which would let any publisher stop a partition for ever.
type message struct {
	raw    *nats.Msg
	meta   *jetstream.MsgMetadata
	origin events.Origin // where it was first stored, also when it was put aside since
}

var _ jetstream.Msg = (*message)(nil)

// newMessage reads a message's place from its reply subject.
func newMessage(m *nats.Msg) (*message, error) {
	meta, err := m.Metadata()
	if err != nil {
		return nil, fmt.Errorf("message without a place in a stream: %w", err)
	}
	here := events.Origin{Stream: meta.Stream, Sequence: meta.Sequence.Stream, Subject: m.Subject, Received: meta.Timestamp}
	return &message{raw: m, origin: here.Trace(m.Header), meta: &jetstream.MsgMetadata{
		Sequence:     jetstream.SequencePair{Consumer: meta.Sequence.Consumer, Stream: meta.Sequence.Stream},
		NumDelivered: meta.NumDelivered,
		NumPending:   meta.NumPending,
		Timestamp:    meta.Timestamp,
		Stream:       meta.Stream,
		Consumer:     meta.Consumer,
		Domain:       meta.Domain,
	}}, nil
}

// id names the message for ever. The time is part of it because a stream that
// was made anew counts from 1 again.
func (m *message) id() string {
	o := m.origin
	sum := sha256.Sum256([]byte(o.Received.UTC().Format(time.RFC3339Nano)))
	return fmt.Sprintf("%s-%d-%s", o.Stream, o.Sequence, hex.EncodeToString(sum[:4]))
}

// key is the last token of the subject for the log: the source's own key of
// the person. Eleven digits could be an identity number in the wrong place.
func (m *message) key() string {
	k := m.origin.Subject[strings.LastIndexByte(m.origin.Subject, '.')+1:]
	if len(k) == 11 && strings.Trim(k, "0123456789") == "" {
		return "hidden"
	}
	return k
}

func (m *message) Metadata() (*jetstream.MsgMetadata, error) { return m.meta, nil }
func (m *message) Data() []byte                              { return m.raw.Data }
func (m *message) Headers() nats.Header                      { return m.raw.Header }
func (m *message) Subject() string                           { return m.origin.Subject }
func (m *message) Reply() string                             { return m.raw.Reply }
func (m *message) Ack() error                                { return m.raw.Ack() }
func (m *message) DoubleAck(ctx context.Context) error       { return m.raw.AckSync(nats.Context(ctx)) }
func (m *message) Nak() error                                { return m.raw.Nak() }
func (m *message) NakWithDelay(d time.Duration) error        { return m.raw.NakWithDelay(d) }
func (m *message) InProgress() error                         { return m.raw.InProgress() }
func (m *message) Term() error                               { return m.raw.Term() }
func (m *message) TermWithReason(string) error               { return m.raw.Term() }
