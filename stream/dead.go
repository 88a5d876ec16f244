package stream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// ErrNoDeadLetter is answered where no dead letter has that ID.
var ErrNoDeadLetter = errors.New("no such dead letter")

// ErrOriginalGone is answered where a dead letter does not hold all of its
// original and the stream it came from has deleted it.
var ErrOriginalGone = errors.New("original is gone")

// DeadLetters is an operator's access to DEAD. It needs the admin identity.
type DeadLetters struct {
	JS        jetstream.JetStream
	Publisher *Publisher
}

// List calls f for each dead letter, oldest first, of one reason or of all
// where reason is empty, until f answers false.
func (d *DeadLetters) List(ctx context.Context, reason string, f func(events.DeadLetter) bool) error {
	filter := "dead.>"
	if reason != "" {
		filter = "dead." + token(reason) + ".*"
	}
	stop := errors.New("stop")
	err := each(ctx, d.JS, Dead, jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}}, false, func(m jetstream.Msg) error {
		var letter events.DeadLetter
		if err := json.Unmarshal(m.Data(), &letter); err != nil {
			return fmt.Errorf("dead letter on %s: %w", m.Subject(), err)
		}
		if !f(letter) {
			return stop
		}
		return nil
	})
	if errors.Is(err, stop) {
		return nil
	}
	return err
}

// Show reads one dead letter, or ErrNoDeadLetter.
func (d *DeadLetters) Show(ctx context.Context, id string) (events.DeadLetter, error) {
	letter, _, err := d.find(ctx, id)
	return letter, err
}

func (d *DeadLetters) find(ctx context.Context, id string) (events.DeadLetter, uint64, error) {
	var letter events.DeadLetter
	s, err := lastOf(ctx, d.JS.Conn(), Dead, "dead.*."+events.Key(id))
	if err != nil {
		return letter, 0, err
	}
	if s.seq == 0 {
		return letter, 0, fmt.Errorf("dead letter %s: %w", id, ErrNoDeadLetter)
	}
	if err := json.Unmarshal(s.data, &letter); err != nil {
		return letter, 0, fmt.Errorf("dead letter %s: %w", id, err)
	}
	return letter, s.seq, nil
}

// Replay publishes the original again on the subject its sender used, with the
// CloudEvents ID it had, so that what it already led to is not repeated; then
// it deletes the dead letter. Replaying one that was published but not deleted
// publishes it once within the stream's window.
func (d *DeadLetters) Replay(ctx context.Context, id string) error {
	letter, seq, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	stream, ok := streamOf(letter.Subject)
	if !ok || stream == Dead {
		return fmt.Errorf("dead letter %s: no stream takes its subject", id)
	}
	m, err := d.original(ctx, letter)
	if err != nil {
		return err
	}
	m.Header.Set(nats.MsgIdHdr, "replay/"+letter.ID)
	if err := d.Publisher.publish(ctx, stream, nil, m); err != nil {
		return err
	}
	return d.delete(ctx, id, seq)
}

// original is the message as it came, from the dead letter or, where that does
// not hold all of it, from its stream.
func (d *DeadLetters) original(ctx context.Context, letter events.DeadLetter) (*nats.Msg, error) {
	m := &nats.Msg{Subject: letter.Subject, Header: nats.Header{}, Data: letter.Body}
	header := letter.Header
	if letter.BodyHash != "" {
		s, err := get(ctx, d.JS.Conn(), letter.Stream, map[string]any{"seq": letter.Sequence})
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(s.data)
		if s.seq == 0 || hex.EncodeToString(sum[:]) != letter.BodyHash {
			return nil, fmt.Errorf("dead letter %s: %w", letter.ID, ErrOriginalGone)
		}
		m.Data, header = s.data, s.header
	}
	for name, values := range header {
		if !internal(name) {
			m.Header[name] = values
		}
	}
	return m, nil
}

// Drop deletes a dead letter: its bytes are overwritten.
func (d *DeadLetters) Drop(ctx context.Context, id string) error {
	_, seq, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	return d.delete(ctx, id, seq)
}

// delete overwrites every dead letter of that ID. There are two where a message
// came again after a kill and was then refused for another reason.
func (d *DeadLetters) delete(ctx context.Context, id string, seq uint64) error {
	st, err := d.JS.Stream(ctx, Dead)
	if err != nil {
		return broken("dead letter "+id, err)
	}
	for seq != 0 {
		if err := st.SecureDeleteMsg(ctx, seq); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return broken("dead letter "+id, err)
		}
		next, err := lastOf(ctx, d.JS.Conn(), Dead, "dead.*."+events.Key(id))
		if err != nil {
			return err
		}
		seq = next.seq
	}
	return nil
}
