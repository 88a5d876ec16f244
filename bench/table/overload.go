package table

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// signIns are the attempts of people who have an account already.
type signIns struct {
	took []time.Duration
	errs []error
}

// keepSigningIn has people sign in one after the other, two a second, until it
// is stopped.
func (p *place) keepSigningIn(people []person) (stop func() signIns) {
	p.t.Helper()
	names, end, done := p.usernames("(norEduPersonLIN=*)"), make(chan struct{}), make(chan signIns)
	go func() {
		var out signIns
		var mu sync.Mutex
		var wait sync.WaitGroup
		for i := 0; ; i++ {
			select {
			case <-end:
				wait.Wait()
				done <- out
				return
			case <-time.After(500 * time.Millisecond):
			}
			q := people[i%len(people)]
			wait.Go(func() {
				took, err := newStudent(q, "http://"+p.portal+"/a/").signIn(names[q.No])
				mu.Lock()
				defer mu.Unlock()
				if out.took = append(out.took, took); err != nil {
					out.errs = append(out.errs, err)
				}
			})
		}
	}()
	return func() signIns { close(end); return <-done }
}

// usernames are those of the people whom filter finds, by their number.
func (p *place) usernames(filter string) map[string]string {
	p.t.Helper()
	out := map[string]string{}
	for _, e := range p.slapd.Search(p.t, p.slapd.Admin, filter, "uid", "norEduPersonLIN") {
		lin := e.GetAttributeValue("norEduPersonLIN")
		out[lin[strings.LastIndexByte(lin, ':')+1:]] = e.GetAttributeValue("uid")
	}
	return out
}

// row is how people signed in meanwhile.
func (s signIns) row(work string) row {
	p99 := percentile(s.took, .99)
	return row{
		work: work, what: fmt.Sprintf("%d sign-ins meanwhile, two a second", len(s.took)), figure: fmt.Sprintf("p50 %s, p99 %s", ms(percentile(s.took, .5)), ms(p99)),
		goal: "none refused, all within 10 s", met: len(s.errs) == 0 && len(s.took) > 0 && p99 <= 10*time.Second, harm: fmt.Sprintf("%d refused or failed", len(s.errs)),
	}
}

// overloadRows: half as many people again as the portal can take. It says so to
// those it cannot take, goes on at its rate, and takes them when they come again.
func (p *place) overloadRows(r *report, portal *proc, people []person, links map[string]string, most float64, span time.Duration) {
	const work = "beyond what the portal can take"
	people = people[:min(len(people), int(1.5*most*span.Seconds()))]
	c := p.arrive(people, links, 1.5*most)
	held := c.rate / most
	r.value("overload.held", held)
	r.value("overload.refused", float64(c.refused))
	r.add(row{
		work: work, what: fmt.Sprintf("1.5 × its rate for %.0f s, %d people", span.Seconds(), len(people)), figure: fmt.Sprintf("%.1f/s, p99 %s", c.rate, ms(percentile(c.button, .99))), ratio: held,
		goal: "≥ 0.8 × its rate, the others 503, no errors", met: held >= 0.8 && len(c.errs) == 0 && c.done+c.refused == len(people),
		harm: fmt.Sprintf("%d done, %d refused with 503, %d errors", c.done, c.refused, len(c.errs)),
	})
	if len(c.errs) > 0 {
		p.t.Logf("beyond the portal's rate: %v", errors.Join(c.errs[:min(3, len(c.errs))]...))
	}
	if back := p.comeAgain(portal, people, links); back.width > 0 {
		r.add(row{
			work: work, what: "those who were refused come again", figure: perSecond(back.rate), goal: "all get in", met: back.done == back.width,
			harm: fmt.Sprintf("%d of %d done", back.done, back.width),
		})
	}
}

// comeAgain lets those of people who did not get in come again, four at a time;
// width is how many that are. Nobody is left outside.
func (p *place) comeAgain(portal *proc, people []person, links map[string]string) *crowd {
	in := p.usernames("(schacUserStatus=urn:schac:userStatus:no:" + p.slapd.Realm + ":account:active)")
	var again []person
	for _, q := range people {
		if in[q.No] == "" {
			again = append(again, q)
		}
	}
	back := p.saturate(portal, again, links, 4)
	if back.width = len(again); back.done != len(again) {
		p.t.Errorf("%d of %d people who had been refused got in when they came again", back.done, len(again))
	}
	return back
}
