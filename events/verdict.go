package events

import (
	"errors"
	"fmt"
	"time"
)

// Reasons a message is put among the dead letters. They are part of the
// contract: operators filter by them.
const (
	ReasonMalformed   = "malformed"    // not a CloudEvent, or its data is not what its type says
	ReasonUnknownType = "unknown_type" // no contract of this name
	ReasonUnhandled   = "unhandled"    // a known contract that nothing handles yet
	ReasonInvalid     = "invalid"      // well formed, but a value cannot be (a wrong check digit, a time in 2099)
	ReasonParked      = "parked"       // for a human: persons that may be one, or one number on two
	ReasonOrphan      = "orphan"       // about a person nobody announced within the time allowed
	ReasonGaveUp      = "gave_up"      // kept failing for a reason that is not an outage
	ReasonExpired     = "expired"      // no longer worth doing
)

// Rejection says why no retry can mend a message. Field names what is wrong in
// the terms of the sender ("data.identifiers[0].value"); Text says what to do.
// Neither ever holds an identity number, name or address.
type Rejection struct {
	Reason string
	Field  string
	Text   string
	Err    error
}

func (r *Rejection) Error() string {
	s := r.Reason
	if r.Field != "" {
		s += ": " + r.Field
	}
	if r.Text != "" {
		s += ": " + r.Text
	}
	if r.Err != nil {
		s += ": " + r.Err.Error()
	}
	return s
}

func (r *Rejection) Unwrap() error { return r.Err }

// Reject says that no retry can mend err: the message goes to the dead
// letters. A *Rejection inside err keeps its reason and field.
func Reject(err error) error {
	var r *Rejection
	if errors.As(err, &r) {
		return r
	}
	return &Rejection{Reason: ReasonInvalid, Err: err}
}

// Refuse is Reject with the reason, the field and the way out spelled out.
func Refuse(reason, field, text string) error {
	return &Rejection{Reason: reason, Field: field, Text: text}
}

// Rejected finds the rejection in err.
func Rejected(err error) (*Rejection, bool) {
	var r *Rejection
	ok := errors.As(err, &r)
	return r, ok
}

type later struct{ at time.Time }

func (l later) Error() string { return fmt.Sprintf("later: %s", l.at.UTC().Format(time.RFC3339)) }

// Later says: not yet. The worker stores the message until at, then
// acknowledges it, so that nobody waits behind it.
func Later(at time.Time) error { return later{at} }

// Postponed finds the time in an answer of Later.
func Postponed(err error) (time.Time, bool) {
	var l later
	ok := errors.As(err, &l)
	return l.at, ok
}

type unavailable struct{ err error }

func (u unavailable) Error() string { return u.err.Error() }
func (u unavailable) Unwrap() error { return u.err }

// Unavailable marks err as an outage (the broker, the directory or the relay
// does not answer): the worker retries in place for as long as it lasts and
// never counts it against the message.
func Unavailable(err error) error {
	if err == nil {
		return nil
	}
	return unavailable{err}
}

// IsUnavailable tells whether err is an outage. It also believes any error in
// the chain with a method Unavailable() bool, so that adapters need not
// import this package.
func IsUnavailable(err error) bool {
	var u unavailable
	if errors.As(err, &u) {
		return true
	}
	var m interface{ Unavailable() bool }
	return errors.As(err, &m) && m.Unavailable()
}
