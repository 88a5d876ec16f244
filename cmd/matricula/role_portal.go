package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/account"
	"usn.no/matricula/breach"
	"usn.no/matricula/events"
	"usn.no/matricula/portal"
	"usn.no/matricula/stream"
)

// pace is the step in which whoever shows a password is answered: longer than
// a hash, a bind and the counters take on an idle machine.
const pace = 400 * time.Millisecond

// portalRole serves the self-service portal.
type portalRole struct {
	*system
	js       jetstream.JetStream
	people   people
	life     *account.Lifecycle
	witness  *witness
	listener net.Listener
	server   *http.Server
	behind   sync.WaitGroup // what goes on after an answer
}

func (s *system) newPortal(ctx context.Context) (*portalRole, error) {
	js, err := s.connect(rolePortal)
	if err != nil {
		return nil, err
	}
	if err := s.refuseDrift(ctx, js, stream.Audit, "KV_"+stream.BucketLimits, "KV_"+stream.BucketSessions, "KV_"+stream.BucketPINs); err != nil {
		return nil, err
	}
	p, err := s.people(ctx, rolePortal, js)
	if err != nil {
		return nil, err
	}
	r := &portalRole{system: s, js: js, people: p}
	r.witness = s.witness(js, "KV_"+stream.BucketLimits)
	pub := s.publisher(js)
	if r.life, err = s.clicks(pub, p); err != nil {
		return nil, err
	}
	r.life.Clock, r.life.Behind = r.witness.agrees, r.behind.Go
	handler, err := s.pages(r.life, pub, p.Crowded)
	if err != nil {
		return nil, err
	}
	if r.listener = s.listener; r.listener == nil {
		if r.listener, err = net.Listen("tcp", s.cfg.Portal.Listen); err != nil {
			return nil, fmt.Errorf("portal.listen: %w", err)
		}
	}
	s.onClose(func() { _ = r.listener.Close() })
	r.server = portal.NewServer(s.cfg.Portal.Listen, handler)
	return r, nil
}

// clicks is the lifecycle as the portal needs it: it may set passwords and
// claims nothing.
func (s *system) clicks(pub *stream.Publisher, p people) (*account.Lifecycle, error) {
	life := s.lifecycle()
	life.Windows = portalWindows(life.Windows)
	life.Directory, life.Passwords = watchDirectory(p), watchPasswords(p)
	life.Publisher, life.Attempts = watchPublisher(pub), &stream.Counter{Publisher: pub}
	var err error
	if life.Tickets, err = s.tickets(); err != nil {
		return nil, err
	}
	if life.SealRequest, err = s.requestSealer(); err != nil {
		return nil, err
	}
	if err := s.doors(life, pub); err != nil {
		return nil, err
	}
	life.Breached, err = s.breached()
	return life, err
}

// requestSealer closes what somebody typed to the worker: the portal could not
// tell whose number it is, and on the bus nobody is to.
func (s *system) requestSealer() (func(request, text string) (string, error), error) {
	text, err := os.ReadFile(string(s.cfg.Keys.WorkerPublicFile))
	if err != nil {
		return nil, fmt.Errorf("keys.worker_public_file: %w", err)
	}
	pub, err := events.ParseSealPublicKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("keys.worker_public_file: %w", err)
	}
	return func(request, text string) (string, error) {
		return events.Seal(pub, events.LetterRequestInfo(request), []byte(text))
	}, nil
}

// breached looks a password up in the embedded list, then in the index and the
// range service where they are set.
func (s *system) breached() (func(context.Context, string, account.Account) (bool, bool, error), error) {
	c := &breach.Checker{FailClosed: s.cfg.Breach.OnFailure == "closed"}
	if s.cfg.Breach.IndexFile != "" {
		index, err := breach.OpenIndex(string(s.cfg.Breach.IndexFile))
		if err != nil {
			return nil, fmt.Errorf("breach.index_file: %w", err)
		}
		c.Index = index
		s.onClose(func() { _ = index.Close() })
	}
	if s.cfg.Breach.RangeURL != "" {
		c.Range = &breach.Range{URL: s.cfg.Breach.RangeURL}
	}
	return func(ctx context.Context, password string, a account.Account) (found, skipped bool, err error) {
		r, err := c.Check(ctx, password, s.cfg.Institution.Name, a.Username)
		return r.Found, r.Skipped, err
	}, nil
}

func (s *system) pages(life *account.Lifecycle, pub *stream.Publisher, crowded func() bool) (http.Handler, error) {
	secret, err := key("portal.secret_file", s.cfg.Portal.SecretFile)
	if err != nil {
		return nil, err
	}
	site := &portal.Portal{
		Clicks: life, Letters: life, People: life, Changes: life, Sessions: &stream.Sessions{Publisher: pub},
		Times: portal.Times{Idle: s.cfg.Portal.SessionIdle.Duration, Absolute: s.cfg.Portal.SessionMax.Duration}, Pace: pace,
		BaseURL: s.cfg.Portal.BaseURL, Secrets: [][]byte{secret},
		Institution: s.institution(), Password: portal.PasswordRules(s.cfg.Password), Log: s.log, Now: s.clock.Now,
		Crowded: crowded,
	}
	site.PIN = portal.PINSettings{Length: s.cfg.PIN.Length, Elsewhere: s.cfg.PIN.elsewhere(), ElsewhereURL: s.cfg.PIN.ElsewhereURL}
	if life.SealPIN != nil {
		site.PINs = life
	}
	for _, p := range s.cfg.Portal.TrustedProxies {
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			return nil, fmt.Errorf("portal.trusted_proxies: %w", err)
		}
		site.Proxies = append(site.Proxies, prefix)
	}
	return site.Handler()
}

// run serves until ctx ends, then lets the requests in hand finish.
func (r *portalRole) run(ctx context.Context) error {
	failed := make(chan error, 1)
	go func() { failed <- r.server.Serve(r.listener) }()
	go r.witness.watch(ctx)
	go tellCrowded(ctx, r.people.Waits(), r.js.Conn())
	select {
	case err := <-failed:
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("portal: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	err := r.server.Shutdown(grace)
	r.behind.Wait() // bounded: a second each
	return err
}
