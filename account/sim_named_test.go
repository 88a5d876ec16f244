package account_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
)

// quiet is a simulation without faults, driven by hand: one active student,
// 256700, and one pending, 256701, both registered an hour ago.
func quiet(t *testing.T) (s *sim, worker *account.Lifecycle) {
	t.Helper()
	s = newSim(t, 1, false)
	s.skew = [4]time.Duration{}
	s.start = openingOf("2027-08-16").Add(24 * time.Hour)
	fnrs, _ := pool()
	for i, no := range []string{"256700", "256701"} {
		m := events.Meta{ID: "r" + no, Source: events.SourceAdmissions, Subject: no, Time: s.now().Add(-time.Hour), Position: uint64(i + 1)}
		e := student(no, "Kari", "Nordmann", no+"@example.org", fnr(fnrs[i]))
		if err := s.lives[0].StudentRegistered(t.Context(), m, events.StudentRegistered{Student: e}); err != nil {
			t.Fatal(err)
		}
	}
	a := s.dir.entries[0].Clone()
	ticket := s.lives[2].Tickets.Seal(a.Invitations[0].ID, account.PurposeActivate)
	proof, err := s.lives[2].Prove(t.Context(), ticket, account.Student, fnrs[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.lives[2].Activate(t.Context(), account.Choice{
		Proof: proof.Token, Password: "Tolv trøtte bjørner 1", Rules: account.Acceptance{Version: "1", Hash: "ab", Language: "nb"},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.lives[0].PublishUnsent(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, s.lives[0]
}

// mute is a broker that does not answer.
type mute struct{}

func (mute) Publish(context.Context, ...events.Event) error { return account.ErrUnavailable }

func (s *sim) word(id, username string) (events.Meta, events.PasswordCompromised) {
	return events.Meta{ID: id, Source: events.SourceIT, Subject: username, Time: s.now(), Position: 90},
		events.PasswordCompromised{Username: username, Reason: "phishing", ReportedBy: "csirt"}
}

func TestWayBackOutlivesALongOutage(t *testing.T) {
	t.Parallel()
	s, w := quiet(t)
	m, e := s.word("it-1", "256700")
	w.Publisher = mute{}
	if err := w.PasswordCompromised(t.Context(), m, e); !events.IsUnavailable(err) {
		t.Fatalf("with a mute broker: %v", err)
	}
	s.start = s.start.Add(2 * time.Hour)
	w.Publisher = s.pub
	if err := w.PasswordCompromised(t.Context(), m, e); err != nil {
		t.Fatal(err)
	}
	for _, q := range s.pub.waiting {
		if r, ok := q.Data.(events.MailRequest); ok && r.Template == events.LetterReset && r.Expires.After(s.now()) {
			return
		}
	}
	t.Error("two hours later no letter with a link that holds goes out")
}

func TestWordThatDidNothingDoesNothingAgain(t *testing.T) {
	t.Parallel()
	s, w := quiet(t)
	m, e := s.word("it-1", "256701")
	m.Time = m.Time.Add(time.Minute) // by IT's clock
	if err := w.PasswordCompromised(t.Context(), m, e); err != nil {
		t.Fatal(err)
	}
	was := s.dir.entries[1].Clone()
	now := was.Clone()
	now.State, now.Invitations, now.PasswordSince = account.Active, nil, s.now()
	if err := s.dir.SetPassword(t.Context(), was, now, "Elleve bjørner"); err != nil {
		t.Fatal(err)
	}
	if err := w.PasswordCompromised(t.Context(), m, e); err != nil {
		t.Fatal(err)
	}
	if got := s.dir.entries[1]; got.State != account.Active {
		t.Errorf("word that was handled while there was no password made the account %s", got.State)
	}
}

func TestAnsweredRequestMakesNoSecondLink(t *testing.T) {
	t.Parallel()
	s, w := quiet(t)
	m := events.Meta{ID: "again-1", Source: events.SourcePortal, Subject: s.dir.entries[0].ID, Time: s.now(), Position: 91}
	e := events.InvitationRequested{Account: s.dir.entries[0].ID, Purpose: account.PurposeReset}
	for round := range 2 {
		if err := w.InvitationRequested(t.Context(), m, e); err != nil {
			t.Fatal(err)
		}
		if got := s.dir.entries[0].Invitations; len(got) != 1 || round == 1 && got[0].Expires.After(s.now()) {
			t.Errorf("round %d: the invitations are %v", round, got)
		}
		s.start = s.start.Add(2 * time.Hour) // it has run out
	}
}

func TestSlowClockSendsNoDueLetterBack(t *testing.T) {
	t.Parallel()
	s := newSim(t, 1, false)
	s.skew = [4]time.Duration{}
	due := openingOf("2027-08-16").Add(-14 * 24 * time.Hour)
	s.start = due.Add(-24 * time.Hour)
	fnrs, _ := pool()
	m := events.Meta{ID: "r1", Source: events.SourceAdmissions, Subject: "256701", Time: s.now().Add(-time.Hour), Position: 1}
	e := events.StudentRegistered{Student: student("256701", "Kari", "Nordmann", "k@example.org", fnr(fnrs[0]))}
	if err := s.lives[0].StudentRegistered(t.Context(), m, e); err != nil {
		t.Fatal(err)
	}
	if len(s.pub.waiting) != 1 {
		t.Fatalf("%d letters wait, not one", len(s.pub.waiting))
	}
	letter := s.pub.waiting[0]
	s.start = due.Add(-30 * time.Second) // due by the broker's clock
	if err := s.lives[0].LetterDue(t.Context(), letter.Meta, letter.Data.(events.WaitingLetter)); err != nil {
		t.Fatal(err)
	}
	if s.pub.waiting[0] != letter || len(s.dir.entries[0].Invitations) != 1 {
		t.Error("a letter that is due went back to wait")
	}
}

func TestLateEventIsAuditedAfterACrash(t *testing.T) {
	t.Parallel()
	s, w := quiet(t)
	_, sos := pool()
	m := events.Meta{ID: "late", Source: events.SourceAdmissions, Subject: "256701", Time: s.now().Add(-2 * time.Hour), Position: 92}
	e := events.StudentUpdated{Student: student("256701", "Kari", "Nordmann", "old@example.org", []events.Identifier{{Type: "so", Value: sos[0]}})}
	w.Publisher = mute{}
	if err := w.StudentUpdated(t.Context(), m, e); !errors.Is(err, account.ErrUnavailable) {
		t.Fatalf("with a mute broker: %v", err)
	}
	w.Publisher = s.pub
	if err := w.StudentUpdated(t.Context(), m, e); err != nil {
		t.Fatal(err)
	}
	if _, err := w.PublishUnsent(t.Context()); err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, f := range s.pub.facts {
		if f.What == events.AuditUpdated && f.Cause == "late" {
			told++
		}
	}
	if told != 1 || len(s.dir.entries[1].Unsent) != 0 {
		t.Errorf("the number that came late is told %d times, %d facts are left", told, len(s.dir.entries[1].Unsent))
	}
}

func TestWordOfTheSameMomentTakesThePassword(t *testing.T) {
	t.Parallel()
	s, w := quiet(t)
	m, e := s.word("it-1", "256700")
	m.Time = s.dir.entries[0].PasswordSince.Add(-800 * time.Millisecond) // the portal's clock is ahead
	if err := w.PasswordCompromised(t.Context(), m, e); err != nil {
		t.Fatal(err)
	}
	if got := s.dir.entries[0]; got.State != account.Suspended {
		t.Errorf("word of 0.8 s before a password, by two clocks, left it %s", got.State)
	}
}
