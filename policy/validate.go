package policy

import (
	"errors"
	"fmt"
	"regexp"
)

// WindowError is one fault of a window setting.
type WindowError struct {
	Key  string // "window[2].opens", counted from 1 in the order of the file
	Text string // what is wrong and what to write
}

func (e *WindowError) Error() string { return e.Key + ": " + e.Text }

// Validate answers every fault of the set at once, each a *WindowError joined
// by errors.Join: the error names the key and what to write.
func (ws Windows) Validate() error {
	var errs []error
	seen := map[string]int{}
	for i, w := range ws {
		fault := func(key, format string, args ...any) {
			errs = append(errs, &WindowError{Key: fmt.Sprintf("window[%d].%s", i+1, key), Text: fmt.Sprintf(format, args...)})
		}
		w.validate(fault)
		if first, twice := seen[w.name()]; twice {
			fault("name", "%q is the name of window[%d] too: give one of them another name", w.name(), first+1)
		} else {
			seen[w.name()] = i
		}
		if by := ws[:i].swallows(w); by >= 0 {
			fault("population", "window[%d] comes first and matches everybody this one does: put this one before it", by+1)
		}
	}
	for _, population := range []string{"student", "employee"} {
		if never := ws.Opening(Admission{Population: population}); never.Window == "" {
			errs = append(errs, &WindowError{Key: "window", Text: fmt.Sprintf(
				"no window takes a %s without a start, so that account would never open: "+
					"end with one that has population = %q and opens, but neither intake nor start_between", population, population)})
		} else if some := ws.Opening(Admission{Population: population, Start: "2027-01-01"}); some.Window == "" {
			errs = append(errs, &WindowError{Key: "window", Text: "no window takes a " + population + " who starts on 1 January"})
		}
	}
	return errors.Join(errs...)
}

var windowName = regexp.MustCompile(`^[A-Za-z0-9-]{1,32}$`)

func (w Window) validate(fault func(key, format string, args ...any)) {
	if w.Name != "" && !windowName.MatchString(w.Name) {
		fault("name", "%q may hold A-Z, a-z, 0-9 and \"-\" only, at most 32 of them", w.Name)
	}
	if w.Population != "student" && w.Population != "employee" {
		fault("population", "%q is neither \"student\" nor \"employee\"", w.Population)
	}
	if w.StartBetween != [2]string{} {
		for _, s := range w.StartBetween {
			if _, ok := parseMonthDay(s); !ok {
				fault("start_between", "%q is not a day that every year has: write two, [\"08-01\", \"09-30\"]", s)
			}
		}
	}
	opens, opensOK := parseMoment(w.Opens)
	switch {
	case w.BeforeStart < 0:
		fault("before_start", "is negative: an account cannot open after the start by it, write opens")
	case w.BeforeStart > 0 && w.Opens != "":
		fault("opens", "stands beside before_start: keep one of them")
	case w.BeforeStart > 0 || w.Opens == atOnce:
	case w.Opens == "":
		fault("opens", "is missing: write opens = \"08-01\", opens = \"at-once\" or before_start = \"30d\"")
	case !opensOK:
		fault("opens", "%q is no date: write \"08-01\", \"2027-08-01T08:00\", an RFC 3339 time or \"at-once\"", w.Opens)
	case !opens.exists():
		fault("opens", "%q does not exist in Norway: the clock is put forward then", w.Opens)
	}
	w.validateCloses(opens, opensOK, fault)
}

func (w Window) validateCloses(opens moment, opensOK bool, fault func(key, format string, args ...any)) {
	if w.Closes == "" {
		return
	}
	closes, ok := parseMoment(w.Closes)
	switch {
	case !ok:
		fault("closes", "%q is no date: write \"09-30\", \"2027-09-30T16:00\" or an RFC 3339 time", w.Closes)
	case !closes.yearly() && (w.BeforeStart > 0 || w.Opens == atOnce || opensOK && opens.yearly()):
		fault("closes", "%q comes once while the opening repeats: write month and day only", w.Closes)
	case opensOK && !opens.yearly() && !closes.yearly() && !closes.end(closes.day).After(opens.in(0)):
		fault("closes", "%q is not after opens = %q", w.Closes, w.Opens)
	}
}

// exists tells whether a moment that comes once is on the Norwegian clock.
func (m moment) exists() bool {
	if m.yearly() || !m.instant.IsZero() {
		return true
	}
	t := m.in(0).In(Oslo())
	return t.Hour() == m.clock.hour && t.Minute() == m.clock.minute
}

// swallows answers the index of a window that leaves w nobody, or -1.
func (ws Windows) swallows(w Window) int {
	for i, e := range ws {
		sameStart := e.StartBetween == [2]string{} || e.StartBetween == w.StartBetween
		onlyStarted := e.BeforeStart == 0 || w.BeforeStart > 0 || w.StartBetween != [2]string{}
		if e.Population == w.Population && (e.Intake == "" || e.Intake == w.Intake) && sameStart && onlyStarted {
			return i
		}
	}
	return -1
}
