package account_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// sent marks the letter of a template as the mailer does, and answers its ID.
func (w *world) sent(template, accountID, address string) string {
	w.t.Helper()
	subjects := w.subjects(stream.Mail, "mail."+template+".*")
	letter := subjects[len(subjects)-1][len("mail."+template+"."):]
	w.must((&stream.Letters{Publisher: w.Publisher.(*stream.Publisher)}).Mark(w.t.Context(), letter, events.LetterMark{
		State: events.LetterSent, Account: accountID, To: events.AddressPrint(letter, address),
	}))
	return letter
}

func (w *world) bounces(letter, status string, at time.Time) error {
	m := w.meta(events.SourceIT, letter, at)
	for range 2 { // delivered again
		if err := w.MailBounced(w.t.Context(), m, events.MailBounced{Letter: letter, Status: status, Text: "550 <kari@old.example>: Kari Nordmann unknown, 17912099997"}); err != nil {
			return err
		}
	}
	return nil
}

func TestBouncedAddressGetsNoLettersUntilThereIsAnother(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		w.Sent = &stream.Letters{Publisher: w.Publisher.(*stream.Publisher)}
		announce := func(at time.Time, given, email string) {
			t.Helper()
			w.must(w.EmployeeUpdated(t.Context(), w.meta(events.SourceHR, "104711", at),
				events.EmployeeUpdated{Employee: employee("104711", given, "Nordmann", email, fnr(fnrA))}))
		}
		find := func() account.Account { t.Helper(); return w.find(account.ByLIN, "employee:104711") }
		announce(june, "Kari", "Kari@old.example")
		letter := w.sent("activation", find().ID, "Kari@old.example")

		w.must(w.bounces(letter, "4.4.7", june.Add(time.Hour))) // a delay is no bounce
		if a := find(); a.Address == "" || w.facts()["letter.bounced"] != 0 {
			t.Error("word of a delay took the address out of use")
		}
		w.must(w.bounces(letter, "5.1.1", june.Add(2*time.Hour)))
		a := find()
		gone, since, ok := a.Bounced()
		if !ok || a.Address != "" || gone != "Kari@old.example" || !since.Equal(june.Add(2*time.Hour)) {
			t.Fatalf("after the bounce the address is %q, the bounced one %q since %s", a.Address, gone, since)
		}
		stopped, err := (&stream.Letters{Publisher: w.Publisher.(*stream.Publisher)}).Stopped(t.Context(), a.ID)
		if err != nil || !stopped.Stops(a.ID, "kari@old.example", w.clock()) || stopped.Stops(a.ID, "kari@old.example", w.clock().Add(time.Second)) ||
			stopped.Stops(a.ID, "kari@new.example", w.clock()) {
			t.Errorf("letters that are due already are not kept from the address, or others are: %+v, %v", stopped, err)
		}
		if w.Lacks(a) != "address" || w.facts()["letter.bounced"] != 1 {
			t.Errorf("the account lacks %q, and audit tells %v", w.Lacks(a), w.facts())
		}

		announce(june.Add(3*time.Hour), "Kari Anne", "kari@old.example") // says the same address again
		if a := find(); a.Address != "" || a.Name.Given != "Kari Anne" {
			t.Errorf("an update that repeats the bounced address leaves %q in use", a.Address)
		}
		if got := w.letters()["activation"]; got != 1 {
			t.Errorf("%d activation letters were asked for; the address takes none", got)
		}

		announce(june.Add(4*time.Hour), "Kari Anne", "kari@new.example")
		if _, _, ok := find().Bounced(); ok || find().Address != "kari@new.example" {
			t.Error("a new address does not lift the bounce")
		}
		if got := w.letters()["activation"]; got != 2 {
			t.Errorf("%d activation letters were asked for; the new address must get one of its own", got)
		}

		w.must(w.bounces(letter, "5.1.1", june.Add(5*time.Hour))) // late word of the first letter
		if a := find(); a.Address != "kari@new.example" {
			t.Error("word of a letter to the old address took the new one out of use")
		}
	})
}

func TestBounceOfALetterNobodyKnowsWaitsAndBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.Sent = &stream.Letters{Publisher: w.Publisher.(*stream.Publisher)}
	m := w.meta(events.SourceIT, "nosuchletter", w.clock())
	e := events.MailBounced{Letter: "nosuchletter", Status: "5.1.1"}
	if _, later := events.Postponed(w.MailBounced(t.Context(), m, e)); !later {
		t.Error("a bounce whose letter is not marked yet does not wait")
	}
	w.at(w.clock().Add(25 * time.Hour))
	if r, ok := events.Rejected(w.MailBounced(t.Context(), m, e)); !ok || r.Reason != events.ReasonOrphan {
		t.Errorf("after a day it is no orphan: %v", r)
	}
	e.Status = "gone"
	if r, ok := events.Rejected(w.MailBounced(t.Context(), m, e)); !ok || r.Field != "data.status" {
		t.Errorf("a status that is none is taken: %v", r)
	}
}

func TestBounceTellsTheServersWordsWithoutThePerson(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.Sent = &stream.Letters{Publisher: w.Publisher.(*stream.Publisher)}
	w.must(w.EmployeeRegistered(t.Context(), w.meta(events.SourceHR, "104711", june),
		events.EmployeeRegistered{Employee: employee("104711", "Kari", "Nordmann", "kari@old.example", fnr(fnrA))}))
	letter := w.sent("activation", w.find(account.ByLIN, "employee:104711").ID, "kari@old.example")
	w.must(w.bounces(letter, "5.1.1", june.Add(time.Hour)))
	var text string
	w.must(stream.Tail(t.Context(), w.js, stream.TailOptions{Filter: "audit.letter.bounced.*"}, func(e events.Event) error {
		text = e.Data.(events.Audit).Details["text"]
		return nil
	}))
	if !strings.Contains(text, "550") || !strings.Contains(text, "unknown") {
		t.Errorf("the server's words are lost: %q", text)
	}
	for _, secret := range []string{"@", "Kari", "Nordmann", "17912099997"} {
		if strings.Contains(text, secret) {
			t.Errorf("the server's words hold %q: %q", secret, text)
		}
	}
}

// TestRefusedAddressIsOutOfUseLikeOneThatLettersComeBackFrom: the mailer tells
// what the relay said at once in the words of a bounce.
func TestRefusedAddressIsOutOfUseLikeOneThatLettersComeBackFrom(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.Sent = &stream.Letters{Publisher: w.Publisher.(*stream.Publisher)}
	held := &heldBrake{}
	w.Brake = held
	w.must(w.EmployeeRegistered(t.Context(), w.meta(events.SourceHR, "104711", june),
		events.EmployeeRegistered{Employee: employee("104711", "Kari", "Nordmann", "kari@old.example", fnr(fnrA))}))
	id := w.find(account.ByLIN, "employee:104711").ID
	letter := w.sent("activation", id, "kari@old.example")
	refused := events.MailBounced{Letter: letter, Status: "5.1.1", Text: "550 5.1.1 user unknown"}

	held.on = true
	m := w.meta(events.SourceWorker, letter, june.Add(time.Hour))
	if _, later := events.Postponed(w.MailBounced(t.Context(), m, refused)); !later || w.find(account.ByID, id).Address == "" {
		t.Error("with the brake on, a relay's word took the address out of use or was not put off")
	}
	held.on = false
	for range 2 { // delivered again
		w.must(w.MailBounced(t.Context(), m, refused))
	}
	if gone, _, ok := w.find(account.ByID, id).Bounced(); !ok || gone != "kari@old.example" || w.facts()["letter.bounced"] != 1 {
		t.Errorf("after the refusal the address out of use is %q, and audit tells %v", gone, w.facts())
	}
	if held.kind != account.BrakeAddresses || held.account != id {
		t.Errorf("the brake was asked for %q of %q", held.kind, held.account)
	}

	// What IT says is not held.
	w.must(w.EmployeeUpdated(t.Context(), w.meta(events.SourceHR, "104711", june.Add(2*time.Hour)),
		events.EmployeeUpdated{Employee: employee("104711", "Kari", "Nordmann", "kari@new.example", fnr(fnrA))}))
	held.on = true
	letter = w.sent("activation", id, "kari@new.example")
	w.must(w.bounces(letter, "5.1.1", june.Add(3*time.Hour)))
	if a := w.find(account.ByID, id); a.Address != "" {
		t.Errorf("with the brake on, IT's word leaves %q in use", a.Address)
	}
}

// heldBrake holds everything while it is on.
type heldBrake struct {
	on            bool
	kind, account string
}

func (b *heldBrake) Allow(_ context.Context, kind, account string) (bool, error) {
	b.kind, b.account = kind, account
	return !b.on, nil
}
