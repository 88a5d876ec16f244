package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// How a lane asks for a message. The server says every pullBeat that the
// request still stands; after two beats without a word it is made again.
const (
	pullFor  = 30 * time.Second
	pullBeat = 2 * time.Second

	// leaseFor is how long a lane stays with one worker that gets nothing from
	// it; it is asked for anew in its last part.
	leaseFor  = 5 * time.Second
	leaseTail = 500 * time.Millisecond
)

var (
	// errNothing: the request ran out, no message was there.
	errNothing = errors.New("no message")
	// errLook: it is time to look after what is in hand.
	errLook = errors.New("time to look")
)

// puller asks one consumer for messages: one at a time, or all that come.
type puller struct {
	conn    *nats.Conn
	subject string // of the request
	info    string // where the consumer tells how far it is
	group   string // where the consumer has one, requests of priority 0 are answered before those of 1
	deep    int    // how many messages may come at once
	inbox   string
	replies chan *nats.Msg
	sub     *nats.Subscription
	count   int       // of requests, to tell a late answer from this one's
	stands  bool      // a request for one message stands
	heard   time.Time // when the broker last said a word
	beat    *time.Ticker
	alive   func() // called when the broker says that a request stands
	back    chan nats.Status

	leased bool          // a request stands that brings message after message
	until  time.Time     // it ends
	calm   time.Time     // none before
	leases *atomic.Int64 // how many the worker has
}

// newPuller makes one for a consumer. looks is how often next answers errLook;
// zero: never.
func newPuller(w *Worker, info *jetstream.ConsumerInfo, looks time.Duration, alive func()) *puller {
	name := info.Stream + "." + info.Name
	p := &puller{
		conn: w.Conn, alive: alive, back: w.Conn.StatusChanged(nats.CONNECTED), leases: &w.leases,
		subject: "$JS.API.CONSUMER.MSG.NEXT." + name, info: "$JS.API.CONSUMER.INFO." + name,
		deep: 64 + 2*max(info.Config.MaxAckPending, 0), beat: time.NewTicker(orElse(looks, pullBeat)),
	}
	if info.Config.PriorityPolicy == jetstream.PriorityPolicyPrioritized {
		p.group = info.Config.PriorityGroups[0]
	}
	return p
}

// next waits for a message, asking for one if it may and nothing is asked for.
// Once ctx has ended none is begun: one that comes in at that moment is handed
// back to the broker. With wake it also answers errLook: then, and every now
// and then.
func (p *puller) next(ctx context.Context, ask bool, wake <-chan struct{}) (*message, error) {
	if ask && !p.stands && !p.leased {
		if err := p.ask("", p.subject, p.one()); err != nil {
			return nil, err
		}
		p.stands = true
	}
	for {
		select {
		case <-ctx.Done():
			p.leave()
			return nil, ctx.Err()
		case <-wake:
			return nil, errLook
		case <-p.beat.C:
			if (p.stands || p.leased) && time.Since(p.heard) > 2*pullBeat {
				p.lost(wake != nil)
				return nil, fmt.Errorf("broker is silent: %w", nats.ErrTimeout)
			}
			if wake != nil {
				return nil, errLook
			}
		case <-p.back: // reconnected: the broker may not know the request any more
			p.lost(wake != nil)
			return nil, errNothing
		case m := <-p.replies:
			p.heard = time.Now()
			if strings.HasPrefix(m.Reply, "$JS.ACK.") {
				if ctx.Err() != nil {
					p.give(m)
					p.leave()
					return nil, ctx.Err()
				}
				p.stands = false
				return newMessage(m)
			}
			if !p.mine(m) {
				continue
			}
			if err := status(m); err != nil {
				p.stands = false
				p.hasLease(false)
				return nil, err
			}
			p.alive()
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
	p.stands = true
	return nil
}

// lease asks for all that comes in the next seconds, before anybody else. A lane
// that is busy stays with its worker; of several lanes each is let go of when
// its time is over, so that another worker may have some.
func (p *puller) lease() {
	now := time.Now()
	if p.leased && (p.leases.Load() > 1 || now.Before(p.until)) || now.Before(p.calm) || p.sub == nil || !p.sub.IsValid() {
		return
	}
	all := request{Batch: 1 << 20, Bytes: windowBytes, Expires: leaseFor, Beat: pullBeat, Group: p.group}
	if p.ask("", p.subject, all) != nil {
		return // it goes on one by one
	}
	p.stands = false
	p.hasLease(true)
	p.until = now.Add(leaseFor - leaseTail)
}

func (p *puller) hasLease(has bool) {
	switch {
	case has && !p.leased:
		p.leases.Add(1)
	case !has && p.leased:
		p.leases.Add(-1)
	}
	p.leased = has
}

// standBack makes no lease for a while: another worker is at work.
func (p *puller) standBack() {
	p.calm = time.Now().Add(Backoff{First: time.Second, Max: time.Second}.after(1))
}

// yield ends a lease that another worker has at the same time. Both do so, and
// one is back first.
func (p *puller) yield() {
	p.leave()
	p.standBack()
}

// request is what the server reads.
type request struct {
	Batch    int           `json:"batch"`
	Bytes    int           `json:"max_bytes,omitempty"`
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
		p.replies = make(chan *nats.Msg, p.deep)
		sub, err := p.conn.ChanSubscribe(p.inbox+".*", p.replies)
		if err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
		p.sub = sub
	}
	p.count++
	p.heard = time.Now()
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
	p.beat.Stop()
	p.conn.RemoveStatusListener(p.back)
}

// lost forgets the request. What has come in already is kept where it can be
// taken as it is.
func (p *puller) lost(keep bool) {
	if !keep {
		p.leave()
		return
	}
	p.stands = false
	p.hasLease(false)
}

// leave takes the request back: the server forgets it with the subscription.
// What it had sent before it heard so goes back at once and not after AckWait.
func (p *puller) leave() {
	p.stands = false
	p.hasLease(false)
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
	if code == "409" && strings.Contains(text, "MaxBytes") {
		return errNothing // as much as was asked for has come
	}
	if code == "409" && strings.Contains(strings.ToLower(text), "consumer deleted") {
		return jetstream.ErrConsumerDeleted
	}
	return fmt.Errorf("broker answers %s: %s", code, text)
}
