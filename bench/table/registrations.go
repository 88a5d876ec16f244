package table

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/testkit"
)

// registered is how the intake was worked off.
type registered struct {
	census
	n                     int
	took                  time.Duration
	worker, broker, slapd time.Duration // processor time
	peak                  float64       // the worker's memory in MiB
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
		time.Sleep(200 * time.Millisecond)
	}
	p.t.Fatalf("the intake was not worked off within %s", most)
}

// registrationRows: the intake worked off into the directory, beside what its
// own tool needs for the same entries; then by two workers, and the letters.
func registrationRows(t testing.TB, r *report, binary string, n int) {
	const work = "registrations → pending accounts, claims, letters, audit"
	box := newSink(t)
	p := newPlace(t, binary, box.addr, "2027-08-01")
	got := p.register(invent(0, n), 1)
	got.hold(t)
	most := float64(n) / ldapadd(t, p).Seconds()
	r.add(row{work: work, what: fmt.Sprintf("ldapadd, the same %d entries", n), figure: perSecond(most)},
		row{
			work: work, what: "one worker", figure: perSecond(got.rate()), ratio: got.rate() / most, goal: "≥ 0.9", met: got.rate() >= 0.9*most,
			cost: got.cost(), harm: got.String(),
		})
	r.memory("worker", "registrations", got.peak)
	each := time.Duration(n)
	for name, x := range map[string]float64{
		"n": float64(n), "rate": got.rate(), "ldapadd": most, "worker": millis(got.worker / each), "broker": millis(got.broker / each), "slapd": millis(got.slapd / each), "memory": got.peak,
	} {
		r.value("registrations."+name, x)
	}
	p2 := newPlace(t, binary, "127.0.0.1:9", "2027-08-01")
	two := p2.register(invent(0, n), 2)
	two.hold(t)
	r.value("registrations.two", two.rate())
	r.add(row{
		work: work, what: "two workers", figure: perSecond(two.rate()), ratio: two.rate() / got.rate(), goal: "≥ 0.95 × one", met: two.rate() >= 0.95*got.rate(),
		cost: two.cost(), harm: two.String(),
	})
	p.letterRows(r, box, (n+1)/2)
}

// ldapadd adds the same entries by the directory's own tool, one after the
// other, into an empty directory of the same configuration.
func ldapadd(t testing.TB, from *place) time.Duration {
	t.Helper()
	ldif := from.slapd.LDAPSearch(t, from.slapd.Admin, "-E", "pr=1000/noprompt", "-LLL", "-o", "ldif-wrap=no", "-b", "ou=people,"+from.slapd.Base, "(objectClass=matriculaAccount)", "*")
	file := filepath.Join(t.TempDir(), "people.ldif")
	if err := os.WriteFile(file, []byte(ldif), 0o600); err != nil {
		t.Fatal(err)
	}
	s := testkit.Slapd(t)
	began := time.Now()
	cmd := exec.Command("ldapadd", "-x", "-H", s.URL, "-D", s.Worker.DN, "-w", s.Worker.Password, "-f", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatalf("ldapadd: %v", err)
	}
	added := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "adding new entry") {
			added++
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("ldapadd: %v", err)
	}
	took := time.Since(began)
	if want := strings.Count(ldif, "\ndn: ") + 1; added != want {
		t.Fatalf("ldapadd added %d of %d entries", added, want)
	}
	s.Kill()
	return took
}
