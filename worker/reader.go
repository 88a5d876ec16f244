package worker

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// What one request to read on may bring.
const (
	readMost  = 128
	keptMost  = 3 * readMost
	readBytes = 4 << 20
	readFor   = 3 * time.Second
)

// What the server adds to a message that is read directly, behind whatever the
// sender has put there under the same name.
const (
	readStream   = "Nats-Stream"
	readSubject  = "Nats-Subject"
	readSequence = "Nats-Sequence"
	readTime     = "Nats-Time-Stamp"
)

var added = []string{readStream, readSubject, readSequence, readTime, "Nats-Num-Pending", "Nats-Last-Sequence"}

// reader reads messages where they are stored. Nothing is delivered by that:
// no consumer moves, nothing is to be acknowledged.
type reader struct {
	conn   *nats.Conn
	stream string

	mu      sync.Mutex
	kept    []*message // all that is stored between first and next
	first   uint64
	next    uint64
	inbox   string
	sub     *nats.Subscription
	replies chan *nats.Msg
	round   int
}

// from answers up to readMost messages in the order in which they are stored,
// from a sequence on. None: there is nothing more.
func (r *reader) from(ctx context.Context, sequence uint64) ([]*message, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if sequence < r.first || sequence >= r.next {
		found, err := r.fetch(ctx, sequence)
		if err != nil || len(found) == 0 {
			return nil, err
		}
		if sequence != r.next {
			r.kept, r.first = nil, sequence
		}
		r.kept = append(r.kept, found...)
		r.next = found[len(found)-1].place() + 1
		if over := len(r.kept) - keptMost; over > 0 {
			r.kept = slices.Delete(r.kept, 0, over)
			r.first = r.kept[0].place()
		}
	}
	i, _ := slices.BinarySearchFunc(r.kept, sequence, func(m *message, s uint64) int { return cmp.Compare(m.place(), s) })
	return slices.Clone(r.kept[i:min(i+readMost, len(r.kept))]), nil
}

// forget drops what was read: the stream has been made anew.
func (r *reader) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept, r.first, r.next = nil, 0, 0
}

// fetch asks the server.
func (r *reader) fetch(ctx context.Context, sequence uint64) ([]*message, error) {
	if err := r.open(); err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{"seq": sequence, "batch": readMost, "max_bytes": readBytes})
	if err != nil {
		return nil, err
	}
	r.round++
	reply := r.inbox + "." + strconv.Itoa(r.round)
	if err := r.conn.PublishRequest("$JS.API.DIRECT.GET."+r.stream, reply, body); err != nil {
		return nil, fmt.Errorf("read %s: %w", r.stream, err)
	}
	silence := time.NewTimer(readFor)
	defer silence.Stop()
	var found []*message
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-silence.C:
			return nil, fmt.Errorf("read %s: %w", r.stream, nats.ErrTimeout)
		case m := <-r.replies:
			if m.Subject != reply {
				continue // an answer to an earlier request
			}
			got, ok := r.stored(m)
			if !ok {
				return found, nil // the server's word that this was all
			}
			found = append(found, got)
		}
	}
}

func (r *reader) open() error {
	if r.sub != nil && r.sub.IsValid() {
		return nil
	}
	r.inbox = r.conn.NewInbox()
	r.replies = make(chan *nats.Msg, 4*readMost)
	sub, err := r.conn.ChanSubscribe(r.inbox+".*", r.replies)
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	r.sub = sub
	return nil
}

func (r *reader) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sub != nil {
		_ = r.sub.Unsubscribe()
	}
}

// stored understands one answer; false: it is no message. Any header may be the
// sender's own, so that only the last of each name is believed, and a "Status"
// says nothing.
func (r *reader) stored(m *nats.Msg) (*message, bool) {
	last := func(name string) string {
		values := m.Header[name]
		if len(values) == 0 {
			return ""
		}
		return values[len(values)-1]
	}
	sequence, err := strconv.ParseUint(last(readSequence), 10, 64)
	if err != nil || last(readStream) != r.stream {
		return nil, false
	}
	at, err := time.Parse(time.RFC3339Nano, last(readTime))
	if err != nil {
		return nil, false
	}
	subject := last(readSubject)
	for _, name := range added {
		if v := m.Header[name]; len(v) > 1 {
			m.Header[name] = v[:len(v)-1]
		} else {
			delete(m.Header, name)
		}
	}
	raw := &nats.Msg{Subject: subject, Header: m.Header, Data: m.Data}
	here := events.Origin{Stream: r.stream, Sequence: sequence, Subject: subject, Received: at}
	return &message{raw: raw, origin: here.Trace(m.Header), meta: &jetstream.MsgMetadata{
		Sequence: jetstream.SequencePair{Stream: sequence}, NumDelivered: 1, Timestamp: at, Stream: r.stream,
	}}, true
}

// partition is a subject up to its second dot.
func partition(subject string) string {
	if first := strings.IndexByte(subject, '.'); first >= 0 {
		if second := strings.IndexByte(subject[first+1:], '.'); second >= 0 {
			return subject[:first+second+2]
		}
	}
	return subject
}
