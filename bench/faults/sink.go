package faults

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-smtp"
)

// letter is one message that was taken, whole, over SMTP.
type letter struct {
	At        time.Time
	To        string
	Template  string
	MessageID string
	Content   string // hash of header and body
	Link      string
	Answered  bool // the relay said 250; else the connection broke first
}

// sink is a relay that keeps what it took, and makes trouble.
type sink struct {
	servers map[string]*door
	listen  net.Listener
	addr    string
	ca      string // who signed its certificate

	mu      sync.Mutex
	random  *rand.Rand
	letters []letter
	tempt   trouble
	refused map[string]int // how often an address was offered that is refused for good
	grey    map[string]bool
	naked   int // letters that were offered without protection
}

// What the relay is to who connects.
const (
	sound    = "sound"
	stripped = "stripped" // offers no STARTTLS: somebody in between took it away
	outdated = "outdated" // its certificate has run out
	another  = "another"  // its certificate is another server's
)

// door is one way into the relay.
type door struct {
	*smtp.Server
	conns chan net.Conn
	addr  net.Addr
}

func (d *door) Accept() (net.Conn, error) {
	c, open := <-d.conns
	if !open {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (d *door) Close() error   { return nil }
func (d *door) Addr() net.Addr { return d.addr }

// quiet keeps what the server library says out of the report.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// nobody begins every address that no mailbox is behind.
const nobody = "nobody."

// trouble is what goes wrong, as parts of one.
type trouble struct {
	drop, temporary, refuse float64 // after the last dot; 451 at DATA; 550 at RCPT
	wait                    time.Duration
	door                    string // sound when empty
	greylist                bool   // everybody's first attempt
}

// what names the trouble for the count of faults.
func (t trouble) what() string {
	switch {
	case t.door != "":
		return t.door
	case t.greylist:
		return "greylist"
	case t.temporary > 0:
		return "4xx"
	}
	return ""
}

var linkPattern = regexp.MustCompile(`https?://[^\s"<>]+/a/[A-Za-z0-9_-]{43}`)

func newSink(random *rand.Rand) (*sink, error) {
	s := &sink{random: random, servers: map[string]*door{}, refused: map[string]int{}, grey: map[string]bool{}}
	ca, err := newAuthority()
	if err != nil {
		return nil, err
	}
	s.ca = ca.PEM
	if s.listen, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	s.addr = s.listen.Addr().String()
	for name, cert := range map[string]struct {
		name  string
		until time.Time
	}{
		sound: {"127.0.0.1", time.Now().Add(20 * time.Hour)}, stripped: {}, another: {"relay.example", time.Now().Add(20 * time.Hour)},
		outdated: {"127.0.0.1", time.Now().Add(-time.Hour)},
	} {
		d := &door{conns: make(chan net.Conn), addr: s.listen.Addr()}
		d.Server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &dialogue{sink: s, conn: c}, nil }))
		d.Domain, d.MaxMessageBytes, d.ErrorLog = "localhost", 1<<20, quiet{}
		if cert.name != "" {
			if d.TLSConfig, err = ca.server(cert.name, cert.until); err != nil {
				return nil, err
			}
		}
		s.servers[name] = d
		go func() { _ = d.Serve(d) }()
	}
	go s.accept()
	return s, nil
}

func (s *sink) accept() {
	for {
		c, err := s.listen.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		name := s.tempt.door
		s.mu.Unlock()
		if name == "" {
			name = sound
		}
		s.servers[name].conns <- c
	}
}

func (s *sink) stop() {
	_ = s.listen.Close()
	for _, d := range s.servers {
		close(d.conns)
		_ = d.Server.Close()
	}
}

func (s *sink) trouble(t trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tempt = t
}

// rolls says whether something of this probability happens now.
func (s *sink) rolls(p func(trouble) float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.Float64() < p(s.tempt)
}

// taken are all letters so far.
func (s *sink) taken() []letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]letter(nil), s.letters...)
}

// to are the letters of one template to one address.
func (s *sink) to(address, template string) []letter {
	var out []letter
	for _, l := range s.taken() {
		if l.To == address && l.Template == template {
			out = append(out, l)
		}
	}
	return out
}

type dialogue struct {
	sink *sink
	conn *smtp.Conn
	to   string
}

func (d *dialogue) Reset()        { d.to = "" }
func (d *dialogue) Logout() error { return nil }

func (d *dialogue) Mail(string, *smtp.MailOptions) error {
	if _, secret := d.conn.TLSConnectionState(); !secret {
		d.sink.mu.Lock()
		d.sink.naked++
		d.sink.mu.Unlock()
	}
	return nil
}

func (d *dialogue) Rcpt(to string, _ *smtp.RcptOptions) error {
	if d.sink.rolls(func(t trouble) float64 { return t.refuse }) {
		return &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "too busy"}
	}
	d.to = to
	d.sink.mu.Lock()
	defer d.sink.mu.Unlock()
	if strings.HasPrefix(to, nobody) {
		d.sink.refused[to]++
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	if d.sink.tempt.greylist && !d.sink.grey[to] {
		d.sink.grey[to] = true
		return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 0}, Message: "greylisted, come back"}
	}
	return nil
}

func (d *dialogue) Data(r io.Reader) error {
	if d.sink.rolls(func(t trouble) float64 { return t.temporary }) {
		_, _ = io.Copy(io.Discard, r)
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted"}
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	l, err := read(raw)
	if err != nil {
		return err
	}
	l.To, l.At = d.to, time.Now()
	drop := d.sink.rolls(func(t trouble) float64 { return t.drop })
	d.sink.mu.Lock()
	wait := d.sink.tempt.wait
	i := len(d.sink.letters)
	d.sink.letters = append(d.sink.letters, l)
	d.sink.mu.Unlock()
	if wait > 0 {
		time.Sleep(wait) // a relay that is slow to answer
	}
	if drop {
		_ = d.conn.Conn().Close()
		return errors.New("dropped")
	}
	d.sink.mu.Lock()
	d.sink.letters[i].Answered = true
	d.sink.mu.Unlock()
	return nil
}

// read takes a message apart.
func read(raw []byte) (letter, error) {
	m, err := mail.CreateReader(bytes.NewReader(raw))
	if err != nil {
		return letter{}, err
	}
	l := letter{Template: m.Header.Get("X-Matricula-Letter"), MessageID: m.Header.Get("Message-ID")}
	sum := sha256.New()
	for {
		p, err := m.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return letter{}, err
		}
		text, err := io.ReadAll(p.Body)
		if err != nil {
			return letter{}, err
		}
		_, _ = sum.Write(text)
		if found := linkPattern.Find(text); l.Link == "" && found != nil {
			l.Link = string(found)
		}
	}
	l.Content = hex.EncodeToString(sum.Sum(nil))
	return l, nil
}
