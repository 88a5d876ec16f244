package table

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// takeover is how the work went on when one of two workers was killed.
type takeover struct {
	events, people            int
	rate                      float64
	stood                     time.Duration // the longest that nothing was done, from the kill on
	taken                     time.Duration // until the other had gone past what the killed one held, in every lane
	left                      int           // events that were not done when it was killed
	lost, doubled, inversions int
	stale                     int // people whose entry is not what their last event says
}

// takeoverRows: one of two workers is killed, as a crash does, in the middle of
// a full intake.
func takeoverRows(t testing.TB, r *report, binary string, people int) {
	const perPerson = 4
	wait := stream.DefaultSettings().AckWait
	p := newPlace(t, binary, "127.0.0.1:9", "2027-08-01")
	x := p.killOne(people, perPerson)
	if x.lost != 0 || x.doubled != 0 || x.inversions != 0 || x.stale != 0 {
		t.Errorf("after a kill: %d lost, %d doubled, %d turned round, %d entries stale", x.lost, x.doubled, x.inversions, x.stale)
	}
	r.value("takeover.taken", x.taken.Seconds())
	r.value("takeover.stood", x.stood.Seconds())
	r.value("takeover.wait", wait.Seconds())
	r.add(row{
		work:   "one of two workers killed with SIGKILL, the intake full",
		what:   fmt.Sprintf("%d events of %d people, %d left at the kill", x.events, x.people, x.left),
		figure: fmt.Sprintf("stood still %.1f s at most; what the killed one held was done %.1f s after", x.stood.Seconds(), x.taken.Seconds()),
		// the broker gives a message to another once AckWait has passed since it
		// last heard of it; a second for handling it. Where nothing was left nothing
		// was seen
		goal: fmt.Sprintf("goes on within the ack wait, %.0f s", wait.Seconds()), met: x.left > 0 && max(x.stood, x.taken) <= wait+time.Second && x.inversions == 0,
		cost: perSecond(x.rate) + " in all", harm: fmt.Sprintf("%d, %d, %d; %d entries stale", x.lost, x.doubled, x.inversions, x.stale),
	})
}

// killOne stores a few events of each person, one after the other, has two
// workers work on them, and when a quarter is done kills the one that has done
// more of it.
func (p *place) killOne(people, perPerson int) takeover {
	p.t.Helper()
	x := takeover{people: people, events: people * perPerson}
	staff, evs := p.staff(people, perPerson)
	p.publish(evs)
	dies, _ := p.serve("worker", "worker-1")
	other, _ := p.serve("worker", "worker-2")
	p.until(time.Minute, "a quarter of the events is done", func() bool { return len(evs)-p.pending() >= len(evs)/4 })
	if cpu(other.cmd.Process.Pid) > cpu(dies.cmd.Process.Pid) {
		dies = other
	}
	held := p.lanes()
	killed := time.Now()
	dies.kill()
	x.left = p.pending()
	p.until(time.Minute, "every lane goes on", func() bool {
		now := p.lanes()
		for name, l := range held {
			if n := now[name]; l.open() && n.floor == l.floor && n.open() {
				return false
			}
		}
		return true
	})
	x.taken = time.Since(killed)
	p.drained(2 * time.Minute)
	p.judge(&x, evs, killed)
	x.stale = p.stale(staff, perPerson)
	return x
}

// staff are employees, each with an announcement and changes of the address
// after it, all of one person in a row.
func (p *place) staff(people, perPerson int) (staff []person, evs []events.Event) {
	for _, q := range invent(800000, 2*people) {
		if q.Role != "employee" {
			continue
		}
		staff = append(staff, q)
		for i := range perPerson {
			e := q.registered(time.Now())
			data, ok := e.Data.(events.EmployeeRegistered)
			if !ok {
				p.t.Fatal("no employee")
			}
			e.ID, e.Sequence = fmt.Sprintf("t-%s-%02d", q.No, i), uint64(i+1)
			data.Contact.Email = q.emailAt(i)
			if e.Data = data; i > 0 {
				e.Data = events.EmployeeUpdated(data)
			}
			evs = append(evs, e)
		}
	}
	return staff, evs
}

// emailAt is the person's address after so many changes.
func (p person) emailAt(i int) string { return fmt.Sprintf("%s.%s.%d@example.org", p.Role, p.No, i) }

// judge reads the facts: each event leads to one, in the order of its person.
func (p *place) judge(x *takeover, evs []events.Event, killed time.Time) {
	p.t.Helper()
	var all []fact
	p.facts(0, []string{"audit.account.created.>", "audit.account.updated.>"}, func(f fact) { all = append(all, f) })
	x.weigh(all, evs, killed)
}

// weigh compares facts, in the order they were stored in, with the events that
// each should follow from.
func (x *takeover) weigh(all []fact, evs []events.Event, killed time.Time) {
	seen, newest := map[string]int{}, map[string]string{}
	before := killed
	for _, f := range all {
		if f.at.After(killed) {
			x.stood, before = max(x.stood, f.at.Sub(before)), f.at
		}
		seen[f.Cause]++
		if f.Cause < newest[f.Account] {
			x.inversions++
		}
		newest[f.Account] = max(newest[f.Account], f.Cause)
	}
	for _, e := range evs {
		if n := seen[e.ID]; n == 0 {
			x.lost++
		} else {
			x.doubled += n - 1
		}
	}
	if len(all) > 1 {
		x.rate = float64(x.events) / all[len(all)-1].at.Sub(all[0].at).Seconds()
	}
}

// stale counts the people whose entry is not what their last event says.
func (p *place) stale(staff []person, perPerson int) int {
	text := p.slapd.LDAPSearch(p.t, p.slapd.Admin, "-E", "pr=1000/noprompt", "-LLL", "-o", "ldif-wrap=no", "-b", "ou=people,"+p.slapd.Base, "(objectClass=matriculaAccount)", "matriculaAddress")
	n := 0
	for _, q := range staff {
		if !strings.Contains(text, "matriculaAddress: "+q.emailAt(perPerson-1)) {
			n++
		}
	}
	return n
}

// until polls a fact.
func (p *place) until(most time.Duration, what string, true func() bool) {
	p.t.Helper()
	for end := time.Now().Add(most); !true(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("%s: not within %s", what, most)
		}
	}
}
