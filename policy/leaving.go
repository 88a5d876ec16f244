package policy

import "time"

// EndOfDay answers the instant at which a day is over in Norway: the midnight
// after it. ok is false for what is not a date.
func EndOfDay(day string) (at time.Time, ok bool) {
	d, ok := parseDate(day)
	if !ok {
		return time.Time{}, false
	}
	return d.add(1).at(clock{}), true
}

// DayOf answers which day it is in Norway, "2006-01-02".
func DayOf(t time.Time) string { return dateOf(t.In(Oslo())).String() }

// After moves an instant by calendar days: the local time stays across a change
// of summer time.
func (d Days) After(t time.Time) time.Time { return shift(t, time.Duration(d)*day) }
