package account_test

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// town is everybody outside: persons, what HR, admissions and IT know of them
// and publish, and what people do with their letters.
type town struct {
	sim      *sim
	persons  []*person
	sources  []*source
	outbox   []events.Event // recorded, not published
	told     []events.Event // recorded, all of them in order
	clicks   []*click
	changes  int // left to record
	visits   int // left to make
	reports  int // left to report
	opening  time.Time
	start    string
	sequence bool // the sources number their events
	lots     []string
	sos      []string
}

type person struct {
	name    events.Name
	sources []*source
}

type source struct {
	person     *person
	urn, key   string
	kind       string
	registered bool
	sequence   uint64
	address    string
	mobile     string
	start      string
	ids        []events.Identifier
	last       time.Time
}

// click is one try to set a password, as the person saw it.
type click struct {
	invitation, purpose, password string
	account                       string
	portal                        int
	err                           error
	answered                      bool
}

// Openings as the university announces them, worked out by hand: the checker
// must not reckon as the code does. Study start, opening.
var openings = []struct{ start, opens string }{
	{"2027-08-16", "2027-07-31T22:00:00Z"}, // 1 August, summer time
	{"2027-11-30", "2027-10-30T22:00:00Z"}, // 31 October, the night it ends
	{"2027-12-01", "2027-10-31T23:00:00Z"}, // 1 November
	{"2028-04-25", "2028-03-25T23:00:00Z"}, // 26 March, the night it begins
	{"2028-04-26", "2028-03-26T22:00:00Z"}, // 27 March
}

func openingOf(start string) time.Time {
	for _, o := range openings {
		if o.start == start {
			at, _ := time.Parse(time.RFC3339, o.opens)
			return at
		}
	}
	return time.Time{}
}

// pool holds synthetic numbers of both types.
var pool = sync.OnceValues(func() (fnrs, sos []string) {
	for n := 0; len(fnrs) < 12 || len(sos) < 12; n++ {
		for typ, month := range map[string]int{"fnr": 81, "so": 51} {
			v := fmt.Sprintf("%02d%02d84%05d", n/100%28+1, month, n*97%50000)
			if policy.CheckNumber(typ, v, policy.NumberOptions{Synthetic: true}) != nil {
				continue
			}
			if typ == "so" {
				sos = append(sos, v)
			} else {
				fnrs = append(fnrs, v)
			}
		}
	}
	return fnrs, sos
})

func newTown(s *sim) *town {
	fnrs, sos := pool()
	t := &town{sim: s, start: openings[s.rng.IntN(len(openings))].start, sequence: s.chance(0.5), lots: fnrs, sos: sos}
	t.opening = openingOf(t.start)
	t.changes, t.visits, t.reports = 4+s.rng.IntN(10), 3+s.rng.IntN(8), s.rng.IntN(4)
	for i := range 1 + s.rng.IntN(4) {
		p := &person{name: events.Name{Given: "Kari", Family: "Nordmann"}}
		if s.chance(0.5) {
			p.name.Given = []string{"Ola", "Åse", "Sukarno", "Li"}[s.rng.IntN(4)]
		}
		t.persons = append(t.persons, p)
		kind := s.rng.IntN(4)
		fnr := events.Identifier{Type: "fnr", Value: fnrs[i]}
		if kind != 1 {
			t.source(p, events.SourceAdmissions, fmt.Sprint(256700+i), account.Student)
		}
		if kind == 1 || kind == 2 {
			t.source(p, events.SourceHR, fmt.Sprint(104700+i), account.Employee)
		}
		for _, so := range p.sources {
			if kind != 0 {
				so.ids = append(so.ids, fnr)
			} else if s.chance(0.5) {
				so.ids = append(so.ids, events.Identifier{Type: "so", Value: sos[i]})
			}
			if kind != 2 && s.chance(0.15) {
				so.address = ""
			}
		}
	}
	return t
}

func (t *town) source(p *person, urn, key, kind string) {
	so := &source{person: p, urn: urn, key: key, kind: kind, start: t.start, address: "p" + key + "@example.org", ids: []events.Identifier{}}
	p.sources = append(p.sources, so)
	t.sources = append(t.sources, so)
}

// record is a source that writes down a change and says so, soon.
func (t *town) record(so *source) {
	t.changes--
	rng := t.sim.rng
	if so.registered {
		switch n := rng.IntN(6); {
		case n <= 1:
			so.address = fmt.Sprintf("p%s.%d@example.org", so.key, t.changes)
		case n == 2 && len(so.person.sources) == 1:
			so.mobile = fmt.Sprintf("+479000%04d", t.changes)
		case n == 3:
			so.person.name.Family = []string{"Nordmann", "Berg", "Dahl"}[rng.IntN(3)]
		case n == 4 && so.kind == account.Student:
			so.start = openings[rng.IntN(len(openings))].start
		case n == 5 && so.kind == account.Student && len(so.ids) == 0:
			t.issue(so)
			return
		case n == 5 && so.kind == account.Student && so.ids[len(so.ids)-1].Type == "so":
			so.ids = append(so.ids, events.Identifier{Type: "fnr", Value: t.lots[slices.Index(t.persons, so.person)]})
		}
	}
	t.tell(so, t.state(so))
	so.registered = true
}

// issue is admissions giving a student a temporary number.
func (t *town) issue(so *source) {
	v := t.sos[slices.Index(t.persons, so.person)]
	so.ids = append(so.ids, events.Identifier{Type: "so", Value: v})
	t.tell(so, events.SONumberIssued{StudentNo: so.key, SONumber: v})
}

func (t *town) state(so *source) events.Data {
	name, contact, ids := so.person.name, events.Contact{Email: so.address, Mobile: so.mobile}, slices.Clone(so.ids)
	if len(so.person.sources) == 1 && t.sim.chance(0.1) {
		ids = []events.Identifier{} // a source need not say again what it has said
	}
	if so.kind == account.Employee {
		e := events.Employee{
			EmployeeNo: so.key, Name: name, Identifiers: ids, Language: "nb", Contact: contact,
			Employments: []events.Employment{{ID: "1", Start: "2027-01-01"}},
		}
		if so.registered {
			return events.EmployeeUpdated{Employee: e}
		}
		return events.EmployeeRegistered{Employee: e}
	}
	e := events.Student{
		StudentNo: so.key, Name: name, Identifiers: ids, Language: "en", Contact: contact,
		Programmes: []events.Programme{{ID: "1", Code: "MSC", Start: so.start}},
	}
	if so.registered {
		return events.StudentUpdated{Student: e}
	}
	return events.StudentRegistered{Student: e}
}

func (t *town) tell(so *source, d events.Data) {
	m := events.Meta{Source: so.urn, Subject: so.key, Time: t.sim.now().Truncate(time.Microsecond)}
	if !m.Time.After(so.last) {
		m.Time = so.last.Add(time.Microsecond)
	}
	so.last = m.Time
	so.sequence++
	m.ID = fmt.Sprintf("%s-%d", so.key, so.sequence)
	if t.sequence {
		m.Sequence = so.sequence
	}
	t.write(events.Event{Meta: m, Data: d})
}

func (t *town) write(e events.Event) {
	t.outbox, t.told = append(t.outbox, e), append(t.told, e)
}

// report is IT's word that a password is in the wrong hands.
func (t *town) report(username string) {
	t.reports--
	t.write(events.Event{
		Meta: events.Meta{
			Source: events.SourceIT, Subject: username, ID: fmt.Sprintf("it-%d", len(t.told)), Time: t.sim.now().Truncate(time.Microsecond),
		},
		Data: events.PasswordCompromised{Username: username, Reason: "phishing", ReportedBy: "csirt"},
	})
}

// publish sends what was recorded, mostly in order.
func (t *town) publish() {
	i := 0
	if len(t.outbox) > 1 && t.sim.chance(0.15) {
		i = 1
	}
	t.sim.pub.intake(t.outbox[i])
	t.outbox = slices.Delete(t.outbox, i, i+1)
}

// choices are what people could do now.
func (t *town) choices() []choice {
	s := t.sim
	cs := []choice{{2, t.wait}, {1, func() { s.sweep() }}}
	if t.changes > 0 {
		cs = append(cs, choice{3, func() { t.record(t.sources[s.rng.IntN(len(t.sources))]) }})
	}
	if len(t.outbox) > 0 {
		cs = append(cs, choice{4, t.publish})
	}
	if n := len(t.told); n > 0 && s.chance(0.05) {
		e := t.told[s.rng.IntN(n)]
		if !slices.ContainsFunc(t.outbox, func(o events.Event) bool { return o.MsgID() == e.MsgID() }) {
			cs = append(cs, choice{2, func() { s.pub.intake(e) }}) // told twice
		}
	}
	if t.visits > 0 && slices.ContainsFunc(s.pub.sent, func(l letter) bool { return l.Invitation != "" }) {
		cs = append(cs, choice{2, t.visitor})
	}
	if t.reports > 0 && len(s.dir.entries) > 0 {
		e := s.dir.entries[s.rng.IntN(len(s.dir.entries))]
		cs = append(cs, choice{1, func() { t.report(e.Username) }})
	}
	if s.chance(s.faults.replay) {
		cs = append(cs, choice{1, s.pub.replay})
	}
	return append(cs, choice{1, func() { s.plans.replan(s.lives[workers+s.rng.IntN(2)]) }})
}

// wait lets time pass: mostly moments, at times to the edge of the opening.
func (t *town) wait() {
	s := t.sim
	left := t.opening.Sub(s.now())
	d := time.Duration(s.rng.IntN(4000)) * time.Millisecond
	switch n := s.rng.IntN(20); {
	case n == 0 && left > time.Millisecond:
		d = left - time.Millisecond
	case n == 1 && left > 0:
		d = left
	case n == 2:
		d = 11 * time.Second
	case n == 3:
		d = 20 * time.Minute
	case n == 4:
		d = 61 * time.Minute
	case n == 5 && s.chance(0.4) && len(t.outbox) == 0 && s.pub.heads() == [partitions]int{}:
		d = 26 * time.Hour // a delta waits 24 hours for its person
	case n == 6 && s.chance(0.4) && len(s.actors) == 0 && s.pub.heads() == [partitions]int{}:
		d = 40 * 24 * time.Hour // invitations run out; no outage is that long
	}
	s.note("%s pass", d)
	s.pass(d)
}
