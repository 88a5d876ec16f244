package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Window says when the accounts of some people open. Dates are Norwegian
// calendar dates (Europe/Oslo), and a date without a time means 00:00 local.
// The tags are the keys of the configuration.
type Window struct {
	// Name is part of the group key, so that letters already waiting find
	// their window again: keep it when the window moves. Letters, digits and
	// "-". Empty: one is made from what the window matches.
	Name       string `toml:"name"`
	Population string `toml:"population"` // student | employee
	Intake     string `toml:"intake"`     // only this intake type; empty: every

	// StartBetween holds the first and last study start that match,
	// ["08-01", "09-30"]; it may run over New Year. Empty: every start, and no
	// start.
	StartBetween [2]string `toml:"start_between"`

	// Opens is one of
	//
	//	"08-01"             every year; "08-01T08:00" with a time of day
	//	"2027-08-01"        once; "2027-08-01T08:00" local, or RFC 3339
	//	"at-once"           with the registration
	//
	// What repeats every year opens in the year in which StartBetween begins
	// for the person; without StartBetween the last time at or before the
	// start, and for people without a start the next time after they were
	// recorded (the day they were recorded included).
	Opens string `toml:"opens"`
	// BeforeStart, in place of Opens, opens this many days before the start.
	// It matches nobody who has no start.
	BeforeStart Days `toml:"before_start"`

	// Closes, optional, in the forms of Opens. A date means through the end of
	// that day, a time means that instant.
	Closes string `toml:"closes"`
}

// Windows is an ordered set: the first window that matches decides.
type Windows []Window

// Names of the default windows.
const (
	WindowMain   = "main"
	WindowOther  = "other"
	WindowNext   = "next"
	WindowAtHire = "employee"
)

// DefaultWindows is the set that ships: study start 1 August to 30 September
// opens on 1 August of that year, other starts 30 days before, no start on the
// next 1 August; employees at once.
func DefaultWindows() Windows {
	return Windows{
		{Name: WindowMain, Population: "student", StartBetween: [2]string{"08-01", "09-30"}, Opens: "08-01"},
		{Name: WindowOther, Population: "student", BeforeStart: 30},
		{Name: WindowNext, Population: "student", Opens: "08-01"},
		{Name: WindowAtHire, Population: "employee", Opens: atOnce},
	}
}

// Admission is what a window is chosen by: one programme or one employment.
type Admission struct {
	Population string // student | employee
	Intake     string
	Start      string    // "2027-08-16"; empty, or not a date: none
	Recorded   time.Time // when the source recorded it first
}

// Opening is when one admission opens.
type Opening struct {
	At     time.Time // zero: at once
	Closes time.Time // zero: never
	// Group is the stable key of an instant that many people share, in
	// [A-Za-z0-9_-]: window name, "_", and the year or the study start that it
	// is reckoned from. It is not the instant: when the window moves, the key
	// stays and GroupOpening answers the new instant. Empty: at once.
	Group  string
	Window string // name of the window; empty: none matches, it never opens
}

// Open tells whether now lies inside.
func (o Opening) Open(now time.Time) bool {
	return o.Window != "" && !now.Before(o.At) && (o.Closes.IsZero() || now.Before(o.Closes))
}

// never is the opening of what no window matches: closed, also for a caller
// that looks at the time only.
func never() Opening {
	return Opening{At: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), Group: "none"}
}

// Opening answers when a opens: by the first window that matches, and never if
// none does (Validate refuses such a set).
func (ws Windows) Opening(a Admission) Opening {
	start, hasStart := parseDate(a.Start)
	for _, w := range ws {
		if w.Population != a.Population || w.Intake != "" && !strings.EqualFold(w.Intake, a.Intake) {
			continue
		}
		if w.StartBetween != [2]string{} && !(hasStart && w.between(start)) {
			continue
		}
		if w.BeforeStart > 0 {
			if hasStart {
				return w.opening(start, start.String())
			}
			continue
		}
		base := dateOf(a.Recorded.In(Oslo()))
		if w.Opens != atOnce {
			year := w.year(start, hasStart, base)
			base = date{year, 1, 1}
			return w.opening(base, fmt.Sprintf("%04d", year))
		}
		return w.opening(base, "")
	}
	return never()
}

// GroupOpening answers when a group opens under the windows as they are now;
// false when no window has the group's name any more, or the window now counts
// from each person's start. The persons of the group are then looked at one by
// one.
func (ws Windows) GroupOpening(group string) (Opening, bool) {
	name, key, ok := strings.Cut(group, "_")
	i := slices.IndexFunc(ws, func(w Window) bool { return w.name() == name })
	if !ok || i < 0 {
		return Opening{}, false
	}
	w := ws[i]
	if start, ok := parseDate(key); ok {
		switch {
		case w.BeforeStart > 0:
			return w.opening(start, key), true
		case w.Opens == atOnce:
			return w.opening(start, ""), true
		}
		year := w.year(start, true, start)
		return w.opening(date{year, 1, 1}, key), true
	}
	jan1, ok := parseDate(key + "-01-01")
	if !ok || w.BeforeStart > 0 {
		return Opening{}, false
	}
	return w.opening(jan1, key), true
}

// opening reckons from base: the start for BeforeStart, the year for Opens, the
// day of registration for at-once.
func (w Window) opening(base date, key string) Opening {
	o := Opening{Window: w.name()}
	after := base
	switch {
	case w.BeforeStart > 0:
		after = base.add(-int(w.BeforeStart))
		o.At = after.at(clock{})
	case w.Opens != atOnce:
		m, _ := parseMoment(w.Opens)
		o.At = m.in(base.year)
		after = dateOf(o.At.In(Oslo()))
	}
	if !o.At.IsZero() {
		o.Group = o.Window + "_" + key
	}
	if w.Closes != "" {
		m, _ := parseMoment(w.Closes)
		o.Closes = m.end(m.date(after.year))
		if m.yearly() && !o.Closes.After(cmp.Or(o.At, after.at(clock{}))) {
			o.Closes = m.end(m.date(after.year + 1))
		}
	}
	return o
}

// year answers which year's turn of a yearly window is meant.
func (w Window) year(start date, hasStart bool, recorded date) int {
	m, _ := parseMoment(w.Opens)
	switch {
	case !m.yearly():
		return m.day.year
	case hasStart && w.StartBetween != [2]string{}:
		first, _ := parseMonthDay(w.StartBetween[0])
		if start.monthDay() < first.monthDay() { // the range runs over New Year
			return start.year - 1
		}
		return start.year
	case hasStart:
		if start.monthDay() < m.day.monthDay() {
			return start.year - 1
		}
		return start.year
	case recorded.monthDay() > m.day.monthDay():
		return recorded.year + 1
	}
	return recorded.year
}

func (w Window) between(start date) bool {
	first, _ := parseMonthDay(w.StartBetween[0])
	last, _ := parseMonthDay(w.StartBetween[1])
	from, to, on := first.monthDay(), last.monthDay(), start.monthDay()
	if from <= to {
		return from <= on && on <= to
	}
	return on >= from || on <= to
}

// name is Name, or what the window matches in words: moving the window does
// not change it.
func (w Window) name() string {
	if w.Name != "" {
		return w.Name
	}
	parts := []string{w.Population}
	for _, s := range []string{w.Intake, w.StartBetween[0], w.StartBetween[1]} {
		if s != "" {
			parts = append(parts, strings.Map(tokenRune, s))
		}
	}
	if w.BeforeStart > 0 {
		parts = append(parts, "before")
	}
	return strings.Join(parts, "-")
}

func tokenRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
		return r
	}
	return '-'
}
