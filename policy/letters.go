package policy

import "time"

// Times of letters and invitations. Days are of the Norwegian calendar.
const (
	ReminderAfter   = Days(7)          // one reminder, this long after the opening
	InviteBefore    = Days(14)         // the activation letter, before the opening
	AfterStudyStart = Days(14)         // an invitation lives this long past study start and opening
	InvitationValid = Days(30)         // and at least this long from its creation
	ResetValid      = 60 * time.Minute // an invitation to reset a password
)

// LetterDue answers when the activation letter goes out: inviteBefore ahead of
// the opening, or with the registration where that is later. Whole days are
// counted by the calendar, so the letter goes out at the local time of the
// opening also across a change of summer time.
func LetterDue(o Opening, recorded time.Time, inviteBefore time.Duration) time.Time {
	due := o.At
	if !due.IsZero() {
		due = due.In(Oslo()).AddDate(0, 0, -int(inviteBefore/(24*time.Hour))).Add(-(inviteBefore % (24 * time.Hour)))
	}
	return latest(due, recorded)
}

// ReminderDue answers when the one reminder goes out: ReminderAfter after the
// opening, or after the registration where that is later.
func ReminderDue(o Opening, recorded time.Time) time.Time {
	return latest(o.At, recorded).In(Oslo()).AddDate(0, 0, int(ReminderAfter)).UTC()
}

// InvitationExpires answers when an invitation to activate ends: 14 days after
// study start and after the opening, whichever is later, and at least valid
// (zero: 30 days) after it was created. Start is "2027-08-16" or empty. An
// invitation to reset a password ends ResetValid after it was created.
func InvitationExpires(created time.Time, start string, o Opening, valid Days) time.Time {
	if valid <= 0 {
		valid = InvitationValid
	}
	at := created.In(Oslo()).AddDate(0, 0, int(valid))
	if d, ok := parseDate(start); ok {
		at = latest(at, d.add(int(AfterStudyStart)).at(clock{}))
	}
	if !o.At.IsZero() && o.Window != "" {
		at = latest(at, o.At.In(Oslo()).AddDate(0, 0, int(AfterStudyStart)))
	}
	return at.UTC()
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a.UTC()
	}
	return b.UTC()
}
