package directory

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
)

// dialer makes connections as the configuration says.
type dialer struct {
	config   Config
	url      string
	tls      *tls.Config
	startTLS bool
}

func newDialer(c Config) (*dialer, error) {
	c = c.withDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	address, host, start, err := c.address()
	if err != nil {
		return nil, err
	}
	t := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ldap: %w: ca_file: %w", account.ErrInvalid, err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ldap: %w: ca_file holds no certificate", account.ErrInvalid)
		}
	}
	return &dialer{config: c, url: address, tls: t, startTLS: start}, nil
}

// dial connects and says nothing yet.
func (d *dialer) dial(ctx context.Context) (*ldap.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	nd := &net.Dialer{Timeout: d.config.DialTimeout, KeepAlive: 30 * time.Second}
	if deadline, ok := ctx.Deadline(); ok {
		nd.Deadline = deadline
	}
	c, err := ldap.DialURL(d.url, ldap.DialWithDialer(nd), ldap.DialWithTLSConfig(d.tls))
	if err != nil {
		return nil, err
	}
	c.SetTimeout(d.config.Timeout) // without it a request waits for ever
	if d.startTLS {
		if err := c.StartTLS(d.tls); err != nil {
			_ = c.Close() // its reader is gone: every later call would hang
			return nil, fmt.Errorf("starttls: %w", err)
		}
	}
	return c, nil
}

// service connects as the service account.
func (d *dialer) service(ctx context.Context) (*ldap.Conn, error) {
	c, err := d.dial(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.Bind(d.config.BindDN, d.config.Password); err != nil {
		_ = c.Close()
		return nil, fmt.Errorf("service account: %w", err)
	}
	return c, nil
}

// conns are the two long-lived connections of a service account. Requests of
// many callers share them; nobody ever binds on one or leaves a result unread.
type conns struct {
	dialer *dialer
	next   atomic.Uint64
	slot   [2]conn
}

type conn struct {
	mu     sync.Mutex // held while dialing, so that one caller dials for all
	ldap   *ldap.Conn
	closed bool
	fails  int
	err    error
	retry  time.Time
}

const (
	firstPause = 50 * time.Millisecond
	longPause  = 5 * time.Second
)

func newConns(d *dialer) *conns { return &conns{dialer: d} }

// get answers a connection, in turn, and the other one where that one cannot be
// had. After a failed attempt a slot answers with that failure for a while,
// longer each time, so that a directory that comes back is not met by everybody
// at once.
func (cs *conns) get(ctx context.Context) (c *ldap.Conn, err error) {
	first := cs.next.Add(1)
	for i := range uint64(len(cs.slot)) {
		if c, err = cs.slot[(first+i)%uint64(len(cs.slot))].get(ctx, cs.dialer); err == nil {
			return c, nil
		}
	}
	return nil, err
}

func (s *conn) get(ctx context.Context, d *dialer) (*ldap.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, errors.New("directory is closed")
	case s.ldap != nil && !s.ldap.IsClosing():
		return s.ldap, nil
	case time.Now().Before(s.retry):
		return nil, s.err
	}
	c, err := d.service(ctx)
	if err != nil && ctx.Err() != nil {
		return nil, err // the caller gave up, which says nothing about the server
	}
	if err != nil {
		s.err = err
		pause := min(firstPause<<min(s.fails, 10), longPause)
		s.retry = time.Now().Add(pause/2 + rand.N(pause/2))
		s.fails++
		return nil, err
	}
	s.ldap, s.fails, s.err = c, 0, nil
	return c, nil
}

// drop closes a connection that failed; whoever else waits on it learns so.
func (cs *conns) drop(c *ldap.Conn) { _ = c.Close() }

func (cs *conns) close() {
	for i := range cs.slot {
		s := &cs.slot[i]
		s.mu.Lock()
		s.closed = true
		if s.ldap != nil {
			_ = s.ldap.Close()
		}
		s.mu.Unlock()
	}
}

// tries is how often a request is sent when no answer comes.
const tries = 3

// ask sends a request that changes nothing, again on another connection when
// the one it was on turns out dead.
func (d *Directory) ask(ctx context.Context, f func(*ldap.Conn) error) error {
	_, err := d.tell(ctx, f)
	return err
}

// writesAtOnce is how many writes of one process the server has at a time. It
// does one after the other; more would hold the threads that others read with,
// and the time of a request runs while it waits there.
const writesAtOnce = 8

// write is tell for a request that changes something. Where the server has
// enough of them it waits here, for as long as its caller has time.
func (d *Directory) write(ctx context.Context, f func(*ldap.Conn) error) (again bool, err error) {
	select {
	case d.writes <- struct{}{}:
		defer func() { <-d.writes }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return d.tell(ctx, f)
}

// tell sends a request until the server answers it. again says that an earlier
// try got no answer and may have been done: the request must be one that the
// server refuses the second time. When no try is answered the error is an
// outage and nobody knows.
func (d *Directory) tell(ctx context.Context, f func(*ldap.Conn) error) (again bool, err error) {
	for range tries {
		if ctx.Err() != nil {
			return again, errors.Join(ctx.Err(), err)
		}
		c, dialErr := d.conns.get(ctx)
		if dialErr != nil {
			return again, errors.Join(dialErr, err)
		}
		err = f(c)
		if err == nil || answered(err) >= 0 {
			return again, err
		}
		d.conns.drop(c)
		again = true
	}
	return again, err
}
