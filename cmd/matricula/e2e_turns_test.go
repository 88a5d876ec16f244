package main

import (
	"fmt"
	"testing"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// turning is a person of the test whose life takes a turn while a worker is
// killed.
type turning struct {
	someone
	rig          *rig
	uid, account string
	began        time.Time
	said         int
}

// says publishes an event about the person.
func (p *turning) says(d events.Data) {
	p.said++
	m := events.Meta{ID: fmt.Sprint("turn-", p.no, "-", p.said), Source: events.SourceHR, Subject: p.no, Time: time.Now()}
	switch d.(type) {
	case events.AccountSuspended, events.AccountRestored:
		m.Source, m.Subject = events.SourceIT, p.uid
	}
	p.rig.publish(events.Event{Meta: m, Data: d})
}

func (p *turning) it() events.Command {
	return events.Command{Username: p.uid, Reason: "case 1", Actor: "csirt"}
}

func (p *turning) leaves() {
	p.says(events.EmployeeEnded{EmployeeNo: p.no, End: policy.DayOf(p.began.AddDate(0, 0, -40)), Reason: "resigned"})
}

func (p *turning) comesBack() {
	e := p.registered(p.began).Data.(events.EmployeeRegistered).Employee
	e.Employments = []events.Employment{{ID: "2", Start: policy.DayOf(p.began)}}
	p.says(events.EmployeeUpdated{Employee: e})
}

func (p *turning) getsNumber() {
	next := events.Identifier{Type: "fnr", Value: tenor(p.rig.t, 420)}
	p.says(events.EmployeeIDChanged{EmployeeNo: p.no, IDChange: events.IDChange{Old: events.Identifier{Type: "fnr", Value: p.number}, New: next}})
	p.number = next.Value
}

func (p *turning) isLocked() { p.says(events.AccountSuspended{Command: p.it()}) }
func (p *turning) isLetIn()  { p.says(events.AccountRestored{Command: p.it()}) }

// A worker is killed, as a power cut would, in the middle of each turn of a life:
// between the Modify that makes it and the facts that tell of it, or between
// these and the acknowledgement. The next worker finishes it: each fact is told
// once, each letter goes out once, and handling everything again changes nothing.
// A merger is killed in TestParkedEventIsDoneOnceItsAccountsAreMerged.
func TestKilledWorkerFinishesEachTurnOfALife(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, role := range everyRole() {
		r.start(role)
	}
	rows := []struct {
		point string
		first func(p *turning) // before anybody is killed
		turn  func(p *turning)
		state string
		facts map[string]int
	}{
		{"publish.mail.before", nil, (*turning).leaves, "suspended", map[string]int{events.AuditSuspended: 1, events.AuditUpdated: 1}},
		{
			"directory.update.after", (*turning).leaves, (*turning).comesBack, "active",
			map[string]int{events.AuditSuspended: 1, events.AuditRestored: 1, events.AuditUpdated: 2},
		},
		{"publish.audit.after", nil, (*turning).getsNumber, "active", map[string]int{events.AuditUpdated: 1}},
		{"directory.update.after", nil, (*turning).isLocked, "suspended", map[string]int{events.AuditSuspended: 1}},
		{"publish.audit.before", (*turning).isLocked, (*turning).isLetIn, "active", map[string]int{events.AuditSuspended: 1, events.AuditRestored: 1}},
	}
	var people []*turning
	for i, row := range rows {
		p := &turning{someone: employeeNo(t, 400+i), rig: r, began: time.Now()}
		r.publish(p.registered(p.began.Add(-time.Minute)))
		p.uid, p.account = r.entry(p.someone).GetAttributeValue("uid"), r.entry(p.someone).GetAttributeValue("matriculaId")
		if done := r.click(p.someone).activate(linkOf(r.letter(p.someone, events.LetterActivation)), goodPassword); done.Path != "/activate/done" {
			t.Fatalf("activation ended on %s with %d", done.Path, done.Status)
		}
		if people = append(people, p); row.first != nil {
			row.first(p)
			r.stands(p, "suspended")
		}
	}
	for i, row := range rows {
		r.stop(roleWorker)
		r.startAt(roleWorker, row.point)
		row.turn(people[i])
		r.died(roleWorker)
		r.start(roleWorker)
	}
	for i, row := range rows {
		p := people[i]
		r.stands(p, row.state)
		for what, n := range row.facts {
			r.awaitFact(what, p.account, n)
		}
		if number := r.entry(p.someone).GetAttributeValue("norEduPersonNIN"); number != p.number {
			t.Errorf("killed at %s, the number in force of %s is another", row.point, p.uid)
		}
		if row.facts[events.AuditUpdated] > 0 && row.facts[events.AuditSuspended] > 0 {
			r.letter(p.someone, events.LetterLeaving)
		}
	}
	r.redeliverEverything()
	told := r.facts()
	for i, row := range rows {
		p := people[i]
		for _, what := range []string{events.AuditSuspended, events.AuditRestored, events.AuditUpdated} {
			if got := told[what+" "+p.account]; got != row.facts[what] {
				t.Errorf("killed at %s, %s was told %d times, not %d", row.point, what, got, row.facts[what])
			}
		}
		if n := len(r.letters(p.someone, events.LetterLeaving)); n > 1 {
			t.Errorf("killed at %s, %d letters say that the account will be blocked", row.point, n)
		}
	}
}

// stands waits until the account is in a state, and holds the password against
// it.
func (r *rig) stands(p *turning, state string) {
	r.t.Helper()
	eventually(r.t, time.Minute, p.uid+" is "+state, func() (bool, string) { return r.state(p.someone) == state, r.state(p.someone) })
	eventually(r.t, time.Minute, "its facts are told", func() (bool, string) {
		return r.entry(p.someone).GetAttributeValue("matriculaUnsent") == "", "unsent"
	})
	if binds := r.binds(p.uid, goodPassword); binds != (state == "active") {
		r.t.Errorf("%s is %s, and the password signs in: %v", p.uid, state, binds)
	}
}
