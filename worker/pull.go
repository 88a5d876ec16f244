package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// How a lane asks for a message. The server says every pullBeat that the
// request still stands; after two beats without a word it is made again.
const (
	pullFor  = 30 * time.Second
	pullBeat = 2 * time.Second

	// leaseFor is how long a lane stays with one worker before the others may
	// have it; nothing new is read in its last part.
	leaseFor  = 5 * time.Second
	leaseTail = 500 * time.Millisecond
)

// errNothing: the request ran out, no message was there.
var errNothing = errors.New("no message")

// puller asks one consumer for one message at a time.
type puller struct {
	conn    *nats.Conn
	subject string // of the request
	group   string // where the consumer has one, requests of priority 0 are answered before those of 1
	inbox   string
	replies chan *nats.Msg
	sub     *nats.Subscription
	count   int    // of requests, to tell a late answer from this one's
	asked   bool   // the next request is made already, with the last acknowledgement
	alive   func() // called when the broker says that a request stands
	back    chan nats.Status

	leased bool      // a request stands that brings message after message
	calm   time.Time // no lease before
	mu     sync.Mutex
	until  time.Time // the lease
}

func newPuller(nc *nats.Conn, info *jetstream.ConsumerInfo, alive func()) *puller {
	p := &puller{conn: nc, alive: alive, back: nc.StatusChanged(nats.CONNECTED), subject: "$JS.API.CONSUMER.MSG.NEXT." + info.Stream + "." + info.Name}
	if info.Config.PriorityPolicy == jetstream.PriorityPolicyPrioritized {
		p.group = info.Config.PriorityGroups[0]
	}
	return p
}

// next waits for a message. Once ctx has ended none is begun: one that comes
// in at that moment is handed back to the broker.
func (p *puller) next(ctx context.Context) (*message, error) {
	if !p.asked && !p.leased {
		if err := p.ask("", p.subject, p.one()); err != nil {
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
				p.leased = false
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
	if err := p.ask("+NXT ", m.raw.Reply, p.one()); err != nil {
		return err
	}
	p.asked = true
	return nil
}

// lease asks for all that comes in the next seconds, before anybody else: what
// is read ahead of the lane is then delivered to whoever has read it. The server
// has the request when lease returns, before anything is acknowledged. It does
// nothing where a lease stands.
func (p *puller) lease() {
	if p.leased || p.sub == nil || !p.sub.IsValid() || time.Now().Before(p.calm) {
		return
	}
	all := request{Batch: 1 << 20, Expires: leaseFor, Beat: pullBeat, Group: p.group}
	if p.ask("", p.subject, all) != nil || p.conn.FlushTimeout(time.Second) != nil {
		return // it goes on one by one
	}
	p.leased = true
	p.lasting(time.Now().Add(leaseFor - leaseTail))
}

// renew makes a lease, and makes it again when it is about to end: the lane
// stays where its message is in hand.
func (p *puller) renew() {
	if !p.lasts() {
		p.leased = false
		p.lease()
	}
}

// yield ends a lease that another worker has at the same time. Both do so, and
// one is back first.
func (p *puller) yield() {
	p.leave()
	p.calm = time.Now().Add(Backoff{First: time.Second, Max: time.Second}.after(1))
}

func (p *puller) lasting(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = until
}

// lasts tells whether what is read now will be delivered to us.
func (p *puller) lasts() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.until)
}

// request is what the server reads.
type request struct {
	Batch    int           `json:"batch"`
	Expires  time.Duration `json:"expires"`
	Beat     time.Duration `json:"idle_heartbeat"`
	Group    string        `json:"group,omitempty"`
	Priority int           `json:"priority,omitempty"`
}

func (p *puller) one() request {
	r := request{Batch: 1, Expires: pullFor, Beat: pullBeat, Group: p.group}
	if p.group != "" {
		r.Priority = 1
	}
	return r
}

// ask subscribes if need be and sends one request.
func (p *puller) ask(prefix, subject string, r request) error {
	if p.sub == nil || !p.sub.IsValid() {
		p.inbox = p.conn.NewInbox()
		p.replies = make(chan *nats.Msg, 64)
		sub, err := p.conn.ChanSubscribe(p.inbox+".*", p.replies)
		if err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
		p.sub = sub
	}
	p.count++
	body, err := json.Marshal(r)
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
	p.asked, p.leased = false, false
	p.lasting(time.Time{})
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
