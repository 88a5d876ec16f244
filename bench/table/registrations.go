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
	took                       time.Duration
	worker, broker, slapd      time.Duration // processor time
	peak                       float64       // the worker's memory in MiB
	lost, doubled, deadLetters int
}

// hold fails where a rate was bought with people.
func (r registered) hold(t testing.TB) {
	t.Helper()
	if r.lost != 0 || r.doubled != 0 || r.deadLetters != 0 {
		t.Errorf("registrations: %d lost, %d doubled, %d dead letters", r.lost, r.doubled, r.deadLetters)
	}
}

// register has people stored in the intake, and then n workers work it off.
func (p *place) register(people []person, workers int) registered {
	p.t.Helper()
	began := time.Now()
	evs := make([]events.Event, len(people))
	for i, q := range people {
		evs[i] = q.registered(began)
	}
	before := p.entries()
	facts := p.stored("AUDIT", "")
	p.publish(evs)
	nats, ldap := cpu(p.brokerPID()), cpu(p.slapdPID())
	var ps []*proc
	began = time.Now()
	for i := range workers {
		w, _ := p.serve("worker", fmt.Sprintf("worker-%d-%d", before, i))
		ps = append(ps, w)
	}
	p.drained(100 * time.Second)
	r := registered{took: time.Since(began), broker: cpu(p.brokerPID()) - nats, slapd: cpu(p.slapdPID()) - ldap}
	for _, w := range ps {
		r.worker += cpu(w.cmd.Process.Pid)
		r.peak = max(r.peak, memory(w.cmd.Process.Pid, true))
		w.stop()
	}
	r.lost = len(people) - (p.entries() - before)
	r.deadLetters = p.stored("DEAD", "")
	// created once each, and invited once each employee, whose letter is due
	r.doubled = p.stored("AUDIT", "") - facts - len(people)
	for _, q := range people {
		if q.Role == "employee" {
			r.doubled--
		}
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
		time.Sleep(500 * time.Millisecond)
	}
	p.t.Fatalf("the intake was not worked off within %s", most)
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
		t.Skipf("ldapadd: %v", err)
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
