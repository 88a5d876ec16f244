package account

import (
	"context"
	"crypto/subtle"
	"slices"
	"time"

	"usn.no/matricula/policy"
)

// Prove checks the identity number that the holder of a ticket types. Before
// the opening it refuses and counts nothing. role is student or employee; for a
// reset it is not looked at.
//
// Errors: those of Look, *NotOpenError, *WrongNumberError, ErrWrongRole.
func (l *Lifecycle) Prove(ctx context.Context, ticket, role, number string) (Proof, error) {
	if err := l.clock(ctx); err != nil {
		return Proof{}, err
	}
	a, inv, err := l.redeem(ctx, ticket)
	if err != nil {
		return Proof{}, l.denied(ctx, a, inv, err)
	}
	if err := l.open(a, inv); err != nil {
		return Proof{}, l.denied(ctx, a, inv, err)
	}
	if !a.proves(number) {
		n, err := l.Attempts.Add(ctx, attemptsKey(inv.ID))
		if err != nil {
			return Proof{}, err
		}
		wrong := error(&WrongNumberError{Left: max(wrongNumbers-n, 0)})
		if n >= wrongNumbers {
			wrong = ErrFrozen
		}
		return Proof{}, l.denied(ctx, a, inv, wrong)
	}
	if inv.Purpose == PurposeActivate && !a.has(role, l.Now()) {
		return Proof{}, ErrWrongRole
	}
	expires := l.Now().Add(proofValid)
	return Proof{
		Token: l.Tickets.sealProof(inv.ID, inv.Purpose, expires), Purpose: inv.Purpose, Language: a.Language,
		Username: a.Username, Name: a.Name.Full(), Names: a.names(), Expires: expires,
	}, nil
}

// proves compares with every number the person has or had, all of them each
// time. Blanks and hyphens are how people write such numbers.
func (a Account) proves(typed string) bool {
	typed = policy.NormalizeNumber(typed)
	found := 0
	for _, n := range a.Numbers {
		if policy.Proves(n.Type) {
			found |= subtle.ConstantTimeCompare([]byte(typed), []byte(n.Value))
		}
	}
	return found == 1
}

func (a Account) has(role string, now time.Time) bool {
	return slices.ContainsFunc(a.counting(now), func(r Role) bool { return r.Kind == role })
}
