package table

import (
	"fmt"
	"testing"
	"time"
)

// registrationRows: the intake worked off into the directory, beside what its
// own tool needs for the same entries.
func registrationRows(t testing.TB, r *report, binary string, n int) {
	const work = "registrations → accounts, claims, letters, audit"
	p := newPlace(t, binary, "127.0.0.1:9", "2027-08-01")
	got := p.register(invent(0, n), 1)
	got.hold(t)
	limit := ldapadd(t, p)
	rate, most := float64(n)/got.took.Seconds(), float64(n)/limit.Seconds()
	each := time.Duration(n)
	r.add(row{work: work, what: fmt.Sprintf("ldapadd, the same %d entries", n), figure: perSecond(most)},
		row{
			work: work, what: "one worker", figure: perSecond(rate), ratio: rate / most, goal: "≥ 0.9", met: rate >= 0.9*most,
			cost: fmt.Sprintf("worker %s, broker %s, slapd %s; %.0f MiB", ms(got.worker/each), ms(got.broker/each), ms(got.slapd/each), got.peak),
			harm: fmt.Sprintf("%d, %d, 0; %d dead letters", got.lost, got.doubled, got.deadLetters),
		})
	p2 := newPlace(t, binary, "127.0.0.1:9", "2027-08-01")
	two := p2.register(invent(0, n), 2)
	two.hold(t)
	both := float64(n) / two.took.Seconds()
	r.add(row{
		work: work, what: "two workers", figure: perSecond(both), ratio: both / rate, goal: "≥ 0.95 × one", met: both >= 0.95*rate,
		cost: fmt.Sprintf("workers %s, broker %s, slapd %s", ms(two.worker/each), ms(two.broker/each), ms(two.slapd/each)),
		harm: fmt.Sprintf("%d, %d, 0; %d dead letters", two.lost, two.doubled, two.deadLetters),
	})
}

// loopRows: the same slice of work in our loop, by hand and in two frameworks.
func loopRows(t testing.TB, r *report, server string, peers map[string][]string, widths []int, n, kills int) {
	const work = "consume → validate → publish → ack, 1 KB"
	goals := map[string]float64{"keyed": 0.9, "benthos": 1.3, "watermill": 1.5}
	for _, width := range widths {
		ours := newSlice(t, server, "ours", width, n).run(peers["ours"], 0)
		ours.hold(t)
		r.add(ours.row(work, 0, ""))
		r.rate("ours", width, ours.rate)
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
		}
	}
	for _, how := range []string{"ours", "keyed", "benthos", "watermill"} {
		if peers[how] == nil {
			continue
		}
		got := newSlice(t, server, how, 16, n/2).run(peers[how], kills)
		line := got.row(work+fmt.Sprintf(", %d kill -9", got.kills), 0, "")
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
	coming := max(int(opening.Seconds()*80), 20)
	var people []person
	for _, q := range invent(0, 2*(n+coming)) {
		if q.Role == "employee" {
			people = append(people, q)
		}
	}
	p.register(people, 1)
	links := p.links()
	portal, _ := p.serve("portal", "portal")
	bare := bareHashes(5 * time.Second)
	c := p.saturate(portal, people[:n], links, 4)
	r.add(row{work: work, what: "argon2id alone, all cores", figure: fmt.Sprintf("%.1f/s", bare)},
		row{
			work: work, what: "4 at a time", figure: fmt.Sprintf("%.1f/s", c.rate), ratio: c.rate / bare, goal: "≥ 0.9", met: c.rate >= 0.9*bare,
			cost: fmt.Sprintf("portal %s; %.0f MiB; p50 %s, p99 %s", ms(c.portal/time.Duration(max(c.done, 1))), c.peak, ms(percentile(c.button, .5)), ms(percentile(c.button, .99))),
			harm: fmt.Sprintf("%d refused with 503, %d errors", c.refused, len(c.errs)),
		})
	if kratos != nil {
		k := kratosRate(t, kratos, 10*time.Second)
		r.add(row{work: work, what: "Ory Kratos 1.3.1 registration, memory", figure: fmt.Sprintf("%.1f/s", k), ratio: c.rate / k, goal: "≥ 2", met: c.rate >= 2*k})
	}
	r.wait("activation, 4 at a time", c.button)
	openingRows(r, p, people[n:], links, 0.8*c.rate, opening)
}

// openingRows: the minute in which a window opens.
func openingRows(r *report, p *place, people []person, links map[string]string, rate float64, opening time.Duration) {
	const work = "opening minute: everybody presses twice, 5 % wrong numbers, slow clients, the intake drains"
	people = people[:min(len(people), int(rate*opening.Seconds()))]
	stop := slowClients(p.portal, 100)
	defer stop()
	before := p.entries()
	more := invent(200000, int(opening.Seconds())*100)
	backlog := make(chan registered, 1)
	go func() { backlog <- p.register(more, 1) }()
	c := p.arrive(people, links, rate)
	drained := <-backlog
	if c.done != len(people) || drained.lost != 0 {
		p.t.Errorf("%d of %d people got in, %d events were lost", c.done, len(people), drained.lost)
	}
	p99 := percentile(c.button, .99)
	r.wait("activation in the opening minute", c.button)
	r.add(row{
		work: work, what: fmt.Sprintf("0.8 of the portal's rate, %d people", len(people)), figure: fmt.Sprintf("p50 %s, p99 %s", ms(percentile(c.button, .5)), ms(p99)),
		goal: "p99 ≤ 1 s", met: p99 <= time.Second && c.done == len(people),
		cost: fmt.Sprintf("intake %s beside it, alone see above", perSecond(float64(len(more))/drained.took.Seconds())),
		harm: fmt.Sprintf("%d of %d done, %d errors; intake %d lost of %d", c.done, len(people), len(c.errs), drained.lost, p.entries()-before),
	})
}

// growthRows: what an event costs when there are many accounts already.
func growthRows(t testing.TB, r *report, binary string, sizes []int, n int) {
	const work = "cost of a registration as accounts grow"
	p := newPlace(t, binary, "127.0.0.1:9", "2027-08-01")
	have, first := 0, 0.0
	for _, size := range sizes {
		if size > have {
			p.register(invent(have, size-have), 1)
		}
		got := p.register(invent(size, n), 1)
		got.hold(t)
		have = size + n
		rate := float64(n) / got.took.Seconds()
		line := row{work: work, what: fmt.Sprintf("at %d accounts", size), figure: perSecond(rate), harm: fmt.Sprintf("%d, %d, 0", got.lost, got.doubled)}
		if first == 0 {
			first = rate
		} else {
			line.ratio, line.goal, line.met = first/rate, "≤ 1.3", first <= 1.3*rate
		}
		r.add(line)
	}
}
