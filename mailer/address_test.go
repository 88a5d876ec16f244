package mailer_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
)

// TestOnlyARefusalOfTheAddressSpeaksOfIt: what a relay refuses for another
// reason must not cost a person the address.
func TestOnlyARefusalOfTheAddressSpeaksOfIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, at, reply string
		speaks          bool
	}{
		{"no such mailbox", "RCPT", "550 5.1.1 user unknown", true},
		{"no such mailbox, found out after the text", "DOT", "550 5.1.1 user unknown", true},
		{"no such host", "RCPT", "550 5.1.2 domain does not exist", true},
		{"no address", "RCPT", "553 5.1.3 syntax", true},
		{"moved without a trace", "RCPT", "551 5.1.6 gone", true},
		{"the domain takes no mail", "RCPT", "556 5.1.10 null MX", true},
		{"the mailbox is disabled", "RCPT", "550 5.2.1 disabled", true},
		{"other address status, which servers say of senders too", "RCPT", "550 5.1.0 rejected", false},
		{"our sender's address", "RCPT", "550 5.1.7 bad sender", false},
		{"our sender's host", "RCPT", "553 5.1.8 sender has no host", false},
		{"mailbox full", "RCPT", "552 5.2.2 over quota", false},
		{"letter too long for the mailbox", "DOT", "552 5.2.3 too long", false},
		{"routing", "RCPT", "550 5.4.4 no route", false},
		{"policy", "RCPT", "554 5.7.1 relaying denied", false},
		{"content", "DOT", "550 5.7.1 looks like spam", false},
		{"sender not authorised", "RCPT", "550 5.7.26 SPF", false},
		{"protocol", "DATA", "554 5.5.1 no valid recipients", false},
		{"a code without a status", "RCPT", "550 no", false},
		{"an address in the words only", "RCPT", "550 see 5.1.1.example", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, &server{faults: []fault{{At: c.at, Do: c.reply}}, together: true})
			r := newRig(t, s.settings())
			r.finish(t, request("l1", "kari@example.org"))
			if told := r.audit.of("l1"); !slices.Equal(told, refused) {
				t.Fatalf("audit tells %v", told)
			}
			if err := r.deliver(request("l1", "kari@example.org")); err != nil { // the message comes again
				t.Fatal(err)
			}
			if (len(r.audit.back) == 1) != c.speaks || len(r.audit.back) > 1 {
				t.Fatalf("%q is told as word of the address %d times", c.reply, len(r.audit.back))
			}
			if !c.speaks {
				return
			}
			e := r.audit.back[0]
			b := e.Data.(events.MailBounced)
			if e.Source != events.SourceWorker || e.Meta.Subject != "l1" || b.Letter != "l1" || b.Status == "" || strings.Contains(b.Text, "@") {
				t.Errorf("the word of the address is %+v %+v", e.Meta, b)
			}
		})
	}
}

func TestAddressThatIsNoneIsToldOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{})
	r := newRig(t, s.settings())
	for range 2 {
		if err := r.deliver(request("l1", "kari@localhost")); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.audit.back) != 1 || r.audit.back[0].Data.(events.MailBounced).Status != "5.1.3" {
		t.Errorf("an address that is none is told as %v", r.audit.back)
	}
}

// TestLetterThatIsDueAlreadyDoesNotGoToAStoppedAddress: the worker stopped it
// after it had asked for the letter.
func TestLetterThatIsDueAlreadyDoesNotGoToAStoppedAddress(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{faults: []fault{{At: "DOT", To: "unknown@", Times: 1, Do: takeAndCut}}})
	r := newRig(t, s.settings())
	stop := func(letter, address string, at time.Time) {
		r.marks.mu.Lock()
		defer r.marks.mu.Unlock()
		if r.marks.stopped == nil {
			r.marks.stopped = map[string]events.StoppedAddress{}
		}
		r.marks.stopped["acc-"+letter] = events.StopAddress("acc-"+letter, address, at)
	}
	unknown := request("unknown", "unknown@old.example")
	if _, later := events.Postponed(r.deliver(unknown)); !later {
		t.Fatal("a letter without an answer is not put off")
	}
	r.set(noon.Add(time.Hour))
	stop("unknown", "unknown@old.example", noon)
	stop("due", "Due@old.example", noon)                       // asked for at that moment
	stop("asked", "asked@old.example", noon.Add(-time.Second)) // asked for after it: the address is in use again
	stop("moved", "moved@old.example", noon)                   // has another address
	for letter, want := range map[string][]string{
		"due": {"failed:bounced"}, "asked": sent, "moved": sent, "free": sent, "unknown": {"unknown:no_answer"},
	} {
		address := letter + "@old.example"
		if letter == "moved" {
			address = letter + "@new.example"
		}
		before := len(s.mails(letter + "@"))
		r.finish(t, request(letter, address))
		if told := r.audit.of(letter); !slices.Equal(told, want) {
			t.Errorf("audit tells %v of the letter %q, not %v", told, letter, want)
		}
		if n := len(s.mails(letter+"@")) - before; (n == 1) != slices.Equal(want, sent) {
			t.Errorf("the letter %q went out %d times", letter, n)
		}
	}
	if len(r.audit.back) != 0 {
		t.Errorf("a stopped letter is told as word of its address again: %v", r.audit.back)
	}
}
