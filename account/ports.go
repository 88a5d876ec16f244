package account

import (
	"context"
	"errors"
	"time"

	"usn.no/matricula/events"
)

// Keys an account can be found by.
const (
	ByID         = "id"
	ByUsername   = "username"
	ByInvitation = "invitation"
	ByHandle     = "handle" // a claim key, "num.…" or "src.…"
	ByLIN        = "lin"    // "student:<no>" or "employee:<no>"
)

// Key names one account.
type Key struct{ Kind, Value string }

// Directory keeps accounts. Every write is a compare-and-set on Revision; the
// server refuses, nobody checks first. An implementation finds out what a lost
// answer (a cut connection) meant, so that nil means done and an error of this
// list means not done; only ErrUnavailable means that nobody can know yet.
//
// Errors: ErrNotFound, ErrTaken, ErrStale, ErrInvalid, ErrUnavailable.
type Directory interface {
	// Find reads one account, or ErrNotFound.
	Find(ctx context.Context, k Key) (Account, error)
	// Create writes the entry of a.Username with no password. ErrTaken: that
	// username has an entry already, this account's own or another's.
	Create(ctx context.Context, a Account) error
	// Update writes what differs between was and now in one Modify, which also
	// moves the state by deleting the old value and adding the new, and deletes
	// each invitation and fact that now lacks by its value. With
	// now.PasswordGone it deletes the password. ErrStale: was is not what is
	// there any more; nothing was written.
	Update(ctx context.Context, was, now Account) error
	// Each calls f for every account that matches q, until f answers false.
	Each(ctx context.Context, q Query, f func(Account) bool) error
}

// Query narrows Directory.Each. Zero means every account.
type Query struct {
	Unsent bool      // only those that carry an unsent fact
	Due    time.Time // only those whose Turn is not later; zero: whatever their Turn
	State  State
}

// Passwords is the part of the directory that only the portal may use: it
// hashes in this process, bounded to the cores.
//
// Errors: those of Directory, and ErrBusy, ErrSamePassword, ErrWrongPassword.
type Passwords interface {
	// SetPassword is Update with the password in the same Modify. The new
	// password is refused with ErrSamePassword where it equals the one kept
	// from before (a compromised one). ErrBusy: no hashing slot before ctx's
	// deadline, nothing was written.
	SetPassword(ctx context.Context, was, now Account, password string) error
	// Verify binds as the person. ErrWrongPassword for a wrong one, for an
	// account that has none and for one that is not active.
	Verify(ctx context.Context, username, password string) error
	// Knows tells whether password is the one that the portal set last, in
	// whatever state the account is: what signs nobody in any more may still
	// serve to set another. ErrWrongPassword for any other, and where none is
	// known here.
	Knows(ctx context.Context, username, password string) error
}

// Claims fix who owns a number, a source's subject and a username, before the
// entry exists.
//
// Errors: ErrUnavailable.
type Claims interface {
	// Take writes value under every key, all or none. If some are held already
	// nothing is written, and held is what those keys say; where they all say
	// value, held is empty, and nil only where every key was free.
	Take(ctx context.Context, keys []string, value []byte) (held map[string][]byte, err error)
	// Read answers what the keys say; a key that is free is left out.
	Read(ctx context.Context, keys []string) (map[string][]byte, error)
	// Move writes now under every key that says was or is free, all or none,
	// and with now nil makes the keys free. Each key of while must say now
	// already, at the very moment of the write. If some say something else
	// nothing is written, and held is what those say. Moving again changes
	// nothing.
	Move(ctx context.Context, keys, while []string, was, now []byte) (held map[string][]byte, err error)
}

// Publisher publishes events, each exactly once however often it is called
// with the same event: nil means every one of them is stored. Events given
// together are not atomic.
//
// Errors: ErrUnavailable.
type Publisher interface {
	Publish(ctx context.Context, evs ...events.Event) error
}

// SentMarks knows of each letter what became of it, and whose it was, and keeps
// letters that are already on their way from an address.
//
// Errors: ErrUnavailable.
type SentMarks interface {
	Sent(ctx context.Context, letter string) (events.LetterMark, bool, error)
	StopAddress(ctx context.Context, account string, s events.StoppedAddress) error
}

// Attempts counts wrong identity numbers per invitation, in shared state that
// survives restarts.
type Attempts interface {
	// Add counts one and answers how many there are now.
	Add(ctx context.Context, key string) (int, error)
	// Count answers how many there are.
	Count(ctx context.Context, key string) (int, error)
}

// What adapters answer. They wrap these; callers use errors.Is.
var (
	ErrNotFound      = errors.New("no such account")
	ErrTaken         = errors.New("username has an entry already")
	ErrStale         = errors.New("account changed since it was read")
	ErrInvalid       = errors.New("directory refuses the values")
	ErrBusy          = errors.New("no capacity to hash a password now")
	ErrSamePassword  = errors.New("password is the one that was compromised or is in use")
	ErrWrongPassword = errors.New("wrong password")
)

// ErrUnavailable is in the chain of every error that means an outage; such
// errors also satisfy events.IsUnavailable.
var ErrUnavailable error = outage{}

type outage struct{}

func (outage) Error() string     { return "not available" }
func (outage) Unavailable() bool { return true }
