package main

import (
	"testing"
	"time"

	"usn.no/matricula/account"
)

func TestAnEndIsADayATimeOrASpan(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 3, 27, 12, 0, 0, 500, time.UTC)
	for text, want := range map[string]string{
		"2027-01-15":                "2027-01-15T23:00:00Z", // its end in Oslo
		"2027-03-28":                "2027-03-28T22:00:00Z", // a day of 23 hours
		"2027-01-15T12:00:00+01:00": "2027-01-15T11:00:00Z",
		"14d":                       "2027-04-10T12:00:00Z",
		"1d12h":                     "2027-03-29T00:00:00Z",
		"36h":                       "2027-03-29T00:00:00Z",
	} {
		if got, err := endOf(text, now); err != nil || got.UTC().Format(time.RFC3339) != want {
			t.Errorf("%q ends %s, %v; not %s", text, got.UTC().Format(time.RFC3339), err, want)
		}
	}
	for _, text := range []string{"", "2027-02-30", "tomorrow", "-3d", "2027-01-15T12:00:00", "15.01.2027"} {
		if got, err := endOf(text, now); err == nil {
			t.Errorf("%q ends %s, it should be refused", text, got)
		}
	}
}

func TestEveryReasonOfADenialIsPutIntoWords(t *testing.T) {
	t.Parallel()
	for _, reason := range account.Denials() {
		if text := whyNot(reason); text == reason || text == "" {
			t.Errorf("%s is printed as %q", reason, text)
		}
	}
}
