package table

import (
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"

	"usn.no/matricula/directory"
)

// bareHashes is how many passwords a second this machine can hash on all its
// cores when it does nothing else: the limit of every portal.
func bareHashes(span time.Duration) float64 {
	costs, n := directory.DefaultArgon2(), runtime.GOMAXPROCS(0)
	counts := make([]int, n)
	var wait sync.WaitGroup
	began := time.Now()
	for i := range n {
		wait.Go(func() {
			for time.Since(began) < span {
				argon2.IDKey([]byte("Fjord-Lyngheim-Sildretind"), []byte("0123456789abcdef"), costs.Time, costs.Memory, costs.Threads, 32)
				counts[i]++
			}
		})
	}
	wait.Wait()
	sum := 0
	for _, c := range counts {
		sum += c
	}
	return float64(sum) / time.Since(began).Seconds()
}

// crowd is how a number of journeys went.
type crowd struct {
	rate          float64 // done, a second
	button, pages []time.Duration
	done, refused int
	errs          []error
	width         int
	peak          float64 // the portal's memory in MiB

	portal, slapd, broker, browsers time.Duration // processor time
}

// each is what one who got in took of used.
func (c *crowd) each(used time.Duration) time.Duration { return used / time.Duration(max(c.done, 1)) }

func (c *crowd) add(o outcome) {
	switch {
	case o.done:
		c.done++
		c.button = append(c.button, o.took)
	case o.refused:
		c.refused++
	case o.err != nil:
		c.errs = append(c.errs, o.err)
	}
	c.pages = append(c.pages, o.page)
}

// saturate lets width people at a time activate, one after the other.
func (p *place) saturate(portal *proc, people []person, links map[string]string, width int) *crowd {
	c, next := &crowd{width: width}, make(chan person)
	var mu sync.Mutex
	var wait sync.WaitGroup
	pids := [4]int{portal.cmd.Process.Pid, p.slapdPID(), p.brokerPID(), os.Getpid()}
	used, began := each(pids, cpu), time.Now()
	for range width {
		wait.Go(func() {
			for q := range next {
				o := newStudent(q, links[q.No]).activate(false, false)
				mu.Lock()
				c.add(o)
				mu.Unlock()
			}
		})
	}
	for _, q := range people {
		next <- q
	}
	close(next)
	wait.Wait()
	c.rate = float64(c.done) / time.Since(began).Seconds()
	for i, into := range []*time.Duration{&c.portal, &c.slapd, &c.broker, &c.browsers} {
		*into = cpu(pids[i]) - used[i]
	}
	c.peak = memory(pids[0], true)
	return c
}

func each(pids [4]int, f func(int) time.Duration) (out [4]time.Duration) {
	for i, pid := range pids {
		out[i] = f(pid)
	}
	return out
}

// arrive lets people come at a rate whether or not others are done: one in
// twenty types a wrong number first, and everybody presses the button twice.
func (p *place) arrive(people []person, links map[string]string, rate float64) *crowd {
	c := &crowd{}
	var mu sync.Mutex
	var wait sync.WaitGroup
	began := time.Now()
	for i, q := range people {
		time.Sleep(time.Until(began.Add(time.Duration(float64(i) / rate * float64(time.Second)))))
		wait.Go(func() {
			o := newStudent(q, links[q.No]).activate(i%20 == 7, true)
			mu.Lock()
			defer mu.Unlock()
			c.add(o)
		})
	}
	wait.Wait()
	c.rate = float64(c.done) / time.Since(began).Seconds()
	return c
}
