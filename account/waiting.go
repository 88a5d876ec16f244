package account

import (
	"context"
	"errors"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// LetterDue handles a letter whose instant has come. Everything is looked at
// anew: state, number, window, address. A window that has moved away sends the
// letter back to wait for its new instant.
func (l *Lifecycle) LetterDue(ctx context.Context, m events.Meta, w events.WaitingLetter) error {
	a, err := l.Directory.Find(ctx, Key{ByID, w.Account})
	if errors.Is(err, ErrNotFound) {
		return nil // erased while it waited
	}
	if err != nil {
		return err
	}
	var out effects
	switch w.Kind {
	case events.LetterActivation:
		err = l.activationLetter(ctx, &out, m, a, false)
	case events.LetterReminder:
		l.reminder(&out, m, a)
	}
	if err != nil {
		return err
	}
	return l.publish(ctx, out)
}

// clockSlack is how far a worker's clock may stand behind the broker's.
const clockSlack = time.Minute

// reached tells whether a letter's time has come. It is the broker's clock that
// brings a waiting letter: a clock that is a little slow here would send it
// back to wait for a time that is past there, again and again.
func (l *Lifecycle) reached(due time.Time) bool { return !due.After(l.Now().Add(clockSlack)) }

// reminder reminds once, of an invitation that still holds.
func (l *Lifecycle) reminder(out *effects, m events.Meta, a Account) {
	o, ok := l.opening(a)
	if !ok || !l.invitable(a) {
		return
	}
	if due := o.At.Add(l.Letters.Reminder); !l.reached(due) {
		out.wait(m, events.WaitingLetter{Account: a.ID, Kind: events.LetterReminder, Group: o.Group}, due)
		return
	}
	inv, ok := a.invitationFor(PurposeActivate, l.Now())
	if !ok {
		return
	}
	id := letterID(events.LetterReminder, inv.ID)
	r := l.letter(a, events.LetterReminder, id)
	r.Invitation, r.Purpose, r.Expires = inv.ID, inv.Purpose, &inv.Expires
	out.add(events.Once(id, inv.Created, r))
}

// Due says when the waiting letters of a group are due under the windows in
// force now: whoever moves a window moves one time. A group whose window is
// gone is due at once: each of its letters then finds its new instant.
func (l *Lifecycle) Due(group, kind string) time.Time {
	o, ok := l.Windows.GroupOpening(group)
	switch {
	case !ok:
		return l.Now()
	case kind == events.LetterReminder:
		return o.At.Add(l.Letters.Reminder)
	}
	return policy.LetterDue(o, time.Time{}, l.Letters.InviteBefore)
}

// InvitationRequested answers a person whose link has expired: the worker
// decides, the portal has promised nothing. A link that still holds is sent
// again at most once an hour. A request that was answered makes no second
// invitation, however often and however late it comes again.
func (l *Lifecycle) InvitationRequested(ctx context.Context, m events.Meta, e events.InvitationRequested) error {
	var inv Invitation
	a, err := l.update(ctx, Key{ByID, e.Account}, func(now *Account) (bool, error) {
		inv = Invitation{}
		if !l.reachable(*now, e.Purpose) {
			return false, nil
		}
		answered := now.seen(m, FacetState) != "new"
		held, ok := now.invitationFor(e.Purpose, l.Now())
		if inv = held; answered {
			return false, nil
		}
		now.setMark(m, FacetState, false)
		if ok && !e.Frozen {
			return true, nil
		}
		now.withdraw(e.Purpose)
		expires := l.Now().Add(l.Letters.ResetValid)
		if e.Purpose == PurposeActivate {
			o, _ := l.opening(*now)
			expires = l.Letters.Valid.Expires(now.studyStart(l.Now()), o.At, l.Now())
		}
		created := l.Now()
		if m.Time.After(created) {
			created = m.Time // the portal's clock is ahead: a link is not older than the request for it
		}
		inv = newInvitation(e.Purpose, created, expires)
		now.Invitations = append(now.Invitations, inv)
		return true, nil
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil || inv.ID == "" {
		return err
	}
	if e.Purpose == PurposeReset {
		return l.Publisher.Publish(ctx, l.resetLetter(a, inv, m.Time.UTC().Format("2006010215")))
	}
	out := l.invited(m, a, inv)
	if r, ok := out[0].Data.(events.MailRequest); ok && m.Time.Sub(inv.Created) > 0 {
		r.Letter = letterID(events.LetterActivation, inv.ID, m.Time.UTC().Format("2006010215"))
		out[0] = events.Once(r.Letter, m.Time, r)
	}
	return l.Publisher.Publish(ctx, out...)
}

// reachable: a letter with a link may go out for this purpose, to an address
// outside the account it unlocks.
func (l *Lifecycle) reachable(a Account, purpose string) bool {
	switch purpose {
	case PurposeActivate:
		return l.invitable(a)
	case PurposeReset:
		return a.resettable() && a.Address != "" && !inside(a.Address, l.Realm)
	}
	return false
}
