package policy_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"usn.no/matricula/policy"
)

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatalf("test row holds no time: %v", err)
	}
	return at
}

func same(a, b time.Time) bool { return a.Equal(b) }

func TestDefaultWindowsOpenWhenTheUniversitySays(t *testing.T) {
	t.Parallel()
	ws := policy.DefaultWindows()
	if err := ws.Validate(); err != nil {
		t.Fatalf("the default set is refused: %v", err)
	}
	for _, row := range []struct{ why, population, start, recorded, at, group string }{
		{"autumn start opens on 1 August, summer time", "student", "2027-08-16", "2027-04-20T10:00:00Z", "2027-07-31T22:00:00Z", "main_2027"},
		{"first day of the range", "student", "2027-08-01", "2027-04-20T10:00:00Z", "2027-07-31T22:00:00Z", "main_2027"},
		{"last day of the range", "student", "2027-09-30", "2027-04-20T10:00:00Z", "2027-07-31T22:00:00Z", "main_2027"},
		{"autumn of a later year", "student", "2028-08-21", "2027-04-20T10:00:00Z", "2028-07-31T22:00:00Z", "main_2028"},
		{"a day before the range: 30 days ahead", "student", "2027-07-31", "2027-04-20T10:00:00Z", "2027-06-30T22:00:00Z", "other_2027-07-31"},
		{"a day after the range", "student", "2027-10-01", "2027-04-20T10:00:00Z", "2027-08-31T22:00:00Z", "other_2027-10-01"},
		{"January starter, winter time", "student", "2028-01-10", "2027-10-20T10:00:00Z", "2027-12-10T23:00:00Z", "other_2028-01-10"},
		{"30 days across the start of summer time", "student", "2028-04-10", "2027-10-20T10:00:00Z", "2028-03-10T23:00:00Z", "other_2028-04-10"},
		{"30 days across the end of summer time", "student", "2027-11-15", "2027-05-20T10:00:00Z", "2027-10-15T22:00:00Z", "other_2027-11-15"},
		{"30 days across a leap day", "student", "2028-03-15", "2027-10-20T10:00:00Z", "2028-02-13T23:00:00Z", "other_2028-03-15"},
		{"no start, recorded in spring", "student", "", "2027-04-20T10:00:00Z", "2027-07-31T22:00:00Z", "next_2027"},
		{"no start, recorded in autumn", "student", "", "2027-09-02T10:00:00Z", "2028-07-31T22:00:00Z", "next_2028"},
		{"no start, recorded on 1 August local, 31 July UTC", "student", "", "2027-07-31T22:30:00Z", "2027-07-31T22:00:00Z", "next_2027"},
		{"no start, recorded just before 1 August local", "student", "", "2027-07-31T21:59:59Z", "2027-07-31T22:00:00Z", "next_2027"},
		{"no start, recorded on 2 August", "student", "", "2027-08-01T22:00:00Z", "2028-07-31T22:00:00Z", "next_2028"},
		{"what is no date counts as no start", "student", "2027-02-30", "2027-04-20T10:00:00Z", "2027-07-31T22:00:00Z", "next_2027"},
	} {
		o := ws.Opening(policy.Admission{Population: row.population, Start: row.start, Recorded: instant(t, row.recorded)})
		if !same(o.At, instant(t, row.at)) || o.Group != row.group || !o.Closes.IsZero() {
			t.Errorf("%s: opens %s in group %q, want %s in %q", row.why, o.At.UTC(), o.Group, row.at, row.group)
		}
		if o.Open(o.At.Add(-time.Nanosecond)) || !o.Open(o.At) {
			t.Errorf("%s: the instant of the opening does not divide closed from open", row.why)
		}
	}
}

func TestEmployeesOpenAtOnce(t *testing.T) {
	t.Parallel()
	for _, start := range []string{"", "2027-08-16", "2031-01-01"} {
		o := policy.DefaultWindows().Opening(policy.Admission{Population: "employee", Start: start, Recorded: instant(t, "2027-04-20T10:00:00Z")})
		if !o.At.IsZero() || o.Group != "" || !o.Open(instant(t, "2027-04-20T10:00:00Z")) {
			t.Errorf("an employee who starts %q opens %s in group %q, want at once", start, o.At, o.Group)
		}
	}
}

func TestWhatNoWindowMatchesNeverOpens(t *testing.T) {
	t.Parallel()
	for _, ws := range []policy.Windows{nil, policy.DefaultWindows()} {
		o := ws.Opening(policy.Admission{Population: "guest", Recorded: instant(t, "2027-04-20T10:00:00Z")})
		if o.Open(instant(t, "2999-01-01T00:00:00Z")) || o.At.Year() < 9999 || o.Window != "" {
			t.Errorf("a guest opens %s by window %q", o.At, o.Window)
		}
	}
}

func TestWindowsOpenByEveryFormOfSetting(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		why           string
		w             policy.Window
		start, record string
		at, closes    string
	}{
		{"time of day", policy.Window{Opens: "08-01T08:00"}, "2027-08-16", "2027-04-20T10:00:00Z", "2027-08-01T06:00:00Z", ""},
		{"a date once", policy.Window{Opens: "2027-08-03"}, "2027-08-16", "2027-04-20T10:00:00Z", "2027-08-02T22:00:00Z", ""},
		{"a local time once", policy.Window{Opens: "2027-12-03T08:30"}, "", "2027-04-20T10:00:00Z", "2027-12-03T07:30:00Z", ""},
		{"an instant", policy.Window{Opens: "2027-08-01T08:00:00+02:00"}, "", "2027-04-20T10:00:00Z", "2027-08-01T06:00:00Z", ""},
		{"an instant in UTC", policy.Window{Opens: "2027-08-01T08:00:00Z"}, "", "2027-04-20T10:00:00Z", "2027-08-01T08:00:00Z", ""},
		{"January start, last opening before it", policy.Window{Opens: "08-01"}, "2028-01-10", "2027-04-20T10:00:00Z", "2027-07-31T22:00:00Z", ""},
		{"range over New Year, start after it", policy.Window{StartBetween: [2]string{"12-01", "02-28"}, Opens: "11-15"}, "2028-01-10", "2027-04-20T10:00:00Z", "2027-11-14T23:00:00Z", ""},
		{"range over New Year, start before it", policy.Window{StartBetween: [2]string{"12-01", "02-28"}, Opens: "11-15"}, "2027-12-10", "2027-04-20T10:00:00Z", "2027-11-14T23:00:00Z", ""},
		{"2 a.m. of the night that has it twice: the first", policy.Window{Opens: "2027-10-31T02:30"}, "", "2027-04-20T10:00:00Z", "2027-10-31T00:30:00Z", ""},
		{"2 a.m. of the night that lacks it: an hour later", policy.Window{Opens: "03-28T02:30"}, "", "2027-01-20T10:00:00Z", "2027-03-28T01:30:00Z", ""},
		{"closes through the end of a day", policy.Window{Opens: "08-01", Closes: "09-30"}, "2027-08-16", "2027-04-20T10:00:00Z", "2027-07-31T22:00:00Z", "2027-09-30T22:00:00Z"},
		{"closes at a time", policy.Window{Opens: "08-01", Closes: "09-30T16:00"}, "2027-08-16", "2027-04-20T10:00:00Z", "2027-07-31T22:00:00Z", "2027-09-30T14:00:00Z"},
		{"closes in the next year", policy.Window{Opens: "08-01", Closes: "05-31"}, "2027-08-16", "2027-04-20T10:00:00Z", "2027-07-31T22:00:00Z", "2028-05-31T22:00:00Z"},
		{"closes once", policy.Window{Opens: "2027-08-01", Closes: "2027-12-31"}, "2027-08-16", "2027-04-20T10:00:00Z", "2027-07-31T22:00:00Z", "2027-12-31T23:00:00Z"},
		{"days before start, closes", policy.Window{BeforeStart: 30, Closes: "02-15"}, "2028-01-10", "2027-04-20T10:00:00Z", "2027-12-10T23:00:00Z", "2028-02-15T23:00:00Z"},
	} {
		row.w.Name, row.w.Population = "w", "student"
		o := policy.Windows{row.w}.Opening(policy.Admission{Population: "student", Start: row.start, Recorded: instant(t, row.record)})
		if !same(o.At, instant(t, row.at)) {
			t.Errorf("%s: opens %s, want %s", row.why, o.At.UTC(), row.at)
		}
		if row.closes == "" && !o.Closes.IsZero() || row.closes != "" && !same(o.Closes, instant(t, row.closes)) {
			t.Errorf("%s: closes %s, want %q", row.why, o.Closes.UTC(), row.closes)
		}
		if !o.Closes.IsZero() && (o.Open(o.Closes) || !o.Open(o.Closes.Add(-time.Second))) {
			t.Errorf("%s: the instant of closing does not divide open from closed", row.why)
		}
	}
}

func TestFirstMatchingWindowDecides(t *testing.T) {
	t.Parallel()
	ws := append(policy.Windows{{Name: "exchange", Population: "student", Intake: "exchange", Opens: "2027-07-15"}}, policy.DefaultWindows()...)
	for intake, want := range map[string]string{"exchange": "exchange", "Exchange": "exchange", "national": "main", "": "main"} {
		if o := ws.Opening(policy.Admission{Population: "student", Intake: intake, Start: "2027-08-16"}); o.Window != want {
			t.Errorf("intake %q is taken by %q, want %q", intake, o.Window, want)
		}
	}
}

func TestMovedWindowMovesItsGroups(t *testing.T) {
	t.Parallel()
	was := policy.DefaultWindows()
	o := was.Opening(policy.Admission{Population: "student", Start: "2027-08-16"})
	other := was.Opening(policy.Admission{Population: "student", Start: "2028-01-10"})
	for _, row := range []struct {
		why, group string
		change     func(policy.Windows)
		want       string // empty: the group has no window any more
	}{
		{"unmoved", o.Group, func(policy.Windows) {}, "2027-07-31T22:00:00Z"},
		{"a week later every year", o.Group, func(ws policy.Windows) { ws[0].Opens = "08-08" }, "2027-08-07T22:00:00Z"},
		{"once, at a time", o.Group, func(ws policy.Windows) { ws[0].Opens = "2027-08-03T08:00" }, "2027-08-03T06:00:00Z"},
		{"before each start now", o.Group, func(ws policy.Windows) { ws[0].Opens, ws[0].BeforeStart = "", 30 }, ""},
		{"renamed", o.Group, func(ws policy.Windows) { ws[0].Name = "autumn" }, ""},
		{"14 days in place of 30", other.Group, func(ws policy.Windows) { ws[1].BeforeStart = 14 }, "2027-12-26T23:00:00Z"},
		{"a day of the year in place of 30 days", other.Group, func(ws policy.Windows) { ws[1].Opens, ws[1].BeforeStart = "12-15", 0 }, "2027-12-14T23:00:00Z"},
		{"no group of ours", "x", func(policy.Windows) {}, ""},
		{"the group of people without a window", "none", func(policy.Windows) {}, ""},
		{"key is no year", "main_next", func(policy.Windows) {}, ""},
	} {
		now := policy.DefaultWindows()
		row.change(now)
		got, ok := now.GroupOpening(row.group)
		if ok != (row.want != "") || ok && !same(got.At, instant(t, row.want)) {
			t.Errorf("%s: group %s opens %s (%v), want %q", row.why, row.group, got.At.UTC(), ok, row.want)
		}
	}
}

func TestGroupMovedToAtOnceIsDueNow(t *testing.T) {
	t.Parallel()
	ws := policy.DefaultWindows()
	ws[0].Opens = "at-once"
	if o, ok := ws.GroupOpening("main_2027"); !ok || !o.At.IsZero() {
		t.Errorf("group of a window that is at once now opens %s (%v)", o.At, ok)
	}
}

func TestEveryGroupNamesItsInstant(t *testing.T) {
	t.Parallel()
	token := regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	rapid.Check(t, func(t *rapid.T) {
		monthDay := rapid.Custom(func(t *rapid.T) string {
			return time.Date(2023, 1, rapid.IntRange(1, 365).Draw(t, "day"), 0, 0, 0, 0, time.UTC).Format("01-02")
		})
		w := policy.Window{Name: rapid.SampledFrom([]string{"", "w", "a-b"}).Draw(t, "name"), Population: "student"}
		if rapid.Bool().Draw(t, "ranged") {
			w.StartBetween = [2]string{monthDay.Draw(t, "first"), monthDay.Draw(t, "last")}
		}
		switch rapid.IntRange(0, 2).Draw(t, "form") {
		case 0:
			w.Opens = monthDay.Draw(t, "opens") + rapid.SampledFrom([]string{"", "T08:00", "T02:30"}).Draw(t, "clock")
		case 1:
			w.Opens = "2027-" + monthDay.Draw(t, "opens")
		case 2:
			w.BeforeStart = policy.Days(rapid.IntRange(1, 400).Draw(t, "before"))
		}
		ws := policy.Windows{w}
		a := policy.Admission{Population: "student", Recorded: time.Unix(rapid.Int64Range(1.7e9, 2.2e9).Draw(t, "recorded"), 0)}
		if rapid.Bool().Draw(t, "started") {
			a.Start = time.Unix(rapid.Int64Range(1.7e9, 2.2e9).Draw(t, "start"), 0).Format(time.DateOnly)
		}
		o := ws.Opening(a)
		if !token.MatchString(o.Group) {
			t.Fatalf("group %q does not fit a subject token", o.Group)
		}
		if o.Window == "" {
			return
		}
		if again, ok := ws.GroupOpening(o.Group); !ok || again != o {
			t.Fatalf("group %s names %+v, the admission %+v", o.Group, again, o)
		}
		if start, err := time.ParseInLocation(time.DateOnly, a.Start, policy.Oslo()); err == nil && w.StartBetween == [2]string{} && w.Opens != "" && w.Opens[:3] != "202" && o.At.After(start.AddDate(0, 0, 1)) {
			t.Fatalf("start %s opens after it, %s", a.Start, o.At)
		}
	})
}

func TestValidationNamesKeyAndFix(t *testing.T) {
	t.Parallel()
	fallback := policy.Windows{{Name: "s", Population: "student", Opens: "08-01"}, {Name: "e", Population: "employee", Opens: "at-once"}}
	for _, row := range []struct {
		why  string
		w    policy.Window
		want []string
	}{
		{"neither opens nor before_start", policy.Window{Population: "student", Intake: "x"}, []string{"window[1].opens", "missing", "before_start"}},
		{"both", policy.Window{Population: "student", Intake: "x", Opens: "08-01", BeforeStart: 30}, []string{"window[1].opens", "keep one"}},
		{"no date", policy.Window{Population: "student", Intake: "x", Opens: "8-1"}, []string{"window[1].opens", `"8-1"`, `"08-01"`}},
		{"31 June", policy.Window{Population: "student", Intake: "x", Opens: "06-31"}, []string{"window[1].opens"}},
		{"29 February is not in every year", policy.Window{Population: "student", Intake: "x", Opens: "02-29"}, []string{"window[1].opens"}},
		{"an hour Norway skips", policy.Window{Population: "student", Intake: "x", Opens: "2027-03-28T02:30"}, []string{"window[1].opens", "does not exist"}},
		{"unknown population", policy.Window{Population: "students", Opens: "08-01"}, []string{"window[1].population", `"students"`}},
		{"half a range", policy.Window{Population: "student", StartBetween: [2]string{"08-01", ""}, Opens: "08-01"}, []string{"window[1].start_between"}},
		{"name with a dot", policy.Window{Name: "a.b", Population: "student", Intake: "x", Opens: "08-01"}, []string{"window[1].name"}},
		{"name taken", policy.Window{Name: "s", Population: "student", Intake: "x", Opens: "08-01"}, []string{"window[2].name", "window[1]"}},
		{"closes before it opens", policy.Window{Population: "student", Intake: "x", Opens: "2027-08-01", Closes: "2027-07-01"}, []string{"window[1].closes", "not after"}},
		{"closes once, opens every year", policy.Window{Population: "student", Intake: "x", Opens: "08-01", Closes: "2027-09-01"}, []string{"window[1].closes", "month and day"}},
		{"closes is no date", policy.Window{Population: "student", Intake: "x", Opens: "08-01", Closes: "never"}, []string{"window[1].closes", `"never"`}},
		{"swallows all that follow", policy.Window{Name: "all", Population: "student", Opens: "08-02"}, []string{"window[2].population", "window[1]"}},
		{"negative days", policy.Window{Population: "student", Intake: "x", BeforeStart: -3}, []string{"window[1].before_start"}},
	} {
		err := append(policy.Windows{row.w}, fallback...).Validate()
		if err == nil {
			t.Errorf("%s: is accepted", row.why)
			continue
		}
		for _, want := range row.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error does not say %q: %v", row.why, want, err)
			}
		}
	}
	if err := fallback.Validate(); err != nil {
		t.Errorf("a plain set is refused: %v", err)
	}
}

func TestSetThatLeavesSomebodyOutIsRefused(t *testing.T) {
	t.Parallel()
	for i, name := range map[int]string{2: "student", 3: "employee"} {
		ws := policy.DefaultWindows()
		ws = append(ws[:i:i], ws[i+1:]...)
		if err := ws.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("a set without a last window for every %s answers %v", name, err)
		}
	}
	if (policy.Windows{}).Validate() == nil {
		t.Error("an empty set is accepted")
	}
}

func TestDaysAreWrittenWithTheirUnit(t *testing.T) {
	t.Parallel()
	var d policy.Days
	if err := d.UnmarshalText([]byte("30d")); err != nil || d != 30 || d.String() != "30d" {
		t.Errorf("30d is read as %v: %v", d, err)
	}
	for _, s := range []string{"", "30", "d", "-1d", "1.5d", "99999d", "30h"} {
		if err := d.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("%q is read as days", s)
		}
	}
}

func TestLetterGoesOutBeforeTheOpeningOrAtRegistration(t *testing.T) {
	t.Parallel()
	o := policy.Opening{At: instant(t, "2028-04-01T00:00:00+02:00"), Window: "w"}
	for _, row := range []struct{ why, recorded, want string }{
		{"14 days ahead at the local time of the opening", "2027-12-01T10:00:00Z", "2028-03-18T00:00:00+01:00"},
		{"registered in between", "2028-03-25T10:00:00Z", "2028-03-25T10:00:00Z"},
		{"registered after it", "2028-05-25T10:00:00Z", "2028-05-25T10:00:00Z"},
	} {
		if got := policy.LetterDue(o, instant(t, row.recorded), 14*24*time.Hour); !same(got, instant(t, row.want)) {
			t.Errorf("%s: due %s, want %s", row.why, got, row.want)
		}
	}
	recorded := instant(t, "2027-12-01T10:00:00Z")
	if got := policy.LetterDue(policy.Opening{Window: "w"}, recorded, 14*24*time.Hour); !same(got, recorded) {
		t.Errorf("a letter for an account that opens at once is due %s", got)
	}
}

func TestInvitationOutlivesStartAndOpening(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ why, start, opens, created, want string }{
		{"14 days after study start", "2027-08-16", "", "2027-07-18T00:00:00+02:00", "2027-08-30T00:00:00+02:00"},
		{"at least 30 days", "2027-08-16", "", "2027-08-20T12:00:00+02:00", "2027-09-19T12:00:00+02:00"},
		{"no start", "", "", "2027-08-20T12:00:00+02:00", "2027-09-19T12:00:00+02:00"},
		{"30 days across the end of summer time", "", "", "2027-10-20T12:00:00+02:00", "2027-11-19T12:00:00+01:00"},
		{"14 days after an opening far ahead", "", "2027-08-01T00:00:00+02:00", "2027-03-01T12:00:00+01:00", "2027-08-15T00:00:00+02:00"},
	} {
		var opens time.Time
		if row.opens != "" {
			opens = instant(t, row.opens)
		}
		got := policy.DefaultValidity().Expires(row.start, opens, instant(t, row.created))
		if !same(got, instant(t, row.want)) {
			t.Errorf("%s: expires %s, want %s", row.why, got, row.want)
		}
		if row.opens == "" && !same(got, policy.InvitationExpires(row.start, instant(t, row.created))) {
			t.Errorf("%s: InvitationExpires differs from the default validity", row.why)
		}
	}
}

func BenchmarkOpening(b *testing.B) {
	b.ReportAllocs()
	ws, a := policy.DefaultWindows(), policy.Admission{Population: "student", Start: "2028-01-10"}
	for b.Loop() {
		ws.Opening(a)
	}
}
