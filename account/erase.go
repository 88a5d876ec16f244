package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"usn.no/matricula/events"
)

// ErrInUse: the account is active, and what is in use is not erased.
var ErrInUse = errors.New("account is active")

// Erase removes what is known of a person who has left: name, numbers, birth
// date, address, roles, profile, marks, password. What stays is a tombstone
// (opaque ID, username, that it is closed and why), so that the username is
// never given again and a late event raises nobody. The fact rides in the same
// Modify. Erasing again changes nothing.
//
// Errors: ErrNotFound, ErrInUse, those of Directory.
func (l *Lifecycle) Erase(ctx context.Context, id string, by events.Actor) (Account, error) {
	return l.update(ctx, Key{ByID, id}, func(now *Account) (bool, error) {
		switch {
		case !now.Erased.IsZero():
			return false, nil
		case now.State == Active:
			return false, ErrInUse
		}
		now.forget(l.Now(), Fact{Actor: by.Kind, By: by.ID, Details: map[string]string{"reason": "asked"}})
		return true, nil
	})
}

// forget makes a tombstone of a. The claims of its numbers are still named in
// it: they are given up with the fact.
func (a *Account) forget(at time.Time, f Fact) {
	f.What, f.ID, f.At = events.AuditErased, a.ID+"-erased", at
	unsent := a.Unsent
	if a.State != Closed {
		unsent = append(unsent, Fact{
			What: events.AuditClosed, ID: a.writeID("closed"), At: at, Actor: f.Actor, By: f.By, Details: map[string]string{"reason": WhyErased},
		})
	}
	*a = Account{
		ID: a.ID, Origin: a.Origin, Username: a.Username, State: Closed, Why: Why{Reason: WhyErased, Since: at, By: f.Actor},
		Handles: a.Handles, Unsent: append(unsent, f), Merged: a.Merged, Adopted: a.Adopted, Erased: at,
		PasswordGone: true, Revision: a.Revision,
	}
}

// erasure is when a closed account is to be erased; zero: never. It counts from
// when the account was closed, and not from when it was to be: an end that was
// told years late, or with a wrong year, can be mended in the meantime.
func (l *Lifecycle) erasure(a Account, closed time.Time) time.Time {
	if l.Leaving.EraseAfter == 0 || !a.Erased.IsZero() || closed.IsZero() {
		return time.Time{}
	}
	done := a.Why.Done
	if a.State != Closed {
		done = l.Now() // it is about to be
	}
	closed = later(later(closed, done), a.Adopted) // what was closed long before us was kept on purpose
	return l.Leaving.EraseAfter.After(closed)
}

// eraseDue erases a closed account whose time has come, when it is its turn,
// and else sees that it gets one.
func (l *Lifecycle) eraseDue(a *Account, now time.Time, c cause) {
	at := l.erasure(*a, a.Why.Since)
	switch {
	case a.State != Closed || at.IsZero():
	case !c.turn || at.After(now):
		a.Turn = at
	default:
		a.forget(now, Fact{Actor: "worker", Details: map[string]string{"reason": "schedule"}})
	}
}

// risen answers an event about an erased person. One that was recorded before
// the erasure says nothing new. A newer one is for a human: the person is back,
// or was never gone, and nothing that could tell is left here.
func (a Account) risen(m events.Meta) error {
	if !m.Time.After(a.Erased) {
		return nil
	}
	return events.Refuse(events.ReasonParked, "subject", fmt.Sprintf(
		"the personal data of account %s was erased %s: if the person is back, have the source give a new key; else drop this",
		a.ID, a.Erased.UTC().Format(time.DateOnly)))
}

// risenError tells that a claim is an erased person's.
type risenError struct{ account Account }

func (e *risenError) Error() string { return "account " + e.account.ID + " is erased" }

// remains answers *risenError where the claim is an erased person's: nothing is
// to be claimed for it any more.
func (l *Lifecycle) remains(ctx context.Context, c Claim) error {
	a, err := l.heir(ctx, Key{ByID, c.Account})
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err == nil && !a.Erased.IsZero():
		return &risenError{a}
	}
	return err
}

// unclaim gives up the claims of an erased person's numbers. Those of the
// sources' keys stay, and lead to the tombstone.
func (l *Lifecycle) unclaim(ctx context.Context, a Account) error {
	keys := slices.DeleteFunc(slices.Clone(a.Handles), func(h string) bool { return !ofNumber(h) })
	if a.Erased.IsZero() || len(keys) == 0 {
		return nil
	}
	held, err := l.Claims.Read(ctx, keys)
	if err != nil {
		return err
	}
	for key, value := range held {
		var c Claim
		if json.Unmarshal(value, &c) != nil || c.Account != a.ID {
			continue // it moved to the account that this one was merged into
		}
		if _, err := l.Claims.Move(ctx, []string{key}, nil, value, nil); err != nil {
			return err
		}
	}
	return nil
}

// keptHandles are the handles that stay with an account whose facts are told.
func (a Account) keptHandles(told []Fact) []string {
	if a.Erased.IsZero() || !slices.ContainsFunc(told, func(f Fact) bool { return f.What == events.AuditErased }) {
		return a.Handles
	}
	return slices.DeleteFunc(slices.Clone(a.Handles), ofNumber)
}

func ofNumber(handle string) bool { return strings.HasPrefix(handle, "num.") }
