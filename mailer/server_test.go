package mailer_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"io"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"usn.no/matricula/mailer"
)

// fault is what the server does instead of the right thing. It strikes Times
// times (0: always) at a verb: CONNECT, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA,
// BODY (in the middle of the message), DOT (after its last line), RSET. To
// narrows it to one recipient.
type fault struct {
	At    string
	To    string
	Times int
	Do    string // a reply line, or one of the words below
}

const (
	cut        = "cut"      // close the connection without an answer
	takeAndCut = "take+cut" // store the message, then close without an answer
	// answerAndCut: store the message, answer, then close
	answerAndCut = "take+answer+cut"

	stall     = "stall"      // say nothing until the client goes away
	takeStall = "take+stall" // store the message, then say nothing
	tarpit    = "tarpit"     // answer right, one byte at a time
	halfClose = "half-close" // close the sending side only
	keepOpen  = "554 5.6.0 refused and the transaction stays open"
	garbage   = "\x00\xffwhat"
	flood     = "250-first line of many"
)

type accepted struct{ From, To, Raw string }

// server is an SMTP server whose faults are exact.
type server struct {
	t    testing.TB
	ln   net.Listener
	tls  *tls.Config // offers STARTTLS
	auth bool
	// together offers PIPELINING. hasty asks for a text also where it took no
	// recipient, as some servers do.
	together, hasty bool
	noStop          chan struct{}
	stalled         chan struct{} // told of each stall

	mu       sync.Mutex
	faults   []fault
	struck   []int
	taken    []accepted
	dials    int
	login    []string
	commands []string
}

func serve(t testing.TB, s *server) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.t, s.ln, s.noStop, s.struck = t, ln, make(chan struct{}), make([]int, len(s.faults))
	s.stalled = make(chan struct{}, 100)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.talk(c) })
		}
	})
	t.Cleanup(func() { close(s.noStop); _ = ln.Close(); wg.Wait() })
	return s
}

func (s *server) settings() mailer.RelaySettings {
	return mailer.RelaySettings{
		Host: "127.0.0.1", Port: s.ln.Addr().(*net.TCPAddr).Port, TLS: mailer.TLSNone,
		Connections: 1, Timeout: time.Minute, Idle: time.Hour, Hello: "test.example.no",
		Slowest: 60_000, Pause: time.Millisecond, // tests move the clock and do not wait
	}
}

// find answers the fault that strikes now.
func (s *server) find(at, to string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.At == at && (f.To == "" || strings.Contains(to, f.To)) && (f.Times == 0 || s.struck[i] < f.Times) {
			s.struck[i]++
			return f.Do
		}
	}
	return ""
}

func (s *server) take(from, to, raw string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = append(s.taken, accepted{from, to, raw})
}

func (s *server) mails(to string) []accepted {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []accepted
	for _, m := range s.taken {
		if strings.Contains(m.To, to) {
			out = append(out, m)
		}
	}
	return out
}

func (s *server) dialled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dials
}

// session is one connection.
type session struct {
	*server
	c        net.Conn
	r        *bufio.Reader
	from, to string
	in, rcpt bool // a transaction is open; it has a recipient
}

func (s *server) talk(c net.Conn) {
	s.mu.Lock()
	s.dials++
	s.mu.Unlock()
	n := &session{server: s, c: c, r: bufio.NewReader(c)}
	gone := make(chan struct{})
	defer close(gone)
	go func() {
		select {
		case <-s.noStop:
			_ = c.Close()
		case <-gone:
		}
	}()
	defer func() { _ = n.c.Close() }()
	if !n.answer("CONNECT", "220 relay.example.no ESMTP") {
		return
	}
	for {
		line, err := n.r.ReadString('\n')
		if err != nil {
			return
		}
		s.mu.Lock()
		s.commands = append(s.commands, strings.TrimSpace(line))
		s.mu.Unlock()
		verb, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		if !n.command(strings.ToUpper(verb), rest) {
			return
		}
	}
}

// answer sends the reply, or does what the fault at this place says. It
// answers whether the connection lives and the verb was accepted.
func (n *session) answer(at, right string) bool {
	return n.act(n.find(at, n.to), right)
}

func (n *session) act(do, right string) bool {
	switch do {
	case "":
		return n.say(right)
	case cut, takeAndCut:
		return false
	case stall, takeStall:
		n.stalled <- struct{}{}
		_, _ = io.Copy(io.Discard, n.r) // until the client goes away
		return false
	case halfClose:
		_ = n.c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, n.r)
		return false
	case tarpit:
		for _, b := range []byte(right + "\r\n") {
			if _, err := n.c.Write([]byte{b}); err != nil {
				return false
			}
			select {
			case <-time.After(2 * time.Millisecond):
			case <-n.noStop:
				return false
			}
		}
		return true
	default:
		return n.say(do) && !strings.HasPrefix(do, "421")
	}
}

func (n *session) say(line string) bool {
	_, err := n.c.Write([]byte(line + "\r\n"))
	return err == nil
}

func (n *session) command(verb, rest string) bool {
	switch verb {
	case "EHLO":
		lines := []string{"250-relay.example.no", "250-ENHANCEDSTATUSCODES", "250-8BITMIME"}
		if n.together {
			lines = append(lines, "250-PIPELINING")
		}
		if n.auth {
			lines = append(lines, "250-AUTH PLAIN LOGIN")
		}
		if _, secure := n.c.(*tls.Conn); n.tls != nil && !secure {
			lines = append(lines, "250-STARTTLS")
		}
		return n.answer("EHLO", strings.Join(append(lines, "250 SMTPUTF8"), "\r\n"))
	case "STARTTLS":
		if !n.answer("STARTTLS", "220 go on") {
			return false
		}
		secure := tls.Server(n.c, n.tls)
		n.c, n.r = secure, bufio.NewReader(secure)
		return secure.Handshake() == nil
	case "AUTH":
		n.mu.Lock()
		n.login = append(n.login, rest)
		n.mu.Unlock()
		return n.answer("AUTH", "235 2.7.0 welcome")
	case "MAIL":
		if n.in {
			return n.say("503 5.5.1 nested MAIL command")
		}
		n.from, n.to, n.rcpt = rest, "", false
		return n.open("MAIL", "250 2.1.0 ok", rest, &n.in)
	case "RCPT":
		n.to = rest
		if !n.in {
			return n.say("503 5.5.1 MAIL first")
		}
		return n.open("RCPT", "250 2.1.5 ok", rest, &n.rcpt)
	case "DATA":
		return n.data()
	case "RSET":
		n.in = false
		return n.answer("RSET", "250 2.0.0 ok")
	case "QUIT":
		_ = n.say("221 2.0.0 bye")
		return false
	}
	return n.say("500 5.5.2 what")
}

// open answers MAIL or RCPT; only a good answer opens what follows.
func (n *session) open(at, right, rest string, opened *bool) bool {
	do := n.find(at, rest)
	*opened = do == "" || do == tarpit
	return n.act(do, right)
}

func (n *session) data() bool {
	if do := n.find("DATA", n.to); do != "" {
		if do == keepOpen {
			return n.say(do) // n.in stays
		}
		if do == cut {
			return false
		}
		n.in = false
		return n.act(do, "354 go on") && do != tarpit
	}
	if !n.in || !n.rcpt && !n.hasty {
		return n.say("554 5.5.1 no valid recipients")
	}
	if !n.say("354 go on") {
		return false
	}
	var body strings.Builder
	broken := n.find("BODY", n.to)
	for {
		line, err := n.r.ReadString('\n')
		if err != nil {
			return false
		}
		if broken != "" && body.Len() > 500 {
			return false
		}
		if line == ".\r\n" {
			break
		}
		body.WriteString(strings.TrimPrefix(line, "."))
	}
	n.in = false
	do := n.find("DOT", n.to)
	if do == "" || strings.HasPrefix(do, "take") || do == tarpit || do == halfClose || do == garbage || do == flood {
		n.take(n.from, n.to, body.String())
	}
	return n.finish(do)
}

func (n *session) finish(do string) bool {
	right := "250 2.0.0 queued as Q1"
	switch do {
	case "":
		return n.say(right)
	case answerAndCut:
		_ = n.say(right)
		return false
	case flood:
		return n.say("250-2.0.0 thank you\r\n250-2.0.0 very much\r\n" + right)
	}
	return n.act(do, right)
}

// certificate makes a certificate for names, signed by itself.
func certificate(t testing.TB, ips []net.IP, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "relay"}, DNSNames: names, IPAddresses: ips,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func plainLogin(user, password string) string {
	return "PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password))
}
