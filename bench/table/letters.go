package table

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// sink is a relay that takes every letter and notes when, and nothing else.
type sink struct {
	addr string
	mu   sync.Mutex
	took map[string][]time.Time
	last []byte // the last letter
}

func newSink(t testing.TB) *sink {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{addr: l.Addr().String(), took: map[string][]time.Time{}}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{sink: s}, nil }))
	server.Domain, server.MaxMessageBytes = "localhost", 1<<20
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

// at is when a letter to an address was first taken.
func (s *sink) at(to string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.took[to]) == 0 {
		return time.Time{}, false
	}
	return s.took[to][0], true
}

// count is how many were taken, and how many of them somebody had already.
func (s *sink) count() (letters, doubled int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ts := range s.took {
		letters += len(ts)
		doubled += len(ts) - 1
	}
	return letters, doubled
}

type session struct {
	sink *sink
	to   string
}

func (s *session) Reset()                                    { s.to = "" }
func (s *session) Logout() error                             { return nil }
func (s *session) Mail(string, *smtp.MailOptions) error      { return nil }
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error { s.to = to; return nil }
func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	s.sink.took[s.to], s.sink.last = append(s.sink.took[s.to], time.Now()), text
	return nil
}

// letterRows: what lies due after the registrations goes out, each letter
// marked and audited.
func (p *place) letterRows(r *report, box *sink, n int) {
	const work = "letters that are due → relay on this machine, marks, audit"
	broker := cpu(p.brokerPID())
	began := time.Now()
	m, _ := p.serve("mailer", "mailer")
	for until := time.Now().Add(time.Minute + time.Duration(n)*time.Second/20); p.stored("MAIL", "mail.activation.>") > 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(until) || m.ended() {
			p.t.Fatalf("the letters were not sent: %s", m.tail())
		}
	}
	took := time.Since(began)
	got, doubled := box.count()
	pid, each := m.cmd.Process.Pid, time.Duration(n)
	sent := p.stored("AUDIT", "audit.letter.sent.>")
	lost := n - (got - doubled)
	if lost != 0 || doubled != 0 || sent != n {
		p.t.Errorf("letters: %d of %d lost, %d doubled, %d facts of one", lost, n, doubled, sent)
	}
	rate := float64(n) / took.Seconds()
	r.value("letters.rate", rate)
	r.value("letters.mailer", millis(cpu(pid)/each))
	r.memory("mailer", "letters", memory(pid, true))
	r.add(row{
		work: work, what: fmt.Sprintf("one mailer, %d letters of %.1f KB", n, float64(len(box.last))/1000), figure: perSecond(rate),
		cost: fmt.Sprintf("mailer %s, broker %s", ms(cpu(pid)/each), ms((cpu(p.brokerPID())-broker)/each)), harm: fmt.Sprintf("%d, %d, –", lost, doubled),
	})
	m.stop()
	p.sourceRows(r, work, box, n, len(box.last), rate)
}
