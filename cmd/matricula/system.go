package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
	"usn.no/matricula/directory/kv"
	"usn.no/matricula/standalone"
	"usn.no/matricula/stream"
)

// system is what the roles and commands of one process share: settings, log,
// clock, and the embedded servers where there are some.
type system struct {
	cfg        Config
	log        zerolog.Logger
	clock      *clock
	brokerURL  string
	broker     []nats.Option       // of the embedded broker; nil: a server of its own
	mailbox    *standalone.Mailbox // nil: a real relay
	mailboxWeb string              // where its page listens; empty: a free port
	listener   net.Listener        // the portal's, where it is open already
	js         jetstream.JetStream // the operator's connection, where there is one
	closers    []func()
}

// people is a directory with everything that some role may do there.
type people interface {
	account.Directory
	account.Passwords
	health
}

// health is what a directory says of itself.
type health interface {
	Ping(ctx context.Context) error
	Writable(ctx context.Context) error
	Crowded() bool
	Waits() <-chan struct{}
}

func loadConfig(c *cobra.Command) (Config, error) {
	path, err := c.Flags().GetString("config")
	if err != nil {
		return Config{}, err
	}
	return LoadConfig(path, os.Environ())
}

func newLog(cfg LogConfig, c *cobra.Command) zerolog.Logger {
	var log zerolog.Logger
	if cfg.Format == "text" {
		log = zerolog.New(zerolog.ConsoleWriter{Out: c.ErrOrStderr(), TimeFormat: "15:04:05.000"})
	} else {
		log = zerolog.New(c.ErrOrStderr())
	}
	level, err := zerolog.ParseLevel(cfg.Level)
	if err != nil {
		level = zerolog.InfoLevel
	}
	return log.Level(level).Hook(timestamp{})
}

// timestamp adds the time to the nanosecond. The format that the library would
// use is one for the whole process, and a process may open several systems.
type timestamp struct{}

func (timestamp) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	e.Str(zerolog.TimestampFieldName, time.Now().Format(time.RFC3339Nano))
}

func (s *system) onClose(f func()) { s.closers = append(s.closers, f) }

// close ends everything in the opposite order of its beginning.
func (s *system) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	s.closers = nil
}

// settings are the streams' as configured.
func (s *system) settings() stream.Settings {
	set := stream.DefaultSettings()
	set.Replicas, set.Lanes, set.MailLanes = s.cfg.Streams.Replicas, s.cfg.Worker.Lanes, s.cfg.SMTP.Connections
	set.IntakeAge, set.AuditAge = s.cfg.Streams.Intake.Duration, s.cfg.Streams.Audit.Duration
	set.DeadAge, set.SecretAge = s.cfg.Streams.Dead.Duration, s.cfg.Streams.Secret.Duration
	set.Clock = stream.Clock{ToBroker: s.clock.ToBroker}
	return set
}

// connect opens a role's connection to the broker.
func (s *system) connect(role string) (jetstream.JetStream, error) {
	o := stream.Options{
		Name: "matricula " + role,
		ErrorLog: func(err error) {
			s.log.Warn().Err(err).Str("role", role).Msg("broker")
		},
	}
	if s.broker != nil {
		o.URL, o.More = s.brokerURL, s.broker
	} else {
		o.URL = s.cfg.NATS.URL
		if err := s.login(&o, role); err != nil {
			return nil, err
		}
	}
	nc, err := stream.Connect(o)
	if err != nil {
		return nil, err
	}
	s.onClose(nc.Close)
	return stream.JetStream(nc)
}

// login adds how a role proves to the broker who it is.
func (s *system) login(o *stream.Options, role string) error {
	login := s.cfg.NATS.For(role)
	o.CredsFile, o.InboxPrefix = login.CredsFile.Path, login.InboxPrefix
	if login.NKeyFile.Path != "" {
		key, err := nats.NkeyOptionFromSeed(login.NKeyFile.Path)
		if err != nil {
			return fmt.Errorf("nats.%s.nkey_file: %w", role, err)
		}
		o.More = append(o.More, key)
	}
	if login.User != "" {
		password, err := login.PasswordFile.Text()
		if err != nil {
			return fmt.Errorf("nats.%s.password_file: %w", role, err)
		}
		o.More = append(o.More, nats.UserInfo(login.User, password))
	}
	if s.cfg.NATS.CAFile != "" {
		o.More = append(o.More, nats.RootCAs(string(s.cfg.NATS.CAFile)))
	}
	return nil
}

// publisher commits a role's events; it is drained before its connection
// closes.
func (s *system) publisher(js jetstream.JetStream) *stream.Publisher {
	p := stream.NewPublisher(js)
	s.onClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = p.Close(ctx)
	})
	return p
}

// people opens a role's directory.
func (s *system) people(ctx context.Context, role string, js jetstream.JetStream) (people, error) {
	if s.cfg.LDAP.URL == "" {
		return embeddedPeople(ctx, js)
	}
	bind := s.cfg.LDAP.For(role)
	password, err := bind.PasswordFile.Text()
	if err != nil {
		return nil, fmt.Errorf("ldap.%s.bind_password_file: %w", role, err)
	}
	d, err := directory.Open(ctx, directory.Config{
		URL: s.cfg.LDAP.URL, BindDN: bind.DN, Password: password, Base: s.cfg.LDAP.BaseDN,
		Realm: s.cfg.Institution.Realm, CAFile: string(s.cfg.LDAP.CAFile),
	})
	if err != nil {
		return nil, err
	}
	s.onClose(d.Close)
	return d, nil
}

// bucketPeople is the embedded directory.
type bucketPeople struct{ *kv.Directory }

// Ping asks the bucket for its state.
func (b bucketPeople) Ping(ctx context.Context) error {
	_, err := b.Bucket.Status(ctx)
	return err
}

// Writable answers nil: whether the bucket's broker takes writes is asked apart.
func (b bucketPeople) Writable(context.Context) error { return nil }

// Crowded tells it of the hashes that are made here.
func (b bucketPeople) Crowded() bool { return b.Hasher.Crowded() }

// Waits tells of them, too.
func (b bucketPeople) Waits() <-chan struct{} { return b.Hasher.Waits() }

func embeddedPeople(ctx context.Context, js jetstream.JetStream) (people, error) {
	bucket, err := js.KeyValue(ctx, kv.BucketConfig().Bucket)
	if err != nil {
		return nil, fmt.Errorf("embedded directory: %w", err)
	}
	return bucketPeople{&kv.Directory{Bucket: bucket, Hasher: directory.NewHasher(directory.Argon2{}, 0)}}, nil
}

// key reads a secret of at least 32 bytes, base64 on one line as setup writes
// it.
func key(name string, s Secret) ([]byte, error) {
	text, err := s.Text()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(raw) < 32 {
		return nil, fmt.Errorf("%s: not a key: make one with matricula setup", name)
	}
	return raw, nil
}

// tickets are the keys that letters' links are sealed with: the current one
// and, while letters are under way, the one before.
func (s *system) tickets() (account.Tickets, error) {
	current, err := key("keys.ticket_file", s.cfg.Keys.TicketFile)
	if err != nil {
		return account.Tickets{}, err
	}
	t := account.Tickets{Keys: [][]byte{current}}
	if s.cfg.Keys.TicketOldFile.Path != "" {
		old, err := key("keys.ticket_old_file", s.cfg.Keys.TicketOldFile)
		if err != nil {
			return account.Tickets{}, err
		}
		t.Keys = append(t.Keys, old)
	}
	return t, nil
}

// lifecycle is what every role's lifecycle has in common.
func (s *system) lifecycle() *account.Lifecycle {
	letters := account.DefaultLetterRules()
	l := s.cfg.Letters
	letters.InviteBefore, letters.Reminder = l.InviteBefore.Duration, l.ReminderAfter.Duration
	if l.Reminders == 0 {
		letters.Reminder = 0
	}
	letters.Valid.AtLeast, letters.Valid.AfterStart = l.InvitationValid.Duration, l.AfterStart.Duration
	letters.ResetValid, letters.WaitForPerson = l.ResetValid.Duration, s.cfg.Worker.Unknown.Duration
	return &account.Lifecycle{
		Windows: s.cfg.Windows(), PasswordRules: s.cfg.Password.Rules(), Letters: letters, Leaving: s.cfg.Leaving.Rules(),
		Realm: s.cfg.Institution.Realm, Synthetic: s.cfg.AllowSynthetic, Now: s.clock.Now,
		Report: func(what string, err error) {
			s.log.Warn().Err(err).Str("what", what).Msg("published later or not at all")
		},
	}
}

// openAdmin is an operator's command: settings, a connection as admin.
func openAdmin(c *cobra.Command) (*system, error) { return openAs(c, roleOperator) }

// openAs is a command with a role's connection. It reaches the embedded broker
// of a running demo or serve through data_dir.
func openAs(c *cobra.Command, role string) (*system, error) {
	cfg, err := loadConfig(c)
	if err != nil {
		return nil, err
	}
	s := &system{cfg: cfg, log: newLog(cfg.Log, c), clock: &clock{}}
	if cfg.NATS.URL == "" {
		if !cfg.Embedded {
			return nil, usage("nats.url is empty: name the broker in the configuration (--config FILE)")
		}
		if s.brokerURL, s.broker, err = standalone.Reach(cfg.brokerDir()); err != nil {
			return nil, fmt.Errorf("data_dir %s: %w: start matricula serve or matricula demo first", cfg.DataDir, err)
		}
		if err := s.clock.follow(string(cfg.DataDir)); err != nil {
			s.close()
			return nil, fmt.Errorf("clock of the demo: %w", err)
		}
	}
	if s.js, err = s.connect(role); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}
