package account

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"usn.no/matricula/events"
)

// How often a password may be tried in one window. Whoever guesses is slowed
// down; nobody is ever locked out by what a stranger does: a browser that the
// person has used before counts for itself, and a new letter is always open.
const (
	tryWindow       = 15 * time.Minute
	triesOfOne      = 15  // of one browser, or one address, on one person; right ones too
	triesOnPerson   = 20  // wrong ones on one person by strangers, from wherever; below the directory's own limit
	triesOfAddress  = 300 // wrong ones from one address: a dormitory is one address
	letterRequests  = 120 // requests for letters from one address in one hour
	nobody          = "nobody.such"
	longestUsername = 64
)

// ErrBreached: the password was right and is known from a breach. The account
// is blocked now, as for any other compromise.
var ErrBreached = errors.New("password is known from a breach; the account is blocked")

// ErrSignedOut: the session ended with a new password, a compromise or "sign
// out everywhere".
var ErrSignedOut = errors.New("session is over")

// TooManyError: too many tries from here; others, and this person elsewhere,
// are not affected.
type TooManyError struct{ Until time.Time }

func (e *TooManyError) Error() string { return "too many tries from here" }

// Try is one attempt to show that one knows a person's password.
type Try struct {
	Username, Password string
	// From is who tries, as the limits count it: the sender's address, or with
	// Known the browser that has been signed in as this person before.
	From  string
	Known bool
}

// SignIn checks a password. Unknown, wrong, pending, suspended and closed are
// one answer. A password that is known from a breach is a compromise: the
// account is blocked at once.
//
// Errors: ErrWrongPassword, *TooManyError, ErrBreached (with Own.ID and
// Language), ErrChangeDue (with Own.Username and Language), ErrBusy,
// ErrUnavailable.
func (l *Lifecycle) SignIn(ctx context.Context, t Try) (Own, error) {
	a, err := l.verified(ctx, t)
	if err != nil {
		return Own{}, err
	}
	if by := a.changeBy(); !by.IsZero() && !by.After(l.Now()) {
		return Own{Username: a.Username, Language: a.Language}, ErrChangeDue
	}
	if l.Breached == nil {
		return l.own(a), nil
	}
	found, _, err := l.Breached(ctx, t.Password, a)
	if err != nil {
		return Own{}, err
	}
	if !found {
		return l.own(a), nil
	}
	a, err = l.block(ctx, a.ID, "breached", func(now Account) bool { return now.PasswordSince.Equal(a.PasswordSince) })
	if err != nil {
		return Own{}, err
	}
	return l.own(a), ErrBreached
}

// verified is the account whose password this is. The same is read and counted
// for people who exist and for those who do not. The account is as it was
// before the password was tried: whatever changed meanwhile counts as later. It
// is active, or must change its password: then the directory lets nobody bind,
// and what the portal set last decides.
func (l *Lifecycle) verified(ctx context.Context, t Try) (Account, error) {
	username := strings.ToLower(strings.TrimSpace(t.Username))
	if !possible(username) {
		username = nobody
	}
	person, address, err := l.allowed(ctx, username, t)
	if err != nil {
		return Account{}, err
	}
	a, err := l.Directory.Find(ctx, Key{ByUsername, username})
	if err != nil && !errors.Is(err, ErrNotFound) {
		return Account{}, err
	}
	missing := err != nil
	if a.mustChange() {
		err = l.Passwords.Knows(ctx, username, t.Password)
	} else if err = l.Passwords.Verify(ctx, username, t.Password); err == nil && (missing || a.State != Active) {
		err = ErrWrongPassword
	}
	if !errors.Is(err, ErrWrongPassword) {
		return a, err
	}
	if !t.Known {
		for _, key := range []string{person, address} {
			if _, err := l.Attempts.Add(ctx, key); err != nil {
				return Account{}, err
			}
		}
	}
	return Account{}, ErrWrongPassword // what else the directory knows is not for the page
}

func possible(username string) bool {
	if username == "" || len(username) > longestUsername {
		return false
	}
	for _, c := range []byte(username) {
		if c < 'a' || c > 'z' {
			if (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// allowed counts this try before it is made, so that tries side by side count,
// and names the counters of wrong ones.
func (l *Lifecycle) allowed(ctx context.Context, username string, t Try) (person, address string, err error) {
	begins := l.Now().UTC().Truncate(tryWindow)
	later := &TooManyError{Until: begins.Add(tryWindow)}
	n, err := l.Attempts.Add(ctx, l.limit("one", begins, username, t.From))
	if err != nil {
		return "", "", err
	}
	if n > triesOfOne {
		return "", "", later
	}
	person, address = l.limit("person", begins, username), l.limit("address", begins, t.From)
	if t.Known {
		return person, address, nil
	}
	for key, most := range map[string]int{person: triesOnPerson, address: triesOfAddress} {
		n, err := l.Attempts.Count(ctx, key)
		if err != nil {
			return "", "", err
		}
		if n >= most {
			return "", "", later
		}
	}
	return person, address, nil
}

// limit names a counter by what it counts, without saying it: the bucket holds
// no username and no address.
func (l *Lifecycle) limit(what string, begins time.Time, of ...string) string {
	return "try." + what + "." + l.handle("limit "+what, append(of, begins.Format(time.RFC3339))...)
}

// handle names something readable by what nobody without our keys can read.
func (l *Lifecycle) handle(kind string, of ...string) string {
	var key []byte
	if len(l.Tickets.Keys) > 0 {
		key = l.Tickets.Keys[0]
	}
	return invitationText(Identity{Key: key}.mac(kind, of...)[:16])
}

// writeID names what one Modify does: no two of one entry have a revision.
func (a Account) writeID(what string) string {
	return a.ID + "-" + what + "-" + strconv.FormatUint(a.Revision, 10)
}

// block is a compromise that the portal sees: in one Modify the password, the
// sessions and the invitations are gone. What follows rides in it; the letters
// with the way back are a worker's to make. still says whether it applies to
// the account as it is now.
func (l *Lifecycle) block(ctx context.Context, id, reason string, still func(Account) bool) (Account, error) {
	a, err := l.update(ctx, Key{ByID, id}, func(now *Account) (bool, error) {
		if now.State != Active && !now.mustChange() || !still(*now) {
			return false, ErrSignedOut
		}
		at := l.Now()
		now.Unsent = append(now.Unsent, Fact{
			What: events.AuditCompromised, ID: now.writeID("compromised"), At: at,
			Details: map[string]string{"reason": reason},
		})
		now.State = Suspended
		now.Why = Why{Reason: WhyCompromised, Since: at, By: "person"}
		now.PasswordGone, now.PasswordLost = true, WhyCompromised
		now.SessionsFrom = l.after(now.SessionsFrom)
		now.Invitations = nil
		return true, l.settle(ctx, now, cause{})
	})
	if errors.Is(err, ErrNotFound) {
		err = ErrSignedOut
	}
	if err == nil {
		l.hurry(ctx, id)
	}
	return a, err
}
