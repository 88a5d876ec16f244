package account_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/policy"
	"usn.no/matricula/stream"
)

const password = "Fjord-og-fjell-2027-sommer"

var (
	rules  = account.Acceptance{Version: "1", Hash: "abc", Language: "nb"}
	august = time.Date(2027, 7, 31, 22, 0, 0, 0, time.UTC) // 1 August 00:00 in Oslo
)

// invitedStudent is registered and has a letter; it answers the ticket.
func (w *world) invitedStudent(no, number string) string {
	w.t.Helper()
	w.must(w.StudentRegistered(w.t.Context(), w.meta(events.SourceAdmissions, no, june),
		events.StudentRegistered{Student: student(no, "Sigrid", "Li", no+"@example.org", fnr(number))}))
	return w.ticket(no, account.PurposeActivate)
}

func (w *world) ticket(username, purpose string) string {
	w.t.Helper()
	for _, i := range w.find(account.ByUsername, username).Invitations {
		if i.Purpose == purpose {
			return w.Tickets.Seal(i.ID, purpose)
		}
	}
	w.t.Fatalf("%s has no invitation to %s", username, purpose)
	return ""
}

func (w *world) proof(ticket, number string) string {
	w.t.Helper()
	p, err := w.portal().Prove(w.t.Context(), ticket, account.Student, number)
	if err != nil {
		w.t.Fatalf("own number: %v", err)
	}
	return p.Token
}

// The window on both sides of the instant.
func TestWindowOpensAtTheInstantAndNotBefore(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		ticket := w.invitedStudent("256801", fnrA)
		w.at(august.Add(-time.Millisecond))
		_, err := w.portal().Prove(t.Context(), ticket, account.Student, fnrA)
		var closed *account.NotOpenError
		if !errors.As(err, &closed) || !closed.Opens.Equal(august) {
			t.Fatalf("a millisecond before the opening: %v", err)
		}
		if v, err := w.portal().Look(t.Context(), ticket); err != nil || !v.Opens.Equal(august) {
			t.Fatalf("the link shows %+v, %v", v, err)
		}
		w.at(august)
		if _, err := w.portal().Prove(t.Context(), ticket, account.Student, fnrA); err != nil {
			t.Fatalf("at the opening: %v", err)
		}
	})
}

// A proof from inside the window is of no use outside it: every check is made
// again at the last moment.
func TestActivationHoldsTheWindowAgain(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	ticket := w.invitedStudent("256801", fnrA)
	w.at(august)
	proof := w.proof(ticket, fnrA)
	w.at(august.Add(-time.Second))
	_, err := w.portal().Activate(t.Context(), account.Choice{Proof: proof, Rules: rules, Password: password})
	var closed *account.NotOpenError
	if !errors.As(err, &closed) {
		t.Fatalf("activated before the window with a proof from within: %v", err)
	}
}

func TestSecondClickFindsInvitationSpentAndFirstPasswordStands(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		ticket := w.invitedStudent("256801", fnrA)
		w.at(august.Add(time.Hour))
		proof := w.proof(ticket, fnrA)
		const tabs = 16
		var wg sync.WaitGroup
		errs := make([]error, tabs)
		words := make([]string, tabs)
		for i := range tabs {
			words[i] = password + string(rune('a'+i))
			wg.Go(func() {
				_, errs[i] = w.portal().Activate(t.Context(), account.Choice{Proof: proof, Rules: rules, Password: words[i]})
			})
		}
		wg.Wait()
		won := -1
		for i, err := range errs {
			switch {
			case err == nil && won >= 0:
				t.Errorf("tabs %d and %d both activated", won, i)
			case err == nil:
				won = i
			case !errors.Is(err, account.ErrSpent):
				t.Errorf("tab %d: %v, not spent", i, err)
			}
		}
		if won < 0 {
			t.Fatal("nobody activated")
		}
		for i, word := range words {
			if err := w.Passwords.Verify(t.Context(), "256801", word); (err == nil) != (i == won) {
				t.Errorf("password of tab %d: %v; tab %d won", i, err, won)
			}
		}
		if _, err := w.portal().Prove(t.Context(), ticket, account.Student, fnrA); !errors.Is(err, account.ErrSpent) {
			t.Errorf("the used ticket answers %v", err)
		}
	})
}

// The portal dies between the Modify and everything else: the worker finds the
// facts in the entry and publishes each once, however often it looks.
func TestFactsOutliveThePortal(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		ticket := w.invitedStudent("256801", fnrA)
		w.at(august.Add(time.Hour))
		portal := w.portal()
		portal.Publisher = nowhere{}
		proof := w.proof(ticket, fnrA)
		if _, err := portal.Activate(t.Context(), account.Choice{Proof: proof, Rules: rules, Password: password}); err != nil {
			t.Fatal(err)
		}
		if got := w.facts()["account.activated"]; got != 0 {
			t.Fatalf("%d activated facts before any worker looked", got)
		}
		for range 3 {
			if _, err := w.PublishUnsent(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.facts(); got["account.activated"] != 1 || got["rules.accepted"] != 1 {
			t.Errorf("facts: %v", got)
		}
		if got := w.letters()["activated"]; got != 1 {
			t.Errorf("%d receipts", got)
		}
		a := w.find(account.ByUsername, "256801")
		if len(a.Unsent) != 0 || a.State != account.Active || len(a.Affiliations) != 2 {
			t.Errorf("after it: %d unsent, %s, %v", len(a.Unsent), a.State, a.Affiliations)
		}
	})
}

type nowhere struct{}

func (nowhere) Publish(context.Context, ...events.Event) error { return account.ErrUnavailable }

func TestFiveWrongNumbersFreezeThatLinkOnlyAndANewOneWorks(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	ticket, other := w.invitedStudent("256801", fnrA), w.invitedStudent("256802", fnrB)
	w.at(august.Add(time.Hour))
	for i := range 5 {
		_, err := w.portal().Prove(t.Context(), ticket, account.Student, fnrB)
		var wrong *account.WrongNumberError
		if i < 4 && (!errors.As(err, &wrong) || wrong.Left != 4-i) || i == 4 && !errors.Is(err, account.ErrFrozen) {
			t.Fatalf("wrong number %d: %v", i+1, err)
		}
	}
	if _, err := w.portal().Prove(t.Context(), ticket, account.Student, fnrA); !errors.Is(err, account.ErrFrozen) {
		t.Fatalf("the own number on a frozen link: %v", err)
	}
	if _, err := w.portal().Prove(t.Context(), other, account.Student, fnrB); err != nil {
		t.Fatalf("somebody else's link is frozen too: %v", err)
	}
	if err := w.portal().Again(t.Context(), ticket); err != nil {
		t.Fatal(err)
	}
	id := w.find(account.ByUsername, "256801").ID
	w.must(w.InvitationRequested(t.Context(), w.meta(events.SourcePortal, id, w.clock()), events.InvitationRequested{Account: id, Purpose: account.PurposeActivate, Frozen: true}))
	fresh := w.ticket("256801", account.PurposeActivate)
	if fresh == ticket {
		t.Fatal("the frozen link was sent again")
	}
	if _, err := w.portal().Prove(t.Context(), fresh, account.Student, fnrA); err != nil {
		t.Fatalf("the new link: %v", err)
	}
	if _, err := w.portal().Prove(t.Context(), ticket, account.Student, fnrA); !errors.Is(err, account.ErrSpent) {
		t.Fatalf("the replaced link: %v", err)
	}
}

func TestWrongRoleBurnsNoAttempt(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	ticket := w.invitedStudent("256801", fnrA)
	w.at(august.Add(time.Hour))
	for range 9 {
		if _, err := w.portal().Prove(t.Context(), ticket, account.Employee, fnrA); !errors.Is(err, account.ErrWrongRole) {
			t.Fatalf("wrong role: %v", err)
		}
	}
	if _, err := w.portal().Prove(t.Context(), ticket, account.Student, "1791 20 99997"); err != nil {
		t.Fatalf("own number with blanks after nine wrong roles: %v", err)
	}
}

func TestPasswordThatBreaksARuleSpendsNothing(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	ticket := w.invitedStudent("256801", fnrA)
	w.at(august.Add(time.Hour))
	proof := w.proof(ticket, fnrA)
	_, err := w.portal().Activate(t.Context(), account.Choice{Proof: proof, Rules: rules, Password: "sigrid"})
	var bad *account.PasswordError
	if !errors.As(err, &bad) || policy.OK(bad.Answers) {
		t.Fatalf("a bad password: %v", err)
	}
	if _, err := w.portal().Activate(t.Context(), account.Choice{Proof: proof, Password: password}); !errors.Is(err, account.ErrRules) {
		t.Fatalf("without the rules accepted: %v", err)
	}
	if _, err := w.portal().Activate(t.Context(), account.Choice{Proof: proof, Rules: rules, Password: password}); err != nil {
		t.Fatalf("the good one after it: %v", err)
	}
}

func TestCompromiseTakesEverythingAwayAndOldWordDoesNothing(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		ticket := w.invitedStudent("256801", fnrA)
		w.at(august.Add(time.Hour))
		if _, err := w.portal().Activate(t.Context(), account.Choice{Proof: w.proof(ticket, fnrA), Rules: rules, Password: password}); err != nil {
			t.Fatal(err)
		}
		_, err := w.PublishUnsent(t.Context())
		w.must(err)
		report := events.PasswordCompromised{Username: "256801", Reason: "leak", ReportedBy: "soc"}
		w.must(w.PasswordCompromised(t.Context(), w.meta(events.SourceIT, "256801", june), report))
		if err := w.Passwords.Verify(t.Context(), "256801", password); err != nil {
			t.Fatalf("word older than the password took it away: %v", err)
		}
		w.at(august.Add(2 * time.Hour))
		m := w.meta(events.SourceIT, "256801", w.clock())
		for range 2 {
			w.must(w.PasswordCompromised(t.Context(), m, report))
		}
		twice := m // published once more, long after the broker would know it again
		twice.Position += 100
		w.must(w.PasswordCompromised(t.Context(), twice, report))
		if err := w.Passwords.Verify(t.Context(), "256801", password); !errors.Is(err, account.ErrWrongPassword) {
			t.Fatalf("a compromised password: %v", err)
		}
		a := w.find(account.ByUsername, "256801")
		if a.State != account.Suspended || a.Why.Reason != account.WhyCompromised || !a.SessionsFrom.Equal(w.clock()) {
			t.Errorf("account is %s (%s), sessions from %s", a.State, a.Why.Reason, a.SessionsFrom)
		}
		if got := w.letters(); got["reset"] != 1 || got["password-compromised"] != 1 {
			t.Errorf("letters: %v", got)
		}
		if got := w.facts()["password.compromised"]; got != 1 {
			t.Errorf("%d compromised facts", got)
		}
		proof := w.proof(w.ticket("256801", account.PurposeReset), fnrA)
		if _, err := w.portal().Activate(t.Context(), account.Choice{Proof: proof, Rules: rules, Password: password}); !errors.Is(err, account.ErrSamePassword) {
			t.Fatalf("the compromised password again: %v", err)
		}
		if _, err := w.portal().Activate(t.Context(), account.Choice{Proof: proof, Rules: rules, Password: password + "-ny"}); err != nil {
			t.Fatalf("another password: %v", err)
		}
		if err := w.Passwords.Verify(t.Context(), "256801", password+"-ny"); err != nil {
			t.Fatalf("the new password: %v", err)
		}
	})
}

// A letter waits for its window; moved, it waits for the new one; due, it is
// looked at anew and goes to the address as it is now.
func TestLetterWaitsForItsWindowAndGoesToTheAddressAsItIsThen(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		no := "256801"
		w.at(time.Date(2027, 6, 2, 8, 0, 0, 0, time.UTC))
		w.must(w.StudentRegistered(t.Context(), w.meta(events.SourceAdmissions, no, june), events.StudentRegistered{Student: student(no, "Sigrid", "Li", "old@example.org", fnr(fnrA))}))
		waiting := w.subjects(stream.Wait, "wait.letter.>")
		if len(waiting) != 1 || len(w.letters()) != 0 {
			t.Fatalf("in June %v wait and %v are due", waiting, w.letters())
		}
		w.must(w.StudentUpdated(t.Context(), w.meta(events.SourceAdmissions, no, june.Add(time.Hour)), events.StudentUpdated{Student: student(no, "Sigrid", "Li", "new@example.org", fnr(fnrA))}))
		a := w.find(account.ByUsername, no)
		letter := events.WaitingLetter{Account: a.ID, Kind: events.LetterActivation, Group: "main_2027"}
		if due := w.Due(letter.Group, letter.Kind); !due.Equal(august.AddDate(0, 0, -14)) {
			t.Fatalf("the group is due %s", due)
		}
		// released too early, because a window moved: it goes back to wait
		w.must(w.LetterDue(t.Context(), w.meta(events.SourceWorker, a.ID, june), letter))
		if len(w.letters()) != 0 {
			t.Fatalf("a letter that was not due went out: %v", w.letters())
		}
		w.at(august.AddDate(0, 0, -14))
		for range 2 {
			w.must(w.LetterDue(t.Context(), w.meta(events.SourceWorker, a.ID, june), letter))
		}
		if got := w.letters(); got["activation"] != 1 {
			t.Fatalf("letters when due: %v", got)
		}
		if got := w.mail("mail.activation.>").Address; got != "new@example.org" {
			t.Errorf("the letter goes to %s", got)
		}
		if got := w.facts()["account.invited"]; got != 1 {
			t.Errorf("invited %d times", got)
		}
	})
}

func (w *world) mail(filter string) events.MailRequest {
	w.t.Helper()
	st, err := w.js.Stream(w.t.Context(), stream.Mail)
	w.must(err)
	var m *jetstream.RawStreamMsg
	m, err = st.GetLastMsgForSubject(w.t.Context(), filter)
	w.must(err)
	var r events.MailRequest
	w.must(json.Unmarshal(m.Data, &r))
	return r
}

func TestNewAddressMakesTheOldLinkUselessAndANewOneGoesThere(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	ticket := w.invitedStudent("256801", fnrA)
	w.must(w.StudentUpdated(t.Context(), w.meta(events.SourceAdmissions, "256801", june.Add(time.Hour)),
		events.StudentUpdated{Student: student("256801", "Sigrid", "Li", "moved@example.org", fnr(fnrA))}))
	if _, err := w.portal().Look(t.Context(), ticket); !errors.Is(err, account.ErrSpent) {
		t.Errorf("the link to the old address: %v", err)
	}
	if fresh := w.ticket("256801", account.PurposeActivate); fresh == ticket {
		t.Error("the same link went to the new address")
	}
	if got := w.mail("mail.activation.>").Address; got != "moved@example.org" {
		t.Errorf("the new letter goes to %s", got)
	}
}

func TestNoLinkIsDecidedAboutByAClockThatCannotBeReliedOn(t *testing.T) {
	t.Parallel()
	s, _ := quiet(t)
	p := s.lives[2]
	ticket := p.Tickets.Seal(s.dir.entries[1].Invitations[0].ID, account.PurposeActivate)
	number := s.dir.entries[1].Numbers[0].Value
	proof, err := p.Prove(t.Context(), ticket, account.Student, number)
	if err != nil {
		t.Fatal(err)
	}
	told := len(s.pub.facts)
	s.start = s.start.Add(-48 * time.Hour) // back before the opening
	p.Clock = func(context.Context) error { return account.ErrUnavailable }
	_, looked := p.Look(t.Context(), ticket)
	_, proved := p.Prove(t.Context(), ticket, account.Student, "01010112345")
	_, activated := p.Activate(t.Context(), account.Choice{
		Proof: proof.Token, Password: "Tolv trøtte bjørner 2", Rules: account.Acceptance{Version: "1", Hash: "ab", Language: "nb"},
	})
	again := p.Again(t.Context(), ticket)
	asked := p.RequestLetter(t.Context(), account.LetterRequest{Number: number, Family: "Nordmann", From: "192.0.2.1"})
	for what, err := range map[string]error{"look": looked, "prove": proved, "activate": activated, "again": again, "ask": asked} {
		if !errors.Is(err, account.ErrUnavailable) {
			t.Errorf("%s answers %v", what, err)
		}
	}
	if n := s.tries.counts["number."+s.dir.entries[1].Invitations[0].ID]; n != 0 || len(s.pub.facts) != told {
		t.Errorf("%d attempts counted and %d facts told meanwhile", n, len(s.pub.facts)-told)
	}
}
