// Package standalone is the broker and the mailbox inside the process, for the
// demo, for development and for one small machine. It knows how to start,
// guard and stop them, and must not know what is published or mailed.
package standalone

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"
)

// MaxPayload is the largest message the embedded broker takes. It lies above
// what an event may have (64 KiB): a message that is too large for the contract
// becomes a dead letter that operators see, and is not refused to its sender
// alone.
const MaxPayload = 2 << 20

// Names inside Broker.Dir.
const (
	brokerLock = "broker.lock"
	brokerFile = "broker.json" // address and key, readable by the owner only
)

// ErrInUse: another process owns the folder.
var ErrInUse = errors.New("broker folder is in use by another process")

// ErrNotRunning: no process owns the folder's broker.
var ErrNotRunning = errors.New("no broker is running for this folder")

// Broker is a nats-server in this process. Every acknowledged message is on
// disk. It listens on a loopback port of its own; who can read the key in Dir
// may do everything, nobody else anything.
type Broker struct {
	Dir      string // made when missing
	MaxStore int64  // bytes the streams may take; 0: what the server finds right for the disk
	Log      zerolog.Logger

	lock   *os.File
	server *server.Server
	key    nkeys.KeyPair
}

// address is what other processes of the same user need to get in.
type address struct {
	URL  string `json:"url"`
	Seed string `json:"seed"`
}

// Start takes the folder and starts the server. ErrInUse: another process has
// it.
func (b *Broker) Start() (err error) {
	if err := os.MkdirAll(b.Dir, 0o700); err != nil {
		return fmt.Errorf("broker folder: %w", err)
	}
	if b.lock, err = takeLock(filepath.Join(b.Dir, brokerLock)); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	defer func() {
		if err != nil {
			b.Stop()
		}
	}()
	if b.key, err = nkeys.CreateUser(); err != nil {
		return fmt.Errorf("broker key: %w", err)
	}
	public, err := b.key.PublicKey()
	if err != nil {
		return fmt.Errorf("broker key: %w", err)
	}
	b.server, err = server.NewServer(&server.Options{
		ServerName: "matricula", Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, MaxPayload: MaxPayload,
		JetStream: true, StoreDir: b.Dir, SyncAlways: true, JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: b.MaxStore,
		Nkeys: []*server.NkeyUser{{Nkey: public}},
	})
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	b.server.SetLoggerV2(brokerLog{b.Log}, false, false, false)
	b.server.Start()
	if !b.server.ReadyForConnections(30 * time.Second) { // recovery of a large store takes its time
		return errors.New("broker was not ready within 30 s")
	}
	if !b.server.JetStreamEnabled() {
		return errors.New("broker could not open its store")
	}
	return b.publishAddress()
}

// URL is the loopback address.
func (b *Broker) URL() string { return b.server.ClientURL() }

// Options connect the owner itself, without a socket.
func (b *Broker) Options() []nats.Option {
	return append(keyOptions(b.key), nats.InProcessServer(b.server))
}

// Stop ends the server and gives the folder free. Connections should have
// been drained before. It may be called again.
func (b *Broker) Stop() {
	if b.server != nil {
		_ = os.Remove(filepath.Join(b.Dir, brokerFile))
		b.server.Shutdown()
		b.server.WaitForShutdown()
		b.server = nil
	}
	if b.lock != nil {
		freeLock(b.lock)
		b.lock = nil
	}
}

func (b *Broker) publishAddress() error {
	seed, err := b.key.Seed()
	if err != nil {
		return fmt.Errorf("broker key: %w", err)
	}
	text, err := json.Marshal(address{URL: b.URL(), Seed: string(seed)})
	if err != nil {
		return fmt.Errorf("broker address: %w", err)
	}
	path := filepath.Join(b.Dir, brokerFile)
	_ = os.Remove(path) // one that a killed process left may have other rights
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("broker address: %w", err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("broker address: %w", err)
	}
	return nil
}

// Reach answers how another process of this machine gets to the broker that
// runs for a folder. ErrNotRunning: none does.
func Reach(dir string) (url string, opts []nats.Option, err error) {
	// An address without an owner may be somebody else's port by now.
	held, err := lockHeld(filepath.Join(dir, brokerLock))
	if err != nil {
		return "", nil, fmt.Errorf("broker folder: %w", err)
	}
	if !held {
		return "", nil, ErrNotRunning
	}
	text, err := os.ReadFile(filepath.Join(dir, brokerFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, ErrNotRunning // it is just starting or just ending
	}
	if err != nil {
		return "", nil, fmt.Errorf("broker address: %w", err)
	}
	var a address
	if err := json.Unmarshal(text, &a); err != nil {
		return "", nil, fmt.Errorf("broker address: %w", err)
	}
	key, err := nkeys.FromSeed([]byte(a.Seed))
	if err != nil {
		return "", nil, fmt.Errorf("broker key: %w", err)
	}
	return a.URL, keyOptions(key), nil
}

// keyOptions sign what the server asks: the key itself is never sent.
func keyOptions(key nkeys.KeyPair) []nats.Option {
	public, err := key.PublicKey()
	if err != nil {
		return []nats.Option{func(*nats.Options) error { return fmt.Errorf("broker key: %w", err) }}
	}
	return []nats.Option{nats.Nkey(public, key.Sign)}
}

// brokerLog hands the server's warnings and errors on.
type brokerLog struct{ zerolog.Logger }

func (l brokerLog) Noticef(format string, v ...any) { l.say(zerolog.DebugLevel, format, v) }
func (l brokerLog) Warnf(format string, v ...any)   { l.say(zerolog.WarnLevel, format, v) }
func (l brokerLog) Errorf(format string, v ...any)  { l.say(zerolog.ErrorLevel, format, v) }
func (l brokerLog) Fatalf(format string, v ...any)  { l.say(zerolog.ErrorLevel, format, v) }
func (l brokerLog) Debugf(string, ...any)           {}
func (l brokerLog) Tracef(string, ...any)           {}

func (l brokerLog) say(level zerolog.Level, format string, v []any) {
	l.WithLevel(level).Str("text", fmt.Sprintf(format, v...)).Msg("broker")
}
