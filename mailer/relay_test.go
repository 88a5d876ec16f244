package mailer_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/mailer"
)

// nextTry is a delivery after a change on the server's side.
func sentOnce(t *testing.T, s *server, r *rig, letter string) {
	t.Helper()
	if err := r.deliver(request(letter, letter+"@example.org")); err != nil {
		t.Fatalf("letter %s is not sent: %v", letter, err)
	}
	if n := len(s.mails(letter + "@")); n != 1 {
		t.Fatalf("letter %s went out %d times", letter, n)
	}
}

func TestConnectionIsKeptWithFourCommandsALetter(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{})
	settings := s.settings()
	settings.MaxLetters = 5
	r := newRig(t, settings)
	for i := range 12 {
		sentOnce(t, s, r, fmt.Sprintf("l%d", i))
	}
	if n := s.dialled(); n != 3 {
		t.Errorf("12 letters at 5 a connection took %d connections", n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	count := map[string]int{}
	for _, c := range s.commands {
		verb, _, _ := strings.Cut(c, " ")
		count[verb]++
		if strings.HasPrefix(c, "MAIL") && strings.Contains(c, "SMTPUTF8") {
			t.Errorf("SMTPUTF8 is asked for: %s", c)
		}
	}
	if count["MAIL"] != 12 || count["RCPT"] != 12 || count["DATA"] != 12 || count["NOOP"] != 0 || count["RSET"] != 0 {
		t.Errorf("the dialogue was %v", count)
	}
}

func TestConnectionThatTheRelayClosedIsNoAnswerToTheNextLetter(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]string{"cut": cut, "421": "421 4.4.2 idle too long", "503": "503 5.5.1 nested MAIL command"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, &server{faults: []fault{{At: "MAIL", To: "konto", Times: 1, Do: ""}, {At: "MAIL", Times: 1, Do: do}}})
			r := newRig(t, s.settings())
			sentOnce(t, s, r, "l1") // strikes the fault that does nothing
			sentOnce(t, s, r, "l2") // on a kept connection: the fault, then a new one
			if n := s.dialled(); n != 2 {
				t.Errorf("there were %d connections", n)
			}
		})
	}
}

func TestIdleConnectionIsLeftPolitely(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{})
	settings := s.settings()
	settings.Idle = time.Nanosecond
	r := newRig(t, settings)
	sentOnce(t, s, r, "l1")
	sentOnce(t, s, r, "l2")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dials != 2 || !slices.Contains(s.commands, "QUIT") {
		t.Errorf("an idle connection was used or dropped: %d connections, %v", s.dials, s.commands)
	}
}

func TestManyLettersShareFewConnections(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{faults: []fault{{At: "RCPT", To: "refused", Do: "550 5.1.1 no"}}})
	settings := s.settings()
	settings.Connections = 4
	r := newRig(t, settings)
	var wg sync.WaitGroup
	for i := range 120 {
		wg.Go(func() {
			addr := fmt.Sprintf("p%d@example.org", i)
			if i%10 == 0 {
				addr = "refused" + addr
			}
			if err := r.deliver(request(fmt.Sprintf("l%d", i), addr)); err != nil {
				t.Errorf("letter %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if n := len(s.mails("")); n != 108 {
		t.Errorf("%d of 108 letters arrived", n)
	}
	if n := s.dialled(); n > 8 {
		t.Errorf("120 letters took %d connections", n)
	}
	ids := map[string]bool{}
	for _, m := range s.mails("") {
		ids[messageID(t, m.Raw)] = true
	}
	if len(ids) != 108 {
		t.Errorf("108 letters have %d Message-IDs", len(ids))
	}
}

func TestTLSIsRequiredAndChecked(t *testing.T) {
	t.Parallel()
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	good, roots := certificate(t, loopback)
	foreign, _ := certificate(t, loopback)
	misnamed, misnamedRoots := certificate(t, nil, "other.example.no")
	for _, c := range []struct {
		name   string
		server *server
		change func(*mailer.RelaySettings)
		sent   bool
	}{
		{"STARTTLS with a good certificate", &server{together: true, tls: &tls.Config{Certificates: []tls.Certificate{good}}}, func(s *mailer.RelaySettings) { s.TLS, s.Roots = "", roots }, true},
		{"STARTTLS stripped", &server{}, func(s *mailer.RelaySettings) { s.TLS, s.Roots = "", roots }, false},
		{"STARTTLS refused", &server{tls: &tls.Config{Certificates: []tls.Certificate{good}}, faults: []fault{{At: "STARTTLS", Do: "454 4.7.0 not now"}}},
			func(s *mailer.RelaySettings) { s.TLS, s.Roots = "", roots }, false},
		{"certificate of somebody else", &server{tls: &tls.Config{Certificates: []tls.Certificate{foreign}}}, func(s *mailer.RelaySettings) { s.TLS, s.Roots = "", roots }, false},
		{"certificate for another name", &server{tls: &tls.Config{Certificates: []tls.Certificate{misnamed}}}, func(s *mailer.RelaySettings) { s.TLS, s.Roots = "", misnamedRoots }, false},
		{"old TLS", &server{tls: &tls.Config{Certificates: []tls.Certificate{good}, MaxVersion: tls.VersionTLS11}}, func(s *mailer.RelaySettings) { s.TLS, s.Roots = "", roots }, false},
		{"opportunistic where stripped", &server{}, func(s *mailer.RelaySettings) { s.TLS = mailer.TLSOpportunistic }, true},
		{"opportunistic does not fall back from a bad certificate", &server{tls: &tls.Config{Certificates: []tls.Certificate{foreign}}}, func(s *mailer.RelaySettings) { s.TLS, s.Roots = mailer.TLSOpportunistic, roots }, false},
		{"implicit towards a clear-text server", &server{}, func(s *mailer.RelaySettings) { s.TLS, s.Roots = mailer.TLSImplicit, roots }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.server)
			settings := s.settings()
			c.change(&settings)
			r := newRig(t, settings)
			err := r.deliver(request("l1", "kari@example.org"))
			if c.sent && (err != nil || len(s.mails("")) != 1) {
				t.Errorf("the letter is not sent: %v", err)
			}
			if !c.sent && (!events.IsUnavailable(err) || len(s.mails("")) != 0 || len(r.marks.kept) != 0) {
				t.Errorf("the letter is not held back as in an outage: %v, %d sent", err, len(s.mails("")))
			}
		})
	}
}

func TestLoginGoesOverTLSOnlyAndItsRefusalIsAnOutage(t *testing.T) {
	t.Parallel()
	cert, roots := certificate(t, []net.IP{net.IPv4(127, 0, 0, 1)})
	secure := &tls.Config{Certificates: []tls.Certificate{cert}}
	for _, c := range []struct {
		name   string
		server *server
		tls    string
		logins int
		sent   bool
	}{
		{"good", &server{tls: secure, auth: true}, mailer.TLSMandatory, 1, true},
		{"refused", &server{tls: secure, auth: true, faults: []fault{{At: "AUTH", Do: "535 5.7.8 bad credentials for konto@example.no"}}}, mailer.TLSMandatory, 1, false},
		{"not now", &server{tls: secure, auth: true, faults: []fault{{At: "AUTH", Do: "454 4.7.0 temporary"}}}, mailer.TLSMandatory, 1, false},
		{"not offered", &server{tls: secure}, mailer.TLSMandatory, 0, false},
		{"in clear", &server{auth: true}, mailer.TLSOpportunistic, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.server)
			settings := s.settings()
			settings.TLS, settings.Roots, settings.User, settings.Password = c.tls, roots, "konto", "hemmelig"
			r := newRig(t, settings)
			err := r.deliver(request("l1", "kari@example.org"))
			if c.sent != (err == nil) || err != nil && !events.IsUnavailable(err) {
				t.Errorf("delivery ends in %v", err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if len(s.login) != c.logins || c.logins == 1 && !strings.Contains("AUTH "+s.login[0], plainLogin("konto", "hemmelig")) {
				t.Errorf("the server was told %v", s.login)
			}
			if err != nil && (strings.Contains(err.Error(), "hemmelig") || strings.Contains(err.Error(), "@")) {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
}

func TestRateHoldsLettersBack(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{})
	settings := s.settings()
	settings.PerMinute = 600
	r := newRig(t, settings)
	begun := time.Now()
	for i := range 4 {
		sentOnce(t, s, r, fmt.Sprintf("l%d", i))
	}
	if d := time.Since(begun); d < 290*time.Millisecond {
		t.Errorf("four letters at ten a second took %s", d)
	}
}

// TestEndedContextCutsTheConnection: a mailer that is told to stop does not
// wait for a relay that says nothing, and knows what it does not know.
func TestEndedContextCutsTheConnection(t *testing.T) {
	t.Parallel()
	for at, want := range map[string]string{"CONNECT": "", "RCPT": "", "DOT": events.LetterUnknown} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			s := serve(t, &server{faults: []fault{{At: at, Do: stall}}})
			settings := s.settings()
			settings.Timeout = time.Hour // the test ends before
			r := newRig(t, settings)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() { <-s.stalled; cancel() }()
			q := request("l1", "kari@example.org")
			err := r.Deliver(ctx, meta(q), q)
			if ctx.Err() == nil {
				t.Error("delivery ended before the relay fell silent")
			}
			if mark := r.marks.kept["l1"]; mark.State != want {
				t.Errorf("the letter is marked %q", mark.State)
			}
			if _, later := events.Postponed(err); later != (want != "") || !later && !events.IsUnavailable(err) {
				t.Errorf("delivery ends in %v", err)
			}
		})
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]mailer.RelaySettings{
		"no host":                 {},
		"unknown tls":             {Host: "relay.example.no", TLS: "yes"},
		"user without a password": {Host: "relay.example.no", User: "konto"},
		"password without a user": {Host: "relay.example.no", Password: "x"},
		"negative rate":           {Host: "relay.example.no", PerMinute: -1},
		"negative connections":    {Host: "relay.example.no", Connections: -1},
		"port":                    {Host: "relay.example.no", Port: 70000},
	} {
		if _, err := mailer.NewRelay(s); err == nil {
			t.Errorf("%s: the settings are taken", name)
		}
	}
	for _, from := range []string{"", "konto", `"a b"@example.no`, "konto@example.no\r\nBcc: x@y.no"} {
		if _, err := mailer.ParseSender(from, ""); err == nil {
			t.Errorf("from %q is taken", from)
		}
	}
	s, err := mailer.ParseSender("IT ved Sørøst <Konto@USN.no>", "hjelp@usn.no")
	if err != nil || s != (mailer.Sender{Name: "IT ved Sørøst", Address: "Konto@usn.no", ReplyTo: "hjelp@usn.no"}) {
		t.Errorf("from is read as %+v, %v", s, err)
	}
}
