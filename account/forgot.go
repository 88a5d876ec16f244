package account

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

const (
	requestSlot = 10 * time.Minute // the same request within it is one event
	letterSlot  = 30 * time.Minute // one letter in each: three in any hour at most
	requestSize = 512              // what is sealed is padded to it
)

// LetterRequest is what somebody types who has no letter or has forgotten the
// password. From is the sender's address, for the limit.
type LetterRequest struct{ Number, Family, From string }

// typed is a LetterRequest as it is sealed.
type typed struct {
	Number string `json:"number"`
	Family string `json:"family"`
}

// RequestLetter passes a request on to a worker. It looks nothing up: for
// whoever asks, everybody is alike. A letter goes to a registered address or
// not at all.
//
// Errors: *TooManyError, ErrUnavailable.
func (l *Lifecycle) RequestLetter(ctx context.Context, r LetterRequest) error {
	now := l.Now()
	if err := l.clock(ctx); err != nil {
		return err
	}
	hour := now.UTC().Truncate(time.Hour)
	n, err := l.Attempts.Add(ctx, l.limit("letters", hour, r.From))
	if err != nil {
		return err
	}
	if n > letterRequests {
		return &TooManyError{Until: hour.Add(time.Hour)}
	}
	t := typed{Number: policy.NormalizeNumber(r.Number), Family: strings.TrimSpace(r.Family)}
	slot := now.UTC().Truncate(requestSlot).Format(time.RFC3339)
	request := l.handle("letter request", t.Number, t.Family, slot)
	plain, err := json.Marshal(t)
	if err != nil {
		return err
	}
	if len(plain) > requestSize {
		return nil // longer than any name and number: answered like everybody else's
	}
	sealed, err := l.SealRequest(request, string(plain)+strings.Repeat(" ", requestSize-len(plain)))
	if err != nil {
		return err
	}
	return l.Publisher.Publish(ctx, events.Event{
		Meta: events.Meta{ID: request, Source: events.SourcePortal, Subject: request, Time: now},
		Data: events.LetterRequested{Request: request, Sealed: sealed},
	})
}

// LetterRequested finds out who asked, if it is anybody, and sends what that
// person needs: the link to activate when its letter is due, the link to a new
// password for an account that has or had one. Number and family name must be
// one person's; in any hour at most three such letters go to one person.
func (l *Lifecycle) LetterRequested(ctx context.Context, m events.Meta, e events.LetterRequested) error {
	plain, err := l.OpenRequest(e.Request, e.Sealed)
	if err != nil {
		return events.Refuse(events.ReasonInvalid, "data.sealed", "is not sealed to this worker's key for this request; does every portal have the key that setup made?")
	}
	var t typed
	if err := json.Unmarshal(plain, &t); err != nil {
		return events.Refuse(events.ReasonInvalid, "data.sealed", "holds no request")
	}
	a, err := l.asking(ctx, t)
	if errors.Is(err, ErrNotFound) {
		return nil // nobody, or not this person: the answer was given already
	}
	if err != nil {
		return err
	}
	purpose := PurposeReset
	if a.State == Pending {
		purpose = PurposeActivate
	}
	m.Subject = a.ID // one mark for all that is asked for on a portal
	a, inv, err := l.inviteAgain(ctx, m, a.ID, purpose)
	if err != nil || inv.ID == "" {
		return err
	}
	return l.Publisher.Publish(ctx, l.requested(m, a, inv)...)
}

// asking is the account of who typed this, or ErrNotFound. Whose a number is
// the claims say.
func (l *Lifecycle) asking(ctx context.Context, t typed) (Account, error) {
	var keys []string
	for _, typ := range []string{"fnr", "dnr", "so", "fs"} {
		keys = append(keys, l.Identity.NumberHandle(typ, t.Number))
	}
	held, err := l.Claims.Read(ctx, keys)
	if err != nil {
		return Account{}, err
	}
	var conflict *errConflict
	c, err := l.whose(ctx, held)
	if errors.Is(err, errUnclaimed) || errors.As(err, &conflict) {
		return Account{}, ErrNotFound
	}
	if err != nil {
		return Account{}, err
	}
	a, err := l.heir(ctx, Key{ByID, c.Account})
	if err != nil {
		return Account{}, err
	}
	family := a.Name.Family
	if family == "" {
		family = a.Name.Given // of somebody who has one name only
	}
	if !a.proves(t.Number) || !policy.SameName(family, t.Family) {
		return Account{}, ErrNotFound
	}
	return a, nil
}

// inviteAgain answers the invitation in force, or a new one where there may be
// one now: not before the activation letter's own day. A request that was
// answered makes no second one when it comes again.
func (l *Lifecycle) inviteAgain(ctx context.Context, m events.Meta, id, purpose string) (a Account, inv Invitation, err error) {
	a, err = l.update(ctx, Key{ByID, id}, func(now *Account) (bool, error) {
		inv = Invitation{}
		if !l.reachable(*now, purpose) {
			return false, nil
		}
		answered := now.seen(m, FacetState) != "new"
		held, ok := now.invitationFor(purpose, l.Now())
		if inv = held; answered {
			return false, nil
		}
		now.setMark(m, FacetState, false)
		if ok {
			return true, nil
		}
		now.withdraw(purpose)
		if purpose == PurposeActivate {
			if l.inviteIfDue(now) {
				inv, _ = now.invitationFor(purpose, l.Now())
			}
			return true, nil
		}
		inv = newInvitation(purpose, l.Now(), l.Now().Add(l.Letters.ResetValid))
		now.Invitations = append(now.Invitations, inv)
		return true, nil
	})
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return a, inv, err
}

// requested are the letter and, for a new activation link, its audit fact. The
// letter is named by the person and the half hour, so that asking a thousand
// times sends one.
func (l *Lifecycle) requested(m events.Meta, a Account, inv Invitation) []events.Event {
	slot := m.Time.UTC().Truncate(letterSlot).Format(time.RFC3339)
	template := events.LetterReset
	if inv.Purpose == PurposeActivate {
		template = events.LetterActivation
	}
	id := letterID(template, "requested", a.ID, slot)
	r := l.letter(a, template, id)
	r.Invitation, r.Purpose, r.Expires = inv.ID, inv.Purpose, &inv.Expires
	if o, ok := l.opening(a); ok && inv.Purpose == PurposeActivate && o.At.After(l.Now()) {
		r.Opens = &o.At
	}
	out := []events.Event{events.Once(id, m.Time, r)}
	if inv.Purpose == PurposeActivate {
		out = append(out, l.fact(m, a, events.AuditInvited, a.ID+"-invited-"+inv.ID, inv.Created))
	}
	return out
}
