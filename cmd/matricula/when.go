package main

import (
	"fmt"
	"time"

	"usn.no/matricula/policy"
)

// endOf reads when something ends: a day, which counts to its end in Oslo, a
// time with its offset, or a span from now.
func endOf(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, fmt.Errorf("is missing: name a day, a time or a span from now")
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, policy.Oslo()); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	if span, ok := parseSpan(text); ok {
		return now.Add(span).Truncate(time.Second), nil
	}
	return time.Time{}, fmt.Errorf(`%q is neither a day (2027-01-15), nor a time (2027-01-15T12:00:00+01:00), nor a span from now (14d, 36h)`, text)
}
