package testkit

import (
	"net"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// NATSServer is a broker in this process, with JetStream in a temporary
// folder. It listens on a loopback port of its own so that child processes
// reach it too, and has it still after a restart.
type NATSServer struct {
	URL     string
	Server  *server.Server
	options *server.Options
	t       testing.TB
}

// NATS starts a broker that ends with the test. It does not sync to disk;
// change is for tests that want another one.
func NATS(t testing.TB, change ...func(*server.Options)) *NATSServer {
	t.Helper()
	host, _, err := net.SplitHostPort(FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	o := &server.Options{
		ServerName: "test", Host: host, Port: -1, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: t.TempDir(), JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 4 << 30,
	}
	for _, f := range change {
		f(o)
	}
	s := &NATSServer{t: t}
	s.run(o)
	s.URL = s.Server.ClientURL()
	return s
}

// run starts a server and ends it with the test.
func (s *NATSServer) run(o *server.Options) {
	s.t.Helper()
	s.options = o.Clone()
	b, err := server.NewServer(o)
	if err != nil {
		s.t.Fatalf("broker: %v", err)
	}
	b.Start()
	s.t.Cleanup(func() {
		b.Shutdown()
		b.WaitForShutdown()
	})
	if !b.ReadyForConnections(60 * time.Second) {
		s.t.Fatal("broker was not ready within 60 s")
	}
	s.Server = b
}

// Connect opens a connection that closes with the test.
func (s *NATSServer) Connect(opts ...nats.Option) *nats.Conn {
	s.t.Helper()
	return connect(s.t, s.URL, opts...)
}

// JetStream opens a connection of its own for JetStream.
func (s *NATSServer) JetStream() jetstream.JetStream {
	s.t.Helper()
	js, err := jetstream.New(s.Connect(), jetstream.WithDefaultTimeout(60*time.Second))
	if err != nil {
		s.t.Fatalf("jetstream: %v", err)
	}
	return js
}

func connect(t testing.TB, url string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, append([]nats.Option{
		nats.MaxReconnects(-1), nats.ReconnectWait(20 * time.Millisecond), nats.Timeout(60 * time.Second),
	}, opts...)...)
	if err != nil {
		t.Fatalf("connect to broker: %v", err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// Restart stops the broker and starts it again on the same port and store.
func (s *NATSServer) Restart() {
	s.t.Helper()
	o := s.options.Clone()
	u, err := url.Parse(s.URL)
	if err != nil {
		s.t.Fatalf("broker address: %v", err)
	}
	if o.Port, err = strconv.Atoi(u.Port()); err != nil {
		s.t.Fatalf("broker address: %v", err)
	}
	s.Server.Shutdown()
	s.Server.WaitForShutdown()
	s.run(o)
}
