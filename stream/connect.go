package stream

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Options say how to reach the broker.
type Options struct {
	URL         string
	CredsFile   string // "" for none
	Name        string // shown in the broker's monitoring
	InboxPrefix string // "_INBOX_worker": each role has its own, or it could read the others' answers
	// ErrorLog hears of what no call can answer. A refused publish, above all:
	// its caller sees a timeout only.
	ErrorLog func(error)
	// More is added last: an in-process server, a user and password.
	More []nats.Option
}

// pingEvery finds a server that was cut off, or a line that carries nothing any
// more, within nine seconds: the connection looks well until then, and two
// other servers of a cluster would have answered.
const pingEvery = 3 * time.Second

// answersHeld is how many answers wait for somebody who writes many messages at
// once, sixteen times as many as are ever asked for. By itself the client makes
// room for 65536, half a megabyte for each writer, which every collection of
// garbage looks through: a portal collects before each hash.
const answersHeld = 16 * batchMost

// Connect connects, and reconnects for as long as the connection is open. The
// first attempt must succeed. While disconnected every write fails at once:
// what was kept for later would be sent when its caller has long decided.
func Connect(o Options) (*nats.Conn, error) {
	opts := []nats.Option{
		nats.Name(o.Name), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, time.Second),
		nats.ReconnectBufSize(-1), nats.Timeout(5 * time.Second), nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(2),
		nats.SyncQueueLen(answersHeld),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { o.tell(err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				o.tell(fmt.Errorf("broker connection lost: %w", err))
			}
		}),
	}
	if o.CredsFile != "" {
		opts = append(opts, nats.UserCredentials(o.CredsFile))
	}
	if o.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(o.InboxPrefix))
	}
	nc, err := nats.Connect(o.URL, append(opts, o.More...)...)
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	return nc, nil
}

func (o Options) tell(err error) {
	if o.ErrorLog != nil {
		o.ErrorLog(err)
	}
}

// JetStream answers the streams behind a connection, with an answer expected
// within five seconds where a context has no deadline.
func JetStream(nc *nats.Conn) (jetstream.JetStream, error) {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(5*time.Second))
	if err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	return js, nil
}
