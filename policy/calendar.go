package policy

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // a minimal machine has no zone files, and 1 August must not depend on them
)

// oslo is read once; it never changes.
var oslo = sync.OnceValue(func() *time.Location {
	l, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		panic("time zone Europe/Oslo is embedded and cannot be read: " + err.Error())
	}
	return l
})

// Oslo is the time zone of the rules and of every time shown to people.
func Oslo() *time.Location { return oslo() }

// atOnce is the value of Opens for people who need not wait.
const atOnce = "at-once"

// Days is a number of calendar days, written "30d". A day of the calendar, not
// 24 hours: it keeps its local time across a change of summer time.
type Days int

// UnmarshalText reads "30d".
func (d *Days) UnmarshalText(text []byte) error {
	s, ok := strings.CutSuffix(string(text), "d")
	n, err := strconv.ParseUint(s, 10, 16)
	if !ok || err != nil || n > 3660 {
		return fmt.Errorf("%q is not a number of days: write \"30d\"", text)
	}
	*d = Days(n)
	return nil
}

// MarshalText writes "30d".
func (d Days) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d Days) String() string { return strconv.Itoa(int(d)) + "d" }

type date struct{ year, month, day int }
type clock struct{ hour, minute, second int }

func dateOf(t time.Time) date {
	y, m, d := t.Date()
	return date{y, int(m), d}
}

// parseDate reads "2027-08-01", a date that the calendar has.
func parseDate(s string) (date, bool) {
	t, err := time.Parse(time.DateOnly, s)
	return dateOf(t), err == nil
}

// parseMonthDay reads "08-01", a day that every year has.
func parseMonthDay(s string) (date, bool) {
	t, err := time.Parse(time.DateOnly, "2023-"+s)
	if err != nil || len(s) != len("08-01") {
		return date{}, false
	}
	return date{month: int(t.Month()), day: t.Day()}, true
}

func (d date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.year, d.month, d.day) }
func (d date) monthDay() int  { return d.month*100 + d.day }
func (d date) add(days int) date {
	return dateOf(time.Date(d.year, time.Month(d.month), d.day+days, 0, 0, 0, 0, time.UTC))
}

// at answers the instant of a local time. Where summer time begins and the
// local time does not exist, it is as much later as the clock was put forward;
// where summer time ends and it exists twice, it is the first.
func (d date) at(c clock) time.Time {
	naive := time.Date(d.year, time.Month(d.month), d.day, c.hour, c.minute, c.second, 0, time.UTC)
	_, before := naive.Add(-24 * time.Hour).In(Oslo()).Zone()
	_, after := naive.Add(24 * time.Hour).In(Oslo()).Zone()
	for _, offset := range []int{before, after} {
		t := naive.Add(-time.Duration(offset) * time.Second)
		if local := t.In(Oslo()); local.Hour() == c.hour && local.Minute() == c.minute {
			return t
		}
	}
	return naive.Add(-time.Duration(before) * time.Second)
}

// moment is a parsed Opens or Closes.
type moment struct {
	day     date // year 0: every year
	clock   clock
	hasTime bool
	instant time.Time // RFC 3339: exactly this
}

func (m moment) yearly() bool { return m.day.year == 0 && m.instant.IsZero() }

func (m moment) date(year int) date {
	if m.yearly() {
		return date{year, m.day.month, m.day.day}
	}
	return m.day
}

// in answers the instant at which the moment begins in a year.
func (m moment) in(year int) time.Time {
	if !m.instant.IsZero() {
		return m.instant
	}
	return m.date(year).at(m.clock)
}

// end answers the instant at which the moment on a day is over.
func (m moment) end(on date) time.Time {
	switch {
	case !m.instant.IsZero():
		return m.instant
	case m.hasTime:
		return on.at(m.clock)
	}
	return on.add(1).at(clock{})
}

func parseMoment(s string) (m moment, ok bool) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return moment{instant: t.UTC(), day: dateOf(t.In(Oslo())), hasTime: true}, true
	}
	day, at, hasTime := strings.Cut(s, "T")
	if m.day, ok = parseMonthDay(day); !ok {
		if m.day, ok = parseDate(day); !ok || m.day.year == 0 {
			return moment{}, false
		}
	}
	if !hasTime {
		return m, true
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, at); err == nil && len(at) == len(layout) {
			m.clock, m.hasTime = clock{t.Hour(), t.Minute(), t.Second()}, true
			return m, true
		}
	}
	return moment{}, false
}
