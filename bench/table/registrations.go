package table

import (
	"fmt"
	"testing"
	"time"

	"usn.no/matricula/events"
)

// registered is how the intake was worked off.
type registered struct {
	census
	n                     int
	took                  time.Duration
	worker, broker, slapd time.Duration // processor time
	peak                  float64       // the worker's memory in MiB
	turns                 []float64     // the rate of each turn, where there were several
}

// rate is persons a second.
func (r registered) rate() float64 { return float64(r.n) / r.took.Seconds() }

// each is the processor time of one person, in all.
func (r registered) each() time.Duration {
	return (r.worker + r.broker + r.slapd) / time.Duration(max(r.n, 1))
}

func (r registered) cost() string {
	n := time.Duration(max(r.n, 1))
	return fmt.Sprintf("worker %s, broker %s, slapd %s", ms(r.worker/n), ms(r.broker/n), ms(r.slapd/n))
}

// register has people stored in the intake, and then workers work it off.
func (p *place) register(people []person, workers int) registered {
	p.t.Helper()
	before := p.mark()
	r := p.workOff(p.announce(people), workers)
	r.n, r.census = len(people), p.census(people, before)
	return r
}

// announce makes everybody's registration.
func (p *place) announce(people []person) []events.Event {
	now, evs := time.Now(), make([]events.Event, len(people))
	for i, q := range people {
		evs[i] = q.registered(now)
	}
	return evs
}

// workOff stores events, starts workers and waits until they have done all.
func (p *place) workOff(evs []events.Event, workers int) registered {
	p.t.Helper()
	p.publish(evs)
	nats, ldap := cpu(p.brokerPID()), cpu(p.slapdPID())
	var ps []*proc
	began := time.Now()
	for i := range workers {
		p.served++
		w, _ := p.serve("worker", fmt.Sprintf("worker-%d-%d", p.served, i))
		ps = append(ps, w)
	}
	p.drained(time.Minute + time.Duration(len(evs))*time.Second/20)
	r := registered{took: time.Since(began), broker: cpu(p.brokerPID()) - nats, slapd: cpu(p.slapdPID()) - ldap}
	for _, w := range ps {
		r.worker += cpu(w.cmd.Process.Pid)
		r.peak = max(r.peak, memory(w.cmd.Process.Pid, true))
		w.stop()
	}
	return r
}

// drained waits until nothing of the intake is waiting or under way.
func (p *place) drained(most time.Duration) {
	p.t.Helper()
	until := time.Now().Add(most)
	for time.Now().Before(until) {
		if p.pending() == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.t.Fatalf("the intake was not worked off within %s", most)
}

// registrationRows: the intake worked off into the directory by two workers and
// by one, beside what the directory's own tool needs for the same entries. Then
// the letters.
func registrationRows(t testing.TB, r *report, binary string, n int) {
	const work = "registrations → pending accounts, claims, letters, audit"
	box := newSink(t)
	p := newPlace(t, binary, box.addr, "2027-08-01")
	x := takeTurns(t, r, binary, p, n)
	one, two, tool := x.one.rate(), x.two.rate(), x.tool.rate()
	r.add(row{work: work, what: fmt.Sprintf("ldapadd, the same %d entries", n), figure: x.tool.speed()},
		row{
			work: work, what: "one worker", figure: x.one.speed(), ratio: one / tool, goal: "≥ 0.9 × ldapadd", met: one >= 0.9*tool,
			cost: x.one.cost(), harm: x.one.String(),
		},
		row{
			work: work, what: "two workers", figure: x.two.speed(), ratio: two / one, goal: "≥ 0.95 × one", met: two >= 0.95*one,
			cost: x.two.cost(), harm: x.two.String(),
		})
	r.memory("worker", "registrations", x.one.peak)
	each := time.Duration(n)
	for name, v := range map[string]float64{
		"n": float64(n), "rate": one, "two": two, "ldapadd": tool, "ldapadd.first": x.tool.turns[0], "ldapadd.second": x.tool.turns[1],
		"worker": millis(x.one.worker / each), "broker": millis(x.one.broker / each), "slapd": millis(x.one.slapd / each), "memory": x.one.peak,
		"two.worker": millis(x.two.worker / each), "two.broker": millis(x.two.broker / each), "two.slapd": millis(x.two.slapd / each),
	} {
		r.value("registrations."+name, v)
	}
	r.doing("letters: %d", (n+1)/2)
	p.letterRows(r, box, (n+1)/2)
}
