package standalone

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
)

func startBroker(t *testing.T, dir string) *Broker {
	t.Helper()
	b := &Broker{Dir: dir}
	if err := b.Start(); err != nil {
		t.Fatalf("start broker: %v", err)
	}
	t.Cleanup(b.Stop)
	return b
}

func jetStream(t *testing.T, url string, opts []nats.Option) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, append(opts, nats.Timeout(time.Minute))...)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestBrokerKeepsWhatItAcknowledgedOverARestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	b := startBroker(t, dir)
	js := jetStream(t, b.URL(), b.Options())
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "s", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	b.Stop()
	b.Stop() // harmless
	b = startBroker(t, dir)
	s, err := jetStream(t, b.URL(), b.Options()).Stream(t.Context(), "S")
	if err != nil {
		t.Fatalf("stream is gone after a restart: %v", err)
	}
	if m, err := s.GetMsg(t.Context(), 1); err != nil || string(m.Data) != "kept" {
		t.Errorf("message after a restart: %v, %v", m, err)
	}
}

func TestOtherCommandsReachTheBrokerWithTheKeyAndNobodyWithout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := startBroker(t, dir)
	url, opts, err := Reach(dir)
	if err != nil {
		t.Fatalf("reach a running broker: %v", err)
	}
	if _, err := jetStream(t, url, opts).AccountInfo(t.Context()); err != nil {
		t.Errorf("streams are out of reach: %v", err)
	}
	if !strings.HasPrefix(b.URL(), "nats://127.0.0.1:") {
		t.Errorf("broker listens on %s, want loopback only", b.URL())
	}
	info, err := os.Stat(filepath.Join(dir, brokerFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("address file has the rights %v (%v), want those of the owner only", info.Mode().Perm(), err)
	}
	stranger, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	for name, opts := range map[string][]nats.Option{"nothing": nil, "a password": {nats.UserInfo("admin", "admin")}, "another key": keyOptions(stranger)} {
		if nc, err := nats.Connect(url, opts...); err == nil {
			nc.Close()
			t.Errorf("the broker let somebody in with %s", name)
		}
	}
}

func TestFolderHasOneOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := startBroker(t, dir)
	second := &Broker{Dir: dir}
	if err := second.Start(); !errors.Is(err, ErrInUse) {
		t.Errorf("second start on one folder answers %v, want %v", err, ErrInUse)
	}
	if _, _, err := Reach(dir); err != nil {
		t.Errorf("the refused start disturbed the first broker: %v", err)
	}
	b.Stop()
	if _, _, err := Reach(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("reach after the end answers %v, want %v", err, ErrNotRunning)
	}
	startBroker(t, dir)
}

func TestStaleAddressIsNotFollowed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// what a killed process leaves: an address, and a lock that nobody holds
	for _, name := range []string{brokerFile, brokerLock} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{"url":"nats://127.0.0.1:1","seed":"x"}`), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := Reach(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("reach answers %v, want %v", err, ErrNotRunning)
	}
	startBroker(t, dir)
	info, err := os.Stat(filepath.Join(dir, brokerFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("address file kept the rights of the stale one: %v (%v)", info.Mode().Perm(), err)
	}
}

func TestEmbeddedBrokerSyncsEveryMessage(t *testing.T) {
	t.Parallel()
	b := startBroker(t, t.TempDir())
	v, err := b.server.Jsz(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !v.Config.SyncAlways || v.Config.SyncInterval > 2*time.Minute {
		t.Errorf("jetstream is configured as %+v", v.Config)
	}
}
