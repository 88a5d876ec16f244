package account

import "context"

// Kinds of change that a brake counts, each for itself. They follow from what
// the sources say of roles (one ended, vanished, was cancelled, somebody is
// reported dead), from time, and from what a relay refuses; what IT orders and
// what protects a password never asks.
const (
	BrakeLeaving   = "leaving"   // letters to those who leave
	BrakeSuspended = "suspended" // accounts suspended because the roles are over
	BrakeClosed    = "closed"    // accounts closed, also those never activated
	BrakeAddresses = "addresses" // addresses that the relay refused, taken out of use
)

// Brakes lists every kind.
func Brakes() []string { return []string{BrakeLeaving, BrakeSuspended, BrakeClosed, BrakeAddresses} }

// Brake holds a kind of change when there are suddenly many: a source that
// answers "nobody" because it is broken must not end thousands of accounts.
type Brake interface {
	// Allow tells whether this account may be changed in this way now. One that
	// was allowed and asks again is allowed again and not counted twice. False
	// means that the entry is to stay as it is and due: whoever asks later finds
	// out whether it may go, or that the sources have said something else.
	//
	// Errors: ErrUnavailable.
	Allow(ctx context.Context, kind, account string) (bool, error)
}

// unbraked asks the brake, where there is one.
func (l *Lifecycle) unbraked(ctx context.Context, kind, account string) (bool, error) {
	if l.Brake == nil {
		return true, nil
	}
	return l.Brake.Allow(ctx, kind, account)
}
