package table

import (
	"fmt"
	"testing"
	"time"
)

// openingMost is how many people a window opens for at full size.
const openingMost = 20000

// activationRows: the portal at its limit beside the bare hash, and then people
// who come at 0.8 of that, while an intake drains.
func activationRows(t testing.TB, r *report, binary string, n int, opening time.Duration, kratos []string) {
	const work = "activations over HTTP, whole journey"
	p := newPlace(t, binary, "127.0.0.1:9", "2027-08-01")
	// as many as can come at 76 a second, which is more than two cores can hash
	coming, beyond := min(max(int(opening.Seconds()*0.8*76), 20), openingMost), max(int(min(opening/2, time.Minute).Seconds()*1.5*76), 20)
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
	c := p.saturate(portal, people[:n/2], links, 4)
	if more := p.saturate(portal, people[n/2:n], links, 8); more.rate > c.rate {
		c = more
	}
	bare = max(bare, bareHashes(4*time.Second)) // the limit is the best that was seen
	r.add(row{work: work, what: "argon2id alone, all cores", figure: fmt.Sprintf("%.1f/s", bare)}, c.row(work, bare))
	r.wait("activation, at the portal's limit", c.button)
	r.value("activations.rate", c.rate)
	r.value("activations.bare", bare)
	for name, used := range map[string]time.Duration{"portal": c.portal, "broker": c.broker, "slapd": c.slapd, "browsers": c.browsers} {
		r.value("activations."+name, millis(c.each(used)))
	}
	if kratos != nil {
		k := kratosRate(t, kratos, "memory", 5*time.Second)
		r.add(row{work: work, what: "Ory Kratos 1.3.1 registration, memory, the same argon2id", figure: fmt.Sprintf("%.1f/s", k), ratio: c.rate / k, goal: "≥ 2", met: c.rate >= 2*k})
		r.value("activations.kratos", k)
		postgresRow(t, r, work, kratos, c.rate, 5*time.Second)
	}
	r.memory("portal", "activations", c.peak)
	openingRows(r, p, portal, people[:n], people[n:n+coming], links, 0.8*c.rate, opening)
	r.memory("portal", "the opening minute", memory(portal.cmd.Process.Pid, true))
	p.overloadRows(r, portal, people[n+coming:], links, c.rate, min(opening/2, time.Minute))
}

// row is the journeys at the portal's limit beside the bare hash.
func (c *crowd) row(work string, bare float64) row {
	return row{
		work: work, what: fmt.Sprintf("%d at a time", c.width), figure: fmt.Sprintf("%.1f/s", c.rate), ratio: c.rate / bare, goal: "≥ 0.9", met: c.rate >= 0.9*bare,
		cost: fmt.Sprintf("portal %s, slapd %s, broker %s, browsers %s; p50 %s, p99 %s", ms(c.each(c.portal)), ms(c.each(c.slapd)), ms(c.each(c.broker)),
			ms(c.each(c.browsers)), ms(percentile(c.button, .5)), ms(percentile(c.button, .99))),
		harm: fmt.Sprintf("%d refused with 503, %d errors", c.refused, len(c.errs)),
	}
}

// openingRows: the minute in which a window opens; active people sign in
// meanwhile. The worker has the priority that its unit gives it.
func openingRows(r *report, p *place, portal *proc, active, people []person, links map[string]string, rate float64, opening time.Duration) {
	const work = "opening minute: everybody presses twice, 5 % wrong numbers, slow clients, the intake drains"
	people = people[:min(len(people), int(rate*opening.Seconds()))]
	stop := slowClients(p.portal, 100)
	defer stop()
	before, more := p.mark(), invent(200000, min(int(opening.Seconds())*100, openingMost))
	evs, backlog := p.announce(more), make(chan registered, 1)
	p.nice = unitNice(p.t)
	go func() {
		defer close(backlog) // also where it fails
		backlog <- p.workOff(evs, 1)
	}()
	signing := p.keepSigningIn(active)
	c := p.arrive(people, links, rate)
	signed := signing()
	drained := <-backlog
	p.nice = ""
	drained.n, drained.census = len(more), p.census(more, before)
	back := p.comeAgain(portal, people, links)
	if c.done+c.refused != len(people) || drained.lost != 0 {
		p.t.Errorf("%d of %d people got in, %d were refused, %d events were lost", c.done, len(people), c.refused, drained.lost)
	}
	r.opening(work, c, len(people), drained, back.width-back.done)
	r.add(signed.row(work))
}

// opening is the row of a minute in which a window opened for n people.
func (r *report) opening(work string, c *crowd, n int, drained registered, outside int) {
	p50, p99, page := percentile(c.button, .5), percentile(c.button, .99), percentile(c.pages, .99)
	r.wait("the opening minute", c.button)
	for name, x := range map[string]float64{
		"p50": millis(p50), "p99": millis(p99), "page": millis(page), "people": float64(n), "drained": drained.rate(),
	} {
		r.value("opening."+name, x)
	}
	r.add(row{
		work: work, what: fmt.Sprintf("0.8 of the portal's rate, %d people", n),
		figure: fmt.Sprintf("button: p50 %s, p99 %s; slowest page before it: p99 %s", ms(p50), ms(p99), ms(page)),
		goal:   "p99 ≤ 1 s", met: p99 <= time.Second && page <= time.Second && c.done == n,
		cost: fmt.Sprintf("intake %s beside it, at the lower priority of its unit; alone see above", perSecond(drained.rate())),
		harm: fmt.Sprintf("%d of %d done, %d refused with 503, %d errors, %d outside in the end; intake: %s",
			c.done, n, c.refused, len(c.errs), outside, drained),
	})
}
