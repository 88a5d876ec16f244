package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// errSilent: no answer came. The write is neither done nor not done.
var errSilent = errors.New("broker did not answer")

// answerWithin is how long one attempt waits. Attempts repeat; a longer wait
// would only delay the repetition.
const answerWithin = 3 * time.Second

// answer is the server's word on one publish or one atomic batch.
type answer struct {
	Error     *apiError `json:"error"`
	Stream    string    `json:"stream"`
	Seq       uint64    `json:"seq"`
	Duplicate bool      `json:"duplicate"`
}

// err is nil when the message is stored, be it by an earlier attempt.
func (a answer) err() error {
	switch {
	case a.Error == nil && a.Stream == "":
		return errSilent // some other service sits on the subject
	case a.Error == nil:
		return nil
	}
	return a.Error
}

// wire sends messages and collects what the server says to each. One goroutine
// uses it at a time.
type wire struct {
	conn   *nats.Conn
	sub    *nats.Subscription
	inbox  string
	round  int
	within time.Duration // an attempt waits for its answers
	failed int           // rounds on end that left something open
}

func (w *wire) open() error {
	if w.sub != nil && w.sub.IsValid() {
		return nil
	}
	w.inbox = w.conn.NewInbox()
	sub, err := w.conn.SubscribeSync(w.inbox + ".*.*")
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	w.sub = sub
	return nil
}

func (w *wire) close() {
	if w.sub != nil {
		_ = w.sub.Unsubscribe()
	}
}

// reply is where the answer to message i of this round comes. Late answers of
// earlier rounds come elsewhere.
func (w *wire) reply(i int) string {
	return w.inbox + "." + strconv.Itoa(w.round) + "." + strconv.Itoa(i)
}

// send hands a message to the connection. What the client refuses by itself no
// retry can mend; all else is silence.
func (w *wire) send(m *nats.Msg) error {
	err := w.conn.PublishMsg(m)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrMaxPayload):
		return &apiError{Code: 400, ErrCode: codeTooLarge, Description: "message size exceeds maximum allowed"}
	case errors.Is(err, nats.ErrBadSubject), errors.Is(err, nats.ErrBadHeaderMsg):
		return &apiError{Code: 400, Description: err.Error()}
	}
	return errSilent
}

// singles publishes each message by itself, all at once, and tells hear what
// became of each as soon as it is known. A message it is not told of may be
// stored or not.
func (w *wire) singles(ctx context.Context, msgs []*nats.Msg, hear func(i int, err error)) {
	if err := w.open(); err != nil {
		return
	}
	w.round++
	sent := 0
	for i, m := range msgs {
		if err := w.send(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data, Reply: w.reply(i)}); err != nil {
			hear(i, err)
			continue
		}
		sent++
	}
	w.collect(ctx, sent, hear)
}

// batch publishes all messages or none of them: one write to disk however many
// they are. The answer of the last one stands for all. The first is answered
// too when the server takes no batch, so that nobody waits for the last.
func (w *wire) batch(ctx context.Context, msgs []*nats.Msg) error {
	if err := w.open(); err != nil {
		return errSilent
	}
	w.round++
	id, last := nuid.Next(), len(msgs)-1
	for i, m := range msgs {
		h := nats.Header{}
		for k, v := range m.Header {
			h[k] = v
		}
		h.Set("Nats-Batch-Id", id)
		h.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
		n := &nats.Msg{Subject: m.Subject, Header: h, Data: m.Data}
		if i == 0 {
			n.Reply = w.reply(0)
		}
		if i == last {
			h.Set("Nats-Batch-Commit", "1")
			n.Reply = w.reply(last)
		}
		if err := w.send(n); err != nil {
			return err
		}
	}
	want := 1
	result := errSilent
	if last > 0 {
		want = 2
	}
	w.collect(ctx, want, func(i int, err error) {
		if i == last || err != nil && !errors.Is(err, errSilent) {
			result = err
		}
	})
	return result
}

// collect reads answers until n came, ctx ended, the time is up, or the
// connection was lost: then no more will come.
func (w *wire) collect(ctx context.Context, n int, hear func(i int, err error)) {
	deadline := time.Now().Add(w.within)
	reconnects := w.conn.Stats().Reconnects
	prefix := w.inbox + "." + strconv.Itoa(w.round) + "."
	for n > 0 && ctx.Err() == nil && time.Now().Before(deadline) {
		m, err := w.sub.NextMsg(50 * time.Millisecond)
		if errors.Is(err, nats.ErrTimeout) {
			if !w.conn.IsConnected() || w.conn.Stats().Reconnects != reconnects {
				return
			}
			continue
		}
		if err != nil {
			return
		}
		rest, mine := strings.CutPrefix(m.Subject, prefix)
		i, err := strconv.Atoi(rest)
		if !mine || err != nil {
			continue
		}
		n--
		hear(i, read(m))
	}
}

// read understands one answer. An empty one is the server's nod to a message
// of a batch, or its word that nobody listens.
func read(m *nats.Msg) error {
	if len(m.Data) == 0 {
		if m.Header.Get("Status") == "503" {
			return nats.ErrNoResponders
		}
		return errSilent
	}
	var a answer
	if json.Unmarshal(m.Data, &a) != nil {
		return errSilent
	}
	return a.err()
}
