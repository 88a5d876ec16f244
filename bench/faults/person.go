package faults

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// What becomes of a person.
const (
	atOnce  = "at once"  // the window is open: activates
	atNoon  = "at noon"  // it opens in the middle of the round: tries before, activates after
	waiting = "waiting"  // it opens next year: no letter yet
	robbed  = "robbed"   // activates, is reported as compromised, comes back by the reset letter
	locked  = "locked"   // activates, is suspended by IT and restored: the password stays
	silent  = "reticent" // never clicks
	unknown = "unknown"  // the address is nobody's

	left      = "left"      // activates; the last role has been over for weeks: suspended
	gone      = "gone"      // the same, for so long that the account is closed
	planned   = "planned"   // activates; the role is to end some day: nothing else happens
	prolonged = "prolonged" // was over, and goes on after all, with the same password
	taken     = "cancelled" // the employment never began: suspended
	back      = "back"      // the same, and is announced again
)

// person is somebody the rig invents, and what it did with them.
type person struct {
	No, Number, Email, Role, Fate string
	Round                         int
	Opens                         time.Time // zero: at once
	Names                         []string  // by sequence, from 1
	announced                     []string  // message IDs by sequence
	words                         int       // that its source said beside announcing it

	mu          sync.Mutex
	tried       []string // passwords, before the answer
	acts        []act
	password    string // known to be the last one that was set
	robbedAt    time.Time
	uid         string
	compromised bool
}

// act is one click that was to set a password.
type act struct {
	invitation, password string
	began, ended         time.Time
	answer               string // done, spent, closed, unknown, or the status
}

// cast invents people with numbers of their own.
type cast struct {
	mu     sync.Mutex
	next   int
	serial int
}

// number is the next synthetic identity number (month + 80): nobody has it.
func (c *cast) number() string {
	for {
		n := c.serial
		c.serial++
		base := fmt.Sprintf("%02d%02d84%03d", n%28+1, n/28%12+81, n/336%500)
		for k := range 100 {
			number := fmt.Sprintf("%s%02d", base, k)
			if policy.CheckNumber("fnr", number, policy.NumberOptions{Synthetic: true}) == nil {
				return number
			}
		}
	}
}

// invent makes a person of a round; noon is when its window opens.
func (c *cast) invent(round int, random *rand.Rand, noon time.Time) *person {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	p := &person{Number: c.number(), Round: round, Role: "student", No: fmt.Sprint(300000 + c.next)}
	switch f := random.Float64(); {
	case f < 0.3:
		p.Fate = atOnce
	case f < 0.4:
		p.Fate = robbed
	case f < 0.46:
		p.Fate = locked
	case f < 0.62:
		p.Fate = []string{left, gone, planned, prolonged, taken, back}[random.IntN(6)]
	case f < 0.75:
		p.Fate, p.Opens = atNoon, noon
	case f < 0.9:
		p.Fate = waiting
	case f < 0.95:
		p.Fate = silent
	default:
		p.Fate = unknown
	}
	if p.Fate == taken || p.Fate == back || p.Fate != atNoon && p.Fate != waiting && random.IntN(2) == 0 {
		p.Role, p.No = "employee", fmt.Sprint(100000+c.next)
	}
	p.Email = fmt.Sprintf("%s.%s@example.org", p.Role, p.No)
	if p.Fate == unknown {
		p.Email = nobody + p.Email
	}
	for range 1 + random.IntN(3) {
		p.Names = append(p.Names, fmt.Sprintf("Prøve%s Nordfjell%s", spelled(random.IntN(1000)), spelled(c.next)))
	}
	return p
}

// spelled is a number in letters, for names.
func spelled(n int) string {
	return strings.Map(func(r rune) rune { return 'a' + r - '0' }, fmt.Sprint(n))
}

// announcement is the person's full state with the n-th name, n from 1.
func (p *person) announcement(n int, at time.Time) events.Event {
	given, family, _ := strings.Cut(p.Names[n-1], " ")
	name, ids := events.Name{Given: given, Family: family}, []events.Identifier{{Type: "fnr", Value: p.Number}}
	m := events.Meta{ID: fmt.Sprintf("f-%s-%d", p.No, n), Subject: p.No, Time: at, Sequence: p.sequence(n)}
	contact := events.Contact{Email: p.Email}
	if p.Role == "employee" {
		m.Source = events.SourceHR
		e := events.Employee{
			EmployeeNo: p.No, Name: name, BirthDate: "1984-03-02", Identifiers: ids, Language: "nb",
			Employments: []events.Employment{{ID: "1", Start: "2024-01-01"}}, Contact: contact,
		}
		if n == 1 {
			return events.Event{Meta: m, Data: events.EmployeeRegistered{Employee: e}}
		}
		return events.Event{Meta: m, Data: events.EmployeeUpdated{Employee: e}}
	}
	intake := map[string]string{waiting: "national", atNoon: "exchange"}[p.Fate]
	if intake == "" {
		intake = "local"
	}
	m.Source = events.SourceAdmissions
	s := events.Student{
		StudentNo: p.No, Name: name, BirthDate: "1984-03-02", Identifiers: ids, Language: "nn",
		Programmes: []events.Programme{{ID: "1", Code: "MSC-SE", Intake: intake, Start: "2027-08-16"}}, Contact: contact,
	}
	if n == 1 {
		return events.Event{Meta: m, Data: events.StudentRegistered{Student: s}}
	}
	return events.Event{Meta: m, Data: events.StudentUpdated{Student: s}}
}

func (p *person) lin(realm string) string { return realm + ":" + p.Role + ":" + p.No }

// did remembers a click and what it was answered.
func (p *person) did(a act) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acts = append(p.acts, a)
}

// trying remembers a password before the button is pressed.
func (p *person) trying(password string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tried = append(p.tried, password)
}

func (p *person) passwords() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.tried...)
}

func (p *person) clicks() []act {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]act(nil), p.acts...)
}
