package mailer

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"time"

	mail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// conn is one connection. It is made by go-mail, which knows TLS and the
// ways to log in; what is said of letters is ours (dialogue.go). raw is kept
// beside its client, because the client can be closed only between two
// commands.
type conn struct {
	raw     net.Conn
	smtp    *smtp.Client
	letters int
	used    time.Time

	together       bool   // the relay takes commands together
	onMail, onRcpt string // what goes behind the addresses
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
	c.smtp, err = client.DialToSMTPClientWithContext(ctx)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		c.cut() // go-mail leaves it open
		return nil, err
	}
	c.together, _ = c.smtp.Extension("PIPELINING")
	if ok, _ := c.smtp.Extension("DSN"); ok {
		// Tell of failures and delays only, with the headers, which hold the
		// letter's ID, and never with the body, which holds the ticket.
		c.onMail, c.onRcpt = " RET=HDRS", " NOTIFY=FAILURE,DELAY"
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
