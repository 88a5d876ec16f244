package mailer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	mail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
	"golang.org/x/time/rate"
)

// How a connection to the relay is protected.
const (
	TLSMandatory     = "mandatory"     // STARTTLS or nothing: the default
	TLSImplicit      = "implicit"      // TLS from the first byte, port 465
	TLSOpportunistic = "opportunistic" // STARTTLS where offered: whoever sits between can take it away
	TLSNone          = "none"          // clear text, for a relay on this machine
)

// RelaySettings say which relay takes the letters and how it is treated. Zero
// values of the numbers mean the default in parentheses.
type RelaySettings struct {
	Host           string
	Port           int // (587, or 465 with TLSImplicit)
	User, Password string
	TLS            string         // ("mandatory")
	Roots          *x509.CertPool // (the system's)
	Hello          string         // name to greet with (the machine's)

	Connections int           // at once (4)
	PerMinute   int           // letters (no limit)
	Timeout     time.Duration // for one letter, and for connecting (60 s)
	Idle        time.Duration // a connection unused for so long is closed (60 s)
	MaxLetters  int           // on one connection (100)
}

// Relay hands messages to an SMTP relay over a few connections that are kept.
// It is safe for concurrent use.
type Relay struct {
	settings RelaySettings
	options  []mail.Option
	tls      *tls.Config
	limit    *rate.Limiter
	slots    chan struct{}

	mu   sync.Mutex
	idle []*conn // the last one used is used next
}

// NewRelay checks the settings. It connects to nothing.
func NewRelay(s RelaySettings) (*Relay, error) {
	if s.TLS == "" {
		s.TLS = TLSMandatory
	}
	if s.Port == 0 {
		s.Port = 587
		if s.TLS == TLSImplicit {
			s.Port = 465
		}
	}
	s.Connections = orDefault(s.Connections, 4)
	s.MaxLetters = orDefault(s.MaxLetters, 100)
	s.Timeout = orDefault(s.Timeout, time.Minute)
	s.Idle = orDefault(s.Idle, time.Minute)
	policies := map[string]mail.TLSPolicy{
		TLSMandatory: mail.TLSMandatory, TLSNone: mail.NoTLS, TLSOpportunistic: mail.TLSOpportunistic,
		// The dialer has done it by then; this policy makes go-mail see that.
		TLSImplicit: mail.TLSOpportunistic,
	}
	policy, ok := policies[s.TLS]
	if !ok {
		return nil, fmt.Errorf("smtp tls: %q is not mandatory, implicit, opportunistic or none", s.TLS)
	}
	if s.Connections < 1 || s.PerMinute < 0 || s.Timeout < 0 || s.MaxLetters < 1 {
		return nil, errors.New("smtp: connections, rate and timeout must not be negative")
	}
	if s.Host == "" {
		return nil, errors.New("smtp host: is empty")
	}
	if (s.User == "") != (s.Password == "") {
		return nil, errors.New("smtp user and password_file: one is set without the other")
	}
	r := &Relay{
		settings: s, slots: make(chan struct{}, s.Connections), limit: rate.NewLimiter(rate.Inf, 1),
		tls: &tls.Config{ServerName: s.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12},
	}
	if s.PerMinute > 0 {
		r.limit = rate.NewLimiter(rate.Limit(float64(s.PerMinute)/60), 1)
	}
	r.options = []mail.Option{
		mail.WithPort(s.Port), mail.WithTimeout(s.Timeout), mail.WithTLSPolicy(policy), mail.WithTLSConfig(r.tls),
		// Seven round trips a letter become four. The deadline is renewed once
		// per call, so each call carries one message.
		mail.WithoutNoop(), mail.WithoutRset(),
		// Addresses are ASCII; a server that advertises SMTPUTF8 would get it
		// on every MAIL.
		mail.WithoutSMTPUTF8(),
	}
	if s.Hello != "" {
		r.options = append(r.options, mail.WithHELO(s.Hello))
	}
	if s.User != "" {
		r.options = append(r.options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(s.User), mail.WithPassword(s.Password))
	}
	if _, err := mail.NewClient(s.Host, r.options...); err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	return r, nil
}

func orDefault[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// Send offers one message. It waits for its turn under the rate and for a free
// connection. When ctx ends, the connection is cut; what was on its way then
// is Unknown if its last line was out, else Connection.
func (r *Relay) Send(ctx context.Context, m *message) Reply {
	if err := r.limit.Wait(ctx); err != nil {
		return Reply{Outcome: Connection, Err: err}
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return Reply{Outcome: Connection, Err: ctx.Err()}
	}
	if c := r.reuse(); c != nil {
		v := r.offer(ctx, c, m)
		if !v.stale || ctx.Err() != nil {
			return v.Reply
		}
		// The relay had closed it meanwhile, and nothing of the letter was
		// offered: that is no answer to this letter.
	}
	c, err := r.dial(ctx)
	if err != nil {
		return Reply{Outcome: Connection, Err: inert(err)}
	}
	return r.offer(ctx, c, m).Reply
}

// offer sends m over c and keeps c where its state is beyond doubt.
func (r *Relay) offer(ctx context.Context, c *conn, m *message) verdict {
	stop := context.AfterFunc(ctx, c.cut)
	v := classify(m.msg, c.client.SendWithSMTPClient(c.smtp, m.msg))
	if cut := !stop(); cut {
		v.drop = true
		if v.Outcome == Retry {
			v.Reply = Reply{Outcome: Connection, Err: context.Cause(ctx)}
		}
	}
	c.letters++
	c.used = time.Now()
	if !v.drop && v.Outcome != Sent && c.smtp.Reset() != nil {
		v.drop = true
	}
	if v.drop {
		c.cut()
		return v
	}
	if c.letters >= r.settings.MaxLetters {
		c.quit()
		return v
	}
	r.mu.Lock()
	r.idle = append(r.idle, c)
	r.mu.Unlock()
	return v
}

// reuse answers a kept connection that is not too old, or nil.
func (r *Relay) reuse() *conn {
	r.mu.Lock()
	var old []*conn
	r.idle = slices.DeleteFunc(r.idle, func(c *conn) bool {
		if time.Since(c.used) < r.settings.Idle {
			return false
		}
		old = append(old, c)
		return true
	})
	var c *conn
	if n := len(r.idle); n > 0 {
		c, r.idle = r.idle[n-1], r.idle[:n-1]
	}
	r.mu.Unlock()
	for _, o := range old {
		o.quit()
	}
	return c
}

// Close says goodbye on every idle connection. Letters on their way keep
// theirs.
func (r *Relay) Close() {
	r.mu.Lock()
	idle := r.idle
	r.idle = nil
	r.mu.Unlock()
	for _, c := range idle {
		c.quit()
	}
}

// conn is one connection. raw is kept beside go-mail's client, because the
// client can be closed only between two commands.
type conn struct {
	raw     net.Conn
	client  *mail.Client
	smtp    *smtp.Client
	letters int
	used    time.Time
}

func (r *Relay) dial(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, r.settings.Timeout)
	defer cancel()
	c := &conn{used: time.Now()}
	stop := func() bool { return true }
	// The context that go-mail gives is over when its call returns: the
	// connection must outlive it.
	dialer := func(_ context.Context, network, addr string) (net.Conn, error) {
		raw, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c.raw = raw
		stop = context.AfterFunc(ctx, c.cut)
		if r.settings.TLS != TLSImplicit {
			return raw, nil
		}
		secure := tls.Client(raw, r.tls)
		return secure, secure.HandshakeContext(ctx)
	}
	client, err := mail.NewClient(r.settings.Host, append(slices.Clone(r.options), mail.WithDialContextFunc(dialer))...)
	if err != nil {
		return nil, err
	}
	c.client = client
	c.smtp, err = client.DialToSMTPClientWithContext(ctx)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		c.cut() // go-mail leaves it open
		return nil, err
	}
	return c, nil
}

// cut ends the connection without a word: after an unfinished DATA a QUIT
// would end the message too, and the server would take half of it.
func (c *conn) cut() {
	if c.raw != nil {
		_ = c.raw.Close()
	}
}

// quit says goodbye, for a second at most. It is only for a connection on
// which no letter is unfinished.
func (c *conn) quit() {
	_ = c.smtp.UpdateDeadline(time.Second)
	_ = c.smtp.Quit()
	c.cut()
}
