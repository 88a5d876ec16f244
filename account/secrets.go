package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"usn.no/matricula/events"
)

// ChangePassword sets a new password for whoever knows the old one. The old
// one holds until the new one is set; then every session is over but the one
// that Own.From names.
//
// Errors: those of SignIn but ErrBreached, *PasswordError, ErrSamePassword.
func (l *Lifecycle) ChangePassword(ctx context.Context, t Try, password string) (Own, error) {
	knew, err := l.verified(ctx, t)
	if err != nil {
		return Own{}, err
	}
	return l.setPassword(ctx, knew.ID, password, func(was Account) (Account, error) {
		// The old password was right for the account as it was then only.
		due := was.mustChange()
		if was.State != Active && !due || !was.PasswordSince.Equal(knew.PasswordSince) {
			return Account{}, ErrWrongPassword
		}
		now := was.Clone()
		if due {
			now.restore(was, l.Now())
		}
		return now, nil
	})
}

// Renewal is a new password in place of one that was reported.
type Renewal struct {
	Account  string    // Own.ID, as the report was answered
	From     time.Time // Own.From of it
	Number   string
	Password string
}

// Renew lets whoever has reported a password choose another at once: the
// browser that did, and the person's identity number. Five wrong numbers end
// this way; the letter is another.
//
// Errors: ErrSignedOut, *WrongNumberError, ErrFrozen, *PasswordError,
// ErrSamePassword, ErrBusy, ErrUnavailable.
func (l *Lifecycle) Renew(ctx context.Context, r Renewal) (Own, error) {
	tries := "renew." + l.handle("renew", r.Account, r.From.UTC().String())
	return l.setPassword(ctx, r.Account, r.Password, func(was Account) (Account, error) {
		if was.State != Suspended || was.Why.Reason != WhyCompromised || !was.SessionsFrom.Equal(r.From) {
			return Account{}, ErrSignedOut
		}
		n, err := l.Attempts.Count(ctx, tries)
		switch {
		case err != nil:
			return Account{}, err
		case n >= wrongNumbers:
			return Account{}, ErrFrozen
		case !was.proves(r.Number):
			if n, err = l.Attempts.Add(ctx, tries); err != nil {
				return Account{}, err
			}
			if n >= wrongNumbers {
				return Account{}, ErrFrozen
			}
			return Account{}, &WrongNumberError{Left: wrongNumbers - n}
		}
		now := was.Clone()
		now.restore(was, l.Now())
		return now, nil
	})
}

// restore adds the fact that a new password brings the account back.
func (a *Account) restore(was Account, at time.Time) {
	a.Unsent = append(a.Unsent, Fact{
		What: events.AuditRestored, ID: was.writeID("restored"), At: at, Details: map[string]string{"from": was.Why.Reason},
	})
}

// setPassword is the one Modify of a new password. allow sees the entry as it
// is and answers the copy that is to be written.
func (l *Lifecycle) setPassword(ctx context.Context, id, password string, allow func(Account) (Account, error)) (Own, error) {
	for range writes {
		was, err := l.Directory.Find(ctx, Key{ByID, id})
		if errors.Is(err, ErrNotFound) {
			return Own{}, ErrSignedOut
		}
		if err != nil {
			return Own{}, err
		}
		now, err := allow(was)
		if err != nil {
			return Own{}, err
		}
		skipped, err := l.acceptable(ctx, was, password)
		if err != nil {
			return Own{}, err
		}
		at := l.Now()
		now.activate(at)
		now.Invitations = nil
		now.PasswordSince, now.SessionsFrom, now.PasswordLost = at, l.after(was.SessionsFrom), ""
		details := map[string]string{"purpose": "change"}
		if skipped {
			details["breach_check"] = "skipped"
		}
		now.Unsent = append(now.Unsent, Fact{What: events.AuditPasswordChanged, ID: was.writeID("password-changed"), At: at, Details: details})
		// A password of a time that is still to come would outlive every word of
		// a compromise until then.
		if err := l.clock(ctx); err != nil {
			return Own{}, err
		}
		if err := l.settle(ctx, &now, cause{}); err != nil {
			return Own{}, err
		}
		err = l.Passwords.SetPassword(ctx, was, now, password)
		if errors.Is(err, ErrStale) {
			continue
		}
		if err != nil {
			return Own{}, err
		}
		l.hurry(ctx, id)
		return l.own(now), nil
	}
	return Own{}, fmt.Errorf("account: %w", ErrStale)
}

// Report says that a password may be in the wrong hands. One of three shows
// that the reporter may say so: a session (Account and From), the current
// password, or the ticket of a letter.
type Report struct {
	Account string
	From    time.Time
	Try     Try
	Ticket  string
}

// Compromised blocks the account at once: the password, the sessions and the
// invitations are gone. It answers what Renew needs; a letter with another way
// back goes to the registered address.
//
// Errors: ErrSignedOut, those of SignIn, those of Look.
func (l *Lifecycle) Compromised(ctx context.Context, r Report) (Own, error) {
	const reason = "reported"
	var a Account
	var err error
	switch {
	case r.Account != "":
		a, err = l.block(ctx, r.Account, reason, func(now Account) bool { return now.SessionsFrom.Equal(r.From) })
	case r.Ticket != "":
		a, err = l.blockByLetter(ctx, r.Ticket, reason)
	default:
		if a, err = l.verified(ctx, r.Try); err == nil {
			knew := a.PasswordSince
			a, err = l.block(ctx, a.ID, reason, func(now Account) bool { return now.PasswordSince.Equal(knew) })
		}
	}
	if err != nil {
		return Own{}, err
	}
	return l.own(a), nil
}

// blockByLetter takes a letter's word where there is a password to block; a
// pending account has none, and a blocked one is blocked.
func (l *Lifecycle) blockByLetter(ctx context.Context, ticket, reason string) (Account, error) {
	a, inv, err := l.redeem(ctx, ticket)
	if err != nil {
		return Account{}, err
	}
	if a.State != Active && !a.mustChange() {
		return a, nil
	}
	a, err = l.block(ctx, a.ID, reason, func(now Account) bool { _, held := now.Invitation(inv.ID); return held })
	if errors.Is(err, ErrSignedOut) {
		err = ErrSpent
	}
	return a, err
}
