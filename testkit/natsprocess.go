package testkit

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"usn.no/matricula/deploy"
)

// Roles are the users of the shipped broker configuration.
var Roles = []string{"hr", "admissions", "it", "worker", "mailer", "portal", "auditor", "access", "operator"}

// NATSBroker is a nats-server of its own process, on the files of deploy/nats,
// with a key for each role.
type NATSBroker struct {
	URL     string
	Monitor string // http://ADDRESS:port, on loopback
	Dir     string // configuration, store, log and the keys of the roles
	Name    string // of the server

	t       testing.TB
	program string
	mu      sync.Mutex
	process *process
}

// NATSProcess starts a broker process, or skips the test with the reason where
// none can be had. With REQUIRE=nats in the environment the test fails instead.
func NATSProcess(t testing.TB) *NATSBroker {
	t.Helper()
	program, err := buildNATS()
	if err != nil {
		missing(t, "nats", err)
	}
	b := &NATSBroker{Dir: t.TempDir(), Name: "test-" + rand.Text()[:8], t: t, program: program}
	b.prepare()
	b.Start()
	t.Cleanup(b.Kill)
	return b
}

// buildNATS builds the server whose version go.mod names, once per machine.
var buildNATS = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(cache, "matricula", "nats-server-"+server.VERSION+"-"+runtime.Version())
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	part := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer func() { _ = os.Remove(part) }()
	out, err := exec.Command("go", "build", "-o", part, "github.com/nats-io/nats-server/v2").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build nats-server: %w: %s", err, out)
	}
	return path, os.Rename(part, path)
})

// prepare fills in the files of deploy/nats.
func (b *NATSBroker) prepare() {
	b.t.Helper()
	address, monitor := FreeAddress(b.t), FreeAddress(b.t)
	b.Monitor = "http://" + monitor
	b.URL = "nats://" + address
	values := map[string]string{
		"SERVER_NAME": b.Name, "LISTEN": address, "MONITOR": monitor, "TLS": "", "CLUSTER": "",
		"STORE_DIR": filepath.Join(b.Dir, "store"), "MAX_FILE_STORE": "1GB",
	}
	for _, role := range Roles {
		values[strings.ToUpper(role)+"_NKEY"] = b.key(role)
	}
	for _, name := range []string{"nats-server.conf", "users.conf"} {
		text, err := deploy.NATS.ReadFile("nats/" + name)
		if err != nil {
			b.t.Fatal(err)
		}
		filled, err := deploy.Fill(string(text), values)
		if err != nil {
			b.t.Fatalf("%s: %v", name, err)
		}
		if err := os.WriteFile(filepath.Join(b.Dir, name), []byte(filled), 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
}

// key makes a role's key and answers the public half.
func (b *NATSBroker) key(role string) string {
	b.t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		b.t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		b.t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(b.SeedFile(role), seed, 0o600); err != nil {
		b.t.Fatal(err)
	}
	return public
}

// SeedFile holds the private half of a role's key.
func (b *NATSBroker) SeedFile(role string) string { return filepath.Join(b.Dir, role+".nk") }

// Start starts the process, after Kill or Stop again on the same port and
// store, and waits until it takes connections and its streams.
func (b *NATSBroker) Start() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	log, err := os.OpenFile(filepath.Join(b.Dir, "nats.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(b.program, "-c", filepath.Join(b.Dir, "nats-server.conf"))
	cmd.Stdout, cmd.Stderr = log, log
	if b.process, err = startProcess(cmd); err != nil {
		b.t.Fatalf("start nats-server: %v", err)
	}
	for deadline := time.Now().Add(60 * time.Second); !b.answers(); {
		select {
		case <-b.process.done:
			b.t.Fatalf("nats-server ended at once:\n%s", b.log())
		default:
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("nats-server does not answer:\n%s", b.log())
		}
		time.Sleep(10 * time.Millisecond) // between two looks
	}
}

func (b *NATSBroker) answers() bool {
	nc, err := nats.Connect(b.URL, b.Options("operator")...)
	if err != nil {
		return false
	}
	defer nc.Close()
	if nc.ConnectedServerName() != b.Name {
		return false
	}
	_, err = nc.Request("$JS.API.INFO", nil, time.Second)
	return err == nil
}

func (b *NATSBroker) log() string {
	text, _ := os.ReadFile(filepath.Join(b.Dir, "nats.log"))
	return string(text)
}

// Kill ends the process as a crash does.
func (b *NATSBroker) Kill() { b.end(syscall.SIGKILL) }

// Stop asks the process to end.
func (b *NATSBroker) Stop() { b.end(syscall.SIGTERM) }

func (b *NATSBroker) end(sig syscall.Signal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.process == nil {
		return
	}
	b.process.signal(sig)
	<-b.process.done
}

// Pause stops the process where it stands; Resume lets it go on.
func (b *NATSBroker) Pause() { b.process.signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (b *NATSBroker) Resume() { b.process.signal(syscall.SIGCONT) }

// Options are how a role connects: its key and its own inbox prefix.
func (b *NATSBroker) Options(role string) []nats.Option {
	key, err := nats.NkeyOptionFromSeed(b.SeedFile(role))
	if err != nil {
		b.t.Fatalf("key of %s: %v", role, err)
	}
	return []nats.Option{key, nats.CustomInboxPrefix("_INBOX_" + role), nats.Name(role)}
}

// Connect opens a role's connection, closed with the test.
func (b *NATSBroker) Connect(role string, opts ...nats.Option) *nats.Conn {
	b.t.Helper()
	return connect(b.t, b.URL, append(b.Options(role), opts...)...)
}

// JetStream opens a role's connection for JetStream.
func (b *NATSBroker) JetStream(role string, opts ...nats.Option) jetstream.JetStream {
	b.t.Helper()
	js, err := jetstream.New(b.Connect(role, opts...), jetstream.WithDefaultTimeout(60*time.Second))
	if err != nil {
		b.t.Fatal(err)
	}
	return js
}
