package mailer_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/mailer"
	"usn.no/matricula/testkit"
)

var (
	sent    = []string{"sent"}
	refused = []string{"failed:refused"}
	unknown = []string{"unknown:no_answer", "sent"}
)

// scenario is what happens to anna's letter, in a sentence.
type scenario struct {
	name   string
	fault  fault
	copies int
	audit  []string
}

// scenarios are the faults that have a tale of their own.
func scenarios() []scenario {
	return []scenario{
		{"nothing is wrong, and the letter is sent", fault{}, 1, sent},
		{"the relay hangs up at once, and the letter goes out at the next call", fault{"CONNECT", "", 1, cut}, 1, sent},
		{"the relay never greets, and the letter goes out at the next call", fault{"CONNECT", "", 1, stall}, 1, sent},
		{"the relay greets one byte at a time, and the letter is sent", fault{"CONNECT", "", 1, tarpit}, 1, sent},
		{"the relay hangs up at EHLO, and the letter goes out at the next call", fault{"EHLO", "", 1, cut}, 1, sent},
		{"530 at MAIL wants a login, which is no fault of the letter", fault{"MAIL", "", 1, "530 5.7.0 authentication required"}, 1, sent},
		{"503 at MAIL is about the connection, and the letter goes out over another", fault{"MAIL", "", 1, "503 5.5.1 nested MAIL command"}, 1, sent},
		{"the relay hangs up at MAIL, and the letter goes out over another connection", fault{"MAIL", "", 1, cut}, 1, sent},
		{"the relay closes its side at MAIL, and the letter goes out over another connection", fault{"MAIL", "", 1, halfClose}, 1, sent},
		{"the relay answers MAIL with noise, and the letter goes out over another connection", fault{"MAIL", "", 1, garbage}, 1, sent},
		{"a greylisted letter is tried until it is taken", fault{"RCPT", "anna", 3, "450 4.2.0 greylisted"}, 1, sent},
		{"a full mailbox is tried again", fault{"RCPT", "anna", 1, "452 4.2.2 mailbox full"}, 1, sent},
		{"nobody is known at the address, and the letter is refused", fault{"RCPT", "anna", 0, "550 5.1.1 <anna@example.org>: user unknown"}, 0, refused},
		{"the relay hangs up at RCPT, and the letter is sent later", fault{"RCPT", "anna", 1, cut}, 1, sent},
		{"the relay falls silent at RCPT, and the letter is sent later", fault{"RCPT", "anna", 1, stall}, 1, sent},
		{"the relay answers RCPT one byte at a time, and the letter is sent", fault{"RCPT", "anna", 1, tarpit}, 1, sent},
		{"the text is refused, the transaction stays open, and the next letter does not pay", fault{"DATA", "anna", 0, keepOpen}, 0, refused},
		{"the relay hangs up at DATA, and the letter is sent later", fault{"DATA", "anna", 1, cut}, 1, sent},
		{"the relay falls silent at DATA, and the letter is sent later", fault{"DATA", "anna", 1, stall}, 1, sent},
		{"the relay hangs up in the middle of the text, and the letter arrives once", fault{"BODY", "anna", 1, cut}, 1, unknown},
		{"the relay answers the text in many lines, and the letter is sent", fault{"DOT", "anna", 1, flood}, 1, sent},
		{"the relay hangs up before its last word and did not take the letter, which arrives once", fault{"DOT", "anna", 1, cut}, 1, unknown},
		{"the relay takes the letter and hangs up: one copy more", fault{"DOT", "anna", 1, takeAndCut}, 2, unknown},
		{"the relay takes the letter and hangs up twice: two copies more", fault{"DOT", "anna", 2, takeAndCut}, 3, unknown},
		{"the relay takes the letter and falls silent: one copy more", fault{"DOT", "anna", 1, takeStall}, 2, unknown},
		{"the relay takes the letter and closes its side: one copy more", fault{"DOT", "anna", 1, halfClose}, 2, unknown},
		{"the relay takes the letter and answers with noise: one copy more", fault{"DOT", "anna", 1, garbage}, 2, unknown},
		{"the relay takes the letter and says so one byte at a time", fault{"DOT", "anna", 1, tarpit}, 1, sent},
		{"the relay hangs up at MAIL twice in a row, and the letter is sent later", fault{"MAIL", "", 2, cut}, 1, sent},
		{"the relay hangs up after its last word, and the next letter goes out over another connection", fault{"DOT", "anna", 1, answerAndCut}, 1, sent},
		{"the relay hangs up at RSET after a refusal, and the next letter goes out over another connection", fault{"RSET", "", 0, cut}, 1, sent},
	}
}

// codes are every reply code at every verb. What is said of the connection or
// of us is tried again, what is said of the letter for good is believed.
func codes() []scenario {
	var out []scenario
	for _, at := range []string{"CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "DOT"} {
		for _, code := range []string{"421 4.3.2", "450 4.7.1", "451 4.3.0", "452 4.3.1", "550 5.7.1", "552 5.3.4", "553 5.1.3", "554 5.7.1"} {
			f := fault{At: at, Times: 1, Do: code + " said at " + at}
			s := scenario{code + " at " + at + ", and the letter is sent later", f, 1, sent}
			if at == "RCPT" || at == "DATA" || at == "DOT" {
				s.fault.To = "anna"
				if code[0] == '5' {
					s.fault.Times = 0
					s.name, s.copies, s.audit = code+" at "+at+", and the letter is refused for good", 0, refused
				}
			}
			out = append(out, s)
		}
	}
	return out
}

// TestEveryFaultEndsInOneKnownOutcome plays a letter to "anna" into a server
// with one fault, until the letter has its end, and right after anna's first
// answer a letter to "bo"; with relays that take commands together and with
// relays that do not. Whatever the fault: nothing is lost, copies are bounded,
// each outcome is audited once, and bo's letter goes out at once.
func TestEveryFaultEndsInOneKnownOutcome(t *testing.T) {
	t.Parallel()
	for together, word := range map[bool]string{false: "one by one", true: "together"} {
		for _, c := range append(scenarios(), codes()...) {
			t.Run(c.name+" ("+word+")", func(t *testing.T) {
				t.Parallel()
				play(t, c, together)
			})
		}
	}
}

func play(t *testing.T, c scenario, together bool) {
	f := c.fault
	s := serve(t, &server{faults: []fault{f}, together: together})
	settings := s.settings()
	if f.Do == stall || f.Do == takeStall || f.Do == halfClose {
		settings.Timeout = 8 * time.Second // these end by it; everything else stays well below it
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
	if len(got) != c.copies || len(s.mails("")) != c.copies+1 {
		t.Errorf("anna got %d copies instead of %d, of %d messages that were taken", len(got), c.copies, len(s.mails("")))
	}
	for _, m := range got[min(1, len(got)):] {
		if m.Raw != got[0].Raw {
			t.Error("two copies of one letter differ, so a reader sees two")
		}
	}
	// The message comes again after its end.
	if err := r.deliver(anna); err != nil || len(s.mails("anna@")) != c.copies {
		t.Errorf("a redelivery after the end sent again or failed: %v, %d copies", err, len(s.mails("anna@")))
	}
	told := r.audit.of("anna")
	if f.At == "BODY" && slices.Equal(told, []string{"sent"}) {
		told = c.audit // the break was seen while still writing: then nothing is unknown
	}
	if !slices.Equal(told, c.audit) {
		t.Errorf("audit tells %v instead of %v", told, c.audit)
	}
	if told := r.audit.of("bo"); !slices.Equal(told, []string{"sent"}) {
		t.Errorf("audit tells %v of bo's letter instead of sent", told)
	}
}

// TestRelayThatAsksForTheTextOfARefusedLetterGetsNone: where commands go out
// together, a server may have refused the recipient and wait for the text all
// the same. An empty message would be one.
func TestRelayThatAsksForTheTextOfARefusedLetterGetsNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault  fault
		audit  []string
		copies int
	}{
		"recipient refused for good": {fault{"RCPT", "anna", 0, "550 5.1.1 nobody"}, refused, 0},
		"recipient refused for now":  {fault{"RCPT", "anna", 1, "450 4.2.0 greylisted"}, sent, 1},
		"hung up after the refusal":  {fault{"DATA", "anna", 0, cut}, refused, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults := []fault{c.fault}
			if c.fault.At == "DATA" {
				faults = append(faults, fault{"RCPT", "anna", 0, "550 5.1.1 nobody"})
			}
			s := serve(t, &server{faults: faults, together: true, hasty: true})
			r := newRig(t, s.settings())
			for _, who := range []string{"anna", "bo"} {
				r.finish(t, request(who, who+"@example.org"))
			}
			if told := r.audit.of("anna"); !slices.Equal(told, c.audit) || len(s.mails("anna@")) != c.copies {
				t.Errorf("audit tells %v, and anna got %d copies", told, len(s.mails("anna@")))
			}
			if len(s.mails("")) != c.copies+1 || len(s.mails("bo@")) != 1 {
				t.Errorf("%d messages were taken, %d of them bo's", len(s.mails("")), len(s.mails("bo@")))
			}
		})
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
	nobody, err := netip.ParseAddrPort(testkit.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, mailer.RelaySettings{Host: nobody.Addr().String(), Port: int(nobody.Port()), TLS: mailer.TLSNone, Timeout: time.Second})
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
