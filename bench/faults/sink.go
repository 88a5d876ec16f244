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
	server *smtp.Server
	addr   string

	mu      sync.Mutex
	random  *rand.Rand
	letters []letter
	tempt   trouble
	hooked  func() // called between the last dot and the answer
}

// trouble is what goes wrong, as parts of one.
type trouble struct {
	drop, temporary, refuse float64 // after the last dot; 451 at DATA; 550 at RCPT
	wait                    time.Duration
}

var linkPattern = regexp.MustCompile(`https?://[^\s"<>]+/a/[A-Za-z0-9_-]{43}`)

func newSink(random *rand.Rand) (*sink, error) {
	s := &sink{random: random}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.addr = l.Addr().String()
	s.server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &dialogue{sink: s, conn: c}, nil }))
	s.server.Domain = "localhost"
	s.server.MaxMessageBytes = 1 << 20
	go func() { _ = s.server.Serve(l) }()
	return s, nil
}

func (s *sink) stop() { _ = s.server.Close() }

func (s *sink) trouble(t trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tempt = t
}

func (s *sink) hook(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooked = f
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

func (d *dialogue) Mail(string, *smtp.MailOptions) error { return nil }

func (d *dialogue) Rcpt(to string, _ *smtp.RcptOptions) error {
	if d.sink.rolls(func(t trouble) float64 { return t.refuse }) {
		return &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "too busy"}
	}
	d.to = to
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
	wait, hooked := d.sink.tempt.wait, d.sink.hooked
	i := len(d.sink.letters)
	d.sink.letters = append(d.sink.letters, l)
	d.sink.mu.Unlock()
	if hooked != nil {
		hooked()
	}
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
