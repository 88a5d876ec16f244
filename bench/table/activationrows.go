package table

import (
	"fmt"
	"testing"
	"time"
)

// openingMost is how many people a window opens for at full size.
const openingMost = 20000

// Shares of the portal's rate that people come at when a window opens: the one
// that the goal is set at, and one at which everything has a place on one
// machine.
const (
	openingShare = 0.8
	easyShare    = 0.6
)

// activationRows: the portal at its limit beside the bare hash, and then people
// who come at a share of that, while an intake drains.
func activationRows(t testing.TB, r *report, binary string, n int, opening time.Duration, kratos []string) {
	const work = "activations over HTTP, whole journey"
	p := newPlace(t, binary, "127.0.0.1:9", "2027-08-01")
	easy := min(opening, 40*time.Second)
	// as many as can come at 76 a second, which is more than two cores can hash
	counts := []int{n, coming(easy, easyShare, openingMost), coming(opening, openingShare, openingMost), coming(min(opening/2, time.Minute), 1.5, openingMost)}
	sum := 0
	for _, c := range counts {
		sum += c
	}
	var people []person
	for _, q := range invent(0, 2*sum) {
		if q.Role == "employee" {
			people = append(people, q)
		}
	}
	r.doing("activations: %d people are registered, whose turn it will be", sum)
	p.register(people, 1)
	groups := make([][]person, len(counts))
	for i, c := range counts {
		groups[i], people = people[:c], people[c:]
	}
	links := p.links()
	portal, _ := p.serve("portal", "portal")
	r.doing("activations: the bare hash, and %d journeys", n)
	bare := bareHashes(4 * time.Second)
	c := p.saturate(portal, groups[0][:n/2], links, 4)
	done := c.done
	more := p.saturate(portal, groups[0][n/2:], links, 8)
	if done += more.done; more.rate > c.rate {
		c = more
	}
	bare = max(bare, bareHashes(4*time.Second)) // the limit is the best that was seen
	r.add(row{work: work, what: "argon2id alone, all cores, " + ourHasher(), figure: fmt.Sprintf("%.1f/s", bare)}, c.row(work, bare))
	r.wait("activation, at the portal's limit", c.button)
	r.value("activations.rate", c.rate)
	r.value("activations.bare", bare)
	for name, used := range map[string]time.Duration{"portal": c.portal, "broker": c.broker, "slapd": c.slapd, "browsers": c.browsers} {
		r.value("activations."+name, millis(c.each(used)))
	}
	if kratos != nil {
		kratosRows(t, r, work, kratos, c.rate, 5*time.Second)
	}
	r.memory("portal", "activations", c.peak)
	r.value("activations.after", millis(p.follow(done)))
	for i, o := range []window{{easyShare, easy, "easy"}, {openingShare, opening, "opening"}} {
		r.doing("activations: a window opens for %d people at %.1f of the portal's rate", len(groups[1+i]), o.share)
		openingRows(r, p, portal, groups[0], groups[1+i], links, c.rate, o)
	}
	r.memory("portal", "the opening minute", memory(portal.cmd.Process.Pid, true))
	r.doing("activations: half as many again as the portal can take")
	p.overloadRows(r, portal, groups[3], links, c.rate, min(opening/2, time.Minute))
}

// coming is how many people a share of the highest rate brings.
func coming(span time.Duration, share float64, most int) int {
	return min(max(int(span.Seconds()*share*76), 20), most)
}

// row is the journeys at the portal's limit beside the bare hash.
func (c *crowd) row(work string, bare float64) row {
	return row{
		work: work, what: fmt.Sprintf("ours, %d at a time, %s", c.width, ourHasher()), figure: fmt.Sprintf("%.1f/s", c.rate), ratio: c.rate / bare, goal: "≥ 0.9 × argon2id alone", met: c.rate >= 0.9*bare,
		cost: fmt.Sprintf("portal %s, slapd %s, broker %s, browsers %s; p50 %s, p99 %s", ms(c.each(c.portal)), ms(c.each(c.slapd)), ms(c.each(c.broker)),
			ms(c.each(c.browsers)), ms(percentile(c.button, .5)), ms(percentile(c.button, .99))),
		harm: fmt.Sprintf("%d refused with 503, %d errors", c.refused, len(c.errs)),
	}
}
