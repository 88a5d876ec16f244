package directory

import (
	"cmp"
	"context"
	"slices"
	"time"

	"usn.no/matricula/account"
)

// Kept is the hash of a password that is not to be chosen again: the one in
// use, and those that were in the wrong hands (Burnt). It outlives the
// password, which a worker can delete.
type Kept struct {
	Hash  string    `json:"hash"`
	Since time.Time `json:"since,omitzero"`
	Burnt bool      `json:"burnt,omitempty"`
}

// Knows tells whether password is the one that was set last. Among what is kept
// there is none where another system set it, or where it was burnt.
//
// Errors: account.ErrBusy, account.ErrWrongPassword.
func (h *Hasher) Knows(ctx context.Context, kept []Kept, password string) error {
	var last Kept
	for _, k := range kept {
		if !k.Burnt && (last.Hash == "" || k.Since.After(last.Since)) {
			last = k
		}
	}
	ok, err := h.Matches(ctx, last.Hash, password)
	if err == nil && !ok {
		err = account.ErrWrongPassword
	}
	return err
}

// burnt passwords are remembered up to this many: each costs a hash whenever a
// password is set.
const burntKept = 3

// Renew hashes a new password and says what is to be kept beside it. kept is
// what was kept so far, was the account whose password it is. All of it takes
// one slot.
//
// Errors: account.ErrBusy, account.ErrSamePassword, account.ErrInvalid.
func (h *Hasher) Renew(ctx context.Context, kept []Kept, was, now account.Account, password string) (hash string, keep []Kept, err error) {
	p, ok := composed(password)
	if !ok {
		return "", nil, invalid("password is empty, too long or not UTF-8")
	}
	give, err := h.slots.take(ctx)
	if err != nil {
		return "", nil, err
	}
	defer give()
	for _, k := range kept {
		if h.matches(k.Hash, p) {
			return "", nil, account.ErrSamePassword
		}
	}
	for _, k := range kept {
		if k.Burnt || was.Why.Reason == account.WhyCompromised {
			k.Burnt = true
			keep = append(keep, k)
		}
	}
	slices.SortFunc(keep, func(x, y Kept) int { return cmp.Or(y.Since.Compare(x.Since), cmp.Compare(x.Hash, y.Hash)) })
	keep = keep[:min(len(keep), burntKept)]
	hash = h.hash(p)
	return hash, append(keep, Kept{Hash: hash, Since: utc(now.PasswordSince)}), nil
}
