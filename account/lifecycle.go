package account

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"strings"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// Lifecycle is what happens to an account: on each event that a worker hands
// it, and on each click that the portal hands it. Fill in what the process
// needs: a worker has no Passwords and no Attempts, a portal no Claims and no
// Waiting.
type Lifecycle struct {
	Directory Directory
	Passwords Passwords
	Claims    Claims
	Publisher Publisher
	Waiting   Waiting
	Attempts  Attempts
	Sent      SentMarks // a worker's, for letters that come back
	Brake     Brake     // a worker's; nil: nothing is held
	PINs      PINs      // a worker's, and a portal's where PINs are set

	Windows       policy.Windows
	PasswordRules policy.PasswordRules
	Letters       LetterRules
	Leaving       LeavingRules
	Identity      Identity
	Realm         string // "usn.no"; letters that let somebody in never go to it
	Synthetic     bool   // accept test numbers; never in production
	Tickets       Tickets

	// Seal seals a small secret to the mailer's key, bound to one letter.
	Seal func(letter, secret string) (string, error)
	// SealRequest closes what somebody typed to the worker's key, bound to one
	// request; OpenRequest, which a worker has, opens it.
	SealRequest func(request, text string) (string, error)
	OpenRequest func(request, sealed string) ([]byte, error)
	// SealPIN closes a PIN to the access system's key and names that key.
	SealPIN  func(account, campus string, sequence uint64, h events.PINHolder) (sealed, key string, err error)
	PINRules PINRules
	// Breached tells whether a password is known from a breach; skipped means
	// that it could not be looked up and was let through.
	Breached func(ctx context.Context, password string, a Account) (found, skipped bool, err error)
	// Now is the clock.
	Now func() time.Time
	// Clock tells whether Now can be relied on; nil: always. While it answers
	// an error no link is decided about, whose window and end the time decides.
	Clock func(context.Context) error
	// Behind runs what nobody has to wait for beside the answer to a click; nil:
	// before it.
	Behind func(func())
	// Report is told of what went wrong without changing the answer to a
	// click: a denied activation whose audit event could not be published.
	Report func(what string, err error)
}

// LetterRules says when letters go and how long invitations hold.
type LetterRules struct {
	InviteBefore  time.Duration // activation letter before the opening; 14 days
	Reminder      time.Duration // one reminder after the opening; 0: none
	WaitForPerson time.Duration // how long a delta waits for its person; 24 hours
	Valid         policy.Validity
	ResetValid    time.Duration // 60 minutes
}

// DefaultLetterRules are the university's.
func DefaultLetterRules() LetterRules {
	const day = 24 * time.Hour
	return LetterRules{
		InviteBefore: 14 * day, Reminder: 7 * day, WaitForPerson: day,
		Valid: policy.DefaultValidity(), ResetValid: policy.ResetValid,
	}
}

// Waiting holds letters until the instant they wait for. The letters
// themselves are published as events.WaitingLetter, before they are planned:
// in that order a letter is never left without its time.
type Waiting interface {
	// Plan says when the letters of one kind in one group are due. It may be
	// called again, also with another time: the last one counts.
	Plan(ctx context.Context, group, kind string, due time.Time) error
}

// effects are what follows from an event: events to publish, and the times of
// the letters among them that wait.
type effects struct {
	events []events.Event
	due    map[events.WaitingLetter]time.Time
}

func (e *effects) add(evs ...events.Event) { e.events = append(e.events, evs...) }

func (e *effects) wait(m events.Meta, w events.WaitingLetter, due time.Time) {
	if e.due == nil {
		e.due = map[events.WaitingLetter]time.Time{}
	}
	e.due[w] = due
	e.add(m.Causes(w, w.Account+"/"+w.Group+"/"+w.Kind))
}

// inTurn answers what must be out before the next is published: facts before a
// letter with a link. Whoever has the letter may use it up before a worker that
// was killed here has its event handled again, and nobody would find an
// invitation to tell of.
func (e *effects) inTurn() [][]events.Event {
	var facts, others []events.Event
	link := false
	for _, ev := range e.events {
		r, mail := ev.Data.(events.MailRequest)
		link = link || mail && r.Invitation != ""
		if _, fact := ev.Data.(events.Audit); fact {
			facts = append(facts, ev)
		} else {
			others = append(others, ev)
		}
	}
	if !link || len(facts) == 0 {
		return [][]events.Event{e.events}
	}
	return [][]events.Event{facts, others}
}

func (l *Lifecycle) publish(ctx context.Context, e effects) error {
	if len(e.events) == 0 {
		return nil
	}
	for _, evs := range e.inTurn() {
		if err := l.Publisher.Publish(ctx, evs...); err != nil {
			return err
		}
	}
	for w, due := range e.due {
		if err := l.Waiting.Plan(ctx, w.Group, w.Kind, due); err != nil {
			return err
		}
	}
	return nil
}

// writes is how often a write is tried again after ErrStale. Each round
// re-reads the entry; more losers than this at once means a fault elsewhere.
const writes = 10

// update reads the account, lets change work on a copy, and writes the
// difference, again and again while others are faster. change answers false
// when there is nothing to write. It returns what is in the directory after.
func (l *Lifecycle) update(ctx context.Context, k Key, change func(*Account) (bool, error)) (Account, error) {
	for range writes {
		was, err := l.Directory.Find(ctx, k)
		if err != nil {
			return Account{}, err
		}
		now := was.Clone()
		write, err := change(&now)
		if err != nil || !write {
			return was, err
		}
		err = l.Directory.Update(ctx, was, now)
		if errors.Is(err, ErrStale) {
			continue
		}
		if err != nil {
			return Account{}, err
		}
		now.Revision, now.PasswordGone = was.Revision+1, false
		return now, nil
	}
	return Account{}, ErrStale
}

// newInvitation draws a new invitation: randomness only here and in keys.
func newInvitation(purpose string, created, expires time.Time) Invitation {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return Invitation{ID: invitationText(b[:]), Purpose: purpose, Created: created, Expires: expires}
}

var lowerBase32 = base32.StdEncoding.WithPadding(base32.NoPadding)

func invitationText(b []byte) string { return strings.ToLower(lowerBase32.EncodeToString(b)) }

func actorOf(source string) events.Actor {
	switch source {
	case events.SourceHR:
		return events.Actor{Kind: "hr"}
	case events.SourceAdmissions:
		return events.Actor{Kind: "admissions"}
	case events.SourceIT:
		return events.Actor{Kind: "it"}
	case events.SourcePortal:
		return events.Actor{Kind: "person"}
	}
	return events.Actor{Kind: "worker"}
}
