package account

import (
	"errors"
	"fmt"
	"time"

	"usn.no/matricula/policy"
)

// What a click is answered with when it is not done. Each has its own page.
var (
	// ErrTicket: the link was not made by us, or was changed or cut.
	ErrTicket = errors.New("ticket is not valid")
	// ErrSpent: the invitation is used or withdrawn.
	ErrSpent = errors.New("invitation is spent")
	// ErrReplaced: the invitation went to an address that is no longer the
	// person's; a newer letter goes to the one that is.
	ErrReplaced = fmt.Errorf("%w: it went to an earlier address", ErrSpent)
	// ErrExpired: the invitation's time is over; a new one can be asked for.
	ErrExpired = errors.New("invitation has expired")
	// ErrFrozen: too many wrong numbers on this invitation.
	ErrFrozen = errors.New("invitation is frozen after too many wrong numbers")
	// ErrWrongRole: the person has no role of the kind that was chosen.
	ErrWrongRole = errors.New("no role of this kind")
	// ErrRules: the IT rules were not accepted, or another version was.
	ErrRules = errors.New("the rules shown were not accepted")
	// ErrChangeDue: the password was right and signs in nowhere any more, for a
	// new one was demanded and the deadline is past. It still serves to set one.
	ErrChangeDue = errors.New("a new password is due")
	// ErrProof: the identity number has not been proved, or too long ago.
	ErrProof = errors.New("identity not proved")
)

// NotOpenError: the window opens later. It counts against nothing.
type NotOpenError struct{ Opens time.Time }

func (e *NotOpenError) Error() string {
	return fmt.Sprintf("window opens %s", e.Opens.UTC().Format(time.RFC3339))
}

// WrongNumberError: the identity number is not the person's. Left says how
// many attempts the invitation still has.
type WrongNumberError struct{ Left int }

func (e *WrongNumberError) Error() string { return "wrong identity number" }

// SuspendedError: the account is suspended or closed and this link cannot
// help.
type SuspendedError struct {
	State  State
	Reason string
}

func (e *SuspendedError) Error() string { return fmt.Sprintf("account is %s: %s", e.State, e.Reason) }

// PasswordError: the password breaks at least one rule. Answers holds every
// rule with its answer.
type PasswordError struct{ Answers []policy.Answer }

func (e *PasswordError) Error() string { return "password breaks a rule" }
