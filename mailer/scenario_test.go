package mailer_test

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/mailer"
)

// TestEveryFaultEndsInOneKnownOutcome plays a letter to "anna" into a server
// with one fault, until the letter has its end, and right after anna's first
// answer a letter to "bo". Whatever the fault: nothing is lost, copies are
// bounded, each outcome is audited once, and bo's letter goes out at once.
func TestEveryFaultEndsInOneKnownOutcome(t *testing.T) {
	t.Parallel()
	sent := []string{"sent"}
	refused := []string{"failed:refused"}
	unknown := []string{"unknown:no_answer", "sent"}
	for _, c := range []struct {
		name   string
		fault  fault
		copies int
		audit  []string
	}{
		{"no fault", fault{}, 1, sent},
		{"421 at connect", fault{"CONNECT", "", 1, "421 4.3.2 too many connections"}, 1, sent},
		{"554 at connect", fault{"CONNECT", "", 1, "554 5.3.2 not today"}, 1, sent},
		{"cut at connect", fault{"CONNECT", "", 1, cut}, 1, sent},
		{"silence at connect", fault{"CONNECT", "", 1, stall}, 1, sent},
		{"tarpit at connect", fault{"CONNECT", "", 1, tarpit}, 1, sent},
		{"421 at EHLO", fault{"EHLO", "", 1, "421 4.3.2 later"}, 1, sent},
		{"cut at EHLO", fault{"EHLO", "", 1, cut}, 1, sent},
		{"421 at MAIL", fault{"MAIL", "", 1, "421 4.3.0 shutting down"}, 1, sent},
		{"450 at MAIL", fault{"MAIL", "", 1, "450 4.7.1 slow down"}, 1, sent},
		{"451 at MAIL", fault{"MAIL", "", 2, "451 4.3.0 local error"}, 1, sent},
		{"452 at MAIL", fault{"MAIL", "", 1, "452 4.3.1 disk full"}, 1, sent},
		{"550 at MAIL refuses our sender, not the letter", fault{"MAIL", "", 1, "550 5.7.60 sender not allowed"}, 1, sent},
		{"530 at MAIL wants a login", fault{"MAIL", "", 1, "530 5.7.0 authentication required"}, 1, sent},
		{"503 at MAIL", fault{"MAIL", "", 1, "503 5.5.1 nested MAIL command"}, 1, sent},
		{"cut at MAIL", fault{"MAIL", "", 1, cut}, 1, sent},
		{"half-closed at MAIL", fault{"MAIL", "", 1, halfClose}, 1, sent},
		{"garbage at MAIL", fault{"MAIL", "", 1, garbage}, 1, sent},
		{"421 at RCPT", fault{"RCPT", "anna", 1, "421 4.7.0 try again later"}, 1, sent},
		{"450 at RCPT, greylisted", fault{"RCPT", "anna", 3, "450 4.2.0 greylisted"}, 1, sent},
		{"451 at RCPT", fault{"RCPT", "anna", 1, "451 4.3.0 throttled"}, 1, sent},
		{"452 at RCPT", fault{"RCPT", "anna", 1, "452 4.2.2 mailbox full"}, 1, sent},
		{"550 at RCPT", fault{"RCPT", "anna", 0, "550 5.1.1 <anna@example.org>: user unknown"}, 0, refused},
		{"552 at RCPT", fault{"RCPT", "anna", 0, "552 5.2.2 mailbox full"}, 0, refused},
		{"553 at RCPT", fault{"RCPT", "anna", 0, "553 5.1.3 syntax"}, 0, refused},
		{"554 at RCPT", fault{"RCPT", "anna", 0, "554 5.7.1 denied"}, 0, refused},
		{"cut at RCPT", fault{"RCPT", "anna", 1, cut}, 1, sent},
		{"silence at RCPT", fault{"RCPT", "anna", 1, stall}, 1, sent},
		{"tarpit at RCPT", fault{"RCPT", "anna", 1, tarpit}, 1, sent},
		{"421 at DATA", fault{"DATA", "anna", 1, "421 4.3.0 later"}, 1, sent},
		{"451 at DATA", fault{"DATA", "anna", 1, "451 4.3.0 later"}, 1, sent},
		{"554 at DATA", fault{"DATA", "anna", 0, "554 5.5.1 no valid recipients"}, 0, refused},
		{"554 at DATA, and the transaction stays open", fault{"DATA", "anna", 0, keepOpen}, 0, refused},
		{"cut at DATA", fault{"DATA", "anna", 1, cut}, 1, sent},
		{"cut in the middle of the message", fault{"BODY", "anna", 1, cut}, 1, unknown},
		{"450 after the message", fault{"DOT", "anna", 1, "450 4.7.1 later"}, 1, sent},
		{"451 after the message", fault{"DOT", "anna", 1, "451 4.7.1 content scanner away"}, 1, sent},
		{"452 after the message", fault{"DOT", "anna", 1, "452 4.3.1 no space"}, 1, sent},
		{"421 after the message", fault{"DOT", "anna", 1, "421 4.3.0 shutting down"}, 1, sent},
		{"550 after the message", fault{"DOT", "anna", 0, "550 5.7.1 looks like spam"}, 0, refused},
		{"554 after the message", fault{"DOT", "anna", 0, "554 5.6.0 refused"}, 0, refused},
		{"many lines after the message", fault{"DOT", "anna", 1, flood}, 1, sent},
		{"cut before the last 250", fault{"DOT", "anna", 1, cut}, 1, unknown},
		{"taken, and cut before the last 250", fault{"DOT", "anna", 1, takeAndCut}, 2, unknown},
		{"taken, and cut twice", fault{"DOT", "anna", 2, takeAndCut}, 3, unknown},
		{"taken, and silence", fault{"DOT", "anna", 1, takeStall}, 2, unknown},
		{"taken, and half-closed", fault{"DOT", "anna", 1, halfClose}, 2, unknown},
		{"taken, and garbage", fault{"DOT", "anna", 1, garbage}, 2, unknown},
		{"tarpit after the message", fault{"DOT", "anna", 1, tarpit}, 1, sent},
		{"cut at RSET after a refusal", fault{"RSET", "", 0, cut}, 1, sent},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			play(t, c.fault, c.copies, c.audit)
		})
	}
}

func play(t *testing.T, f fault, copies int, facts []string) {
	s := serve(t, &server{faults: []fault{f}})
	settings := s.settings()
	settings.Timeout = 30 * time.Second
	if f.Do == stall || f.Do == takeStall || f.Do == halfClose {
		settings.Timeout = 3 * time.Second // these end by it
	}
	r := newRig(t, settings)
	anna, bo := request("anna", "anna@example.org"), request("bo", "bo@example.org")

	first := r.deliver(anna)
	if shared := f.To == ""; !shared {
		if err := r.deliver(bo); err != nil {
			t.Errorf("bo's letter pays for anna's: %v", err)
		}
	}
	if first != nil {
		if at, later := events.Postponed(first); later {
			r.set(at)
		}
		r.finish(t, anna)
	}
	if r.finish(t, bo); len(s.mails("bo@")) != 1 {
		t.Errorf("bo got %d copies instead of one", len(s.mails("bo@")))
	}
	got := s.mails("anna@")
	if len(got) != copies {
		t.Errorf("anna got %d copies instead of %d", len(got), copies)
	}
	for _, m := range got[min(1, len(got)):] {
		if m.Raw != got[0].Raw {
			t.Error("two copies of one letter differ, so a reader sees two")
		}
	}
	// The message comes again after its end.
	if err := r.deliver(anna); err != nil || len(s.mails("anna@")) != copies {
		t.Errorf("a redelivery after the end sent again or failed: %v, %d copies", err, len(s.mails("anna@")))
	}
	told := r.audit.of("anna")
	if f.At == "BODY" && slices.Equal(told, []string{"sent"}) {
		told = facts // the break was seen while still writing: then nothing is unknown
	}
	if !slices.Equal(told, facts) {
		t.Errorf("audit tells %v instead of %v", told, facts)
	}
	if told := r.audit.of("bo"); !slices.Equal(told, []string{"sent"}) {
		t.Errorf("audit tells %v of bo's letter instead of sent", told)
	}
}

func TestRefusalIsAuditedWithStatusAndWithoutTheAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{faults: []fault{{At: "RCPT", Do: "550 5.1.1 <Kari.Nordmann@example.org>: Recipient kari.nordmann unknown, 01512510074 (Nordmann)"}}})
	r := newRig(t, s.settings())
	if n := r.finish(t, request("l1", "kari.nordmann@example.org")); n != 1 {
		t.Errorf("a refused letter was handled %d times", n)
	}
	f := r.audit.all()[0]
	if f.Details["status"] != "5.1.1" || f.Details["code"] != "550" || f.Account != "acc-l1" || f.Cause != "event-of-l1" || f.Outcome != "failed" {
		t.Errorf("audit lacks what an operator needs: %+v", f)
	}
	text := f.Details["text"]
	if !strings.Contains(text, "Recipient") || !strings.Contains(text, "unknown") {
		t.Errorf("the server's words are gone: %q", text)
	}
	for _, secret := range []string{"kari", "nordmann", "example.org", "01512510074", "@"} {
		if strings.Contains(strings.ToLower(text), secret) {
			t.Errorf("audit names the person: %q holds %q", text, secret)
		}
	}
}

func TestOutageIsNoAnswerToTheLetter(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	_ = ln.Close()
	r := newRig(t, mailer.RelaySettings{Host: "127.0.0.1", Port: port, TLS: mailer.TLSNone, Timeout: time.Second})
	for range 3 {
		if err := r.deliver(request("l1", "kari@example.org")); !events.IsUnavailable(err) {
			t.Fatalf("a relay that is away is answered with %v instead of an outage", err)
		}
	}
	r.set(noon.Add(30 * 24 * time.Hour))
	if err := r.deliver(request("l1", "kari@example.org")); !events.IsUnavailable(err) {
		t.Errorf("a long outage threw the letter away: %v", err)
	}
	if len(r.marks.kept) != 0 || len(r.audit.all()) != 0 {
		t.Error("an outage left a mark or an audit fact on the letter")
	}
}

func TestWaitsDoubleFromOneMinuteToFourHoursAndEndAfterTwoDays(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{faults: []fault{{At: "RCPT", Do: "451 4.3.0 never"}}})
	r := newRig(t, s.settings())
	q := request("l1", "kari@example.org")
	var waits []time.Duration
	for {
		before := r.clock()
		at, later := events.Postponed(r.deliver(q))
		if !later {
			break
		}
		waits = append(waits, at.Sub(before))
		r.set(at)
	}
	if waits[0] < 48*time.Second || waits[0] > 72*time.Second {
		t.Errorf("the first wait is %s, not a minute give or take a fifth", waits[0])
	}
	if last := waits[len(waits)-1]; last > 4*time.Hour || last < 3*time.Hour {
		t.Errorf("the last wait is %s, not about four hours", last)
	}
	if d := r.clock().Sub(noon); d < 48*time.Hour || d > 53*time.Hour {
		t.Errorf("the letter was given up after %s", d)
	}
	if told := r.audit.of("l1"); !slices.Equal(told, []string{"failed:expired"}) {
		t.Errorf("audit tells %v", told)
	}
	if f := r.audit.all()[0]; f.Details["status"] != "4.3.0" {
		t.Errorf("the expired letter does not say what the relay said last: %+v", f)
	}
}

func TestLetterIsNotSentAfterItsTime(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{})
	r := newRig(t, s.settings())
	past := noon.Add(-time.Minute)
	own, link := request("own", "kari@example.org"), request("link", "kari@example.org")
	own.Expire, link.Expires = &past, &past
	for _, q := range []events.MailRequest{own, link} {
		r.finish(t, q)
		if told := r.audit.of(q.Letter); !slices.Equal(told, []string{"failed:expired"}) {
			t.Errorf("audit tells %v of letter %s", told, q.Letter)
		}
	}
	if s.dialled() != 0 {
		t.Error("an expired letter was offered to the relay")
	}
}

func TestLetterThatWaitsIsNotSentEarly(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{faults: []fault{{At: "RCPT", Times: 1, Do: "450 4.2.0 greylisted"}}})
	r := newRig(t, s.settings())
	q := request("l1", "kari@example.org")
	at, _ := events.Postponed(r.deliver(q))
	// The mailer is killed before the worker has put the message aside.
	again, later := events.Postponed(r.deliver(q))
	if !later || !again.Equal(at) || len(s.mails("")) != 0 {
		t.Errorf("a redelivered letter did not wait until %s: later %v, %s, %d sent", at, later, again, len(s.mails("")))
	}
}

func TestMarkThatCannotBeWrittenSendsNothingAgain(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{})
	r := newRig(t, s.settings())
	r.marks.failWrite = 5
	r.audit.fail = 3
	if n := r.finish(t, request("l1", "kari@example.org")); n < 8 {
		t.Errorf("the letter ended after %d tries although marks and audit failed 8 times", n)
	}
	if n := len(s.mails("")); n != 1 {
		t.Errorf("%d copies went out", n)
	}
	if told := r.audit.of("l1"); !slices.Equal(told, []string{"sent"}) {
		t.Errorf("audit tells %v", told)
	}
}
