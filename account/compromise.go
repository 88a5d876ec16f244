package account

import (
	"context"
	"strings"
	"time"

	"usn.no/matricula/events"
)

// clocksApart is how far the clocks of IT and of a portal may differ: word of
// the very moment takes the password away, for it may be about this one.
const clocksApart = 2 * time.Second

// PasswordCompromised takes the password away at IT's word: bind stops,
// invitations and sessions die, and a reset letter goes to the private
// address. Word that is older than the last password change does nothing, and
// so does word about an account that has no password, or none any more.
func (l *Lifecycle) PasswordCompromised(ctx context.Context, m events.Meta, e events.PasswordCompromised) error {
	a, err := l.update(ctx, Key{ByUsername, e.Username}, func(now *Account) (bool, error) {
		if now.seen(m, FacetState) != "new" || now.State == Closed {
			return false, nil
		}
		if now.base() != "" || now.PasswordSince.After(m.Time.Add(clocksApart)) {
			now.setMark(m, FacetState, false) // also when it comes again, and there is another password
			return true, nil
		}
		l.compromise(now, m)
		return true, l.settle(ctx, now, cause{Meta: m})
	})
	if err != nil {
		return l.orWait(m, err)
	}
	return l.publishFacts(ctx, a)
}

// compromise is the one Modify: everything that let somebody in is gone with
// it, what lets the person back in is there, and the facts ride in it: the way
// back lives for an hour, an outage between the write and the letters may not.
func (l *Lifecycle) compromise(now *Account, m events.Meta) {
	if now.State == Active {
		now.State = Suspended
		now.Why = Why{Reason: WhyCompromised, Since: l.Now(), By: actorOf(m.Source).Kind}
	}
	now.PasswordGone, now.PasswordLost = true, WhyCompromised
	now.SessionsFrom = l.Now()
	now.Invitations = nil
	if l.reachable(*now, PurposeReset) {
		now.Invitations = []Invitation{newInvitation(PurposeReset, l.Now(), l.Now().Add(l.Letters.ResetValid))}
	}
	now.setMark(m, FacetState, true)
	fact := events.Audit{What: events.AuditCompromised}
	now.Unsent = append(now.Unsent, Fact{
		What: fact.What, ID: m.Causes(fact, now.ID).ID, At: l.Now(), Actor: actorOf(m.Source).Kind, Cause: m.ID,
		Details: map[string]string{"reason": "reported"},
	})
}

// resetLetter is named by its invitation; again names a second one of it.
func (l *Lifecycle) resetLetter(a Account, inv Invitation, again string) events.Event {
	id := letterID(events.LetterReset, inv.ID)
	if again != "" {
		id = letterID(events.LetterReset, inv.ID, again)
	}
	r := l.letter(a, events.LetterReset, id)
	r.Invitation, r.Purpose, r.Expires = inv.ID, inv.Purpose, &inv.Expires
	return events.Once(id, inv.Created, r)
}

// inside tells whether a mailbox lives behind the very account it would
// unlock.
func inside(address, realm string) bool {
	_, domain, _ := strings.Cut(strings.ToLower(address), "@")
	return realm != "" && (domain == realm || strings.HasSuffix(domain, "."+realm))
}
