package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// How a lane asks for a message. The server says every pullBeat that the
// request still stands; after two beats without a word it is made again.
const (
	pullFor  = 30 * time.Second
	pullBeat = 2 * time.Second
)

// errNothing: the request ran out, no message was there.
var errNothing = errors.New("no message")

// puller asks one consumer for one message at a time.
type puller struct {
	conn    *nats.Conn
	subject string // of the request
	inbox   string
	replies chan *nats.Msg
	sub     *nats.Subscription
	count   int    // of requests, to tell a late answer from this one's
	asked   bool   // the next request is made already, with the last acknowledgement
	alive   func() // called when the broker says that a request stands
	back    chan nats.Status
}

func newPuller(nc *nats.Conn, stream, consumer string, alive func()) *puller {
	return &puller{conn: nc, alive: alive, back: nc.StatusChanged(nats.CONNECTED), subject: "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + consumer}
}

// next waits for a message. Once ctx has ended none is begun: one that comes
// in at that moment is handed back to the broker.
func (p *puller) next(ctx context.Context) (*message, error) {
	if !p.asked {
		if err := p.ask("", p.subject); err != nil {
			return nil, err
		}
	}
	p.asked = false
	silence := time.NewTimer(2 * pullBeat)
	defer silence.Stop()
	for {
		select {
		case <-ctx.Done():
			p.leave()
			return nil, ctx.Err()
		case <-silence.C:
			p.leave()
			return nil, fmt.Errorf("broker is silent: %w", nats.ErrTimeout)
		case <-p.back: // reconnected: the broker may not know the request any more
			p.leave()
			return nil, errNothing
		case m := <-p.replies:
			if strings.HasPrefix(m.Reply, "$JS.ACK.") {
				if ctx.Err() != nil {
					p.give(m)
					p.leave()
					return nil, ctx.Err()
				}
				return newMessage(m)
			}
			if !p.mine(m) {
				continue
			}
			if err := status(m); err != nil {
				return nil, err
			}
			p.alive()
			silence.Reset(2 * pullBeat)
		}
	}
}

// chain acknowledges a message and asks for the next one in the same breath: of
// five messages on the wire for one that is handled, two are left. The broker
// gives no word of its own on the acknowledgement; where a consumer has one
// message under way, the next one is that word.
func (p *puller) chain(m *message) error {
	if p.sub == nil || !p.sub.IsValid() {
		return errNothing // the request would have no answer
	}
	if err := p.ask("+NXT ", m.raw.Reply); err != nil {
		return err
	}
	p.asked = true
	return nil
}

// ask subscribes if need be and sends one request.
func (p *puller) ask(prefix, subject string) error {
	if p.sub == nil || !p.sub.IsValid() {
		p.inbox = p.conn.NewInbox()
		p.replies = make(chan *nats.Msg, 16)
		sub, err := p.conn.ChanSubscribe(p.inbox+".*", p.replies)
		if err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
		p.sub = sub
	}
	p.count++
	body, err := json.Marshal(map[string]any{"batch": 1, "expires": pullFor, "idle_heartbeat": pullBeat})
	if err != nil {
		return err
	}
	return p.conn.PublishRequest(subject, p.inbox+"."+strconv.Itoa(p.count), append([]byte(prefix), body...))
}

func (p *puller) mine(m *nats.Msg) bool {
	return m.Subject == p.inbox+"."+strconv.Itoa(p.count)
}

// close ends the puller.
func (p *puller) close() {
	p.leave()
	p.conn.RemoveStatusListener(p.back)
}

// leave takes the request back: the server forgets it with the subscription.
// What it had sent before it heard so goes back at once and not after AckWait.
func (p *puller) leave() {
	p.asked = false
	if p.sub == nil {
		return
	}
	_ = p.sub.Drain()
	_ = p.conn.FlushTimeout(time.Second)
	for {
		select {
		case m := <-p.replies:
			p.give(m)
		default:
			p.sub = nil
			return
		}
	}
}

func (p *puller) give(m *nats.Msg) {
	if strings.HasPrefix(m.Reply, "$JS.ACK.") {
		_ = m.Nak()
	}
}

// status reads the server's word on a request: nil for "still waiting".
func status(m *nats.Msg) error {
	code, text := m.Header.Get("Status"), m.Header.Get("Description")
	switch code {
	case "100":
		return nil
	case "404", "408":
		return errNothing
	case "503":
		return nats.ErrNoResponders
	}
	if code == "409" && strings.Contains(strings.ToLower(text), "consumer deleted") {
		return jetstream.ErrConsumerDeleted
	}
	return fmt.Errorf("broker answers %s: %s", code, text)
}
