package account

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"usn.no/matricula/events"
)

// errAgain: an account changed in a way that begins the merger anew.
var errAgain = errors.New("account changed while it was merged")

// merger is two accounts that are one person's.
type merger struct {
	events.Meta
	by         string
	from, into Account
}

// AccountMerged joins two accounts of one person: what the sources told of one
// belongs to the other, and so does what they tell later. The one that is kept
// stays as it is in name, password and state; the other is closed.
//
// Each step may happen again, and none of them is lost in between:
//
//  1. the claim on the name that goes says whose it is from now on. This is one
//     compare-and-set that counts on the other's name being its own, so that of
//     two opposite mergers one is refused;
//  2. the account that is kept takes in what is known of the other;
//  3. the other is closed and emptied, unless something came to it meanwhile.
//     From here on whatever finds it is led to the one that is kept;
//  4. that one takes over the handles, which the directory allows one entry only;
//  5. the claims on them follow.
func (l *Lifecycle) AccountMerged(ctx context.Context, m events.Meta, e events.AccountMerged) error {
	for range writes {
		err := l.merge(ctx, m, e)
		if !errors.Is(err, errAgain) {
			return l.orWait(m, err)
		}
	}
	return ErrStale
}

func (l *Lifecycle) merge(ctx context.Context, m events.Meta, e events.AccountMerged) error {
	g := merger{Meta: m, by: e.Actor}
	var err error
	if g.from, err = l.Directory.Find(ctx, Key{ByUsername, e.Username}); err != nil {
		return err
	}
	if g.into, err = l.heir(ctx, Key{ByUsername, e.Into}); err != nil {
		return err
	}
	denied := ""
	switch {
	case g.from.Merged != "":
		heir, err := l.heir(ctx, Key{ByID, g.from.Merged})
		if err != nil {
			return err
		}
		if heir.ID != g.into.ID {
			denied = DeniedMerged
		}
	case g.from.ID == g.into.ID:
		denied = DeniedMerged // the other way round, before
	case g.into.State == Closed || !g.from.Erased.IsZero():
		denied = DeniedClosed
	case len(g.from.Unsent) > 0:
		// Letters about what was done, while there is an address.
		if err := l.publishFacts(ctx, g.from); err != nil {
			return err
		}
		fallthrough
	default:
		if denied, err = l.engage(ctx, g); err != nil {
			return err
		}
	}
	if denied != "" {
		return l.denies(ctx, g, denied)
	}
	merged := g.from.Merged != ""
	if err := l.unite(ctx, g); err != nil || !merged {
		return err
	}
	return l.denies(ctx, g, DeniedAlready) // under its name: of the order that did it, it is told that it did
}

// denies tells that nothing was merged.
func (l *Lifecycle) denies(ctx context.Context, g merger, reason string) error {
	f := Fact{What: events.AuditClosed, At: l.Now(), Outcome: "denied", Details: map[string]string{"reason": reason}}
	f.attribute(g.Meta, g.by, g.from.ID)
	return l.Publisher.Publish(ctx, l.factEvents(g.from, f)...)
}

// engage is step 1. It answers why not, where something else was decided
// before.
func (l *Lifecycle) engage(ctx context.Context, g merger) (denied string, err error) {
	was, into := Claim{g.from.ID, g.from.Username}, Claim{g.into.ID, g.into.Username}
	name, kept := UsernameHandle(g.from.Username), UsernameHandle(g.into.Username)
	if held, err := l.take(ctx, []string{kept}, into); err != nil {
		return "", err
	} else if len(held) > 0 {
		return DeniedMerged, nil
	}
	held, err := l.Claims.Read(ctx, []string{name})
	if err != nil {
		return "", err
	}
	if c, err := settled(held); err == nil {
		was = c // another's, where a merger was begun and could not be finished
	}
	held, err = l.moveClaims(ctx, []string{name}, []string{kept}, was, into)
	if err == nil && len(held) > 0 {
		denied = DeniedMerged
	}
	return denied, err
}

func (l *Lifecycle) moveClaims(ctx context.Context, keys, while []string, was, now Claim) (map[string][]byte, error) {
	old, err := json.Marshal(was)
	if err != nil {
		return nil, err
	}
	value, err := json.Marshal(now)
	if err != nil {
		return nil, err
	}
	return l.Claims.Move(ctx, keys, while, old, value)
}

// unite is everything after step 1.
func (l *Lifecycle) unite(ctx context.Context, g merger) error {
	into, err := l.update(ctx, Key{ByID, g.into.ID}, func(now *Account) (bool, error) {
		if now.Merged != "" || now.State == Closed && g.from.Merged == "" {
			return false, errAgain
		}
		was := now.Clone()
		if !now.absorb(g.from) {
			return false, nil
		}
		if err := l.settle(ctx, now, cause{Meta: g.Meta}); err != nil {
			return false, err
		}
		now.carry(g.Meta)
		now.attribute(g.Meta, g.by, len(was.Unsent))
		return true, nil
	})
	if err != nil {
		return err
	}
	handles := slices.Clone(g.from.Handles)
	if g.from.Merged == "" {
		if err := l.empty(ctx, &g); err != nil {
			return err
		}
	}
	handles = append(handles, l.Identity.handlesOf(into)...)
	into, err = l.updateHeir(ctx, into.ID, func(now *Account) (bool, error) { return addHandles(now, handles), nil })
	if err != nil {
		return err
	}
	if err := l.follow(ctx, g.Meta, step{account: into, again: true, carried: true}); err != nil {
		return err
	}
	if err := l.inherit(ctx, g, into); err != nil {
		return err
	}
	return l.publishFacts(ctx, g.from)
}

// empty is step 3: one Modify on exactly what was taken in. What it was known
// by and of stands in the other entry; a name is left, and where it leads.
func (l *Lifecycle) empty(ctx context.Context, g *merger) error {
	was := g.from
	now := was.Clone()
	now.Merged = g.into.ID
	if err := l.settle(ctx, &now, cause{Meta: g.Meta}); err != nil {
		return err
	}
	now.Name, now.BirthDate, now.Address, now.Mobile, now.Language = Name{}, "", "", "", ""
	now.Protection, now.Reserved = "", false
	now.Numbers, now.Roles, now.Told, now.Endings, now.Orders, now.Marks = nil, nil, nil, nil, nil, nil
	now.Affiliations, now.Handles, now.Leaving = nil, nil, ""
	now.attribute(g.Meta, g.by, len(was.Unsent))
	err := l.Directory.Update(ctx, was, now)
	if errors.Is(err, ErrStale) {
		return errAgain
	}
	if now.Revision, now.PasswordGone = was.Revision+1, false; err == nil {
		g.from = now
	}
	return err
}

// inherit is step 5. What a third account holds of them stays its own: an event
// that names it is parked.
func (l *Lifecycle) inherit(ctx context.Context, g merger, into Account) error {
	was, now := Claim{g.from.ID, g.from.Username}, Claim{into.ID, into.Username}
	keys := into.Handles
	for range writes {
		held, err := l.moveClaims(ctx, keys, nil, was, now)
		if err != nil || len(held) == 0 {
			return err
		}
		keys = slices.DeleteFunc(slices.Clone(keys), func(k string) bool { _, other := held[k]; return other })
	}
	return ErrStale
}

// whose is settled for claims of which some may point to accounts that were
// merged: those are their heir's.
func (l *Lifecycle) whose(ctx context.Context, held map[string][]byte) (Claim, error) {
	c, err := settled(held)
	var conflict *errConflict
	if !errors.As(err, &conflict) {
		return c, err
	}
	c, one, err := l.one(ctx, conflict.accounts...)
	if err == nil && !one {
		err = conflict
	}
	return c, err
}

// one tells whether accounts have one heir, and its claim. What is claimed and
// not made yet is nobody's heir.
func (l *Lifecycle) one(ctx context.Context, ids ...string) (c Claim, one bool, err error) {
	for i, id := range ids {
		a, err := l.heir(ctx, Key{ByID, id})
		if errors.Is(err, ErrNotFound) || err == nil && i > 0 && c.Account != a.ID {
			return Claim{}, false, nil
		}
		if err != nil {
			return Claim{}, false, err
		}
		c = Claim{a.ID, a.Username}
	}
	return c, true, nil
}
