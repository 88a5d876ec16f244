package stream

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// broker is an embedded server that listens nowhere, and can be restarted over
// the same store while clients stay.
type broker struct {
	t    testing.TB
	dir  string
	sync bool

	mu   sync.Mutex
	s    *server.Server
	more func(*server.Options)
}

func newBroker(t testing.TB, sync bool, more ...func(*server.Options)) *broker {
	t.Helper()
	b := &broker{t: t, dir: t.TempDir(), sync: sync}
	if len(more) > 0 {
		b.more = more[0]
	}
	b.start()
	t.Cleanup(b.stop)
	return b
}

func (b *broker) start() {
	b.t.Helper()
	o := &server.Options{
		ServerName: "test", DontListen: true, NoSigs: true, NoLog: true, JetStream: true, StoreDir: b.dir, SyncAlways: b.sync,
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 4 << 30,
	}
	if b.more != nil {
		b.more(o)
	}
	s, err := server.NewServer(o)
	if err != nil {
		b.t.Fatalf("server: %v", err)
	}
	s.Start()
	if !s.ReadyForConnections(60 * time.Second) {
		b.t.Fatal("server is not ready")
	}
	b.mu.Lock()
	b.s = s
	b.mu.Unlock()
}

func (b *broker) stop() {
	b.mu.Lock()
	s := b.s
	b.s = nil
	b.mu.Unlock()
	if s != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// InProcessConn makes b a provider of connections that outlives one server.
func (b *broker) InProcessConn() (net.Conn, error) {
	b.mu.Lock()
	s := b.s
	b.mu.Unlock()
	if s == nil {
		return nil, fmt.Errorf("server is down")
	}
	return s.InProcessConn()
}

func (b *broker) connect(more ...nats.Option) (*nats.Conn, jetstream.JetStream) {
	b.t.Helper()
	opts := []nats.Option{
		nats.InProcessServer(b), nats.ReconnectWait(10 * time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.Timeout(300 * time.Millisecond), // an attempt may reach a server that is just going down
	}
	var nc *nats.Conn
	var err error
	eventually(b.t, "a connection to the server", func() bool {
		nc, err = Connect(Options{Name: "test", More: append(opts, more...)})
		return err == nil
	})
	b.t.Cleanup(nc.Close)
	js, err := JetStream(nc)
	if err != nil {
		b.t.Fatalf("jetstream: %v", err)
	}
	return nc, js
}

// patient is how long a fact may take: a busy machine is no fault.
const patient = 3 * time.Minute

func patience(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patient)
	t.Cleanup(cancel)
	return ctx
}

// testSettings are the default ones, with fewer lanes.
func testSettings() Settings {
	s := DefaultSettings()
	s.Lanes = 4
	return s
}

// declared is a broker with everything on it. It syncs when it likes, which is
// quicker; what is to survive something is tested on a durable one.
func declared(t testing.TB) (*broker, jetstream.JetStream, *Publisher) {
	t.Helper()
	return declaredOn(t, newBroker(t, false))
}

func declaredDurable(t testing.TB) (*broker, jetstream.JetStream, *Publisher) {
	t.Helper()
	return declaredOn(t, newBroker(t, true))
}

func declaredOn(t testing.TB, b *broker) (*broker, jetstream.JetStream, *Publisher) {
	t.Helper()
	_, js := b.connect()
	if err := Declare(patience(t), js, testSettings(), false); err != nil {
		t.Fatalf("declare: %v", err)
	}
	p := NewPublisher(js)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = p.Close(ctx)
	})
	return b, js, p
}

// eventually polls until ok, and fails with what is still wrong.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patient); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("after %s still not: %s", patient, what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// nextOf reads the next message of a consumer; ok is false when the broker says
// that it has none to give. How long a message takes to come says nothing.
func nextOf(t testing.TB, c jetstream.Consumer, opts ...jetstream.FetchOpt) (m jetstream.Msg, ok bool) {
	t.Helper()
	eventually(t, "a message that is pending comes", func() bool {
		info, err := c.Info(patience(t))
		if err != nil {
			t.Fatalf("consumer: %v", err)
		}
		full := info.Config.MaxAckPending > 0 && info.NumAckPending >= info.Config.MaxAckPending
		if info.NumPending == 0 || info.Paused || full {
			return true
		}
		m, err = c.Next(append([]jetstream.FetchOpt{jetstream.FetchMaxWait(5 * time.Second)}, opts...)...)
		ok = err == nil
		return ok
	})
	return m, ok
}

func messages(t testing.TB, js jetstream.JetStream, stream string) uint64 {
	t.Helper()
	st, err := js.Stream(patience(t), stream)
	if err != nil {
		t.Fatalf("stream %s: %v", stream, err)
	}
	return st.CachedInfo().State.Msgs
}
