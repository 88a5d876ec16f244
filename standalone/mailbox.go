package standalone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// maxMail is the largest message the mailbox takes.
const maxMail = 1 << 20

// Mailbox is an SMTP server that takes everything and delivers nothing, and a
// web page that shows what it took. It listens on loopback only.
//
// Some addresses make trouble, so that a sender can be watched dealing with
// it. They go by what stands before the first "-":
//
//	550-kari@…  any 5xx: refused, always
//	450-kari@…  any 4xx: refused the first time
//	drop-kari@… taken the first time, and the connection cut before the answer
//	slow-kari@… answered after Slow
type Mailbox struct {
	SMTP string           // listen address ("127.0.0.1:0")
	Web  string           // listen address ("127.0.0.1:0")
	Dir  string           // where each message is left as a file, and read from at the start; empty: memory only
	Slow time.Duration    // (3 s)
	Now  func() time.Time // (time.Now)
	// Previews are the letters to sample people that /templates shows, those of
	// one letter beside each other; nil: there is no such page.
	Previews func() ([]Preview, error)

	smtp     *smtp.Server
	web      *http.Server
	mailPort net.Listener
	webPort  net.Listener
	running  sync.WaitGroup
	stop     chan struct{}

	mu      sync.Mutex
	mails   []Message
	seen    map[string]bool // fault addresses that have struck
	arrived chan struct{}   // closed and replaced at each arrival
}

// Start listens.
func (b *Mailbox) Start() error {
	if b.Now == nil {
		b.Now = time.Now
	}
	if b.Slow == 0 {
		b.Slow = 3 * time.Second
	}
	b.seen, b.arrived, b.stop = map[string]bool{}, make(chan struct{}), make(chan struct{})
	if err := b.load(); err != nil {
		return err
	}
	mails, err := listenLoopback(b.SMTP)
	if err != nil {
		return fmt.Errorf("mailbox smtp: %w", err)
	}
	pages, err := listenLoopback(b.Web)
	if err != nil {
		_ = mails.Close()
		return fmt.Errorf("mailbox web: %w", err)
	}
	b.mailPort, b.webPort = mails, pages
	b.smtp = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{box: b, conn: c}, nil }))
	b.smtp.Domain, b.smtp.MaxMessageBytes, b.smtp.MaxRecipients = "mailbox.localhost", maxMail, 1
	b.smtp.ReadTimeout, b.smtp.WriteTimeout = 5*time.Minute, time.Minute
	b.smtp.ErrorLog = log.New(io.Discard, "", 0)
	b.web = &http.Server{Handler: b.Handler(), ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	server := b.smtp
	b.running.Go(func() { _ = server.Serve(mails) })
	web := b.web
	b.running.Go(func() { _ = web.Serve(pages) })
	return nil
}

// listenLoopback refuses an address that others could reach: the mailbox
// shows everybody's letters to whoever asks.
func listenLoopback(addr string) (net.Listener, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	a, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	if a.IP == nil || !a.IP.IsLoopback() {
		return nil, fmt.Errorf("%s is not a loopback address", addr)
	}
	return net.Listen("tcp", addr)
}

// SMTPAddr is where mail is taken, "127.0.0.1:2525".
func (b *Mailbox) SMTPAddr() string { return b.mailPort.Addr().String() }

// URL is the page, without a slash at its end.
func (b *Mailbox) URL() string { return "http://" + b.webPort.Addr().String() }

// Stop ends both servers. It may be called again.
func (b *Mailbox) Stop() {
	if b.smtp == nil {
		return
	}
	close(b.stop)
	_ = b.smtp.Close()
	_ = b.web.Close()
	// A server stopped before it has begun to serve does not know its port yet.
	_ = b.mailPort.Close()
	_ = b.webPort.Close()
	b.running.Wait()
	b.smtp = nil
}

// Messages are what was taken, oldest first.
func (b *Mailbox) Messages() []Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.mails)
}

// Message finds one by its number.
func (b *Mailbox) Message(id int) (Message, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, ok := slices.BinarySearchFunc(b.mails, id, func(m Message, id int) int { return m.ID - id })
	if !ok {
		return Message{}, false
	}
	return b.mails[i], true
}

// Await answers the oldest message that match accepts, and waits for it to
// arrive until ctx ends.
func (b *Mailbox) Await(ctx context.Context, match func(Message) bool) (Message, error) {
	for next := 0; ; {
		b.mu.Lock()
		fresh, arrived := b.mails[next:], b.arrived
		b.mu.Unlock()
		if i := slices.IndexFunc(fresh, match); i >= 0 {
			return fresh[i], nil
		}
		next += len(fresh)
		select {
		case <-arrived:
		case <-ctx.Done():
			return Message{}, fmt.Errorf("no such message among %d: %w", next, ctx.Err())
		}
	}
}

// keep stores a message, first on disk.
func (b *Mailbox) keep(from, to string, body []byte) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := 1
	if n := len(b.mails); n > 0 {
		id = b.mails[n-1].ID + 1
	}
	raw := append(trace(from, to, b.Now()), body...)
	if b.Dir != "" {
		if err := writeFile(filepath.Join(b.Dir, fmt.Sprintf("%06d.eml", id)), raw); err != nil {
			return err
		}
	}
	b.mails = append(b.mails, parseMessage(id, raw))
	close(b.arrived)
	b.arrived = make(chan struct{})
	return nil
}

// writeFile leaves a whole file or none.
func writeFile(path string, content []byte) error {
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// load reads what an earlier run left.
func (b *Mailbox) load() error {
	b.mails = nil
	if b.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(b.Dir, 0o700); err != nil {
		return fmt.Errorf("mailbox folder: %w", err)
	}
	paths, err := filepath.Glob(filepath.Join(b.Dir, "*.eml"))
	if err != nil {
		return fmt.Errorf("mailbox folder: %w", err)
	}
	for _, path := range paths {
		var id int
		if _, err := fmt.Sscanf(filepath.Base(path), "%d.eml", &id); err != nil {
			continue // somebody else's file
		}
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("mailbox folder: %w", err)
		}
		b.mails = append(b.mails, parseMessage(id, raw))
	}
	slices.SortFunc(b.mails, func(a, c Message) int { return a.ID - c.ID })
	return nil
}
