package mailer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"time"

	mail "github.com/wneessen/go-mail"
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
	PerDay      int           // letters in any 24 hours (no limit)
	Slowest     int           // letters a minute, however often the relay refuses (2)
	Timeout     time.Duration // for one letter, and for connecting (60 s)
	Idle        time.Duration // a connection unused for so long is closed (60 s)
	MaxLetters  int           // on one connection (100)
	Pause       time.Duration // first one after connections that failed; they double (5 s)
}

// Relay hands messages to an SMTP relay over a few connections that are kept.
// It is safe for concurrent use.
type Relay struct {
	settings RelaySettings
	options  []mail.Option
	tls      *tls.Config
	gate     *gate
	breaker  breaker

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
	s.Slowest = orDefault(s.Slowest, 2)
	s.Timeout = orDefault(s.Timeout, time.Minute)
	s.Idle = orDefault(s.Idle, time.Minute)
	s.Pause = orDefault(s.Pause, breakerFirst)
	policies := map[string]mail.TLSPolicy{
		TLSMandatory: mail.TLSMandatory, TLSNone: mail.NoTLS, TLSOpportunistic: mail.TLSOpportunistic,
		// The dialer has done it by then; this policy makes go-mail see that.
		TLSImplicit: mail.TLSOpportunistic,
	}
	policy, ok := policies[s.TLS]
	if !ok {
		return nil, fmt.Errorf("smtp tls: %q is not mandatory, implicit, opportunistic or none", s.TLS)
	}
	if s.Connections < 1 || s.PerMinute < 0 || s.PerDay < 0 || s.Slowest < 0 || s.Timeout < 0 || s.MaxLetters < 1 {
		return nil, errors.New("smtp: connections, rate and timeout must not be negative")
	}
	if s.Host == "" {
		return nil, errors.New("smtp host: is empty")
	}
	if (s.User == "") != (s.Password == "") {
		return nil, errors.New("smtp user and password_file: one is set without the other")
	}
	r := &Relay{
		settings: s, gate: newGate(s.Connections, s.PerMinute, s.PerDay, s.Slowest), breaker: breaker{first: s.Pause},
		tls: &tls.Config{ServerName: s.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12},
	}
	r.options = []mail.Option{
		mail.WithPort(s.Port), mail.WithTimeout(s.Timeout), mail.WithTLSPolicy(policy), mail.WithTLSConfig(r.tls),
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

// Send offers one message. It waits for its turn: so many at once and so many
// a minute, the longest waiting first, urgent ones before all others. A relay
// that refuses for now is sent less; one that cannot be reached is left alone
// for a while. When ctx ends, the connection is cut; what was on its way then
// is Unknown if its last line was out, else Connection.
func (r *Relay) Send(ctx context.Context, m *message) Reply {
	if err := r.gate.enter(ctx, m.urgent); err != nil {
		return Reply{Outcome: Connection, Err: err}
	}
	defer r.gate.leave()
	reply := r.attempt(ctx, m)
	if wantsLess(reply) {
		r.gate.slow()
	}
	return reply
}

func (r *Relay) attempt(ctx context.Context, m *message) Reply {
	if c := r.reuse(); c != nil {
		v := r.offer(ctx, c, m)
		if !v.stale || ctx.Err() != nil {
			return v.Reply
		}
		// The relay had closed it meanwhile, and nothing of the letter was
		// offered: that is no answer to this letter.
	}
	if err := r.breaker.enter(); err != nil {
		return Reply{Outcome: Connection, Err: err}
	}
	c, err := r.dial(ctx)
	switch {
	case err == nil:
		v := r.offer(ctx, c, m)
		if v.Outcome != Connection || !isLogin(v.Code) { // else offer has told the breaker
			r.breaker.done(nil, false)
		}
		return v.Reply
	case ctx.Err() != nil:
		r.breaker.gaveUp()
	default:
		r.breaker.done(inert(err), refusedLogin(err))
	}
	v := Reply{Outcome: Connection, Err: inert(err)}
	if code := replyCode(err); code < 500 {
		v.Code = code // "too many connections", said in the greeting
	}
	return v
}

func replyCode(err error) int {
	var pe *textproto.Error
	if errors.As(err, &pe) {
		return pe.Code
	}
	return 0
}

func isLogin(code int) bool { return code == 530 || code == 534 || code == 535 || code == 538 }

func refusedLogin(err error) bool { return isLogin(replyCode(err)) }

// wantsLess tells whether a refusal is about how much we send. What is said of
// one mailbox (RFC 3463: X.1.X its address, X.2.X its state) is not.
func wantsLess(r Reply) bool {
	return r.Code >= 400 && r.Code < 500 && r.Outcome != Sent &&
		!strings.HasPrefix(r.Status, "4.1.") && !strings.HasPrefix(r.Status, "4.2.")
}

// State is how a relay is being treated.
type State struct {
	PerMinute float64 // letters allowed now; 0: no limit
	Paused    bool    // it cannot be reached, and is left alone for a while
}

// State is how the relay is treated now.
func (r *Relay) State() State {
	s := State{Paused: r.breaker.open()}
	if pace := r.gate.pace(); !math.IsInf(pace, 1) {
		s.PerMinute = pace * 60
	}
	return s
}

// offer sends m over c and keeps c where its state is beyond doubt.
func (r *Relay) offer(ctx context.Context, c *conn, m *message) verdict {
	stop := context.AfterFunc(ctx, c.cut)
	v := c.offer(m, r.settings.Timeout)
	if cut := !stop(); cut {
		v.drop = true
		if v.Outcome == Retry {
			v.Reply = Reply{Outcome: Connection, Err: context.Cause(ctx)}
		}
	}
	if v.Outcome == Connection && isLogin(v.Code) {
		r.breaker.done(v.Err, true)
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
