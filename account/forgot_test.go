package account_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

// asked lets somebody ask at the portal and answers what the worker is given.
func (w *world) asked(number, family, from string) (events.Event, error) {
	w.t.Helper()
	key, err := events.DeriveSealKey(bytes.Repeat([]byte{7}, 32), "letter requests")
	w.must(err)
	w.OpenRequest = func(request, sealed string) ([]byte, error) {
		return events.Open(key, events.LetterRequestInfo(request), sealed)
	}
	p := w.portal()
	p.SealRequest = func(request, text string) (string, error) {
		return events.Seal(key.Public(), events.LetterRequestInfo(request), []byte(text))
	}
	caught := &catcher{Publisher: p.Publisher}
	p.Publisher = caught
	err = p.RequestLetter(w.t.Context(), account.LetterRequest{Number: number, Family: family, From: from})
	return caught.last, err
}

type catcher struct {
	account.Publisher
	last events.Event
}

func (c *catcher) Publish(ctx context.Context, evs ...events.Event) error {
	c.last = evs[len(evs)-1]
	return c.Publisher.Publish(ctx, evs...)
}

// ask carries a request to its end.
func (w *world) ask(number, family string) {
	w.t.Helper()
	e, err := w.asked(number, family, "here")
	w.must(err)
	w.must(w.LetterRequested(w.t.Context(), e.Meta, e.Data.(events.LetterRequested)))
}

func TestWhoeverAsksGetsALetterForTheirState(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		w.activeStudent("256801", fnrA)
		w.invitedStudent("256802", fnrB)
		before := w.letters()
		w.ask(fnrA, "LI")
		w.ask(fnrB[:6]+" "+fnrB[6:], "li")
		if got := w.letters(); got["reset"] != 1 || got["activation"] != before["activation"]+1 {
			t.Errorf("letters: %v, before %v", got, before)
		}
		if got := w.mail("mail.reset.>"); got.Address != "256801@example.org" || got.Purpose != account.PurposeReset {
			t.Errorf("the reset letter is for %q and goes to %s", got.Purpose, got.Address)
		}
		if w.facts()["account.invited"] != 2 {
			t.Errorf("invited %d times", w.facts()["account.invited"])
		}
	})
}

func TestResetOfAnActiveAccountKeepsTheOldPasswordUntilTheNewOneIsSet(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		w.activeStudent("256801", fnrA)
		p := w.portal()
		own, err := p.SignIn(t.Context(), try("256801", password, "here"))
		w.must(err)
		w.ask(fnrA, "Li")
		ticket := w.ticket("256801", account.PurposeReset)
		proof := w.proof(ticket, fnrA)
		if err := w.Passwords.Verify(t.Context(), "256801", password); err != nil {
			t.Fatalf("asking took the password away: %v", err)
		}
		if _, err := p.Own(t.Context(), own.ID, own.From); err != nil {
			t.Errorf("asking ended the session: %v", err)
		}
		if _, err := p.Activate(t.Context(), account.Choice{Proof: proof, Rules: rules, Password: password + "-ny"}); err != nil {
			t.Fatal(err)
		}
		if err := w.Passwords.Verify(t.Context(), "256801", password); !errors.Is(err, account.ErrWrongPassword) {
			t.Errorf("the forgotten password: %v", err)
		}
		if _, err := p.Own(t.Context(), own.ID, own.From); !errors.Is(err, account.ErrSignedOut) {
			t.Errorf("a session from before: %v", err)
		}
		if _, err := p.Look(t.Context(), ticket); !errors.Is(err, account.ErrSpent) {
			t.Errorf("the used link: %v", err)
		}
		w.publishUnsent()
		if w.facts()["password.changed"] != 1 || w.facts()["account.restored"] != 0 || w.letters()["password-changed"] != 1 {
			t.Errorf("facts %v, letters %v", w.facts(), w.letters())
		}
	})
}

func TestT20HundredsOfRequestsSendThreeLettersAnHour(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.activeStudent("256801", fnrA)
	begin := w.clock()
	for minute := range 60 {
		w.at(begin.Add(time.Duration(minute) * time.Minute))
		for range 5 {
			e, err := w.asked(fnrA, []string{"Li", "li", "LI "}[minute%3], fmt.Sprint("bot", minute))
			w.must(err)
			w.must(w.LetterRequested(t.Context(), e.Meta, e.Data.(events.LetterRequested)))
		}
	}
	if got := w.letters()["reset"]; got < 1 || got > 3 {
		t.Errorf("%d letters in an hour", got)
	}
}

func TestNobodyIsWrittenToForWrongNamesNumbersAndStates(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.activeStudent("256801", fnrA)
	before := w.letters()
	w.ask(fnrA, "Normann")
	w.ask(fnrB, "Li")
	w.ask(fnrA, "")
	// The mailbox behind the account itself opens nothing.
	w.must(w.StudentUpdated(t.Context(), w.meta(events.SourceAdmissions, "256801", june.Add(time.Hour)),
		events.StudentUpdated{Student: student("256801", "Sigrid", "Li", "sigrid@usn.example", fnr(fnrA))}))
	w.ask(fnrA, "Li")
	if got := w.letters(); got["reset"] != 0 || got["activated"] != before["activated"] {
		t.Errorf("letters: %v", got)
	}
}

func TestRequestIsTheSameForEverybodyAndReadableToNobody(t *testing.T) { // T18, T31
	t.Parallel()
	w := bucketWorld(t)
	w.activeStudent("256801", fnrA)
	known, err := w.asked(fnrA, "Li", "here")
	w.must(err)
	unknown, err := w.asked(fnrB, "Verylongname-Indeed", "here")
	w.must(err)
	a, b := known.Data.(events.LetterRequested), unknown.Data.(events.LetterRequested)
	if len(a.Sealed) != len(b.Sealed) || len(a.Request) != len(b.Request) {
		t.Errorf("requests differ in size: %d and %d", len(a.Sealed), len(b.Sealed))
	}
	st, err := w.js.Stream(t.Context(), stream.Intake)
	w.must(err)
	var all int
	for seq := uint64(1); ; seq++ {
		m, err := st.GetMsg(t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		w.must(err)
		all++
		for _, secret := range []string{fnrA, fnrB, "Verylong", "\"Li\""} {
			if contains(m.Subject+string(m.Data), secret) {
				t.Errorf("%s holds %s", m.Subject, secret)
			}
		}
	}
	if all == 0 {
		t.Error("nothing was published")
	}
}

func TestRequestOpensForItsOwnRequestOnly(t *testing.T) { // T5
	t.Parallel()
	w := bucketWorld(t)
	w.activeStudent("256801", fnrA)
	e, err := w.asked(fnrA, "Li", "here")
	w.must(err)
	data := e.Data.(events.LetterRequested)
	data.Request = "another"
	if err := w.LetterRequested(t.Context(), e.Meta, data); err == nil {
		t.Error("a sealed text was taken out of its request")
	}
	if got := w.letters()["reset"]; got != 0 {
		t.Errorf("%d letters", got)
	}
}

func TestRequestsFromOnePlaceAreBounded(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	var many *account.TooManyError
	refused := 0
	for range 130 {
		if _, err := w.asked(fnrA, "Li", "stranger"); errors.As(err, &many) {
			refused++
		}
	}
	if refused != 10 {
		t.Errorf("%d of 130 requests were refused", refused)
	}
	if _, err := w.asked(fnrA, "Li", "home"); err != nil {
		t.Errorf("elsewhere: %v", err)
	}
}

func TestT6LinkToAnAddressThatIsNoLongerThePersonsDies(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.activeStudent("256801", fnrA)
	w.ask(fnrA, "Li")
	ticket := w.ticket("256801", account.PurposeReset)
	w.must(w.StudentUpdated(t.Context(), w.meta(events.SourceAdmissions, "256801", june.Add(time.Hour)),
		events.StudentUpdated{Student: student("256801", "Sigrid", "Li", "moved@example.org", fnr(fnrA))}))
	if _, err := w.portal().Look(t.Context(), ticket); !errors.Is(err, account.ErrSpent) {
		t.Errorf("the link to the old address: %v", err)
	}
	w.at(w.clock().Add(time.Hour))
	w.ask(fnrA, "Li")
	if got := w.mail("mail.reset.>").Address; got != "moved@example.org" {
		t.Errorf("the new link goes to %s", got)
	}
}
