package policy

import "time"

// ResetValid is how long an invitation to reset a password lives.
const ResetValid = 60 * time.Minute

const day = 24 * time.Hour

// LetterDue answers when the activation letter goes out: inviteBefore ahead of
// the opening, or with the registration where that is later. Whole days are
// counted by the Norwegian calendar, so the letter goes out at the local time
// of the opening also across a change of summer time.
func LetterDue(o Opening, recorded time.Time, inviteBefore time.Duration) time.Time {
	if o.At.IsZero() {
		return recorded.UTC()
	}
	return latest(shift(o.At, -inviteBefore), recorded)
}

// Validity is how long an invitation to activate lives.
type Validity struct {
	AfterStart time.Duration // past the study start, and past the opening
	AtLeast    time.Duration // past its creation, whatever the start says
}

// DefaultValidity is 14 days after study start, at least 30 days.
func DefaultValidity() Validity { return Validity{AfterStart: 14 * day, AtLeast: 30 * day} }

// Expires answers when an invitation created at a time ends. Start is the study
// start, "2027-08-16", or empty; opens the opening, or zero.
func (v Validity) Expires(start string, opens, created time.Time) time.Time {
	at := shift(created, v.AtLeast)
	if d, ok := parseDate(start); ok {
		at = latest(at, shift(d.at(clock{}), v.AfterStart))
	}
	if !opens.IsZero() {
		at = latest(at, shift(opens, v.AfterStart))
	}
	return at
}

// InvitationExpires is DefaultValidity for an invitation whose letter goes out
// within the 16 days before its opening, or later: it then outlives the opening
// by 14 days without being told about it.
func InvitationExpires(start string, created time.Time) time.Time {
	return DefaultValidity().Expires(start, time.Time{}, created)
}

// shift moves t by d, whole days by the Norwegian calendar.
func shift(t time.Time, d time.Duration) time.Time {
	return t.In(Oslo()).AddDate(0, 0, int(d/day)).Add(d % day).UTC()
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a.UTC()
	}
	return b.UTC()
}
