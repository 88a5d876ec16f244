package account

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"usn.no/matricula/events"
)

// AccountActed publishes what a click left in the entry. It is only a hint:
// PublishUnsent finds the same facts without it.
func (l *Lifecycle) AccountActed(ctx context.Context, _ events.Meta, e events.AccountActed) error {
	a, err := l.Directory.Find(ctx, Key{ByID, e.Account})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return l.publishFacts(ctx, a)
}

// PublishUnsent publishes the facts of every entry that still carries some: it
// is what makes a fact outlive the portal that made it. It answers how many
// accounts had any.
func (l *Lifecycle) PublishUnsent(ctx context.Context) (int, error) {
	var found []Account
	err := l.Directory.Each(ctx, Query{Unsent: true}, func(a Account) bool {
		found = append(found, a)
		return true
	})
	for i := 0; i < len(found) && err == nil; i++ {
		err = l.publishFacts(ctx, found[i])
	}
	return len(found), err
}

// publishFacts publishes first and removes after: a fact may be published
// again, under the same ID, and is never forgotten.
func (l *Lifecycle) publishFacts(ctx context.Context, a Account) error {
	if len(a.Unsent) == 0 {
		return nil
	}
	a, err := l.wayBack(ctx, a)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := l.offerPINs(ctx, a); err != nil {
		return err
	}
	if err := l.unclaim(ctx, a); err != nil {
		return err
	}
	var out []events.Event
	for _, f := range a.Unsent {
		out = append(out, l.factEvents(a, f)...)
	}
	if err := l.Publisher.Publish(ctx, out...); err != nil {
		return err
	}
	published := a.Unsent
	_, err = l.update(ctx, Key{ByID, a.ID}, func(now *Account) (bool, error) {
		back, ok := now.invitationFor(PurposeReset, l.Now())
		_, mailed := a.Invitation(back.ID)
		left := slices.DeleteFunc(slices.Clone(now.Unsent), func(f Fact) bool {
			if f.What == events.AuditCompromised && ok && !mailed {
				return false // another worker renewed the link: it is not mailed until this is published with it
			}
			return slices.ContainsFunc(published, func(p Fact) bool { return p.ID == f.ID })
		})
		removed := len(left) != len(now.Unsent)
		now.Unsent, now.Handles = left, now.keptHandles(published)
		return removed, nil
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// factEvents are the audit event of a fact and the letter that tells the
// person of it.
func (l *Lifecycle) factEvents(a Account, f Fact) []events.Event {
	if f.What == events.LetterLeaving {
		return l.leavingLetter(a, f)
	}
	out := []events.Event{events.Once(f.ID, f.At, events.Audit{
		What: f.What, Account: a.ID, Actor: events.Actor{Kind: cmp.Or(f.Actor, "person"), ID: f.By}, Outcome: cmp.Or(f.Outcome, "done"),
		Reason: f.Details["reason"], Cause: cmp.Or(f.Cause, f.Invitation), Details: f.Details,
	})}
	template := map[string]string{
		events.AuditActivated:       events.LetterActivated,
		events.AuditPasswordChanged: events.LetterPasswordChanged,
		events.AuditCompromised:     events.LetterPasswordCompromised,
	}[f.What]
	if a.Address == "" || a.Order(OrderDeceased).On || f.Outcome != "" {
		return out // of the dead nobody is told anything
	}
	if template == "" {
		return append(out, l.orderLetter(a, f)...)
	}
	id := letterID(template, a.ID, f.ID)
	out = append(out, events.Once(id, f.At, l.letter(a, template, id)))
	if inv, ok := a.invitationFor(PurposeReset, l.Now()); ok && f.What == events.AuditCompromised {
		out = append(out, l.resetLetter(a, inv, ""))
	}
	return out
}

// wayBack makes the invitation that a compromise seen by the portal must lead
// to: the portal can spend invitations and make none.
func (l *Lifecycle) wayBack(ctx context.Context, a Account) (Account, error) {
	word := func(f Fact) bool { return f.What == events.AuditCompromised }
	if !slices.ContainsFunc(a.Unsent, word) {
		return a, nil
	}
	return l.update(ctx, Key{ByID, a.ID}, func(now *Account) (bool, error) {
		_, held := now.invitationFor(PurposeReset, l.Now())
		if !slices.ContainsFunc(now.Unsent, word) {
			return false, nil // published meanwhile: nobody would mail a link made now
		}
		if held || now.State == Active || !l.reachable(*now, PurposeReset) {
			return false, nil
		}
		now.withdraw(PurposeReset)
		now.Invitations = append(now.Invitations, newInvitation(PurposeReset, l.Now(), l.Now().Add(l.Letters.ResetValid)))
		return true, nil
	})
}
