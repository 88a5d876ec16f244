package table

import (
	"fmt"
	"testing"
	"time"
)

// loopRows: the same slice of work in our loop, by hand and in two frameworks.
func loopRows(t testing.TB, r *report, server string, peers map[string][]string, widths []int, n, kills int) {
	const work = "consume → validate → publish → ack, 1 KB"
	goals := map[string]float64{"keyed": 0.9, "benthos": 1.3, "watermill": 1.5}
	for _, width := range widths {
		ours := newSlice(t, server, "ours", width, n).run(peers["ours"], 0)
		ours.hold(t)
		r.add(ours.row(work, 0, ""))
		r.rate("ours", width, ours.rate)
		r.value(fmt.Sprintf("loops.ours.%d", width), ours.rate)
		for _, how := range []string{"keyed", "benthos", "watermill"} {
			if peers[how] == nil {
				continue
			}
			got := newSlice(t, server, how, width, n).run(peers[how], 0)
			line := got.row(work, ours.rate/got.rate, fmt.Sprintf("≥ %.1f", goals[how]))
			line.met = ours.rate >= goals[how]*got.rate
			if width != 16 && how != "keyed" {
				line.goal = "" // the goal is set at 16
			}
			r.add(line)
			r.rate(how, width, got.rate)
			r.value(fmt.Sprintf("loops.%s.%d", how, width), got.rate)
			r.value(fmt.Sprintf("loops.%s.%d.turned", how, width), float64(got.inversions))
		}
	}
	for _, how := range []string{"ours", "keyed", "benthos", "watermill"} {
		if peers[how] == nil {
			continue
		}
		got := newSlice(t, server, how, 16, n/2).run(peers[how], kills)
		line := got.row(work+", killed with SIGKILL over and over, every third time the broker too", 0, "")
		line.what += fmt.Sprintf(", %d kills", got.kills)
		if how == "ours" {
			line.goal, line.met = "0 turned round", got.inversions == 0 && got.lost == 0
			got.hold(t)
		}
		r.add(line)
	}
}

func (l looped) row(work string, ratio float64, goal string) row {
	return row{
		work: work, what: fmt.Sprintf("%s at %d", l.how, l.width), figure: perSecond(l.rate), ratio: ratio, goal: goal,
		cost: fmt.Sprintf("loop %s, broker %s; %.0f MiB", ms(l.loop), ms(l.broker), l.peak),
		harm: fmt.Sprintf("%d, %d, %d", l.lost, l.doubled, l.inversions),
	}
}

// activationRows: the portal at its limit beside the bare hash, and then people
// who come at 0.8 of that, while an intake drains.
func activationRows(t testing.TB, r *report, binary string, n int, opening time.Duration, kratos []string) {
	const work = "activations over HTTP, whole journey"
	p := newPlace(t, binary, "127.0.0.1:9", "2027-08-01")
	// as many as can come at 76 a second, which is more than two cores can hash
	coming, beyond := max(int(opening.Seconds()*0.8*76), 20), max(int(opening.Seconds()/2*1.5*76), 20)
	var people []person
	for _, q := range invent(0, 2*(n+coming+beyond)) {
		if q.Role == "employee" {
			people = append(people, q)
		}
	}
	p.register(people, 1)
	links := p.links()
	portal, _ := p.serve("portal", "portal")
	bare := bareHashes(4 * time.Second)
	c := p.saturate(portal, people[:n], links, 4)
	bare = max(bare, bareHashes(4*time.Second)) // the limit is the best that was seen
	r.add(row{work: work, what: "argon2id alone, all cores", figure: fmt.Sprintf("%.1f/s", bare)},
		row{
			work: work, what: "4 at a time", figure: fmt.Sprintf("%.1f/s", c.rate), ratio: c.rate / bare, goal: "≥ 0.9", met: c.rate >= 0.9*bare,
			cost: fmt.Sprintf("portal %s; p50 %s, p99 %s", ms(c.portal/time.Duration(max(c.done, 1))), ms(percentile(c.button, .5)), ms(percentile(c.button, .99))),
			harm: fmt.Sprintf("%d refused with 503, %d errors", c.refused, len(c.errs)),
		})
	if kratos != nil {
		k := kratosRate(t, kratos, "memory", 10*time.Second)
		r.add(row{work: work, what: "Ory Kratos 1.3.1 registration, memory", figure: fmt.Sprintf("%.1f/s", k), ratio: c.rate / k, goal: "≥ 2", met: c.rate >= 2*k})
		r.value("activations.kratos", k)
		postgresRow(t, r, work, kratos, c.rate, 10*time.Second)
	}
	r.wait("activation, 4 at a time", c.button)
	r.value("activations.rate", c.rate)
	r.value("activations.bare", bare)
	r.value("activations.portal", millis(c.portal/time.Duration(max(c.done, 1))))
	r.memory("portal", "activations", c.peak)
	openingRows(r, p, people[:n], people[n:n+coming], links, 0.8*c.rate, opening)
	r.memory("portal", "the opening minute", memory(portal.cmd.Process.Pid, true))
	p.overloadRows(r, portal, people[n+coming:], links, c.rate, opening/2)
}

// openingRows: the minute in which a window opens; active people sign in
// meanwhile.
func openingRows(r *report, p *place, active, people []person, links map[string]string, rate float64, opening time.Duration) {
	const work = "opening minute: everybody presses twice, 5 % wrong numbers, slow clients, the intake drains"
	people = people[:min(len(people), int(rate*opening.Seconds()))]
	stop := slowClients(p.portal, 100)
	defer stop()
	before := p.entries()
	more := invent(200000, int(opening.Seconds())*100)
	backlog := make(chan registered, 1)
	go func() {
		defer close(backlog) // also where it fails
		backlog <- p.register(more, 1)
	}()
	signing := p.keepSigningIn(active)
	c := p.arrive(people, links, rate)
	signed := signing()
	drained := <-backlog
	if c.done != len(people) || drained.lost != 0 {
		p.t.Errorf("%d of %d people got in, %d events were lost", c.done, len(people), drained.lost)
	}
	p99 := percentile(c.button, .99)
	r.wait("the opening minute", c.button)
	r.value("opening.p50", millis(percentile(c.button, .5)))
	r.value("opening.p99", millis(p99))
	r.value("opening.people", float64(len(people)))
	r.add(row{
		work: work, what: fmt.Sprintf("0.8 of the portal's rate, %d people", len(people)), figure: fmt.Sprintf("p50 %s, p99 %s", ms(percentile(c.button, .5)), ms(p99)),
		goal: "p99 ≤ 1 s", met: p99 <= time.Second && c.done == len(people),
		cost: fmt.Sprintf("intake %s beside it, alone see above", perSecond(float64(len(more))/drained.took.Seconds())),
		harm: fmt.Sprintf("%d of %d done, %d errors; intake %d lost of %d", c.done, len(people), len(c.errs), drained.lost, p.entries()-before),
	})
	r.add(signed.row(work))
}
