package table

import (
	"fmt"
	"os"
	"time"
)

// window is how people come when a window opens.
type window struct {
	share float64 // of what the portal can take
	span  time.Duration
	name  string // of its values
}

// follow has a worker do what activations left to it, and answers the processor
// time of each in worker, directory and broker.
func (p *place) follow(activations int) time.Duration {
	p.t.Helper()
	before := cpu(p.slapdPID()) + cpu(p.brokerPID())
	w, _ := p.serve("worker", "worker-after")
	p.until(2*time.Minute, "the facts of all activations are published", func() bool {
		return p.pending() == 0 && p.stored("AUDIT", "audit.account.activated.>") >= activations
	})
	used := cpu(w.cmd.Process.Pid) + cpu(p.slapdPID()) + cpu(p.brokerPID()) - before
	w.stop()
	return used / time.Duration(activations)
}

// openingRows: the minute in which a window opens; active people sign in
// meanwhile. The worker has the priority that its unit gives it.
func openingRows(r *report, p *place, portal *proc, active, people []person, links map[string]string, most float64, o window) {
	const work = "opening minute: everybody presses twice, 5 % wrong numbers, slow clients, the intake drains"
	rate := o.share * most
	people = people[:min(len(people), int(rate*o.span.Seconds()))]
	stop := slowClients(p.portal, 100)
	defer stop()
	more := invent(200000+p.served*100000, min(int(o.span.Seconds())*100, openingMost))
	before := p.mark()
	p.publish(p.announce(more))
	last := p.state("INTAKE", "").LastSeq
	p.nice = unitNice(p.t)
	made := p.stored("AUDIT", "audit.account.created.>")
	w, _ := p.serve("worker", "worker-"+o.name)
	p.nice, p.served = "", p.served+1
	signing, meter, began := p.keepSigningIn(active), p.meter(portal, w), time.Now()
	c := p.arrive(people, links, rate)
	intake := registered{took: time.Since(began)}
	cores := meter()
	signed := signing()
	intake.n = p.stored("AUDIT", "audit.account.created.>") - made // while people came; the rest is done once they have gone
	p.until(time.Minute+time.Duration(len(more))*time.Second/20, "the intake is worked off", func() bool { return p.past(last) })
	p.drained(2 * time.Minute) // what the last of them left to the worker, too
	w.stop()
	intake.census = p.census(more, before)
	back := p.comeAgain(portal, people, links)
	if c.done+c.refused != len(people) || intake.lost != 0 {
		p.t.Errorf("%d of %d people got in, %d were refused, %d events were lost", c.done, len(people), c.refused, intake.lost)
	}
	r.opening(work, o, c, len(people), intake, cores, back.width-back.done)
	line := signed.row(work)
	line.what = fmt.Sprintf("%s, at %.1f", line.what, o.share)
	if o.share != openingShare {
		line.goal = ""
	}
	r.add(line)
}

// opening is the row of a minute in which a window opened for n people.
func (r *report) opening(work string, o window, c *crowd, n int, intake registered, cores usage, outside int) {
	p50, p99, page := percentile(c.button, .5), percentile(c.button, .99), percentile(c.pages, .99)
	for name, x := range map[string]float64{
		"p50": millis(p50), "p99": millis(p99), "page": millis(page), "people": float64(n), "refused": float64(c.refused), "share": o.share,
		"intake": intake.rate(), "cores": cores.sum(),
	} {
		r.value(o.name+"."+name, x)
	}
	line := row{
		work: work, what: fmt.Sprintf("%.1f of the portal's rate, %d people in %.0f s", o.share, n, o.span.Seconds()),
		figure: fmt.Sprintf("button: p50 %s, p99 %s; slowest page before it: p99 %s", ms(p50), ms(p99), ms(page)),
		cost:   fmt.Sprintf("%s; intake %s beside it, which gives way; its worker has the priority of its unit", cores, perSecond(intake.rate())),
		harm: fmt.Sprintf("%d of %d done, %d refused with 503, %d errors, %d outside in the end; intake: %s",
			c.done, n, c.refused, len(c.errs), outside, intake),
	}
	if o.share == openingShare {
		r.wait("the opening minute", c.button)
		line.goal, line.met = "p99 ≤ 1 s, nobody refused", p99 <= time.Second && page <= time.Second && c.done == n
	}
	r.add(line)
}

// usage is how many cores each process used.
type usage struct{ portal, slapd, broker, worker, browsers float64 }

func (u usage) sum() float64 { return u.portal + u.slapd + u.broker + u.worker + u.browsers }

// String is how it stands in the table.
func (u usage) String() string {
	return fmt.Sprintf("%.2f cores: portal %.2f, slapd %.2f, broker %.2f, worker %.2f, browsers %.2f", u.sum(), u.portal, u.slapd, u.broker, u.worker, u.browsers)
}

// meter measures what is used of the processor until it is asked.
func (p *place) meter(portal, worker *proc) func() usage {
	pids := [...]int{portal.cmd.Process.Pid, p.slapdPID(), p.brokerPID(), worker.cmd.Process.Pid, os.Getpid()}
	var used [len(pids)]time.Duration
	for i, pid := range pids {
		used[i] = cpu(pid)
	}
	began := time.Now()
	return func() usage {
		var u usage
		for i, into := range []*float64{&u.portal, &u.slapd, &u.broker, &u.worker, &u.browsers} {
			*into = (cpu(pids[i]) - used[i]).Seconds() / time.Since(began).Seconds()
		}
		return u
	}
}

// past tells whether every lane is done with what was stored up to seq.
func (p *place) past(seq uint64) bool {
	for _, l := range p.lanes() {
		if l.open() && l.floor < seq {
			return false
		}
	}
	return true
}
