package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// line is one event of the play, as a file has it.
type line struct {
	File string
	No   int
	Raw  []byte
}

// readLines reads events: JSON Lines from a file, or every .json and .jsonl
// file of a folder in the order of names.
func readLines(path string) ([]line, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	files := []string{path}
	if info.IsDir() {
		files = nil
		for _, pattern := range []string{"*.json", "*.jsonl"} {
			found, err := filepath.Glob(filepath.Join(path, pattern))
			if err != nil {
				return nil, err
			}
			files = append(files, found...)
		}
		slices.Sort(files)
	}
	var out []line
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		lines, err := splitLines(filepath.Base(f), raw)
		if err != nil {
			return nil, err
		}
		out = append(out, lines...)
	}
	return out, nil
}

// splitLines cuts JSON Lines; a .json file is one event over many lines.
func splitLines(name string, raw []byte) ([]line, error) {
	if strings.HasSuffix(name, ".json") {
		return []line{{File: name, No: 1, Raw: bytes.TrimSpace(raw)}}, nil
	}
	var out []line
	s := bufio.NewScanner(bytes.NewReader(raw))
	s.Buffer(nil, 2<<20)
	for no := 1; s.Scan(); no++ {
		if text := bytes.TrimSpace(s.Bytes()); len(text) > 0 && text[0] != '#' {
			out = append(out, line{File: name, No: no, Raw: bytes.Clone(text)})
		}
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// member is one person of the play, as the events alone tell: what the demo
// expects is reckoned from here and never from what the system did.
type member struct {
	Keys      map[string]bool // "<source> <subject>"
	Numbers   map[events.Identifier]bool
	Employee  bool
	Student   bool
	Admission []policy.Admission
	places    []place
	Email     string
	emailAt   time.Time
}

// cast is who the events are about and how many of them are refused.
type cast struct {
	Members []*member
	Refused int
}

// newCast reads the events as an outsider would: each identity (source, id)
// once, persons joined by a shared number, the latest address.
func newCast(lines []line, now time.Time) cast {
	var c cast
	seen := map[string]bool{}
	type so struct{ key, number string }
	var later []so
	for _, l := range lines {
		route, err := events.RouteOf(l.Raw)
		if err != nil {
			c.Refused++
			continue
		}
		e, err := events.Decode(route.Subject, map[string][]string{"Content-Type": {"application/cloudevents+json"}}, l.Raw, now)
		if err != nil {
			c.Refused++
			continue
		}
		id := e.Source + " " + e.ID
		if seen[id] {
			continue
		}
		seen[id] = true
		key := e.Source + " " + e.Meta.Subject
		switch d := e.Data.(type) {
		case events.EmployeeRegistered:
			c.employee(key, e.Time, d.Employee)
		case events.EmployeeUpdated:
			c.employee(key, e.Time, d.Employee)
		case events.StudentRegistered:
			c.student(key, e.Time, d.Student)
		case events.StudentUpdated:
			c.student(key, e.Time, d.Student)
		case events.SONumberIssued:
			later = append(later, so{key, d.SONumber})
		case events.PasswordCompromised: // about a username, which the events do not tell
		default:
			c.Refused++ // a known type that nothing handles yet
		}
	}
	for _, s := range later {
		c.join(s.key, []events.Identifier{{Type: "so", Value: s.number}})
	}
	return c
}

// join finds or makes the member that any of these belong to.
func (c *cast) join(key string, ids []events.Identifier) *member {
	into := &member{Keys: map[string]bool{}, Numbers: map[events.Identifier]bool{}}
	var rest []*member
	for _, m := range c.Members {
		same := m.Keys[key]
		for _, id := range ids {
			same = same || m.Numbers[id]
		}
		if !same {
			rest = append(rest, m)
			continue
		}
		into.merge(m)
	}
	into.Keys[key] = true
	for _, id := range ids {
		if policy.Proves(id.Type) {
			into.Numbers[id] = true
		}
	}
	rest = append(rest, into)
	c.Members = rest
	return into
}

func (m *member) merge(o *member) {
	for k := range o.Keys {
		m.Keys[k] = true
	}
	for n := range o.Numbers {
		m.Numbers[n] = true
	}
	m.Employee, m.Student = m.Employee || o.Employee, m.Student || o.Student
	m.Admission = append(m.Admission, o.Admission...)
	m.places = append(m.places, o.places...)
	m.address(o.Email, o.emailAt)
}

func (m *member) address(email string, at time.Time) {
	if email != "" && at.After(m.emailAt) {
		m.Email, m.emailAt = email, at
	}
}

func (c *cast) employee(key string, at time.Time, e events.Employee) {
	if !numbersHold(e.Identifiers) {
		c.Refused++
		return
	}
	m := c.join(key, e.Identifiers)
	m.Employee = true
	m.address(e.Contact.Email, at)
	for _, p := range e.Employments {
		m.admit(policy.Admission{Population: "employee", Start: p.Start, Recorded: at}, p.Campus)
	}
}

func (c *cast) student(key string, at time.Time, s events.Student) {
	if !numbersHold(s.Identifiers) {
		c.Refused++
		return
	}
	m := c.join(key, s.Identifiers)
	m.Student = true
	m.address(s.Contact.Email, at)
	for _, p := range s.Programmes {
		m.admit(policy.Admission{Population: "student", Intake: p.Intake, Start: p.Start, Recorded: at}, p.Campus)
	}
}

func (m *member) admit(a policy.Admission, campus string) {
	m.Admission, m.places = append(m.Admission, a), append(m.places, place{a, campus})
}

func numbersHold(ids []events.Identifier) bool {
	for _, id := range ids {
		if err := policy.CheckNumber(id.Type, id.Value, policy.NumberOptions{Synthetic: true}); err != nil && !policy.IsPlaceholder(err) {
			return false
		}
	}
	return true
}

// best is the number in force.
func (m *member) best() (events.Identifier, bool) {
	var best events.Identifier
	for n := range m.Numbers {
		if policy.NumberRank(n.Type) > policy.NumberRank(best.Type) {
			best = n
		}
	}
	return best, best.Type != ""
}

// invitable: a number that proves, an address, a role.
func (m *member) invitable() bool {
	_, ok := m.best()
	return ok && m.Email != "" && len(m.Admission) > 0
}

// opens is the earliest opening of any role; zero means at once.
func (m *member) opens(ws policy.Windows) time.Time {
	var first time.Time
	for i, a := range m.Admission {
		if at := ws.Opening(a).At; i == 0 || at.Before(first) {
			first = at
		}
	}
	return first
}

// name tells members apart in the demo's lines, without naming anybody.
func (m *member) name() string {
	var keys []string
	for k := range m.Keys {
		source, subject, _ := strings.Cut(k, " ")
		keys = append(keys, strings.TrimPrefix(source, "urn:usn:")+" "+subject)
	}
	slices.Sort(keys)
	return strings.Join(keys, " + ")
}
