package account_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
)

// pausing is a portal that stands still after its count of attempts.
type pausing struct {
	account.Attempts
	pause func()
}

func (p pausing) Count(ctx context.Context, key string) (int, error) {
	n, err := p.Attempts.Count(ctx, key)
	p.pause()
	return n, err
}

func TestLinkThatRunsOutInTheMiddleOfAClickSetsNoPassword(t *testing.T) {
	t.Parallel()
	s, _ := quiet(t)
	p, inv := s.lives[2], s.dir.entries[1].Invitations[0]
	proof, err := p.Prove(t.Context(), p.Tickets.Seal(inv.ID, inv.Purpose), account.Student, s.dir.entries[1].Numbers[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	p.Attempts = pausing{p.Attempts, func() { s.start = inv.Expires.Add(time.Minute) }}
	_, err = p.Activate(t.Context(), account.Choice{
		Proof: proof.Token, Password: "Tolv trøtte bjørner 2", Rules: account.Acceptance{Version: "1", Hash: "ab", Language: "nb"},
	})
	if !errors.Is(err, account.ErrExpired) || s.dir.entries[1].State != account.Pending {
		t.Errorf("a link that ran out meanwhile: %v, the account is %s", err, s.dir.entries[1].State)
	}
}

// meanwhile lets another worker in before what is published.
type meanwhile struct {
	account.Publisher
	other func()
}

func (m *meanwhile) Publish(ctx context.Context, evs ...events.Event) error {
	if other := m.other; other != nil {
		m.other = nil
		other()
	}
	return m.Publisher.Publish(ctx, evs...)
}

func TestTwoWorkersThatPublishOneCompromiseMailTheLinkThatHolds(t *testing.T) {
	t.Parallel()
	s, w := quiet(t)
	m, e := s.word("it-1", "256700")
	w.Publisher = mute{}
	if err := w.PasswordCompromised(t.Context(), m, e); !events.IsUnavailable(err) {
		t.Fatalf("with a mute broker: %v", err)
	}
	s.start = s.start.Add(2 * time.Hour) // the way back is renewed by whoever publishes it
	w.Publisher = &meanwhile{s.pub, func() {
		if _, err := s.lives[1].PublishUnsent(t.Context()); err != nil {
			t.Error(err)
		}
	}}
	if _, err := w.PublishUnsent(t.Context()); err != nil && !errors.Is(err, account.ErrStale) {
		t.Fatal(err)
	}
	w.Publisher = s.pub
	if _, err := w.PublishUnsent(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := s.dir.entries[0]
	for _, q := range s.pub.waiting {
		if r, ok := q.Data.(events.MailRequest); ok && r.Template == events.LetterReset {
			if _, holds := a.Invitation(r.Invitation); holds {
				return
			}
		}
	}
	t.Errorf("none of the letters holds the link of the entry, %v", a.Invitations)
}

func TestLetterAskedForByAFastClockHasOneName(t *testing.T) {
	t.Parallel()
	s, w := quiet(t)
	m := events.Meta{ID: "again-1", Source: events.SourcePortal, Subject: s.dir.entries[0].ID, Time: s.now().Add(800 * time.Millisecond), Position: 91}
	e := events.InvitationRequested{Account: s.dir.entries[0].ID, Purpose: account.PurposeReset}
	letters := map[string]bool{}
	for range 3 {
		if err := w.InvitationRequested(t.Context(), m, e); err != nil {
			t.Fatal(err)
		}
		for _, q := range s.pub.waiting {
			if r, ok := q.Data.(events.MailRequest); ok && r.Template == events.LetterReset {
				letters[r.Letter] = true
			}
		}
		s.start = s.start.Add(time.Second)
	}
	if len(letters) != 1 {
		t.Errorf("one request made %d letters", len(letters))
	}
}

func TestReplaySendsNoLinkInPlaceOfOneThatRanOut(t *testing.T) {
	t.Parallel()
	s, w := quiet(t)
	fnrs, _ := pool()
	m := events.Meta{ID: "r256701", Source: events.SourceAdmissions, Subject: "256701", Time: s.now().Add(-time.Hour), Position: 2}
	e := events.StudentRegistered{Student: student("256701", "Kari", "Nordmann", "256701@example.org", fnr(fnrs[1]))}
	was := s.dir.entries[1].Invitations[0]
	s.start = was.Expires.Add(time.Hour)
	s.pub.waiting = nil // mailed long ago
	if err := w.StudentRegistered(t.Context(), m, e); err != nil {
		t.Fatal(err)
	}
	for _, q := range s.pub.waiting {
		if r, ok := q.Data.(events.MailRequest); ok && r.Invitation != "" && r.Invitation != was.ID {
			t.Errorf("a replay mails another link, %s", r.Template)
		}
	}
}
