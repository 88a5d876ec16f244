package account_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// life is one person of the table: employee hr, student adm, one number.
type life struct {
	*world
	hr, adm, number string
}

func (p life) address() string { return "p" + p.adm + "@example.org" }

// on sets the clock to a local time, "2027-01-31 23:59", and lets time take its
// turns.
func (p life) on(local string) {
	p.t.Helper()
	at, err := parseOslo(local)
	p.must(err)
	p.at(at)
	p.turns()
}

func parseOslo(local string) (time.Time, error) {
	return time.ParseInLocation("2006-01-02 15:04", local, policy.Oslo())
}

func (p life) meta(source, subject string) events.Meta {
	return p.world.meta(source, subject, p.clock().UTC())
}

func job(id, start, end string) events.Employment {
	return events.Employment{ID: id, Start: start, End: end, Campus: "Bø"}
}

func study(id, start, end string) events.Programme {
	return events.Programme{ID: id, Code: "MSC", Start: start, End: end}
}

func (p life) works(jobs ...events.Employment) events.Meta {
	p.t.Helper()
	e := employee(p.hr, "Kari", "Nordmann", p.address(), fnr(p.number))
	e.Employments = append([]events.Employment{}, jobs...)
	m := p.meta(events.SourceHR, p.hr)
	p.must(p.EmployeeUpdated(p.t.Context(), m, events.EmployeeUpdated{Employee: e}))
	return m
}

func (p life) studies(programmes ...events.Programme) {
	p.t.Helper()
	s := student(p.adm, "Kari", "Nordmann", p.address(), fnr(p.number))
	s.Programmes = append([]events.Programme{}, programmes...)
	p.must(p.StudentUpdated(p.t.Context(), p.meta(events.SourceAdmissions, p.adm), events.StudentUpdated{Student: s}))
}

func (p life) leaves(job, end, reason string) {
	p.t.Helper()
	p.must(p.EmployeeEnded(p.t.Context(), p.meta(events.SourceHR, p.hr), events.EmployeeEnded{EmployeeNo: p.hr, Employment: job, End: end, Reason: reason}))
}

func (p life) graduates(programme, end, reason string) {
	p.t.Helper()
	p.must(p.StudentEnded(p.t.Context(), p.meta(events.SourceAdmissions, p.adm), events.StudentEnded{StudentNo: p.adm, Programme: programme, End: end, Reason: reason}))
}

func (p life) cancelled(job string) {
	p.t.Helper()
	p.must(p.EmployeeCancelled(p.t.Context(), p.meta(events.SourceHR, p.hr), events.EmployeeCancelled{EmployeeNo: p.hr, Employment: job, Reason: "withdrawn"}))
}

func (p life) me() account.Account {
	p.t.Helper()
	var found account.Account
	handle := p.Identity.SourceHandle(events.SourceHR, p.hr)
	p.must(p.Directory.Each(p.t.Context(), account.Query{}, func(a account.Account) bool {
		if slices.Contains(a.Handles, handle) || slices.Contains(a.Handles, p.Identity.SourceHandle(events.SourceAdmissions, p.adm)) {
			found = a
		}
		return true
	}))
	return found
}

// activates is the click, with the newest link.
func (p life) activates(role string) {
	p.t.Helper()
	ticket := p.ticket(p.me().Username, account.PurposeActivate)
	proof, err := p.portal().Prove(p.t.Context(), ticket, role, p.number)
	p.must(err)
	word := password
	if p.me().PasswordLost == account.LostByClosing {
		word = another // nobody gets a password again that was theirs
	}
	_, err = p.portal().Activate(p.t.Context(), account.Choice{Proof: proof.Token, Rules: rules, Password: word})
	p.must(err)
	p.publishUnsent()
}

const another = "Femten blå elefanter 7"

// is compares where the person stands, whether the password binds, and what is
// published: "active activated, binds, employee member".
func (p life) is(want string) {
	p.t.Helper()
	a := p.me()
	got := string(a.State) + " " + a.Why.Reason
	if p.binds(a.Username, password) || p.binds(a.Username, another) {
		got += ", binds"
	}
	if len(a.Affiliations) > 0 {
		got += ", " + strings.Join(a.Affiliations, " ")
	}
	if got != want {
		p.t.Errorf("%s: %s, not %s", p.clock().In(policy.Oslo()).Format("2006-01-02 15:04"), got, want)
	}
	if len(a.Unsent) > 0 {
		p.t.Errorf("%d facts are not published", len(a.Unsent))
	}
}

// turn compares when time does something next.
func (p life) turn(local string) {
	p.t.Helper()
	got := "never"
	if at := p.me().Turn; !at.IsZero() {
		got = at.In(policy.Oslo()).Format("2006-01-02 15:04")
	}
	if got != local {
		p.t.Errorf("the next turn is %s, not %s", got, local)
	}
}

func (p life) letters(want ...string) {
	p.t.Helper()
	if got := p.mailed(p.address()); !slices.Equal(got, want) {
		p.t.Errorf("letters: %q, not %q", got, want)
	}
}

// toldOfLeaving compares what the leaving letters say, sorted: "until 2027-03-31", "soon", "locked".
func (p life) toldOfLeaving(want ...string) {
	p.t.Helper()
	var got []string
	for _, r := range p.requests(p.address()) {
		switch {
		case r.Template != events.LetterLeaving:
		case r.Locked && r.Deadline == nil:
			got = append(got, "locked")
		case r.Deadline != nil:
			got = append(got, "until "+r.Deadline.In(policy.Oslo()).Format(time.DateOnly))
		default:
			got = append(got, "soon")
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		p.t.Errorf("the leaving letters say %q, not %q", got, want)
	}
}

// facts are the audit facts beside those of a registration and an activation.
func (p life) facts(want ...string) {
	p.t.Helper()
	got := slices.DeleteFunc(p.told(p.me().ID), func(s string) bool {
		return strings.HasPrefix(s, "account.created") || strings.HasPrefix(s, "account.invited") || strings.HasPrefix(s, "account.activated") ||
			strings.HasPrefix(s, "rules.accepted") || strings.HasPrefix(s, "account.updated")
	})
	if !slices.Equal(got, want) {
		p.t.Errorf("told of it: %q, not %q", got, want)
	}
}

var turns = []struct {
	sentence string
	run      func(p life)
}{
	{"an employment ends: a letter the day after, suspended 30 days later, closed 90 days later", func(p life) {
		p.on("2027-01-04 08:00")
		p.works(job("1", "2027-01-04", ""))
		p.activates(account.Employee)
		p.leaves("", "2027-02-28", "resigned")
		p.turn("2027-03-01 00:00")
		p.on("2027-02-28 23:59")
		p.is("active activated, binds, employee member")
		p.letters("activated", "activation")
		p.on("2027-03-01 00:00")
		p.is("active activated, binds")
		p.letters("activated", "activation", "leaving")
		p.toldOfLeaving("until 2027-03-31")
		p.turn("2027-03-31 00:00") // 30 days, and the summer time that began on 28 March
		p.on("2027-03-30 23:59")
		p.is("active activated, binds")
		p.on("2027-03-31 00:00")
		p.is("suspended left")
		p.turn("2027-06-29 00:00")
		p.on("2027-06-28 23:59")
		p.is("suspended left")
		p.on("2027-06-29 00:00")
		p.is("closed left")
		p.facts("account.suspended done", "account.closed done")
		p.letters("activated", "activation", "leaving")
	}},
	{"each step waits for its date and moves with it, across the end of summer time", func(p life) {
		p.on("2027-08-02 08:00")
		p.works(job("1", "2027-08-02", "2027-09-30"))
		p.activates(account.Employee)
		p.turn("2027-10-01 00:00")
		p.leaves("1", "2027-10-15", "expired")
		p.turn("2027-10-16 00:00")
		p.on("2027-10-16 00:00")
		p.turn("2027-11-15 00:00")
		p.leaves("1", "2027-10-30", "expired") // later after all; the letter was for another day
		p.turn("2027-10-31 00:00")
		p.on("2027-10-31 00:00") // of this night an hour comes twice
		p.turn("2027-11-30 00:00")
		p.letters("activated", "activation", "leaving", "leaving")
		p.on("2027-11-29 23:59")
		p.is("active activated, binds")
		p.on("2027-11-30 00:00")
		p.is("suspended left")
		p.leaves("1", "2027-11-20", "expired") // moved while suspended
		p.is("active activated, binds")
		p.facts("account.suspended done", "account.restored done")
	}},
	{"a planned end in the data makes a leaver, and prolonged it makes none", func(p life) {
		p.on("2027-01-04 08:00")
		p.works(job("1", "2027-01-04", "2027-06-30"))
		p.activates(account.Employee)
		p.turn("2027-07-01 00:00")
		p.on("2027-07-02 08:00")
		p.letters("activated", "activation", "leaving")
		p.works(job("1", "2027-01-04", "2027-12-31"))
		p.is("active activated, binds, employee member")
		p.turn("2028-01-01 00:00")
		p.on("2027-08-15 08:00")
		p.is("active activated, binds, employee member")
		p.facts()
	}},
	{"an end that was long past when it was told counts from the end", func(p life) {
		p.on("2027-06-01 08:00")
		p.works(job("1", "2027-01-04", ""))
		p.activates(account.Employee)
		p.leaves("1", "2027-04-01", "resigned")
		p.is("active activated, binds") // what is still on its way may say otherwise
		p.on("2027-06-01 08:01")
		p.is("suspended left")
		p.letters("activated", "activation", "leaving")
		p.toldOfLeaving("locked")
		p.leaves("1", "2027-01-20", "resigned")
		p.on("2027-06-01 08:02")
		p.is("closed left")
	}},
	{"an employment that was cancelled suspends at once, and announced again it is as before", func(p life) {
		p.on("2027-01-04 08:00")
		p.works(job("1", "2027-03-01", ""))
		old := p.ticket(p.me().Username, account.PurposeActivate)
		p.cancelled("1")
		p.is("suspended cancelled")
		if _, err := p.portal().Look(p.t.Context(), old); !errors.Is(err, account.ErrSpent) {
			p.t.Errorf("the link of somebody who never began: %v", err)
		}
		p.turn("2027-04-04 08:00")
		p.on("2027-01-05 08:00")
		p.works(job("1", "2027-03-01", ""))
		p.is("pending registered")
		p.letters("activation", "activation")
		p.activates(account.Employee)
		p.is("active activated, binds, employee member")
		p.facts("account.suspended done", "account.restored done")
	}},
	{"a cancelled one who stays away is closed", func(p life) {
		p.on("2027-01-04 08:00")
		p.works(job("1", "2027-03-01", ""))
		p.cancelled("")
		p.on("2027-04-04 08:00")
		p.is("closed cancelled")
	}},
	{"who comes back while suspended has the same username and password", func(p life) {
		p.on("2027-01-04 08:00")
		p.works(job("1", "2027-01-04", "2027-01-31"))
		p.activates(account.Employee)
		was := p.me()
		p.on("2027-03-10 08:00")
		p.is("suspended left")
		p.works(job("1", "2027-01-04", "2027-01-31"), job("2", "2027-03-15", ""))
		p.is("active activated, binds, employee member")
		if now := p.me(); now.ID != was.ID || now.Username != was.Username {
			p.t.Errorf("%s came back as %s", was.Username, now.Username)
		}
		p.facts("account.suspended done", "account.restored done")
	}},
	{"who comes back after the closing begins again under the same username, and nobody else ever had it", func(p life) {
		p.on("2027-01-04 08:00")
		p.works(job("1", "2027-01-04", "2027-01-31"))
		p.activates(account.Employee)
		was := p.me()
		p.on("2027-06-01 08:00")
		p.is("closed left")
		p.works(job("1", "2027-01-04", "2027-01-31")) // late, and says nothing new
		p.is("closed left")
		p.on("2027-06-02 08:00")
		p.works(job("2", "2027-06-01", ""))
		p.is("pending registered")
		if now := p.me(); now.ID != was.ID || now.Username != was.Username || now.PasswordLost != account.LostByClosing {
			p.t.Errorf("%s came back as %s, password %q", was.Username, now.Username, now.PasswordLost)
		}
		p.activates(account.Employee)
		p.is("active activated, binds, employee member")
		p.facts("account.closed done", "account.restored done")
	}},
	{"of the dead the account stops at once, nothing is sent to them, and only IT takes it back", func(p life) {
		p.on("2027-01-04 08:00")
		p.works(job("1", "2027-01-04", ""))
		p.activates(account.Employee)
		p.leaves("", "2027-01-03", "deceased")
		p.is("suspended deceased")
		p.on("2027-02-10 08:00")
		p.works(job("1", "2027-01-04", ""))
		p.is("suspended deceased")
		p.compromised(p.it(p.me().Username, p.clock()))
		p.turns()
		p.letters("activated", "activation")
		p.restore(p.it(p.me().Username, p.clock()))
		if a := p.me(); a.Why.Reason == account.WhyDeceased {
			p.t.Error("IT's word does not mend a wrong report of death")
		}
	}},
	{"the dead who had not activated have no link, and are closed in the end", func(p life) {
		p.on("2027-01-04 08:00")
		p.works(job("1", "2027-01-04", ""))
		p.leaves("1", "2027-01-03", "deceased")
		if a := p.me(); len(a.Invitations) != 0 {
			p.t.Errorf("%d links are left", len(a.Invitations))
		}
		p.on("2027-04-04 08:00")
		p.is("closed deceased")
		p.letters("activation")
	}},
	{"full state that lacks an employment ends it on the day it was recorded, however often it comes", func(p life) {
		p.on("2027-01-04 08:00")
		p.works(job("1", "2027-01-04", ""))
		p.activates(account.Employee)
		for _, day := range []string{"2027-02-10", "2027-02-11", "2027-02-28"} {
			p.on(day + " 03:00")
			p.works()
		}
		p.turn("2027-03-13 00:00")
		p.on("2027-03-13 00:00")
		p.is("suspended left")
	}},
	{"a number climbs from SO to D-number to birth number: one account, one username, one password, and each proves", func(p life) {
		p.on("2027-08-02 08:00")
		s := student(p.adm, "Asha", "Rao", p.address(), nil)
		s.Identifiers = []events.Identifier{}
		p.must(p.StudentRegistered(p.t.Context(), p.meta(events.SourceAdmissions, p.adm), events.StudentRegistered{Student: s}))
		p.letters()
		p.on("2027-08-20 08:00") // weeks later
		p.must(p.SONumberIssued(p.t.Context(), p.meta(events.SourceAdmissions, p.adm), events.SONumberIssued{StudentNo: p.adm, SONumber: soA}))
		p.letters("activation", "so-number")
		climb := []events.Identifier{{Type: "so", Value: soA}, {Type: "dnr", Value: "57912075186"}, {Type: "fnr", Value: p.number}}
		for i := range climb[1:] {
			p.must(p.StudentIDChanged(p.t.Context(), p.meta(events.SourceAdmissions, p.adm),
				events.StudentIDChanged{StudentNo: p.adm, IDChange: events.IDChange{Old: climb[i], New: climb[i+1]}}))
			p.on(fmt.Sprintf("2027-09-0%d 08:00", i+1))
		}
		if n, _ := p.me().Current(); n.Value != p.number {
			p.t.Errorf("the number in force is a %s", n.Type)
		}
		for _, n := range climb {
			if _, err := p.portal().Prove(p.t.Context(), p.ticket(p.adm, account.PurposeActivate), account.Student, n.Value); err != nil {
				p.t.Errorf("the person's own %s: %v", n.Type, err)
			}
		}
		p.activates(account.Student)
		p.is("active activated, binds, member student")
		p.letters("activated", "activation", "so-number")
	}},
	{"a corrected number and a new name replace the old ones everywhere but at the proof", func(p life) {
		p.on("2027-08-02 08:00")
		p.studies(study("1", "2027-08-16", ""))
		p.activates(account.Student)
		was := p.me()
		next := tenor(p.t, 900)
		p.on("2027-08-03 08:00")
		p.must(p.StudentIDChanged(p.t.Context(), p.meta(events.SourceAdmissions, p.adm), events.StudentIDChanged{
			StudentNo: p.adm, IDChange: events.IDChange{Old: events.Identifier{Type: "fnr", Value: p.number}, New: events.Identifier{Type: "fnr", Value: next}},
		}))
		p.on("2027-08-04 08:00")
		e := student(p.adm, "Kjetil", "Nordmann", p.address(), fnr(next))
		p.must(p.StudentUpdated(p.t.Context(), p.meta(events.SourceAdmissions, p.adm), events.StudentUpdated{Student: e}))
		p.employed() // who has not heard of it says the old number once more
		now := p.me()
		if n, _ := now.Current(); n.Value != next || now.ID != was.ID || now.Username != was.Username {
			p.t.Errorf("the account is %s with a %s that is not the new one", now.Username, n.Type)
		}
		p.is("active activated, binds, employee member student")
	}},
	{"a number goes up or is corrected and never down, and somebody else's is for a human", func(p life) {
		p.on("2027-08-02 08:00")
		p.studies(study("1", "2027-08-16", ""))
		other := life{p.world, "1059" + p.hr[4:], "2579" + p.adm[4:], tenor(p.t, 901)}
		other.works(job("1", "2027-08-01", ""))
		before := p.me()
		for reason, change := range map[string]events.IDChange{
			events.ReasonInvalid: {Old: events.Identifier{Type: "fnr", Value: p.number}, New: events.Identifier{Type: "so", Value: "15532510071"}},
			events.ReasonParked:  {Old: events.Identifier{Type: "fnr", Value: p.number}, New: events.Identifier{Type: "fnr", Value: other.number}},
		} {
			err := p.StudentIDChanged(p.t.Context(), p.meta(events.SourceAdmissions, p.adm), events.StudentIDChanged{StudentNo: p.adm, IDChange: change})
			if r, ok := events.Rejected(err); !ok || r.Reason != reason || strings.Contains(r.Text, change.New.Value) {
				p.t.Errorf("refused as %+v, not as %s", r, reason)
			}
		}
		if now := p.me(); now.Revision != before.Revision {
			p.t.Error("what is refused has written")
		}
	}},
	{"a graduate is told, suspended and closed like anybody", func(p life) {
		p.on("2027-08-02 08:00")
		p.studies(study("1", "2027-08-16", ""))
		p.activates(account.Student)
		p.graduates("1", "2027-12-20", "graduated")
		p.on("2027-12-21 00:00")
		p.is("active activated, binds")
		p.letters("activated", "activation", "leaving")
		p.on("2028-01-20 00:00")
		p.is("suspended left")
		p.on("2028-04-19 00:00")
		p.is("closed left")
	}},
	{"an account that nobody activates is closed a year after its opening, and a new admission begins again", func(p life) {
		p.on("2027-07-20 08:00")
		p.studies(study("1", "2027-08-16", ""))
		p.turn("2028-07-31 00:00")
		p.on("2028-07-30 23:59")
		p.is("pending registered")
		p.on("2028-07-31 00:00")
		p.is("closed never_activated")
		p.studies(study("1", "2027-08-16", ""))
		p.is("closed never_activated")
		p.studies(study("1", "2027-08-16", "2028-07-31"), study("2", "2028-08-14", ""))
		p.is("pending registered")
		p.on("2028-08-01 00:00")
		p.activates(account.Student)
		p.facts("account.closed done", "account.restored done")
	}},
	{"who is announced long after the opening has a year from then on", func(p life) {
		p.on("2027-11-01 08:00")
		p.studies(study("1", "2025-08-18", "")) // in the third year, and new to us
		p.turn("2028-10-31 08:00")
		p.on("2028-10-31 07:59")
		p.is("pending registered")
		p.on("2028-10-31 08:00")
		p.is("closed never_activated")
	}},
	{"a wrong year in an end closes at once and erases nobody: mended within a year, everything is there", func(p life) {
		p.on("2027-06-01 08:00")
		p.works(job("1", "2027-01-04", ""))
		p.activates(account.Employee)
		was := p.me()
		p.leaves("1", "2017-06-30", "resigned")
		p.on("2027-06-01 08:01")
		p.is("closed left")
		p.turn("2028-05-31 08:01")
		p.on("2028-05-31 08:00")
		p.is("closed left")
		p.leaves("1", "2028-06-30", "resigned")
		p.is("pending registered")
		if now := p.me(); now.Username != was.Username || now.Name != was.Name || len(now.Numbers) != 1 {
			p.t.Errorf("after the correction it is %s", now.Username)
		}
	}},
	{"who was closed and is prolonged after all begins again, however old the role is", func(p life) {
		p.on("2025-01-06 08:00")
		p.works(job("1", "2025-01-06", "2027-01-31"))
		p.activates(account.Employee)
		p.on("2027-06-01 08:00")
		p.is("closed left")
		p.works(job("1", "2025-01-06", ""))
		p.is("pending registered")
		p.on("2027-06-02 08:00")
		p.is("pending registered")
		p.activates(account.Employee)
		p.is("active activated, binds, employee member")
	}},
	{"student and employee at once: one ends and the other stays, and each affiliation comes and goes unaided", func(p life) {
		p.on("2027-06-01 08:00")
		p.works(job("1", "2027-06-01", "2027-09-30"), job("2", "2027-06-01", ""))
		p.activates(account.Employee)
		p.studies(study("1", "2027-08-16", "2027-12-31"))
		p.is("active activated, binds, employee member")
		p.turn("2027-08-01 00:00")
		p.on("2027-08-01 00:00")
		p.is("active activated, binds, employee member student")
		p.on("2027-10-01 00:00")
		p.is("active activated, binds, employee member student")
		p.leaves("2", "2027-10-31", "resigned")
		p.on("2027-11-01 00:00")
		p.is("active activated, binds, member student")
		p.on("2028-01-01 00:00")
		p.is("active activated, binds")
		p.letters("activated", "activation", "leaving")
		p.facts()
	}},
	{"an old full state that comes again after an end raises nobody", func(p life) {
		p.on("2027-01-04 08:00")
		m := p.works(job("1", "2027-01-04", ""))
		p.activates(account.Employee)
		p.on("2027-01-20 08:00")
		p.leaves("", "2027-01-31", "resigned")
		p.on("2027-03-10 08:00")
		p.is("suspended left")
		e := employee(p.hr, "Kari", "Nordmann", p.address(), fnr(p.number))
		e.Employments = []events.Employment{job("1", "2027-01-04", "")}
		p.must(p.EmployeeUpdated(p.t.Context(), m, events.EmployeeUpdated{Employee: e}))
		p.is("suspended left")
		p.on("2027-06-01 08:00")
		p.must(p.EmployeeUpdated(p.t.Context(), m, events.EmployeeUpdated{Employee: e}))
		p.is("closed left")
	}},
	{"an end before its person waits, and then counts", func(p life) {
		p.on("2027-01-04 08:00")
		m := p.meta(events.SourceHR, p.hr)
		m.Time = m.Time.Add(time.Minute)
		ended := events.EmployeeEnded{EmployeeNo: p.hr, Employment: "1", End: "2027-01-10", Reason: "resigned"}
		if _, later := events.Postponed(p.EmployeeEnded(p.t.Context(), m, ended)); !later {
			p.t.Error("an end of nobody's does not wait")
		}
		p.works(job("1", "2027-01-04", ""))
		p.must(p.EmployeeEnded(p.t.Context(), m, ended))
		p.on("2027-02-10 00:00")
		p.is("suspended left")
	}},
	{"a new address: the old link says so and offers a new letter, which goes there; a shared one is nothing special", func(p life) {
		p.on("2027-08-02 08:00")
		p.studies(study("1", "2027-08-16", ""))
		old := p.ticket(p.adm, account.PurposeActivate)
		p.on("2027-08-03 08:00")
		shared := "family" + p.adm + "@example.org"
		for _, no := range []string{p.adm, "2578" + p.adm[4:]} {
			number := p.number
			if no != p.adm {
				number = tenor(p.t, 902)
			}
			s := student(no, "Kari", "Nordmann", shared, fnr(number))
			p.must(p.StudentUpdated(p.t.Context(), p.meta(events.SourceAdmissions, no), events.StudentUpdated{Student: s}))
		}
		if got := p.mailed(shared); !slices.Equal(got, []string{"activation", "activation"}) {
			p.t.Errorf("letters to the address of two: %q", got)
		}
		if _, err := p.portal().Look(p.t.Context(), old); !errors.Is(err, account.ErrSpent) {
			p.t.Errorf("the link to the old address: %v", err)
		}
		p.activates(account.Student)
	}},
	{"what the brake holds stays as it is and due, and IT's lock goes through", func(p life) {
		p.on("2027-01-04 08:00")
		p.works(job("1", "2027-01-04", "2027-01-31"))
		p.activates(account.Employee)
		b := &pedal{me: p.me().ID, down: true}
		p.Brake = b
		p.on("2027-03-10 08:00")
		p.is("active activated, binds")
		p.letters("activated", "activation")
		revision := p.me().Revision
		p.on("2027-03-10 08:05")
		if a := p.me(); a.Turn.After(p.clock()) || a.Turn.IsZero() || a.Revision != revision {
			p.t.Errorf("held, its turn is %s, revision %d after %d", a.Turn, a.Revision, revision)
		}
		p.suspend(p.it(p.me().Username, p.clock()))
		p.is("suspended locked")
		p.restore(p.it(p.me().Username, p.clock().Add(time.Second)))
		b.down = false
		p.on("2027-03-10 08:10")
		p.is("suspended left")
		p.letters("activated", "activation", "leaving")
		p.toldOfLeaving("locked")
		p.facts("account.suspended done", "account.restored done", "account.suspended done")
	}},
}

// employed makes the person an employee, too, with the number of old.
func (p life) employed() {
	p.t.Helper()
	e := employee(p.hr, "Kjetil", "Nordmann", p.address(), fnr(p.number))
	p.must(p.EmployeeRegistered(p.t.Context(), p.meta(events.SourceHR, p.hr), events.EmployeeRegistered{Employee: e}))
}

// pedal is a brake that holds one person.
type pedal struct {
	me   string
	down bool
}

func (b *pedal) Allow(_ context.Context, _, id string) (bool, error) {
	return !b.down || id != b.me, nil
}

func TestTurnsOfALife(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		for i, row := range turns {
			t.Run(row.sentence, func(t *testing.T) {
				mine := *w.Lifecycle
				mine.Leaving = account.DefaultLeavingRules()
				p := life{&world{Lifecycle: &mine, t: t, js: w.js, n: 1000 * (i + 1)}, fmt.Sprint(105000 + i), fmt.Sprint(257000 + i), tenor(t, 300+i)}
				mine.Now = p.clock // each has a clock, and all have one directory
				row.run(p)
			})
		}
	})
}
