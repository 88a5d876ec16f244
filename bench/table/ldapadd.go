package table

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/testkit"
)

// ldapadd adds entries that an installation made by the directory's own tool,
// one after the other, into an empty directory of the same configuration.
type ldapadd struct {
	t      testing.TB
	slapd  *testkit.SlapdServer
	halves [2][]string
}

// added is how that went.
type added struct {
	n     int
	took  time.Duration
	turns []float64 // the rate of each turn, where there were several
}

// rate is entries a second.
func (a added) rate() float64 { return float64(a.n) / a.took.Seconds() }

func newLdapadd(t testing.TB, from *place) *ldapadd {
	t.Helper()
	ldif := from.slapd.LDAPSearch(t, from.slapd.Admin, "-E", "pr=1000/noprompt", "-LLL", "-o", "ldif-wrap=no", "-b", "ou=people,"+from.slapd.Base, "(objectClass=matriculaAccount)", "*")
	var all []string
	for entry := range strings.SplitSeq(ldif, "\n\n") {
		if entry = strings.TrimSpace(entry); strings.HasPrefix(entry, "dn: ") {
			all = append(all, entry)
		}
	}
	return &ldapadd{t: t, slapd: testkit.Slapd(t), halves: [2][]string{all[:len(all)/2], all[len(all)/2:]}}
}

// half adds the first half of the entries, or the second.
func (l *ldapadd) half(i int) added {
	l.t.Helper()
	file := filepath.Join(l.t.TempDir(), "people.ldif")
	if err := os.WriteFile(file, []byte(strings.Join(l.halves[i], "\n\n")+"\n"), 0o600); err != nil {
		l.t.Fatal(err)
	}
	began := time.Now()
	cmd := exec.Command("ldapadd", "-x", "-H", l.slapd.URL, "-D", l.slapd.Worker.DN, "-w", l.slapd.Worker.Password, "-f", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		l.t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		l.t.Fatalf("ldapadd: %v", err)
	}
	a := added{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "adding new entry") {
			a.n++
		}
	}
	if err := cmd.Wait(); err != nil {
		l.t.Fatalf("ldapadd: %v", err)
	}
	if a.took = time.Since(began); a.n != len(l.halves[i]) {
		l.t.Fatalf("ldapadd added %d of %d entries", a.n, len(l.halves[i]))
	}
	return a
}
