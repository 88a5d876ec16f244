package testkit

import (
	"os"
	"path/filepath"
)

// Compact stops the server and writes its database anew, as docs/operating.md
// tells operators to after an erasure: pages that are free still hold what was
// deleted. Start starts it again.
func (s *SlapdServer) Compact() {
	s.tb.Helper()
	s.stop()
	conf, ldif, db := filepath.Join(s.Dir, "slapd.conf"), filepath.Join(s.Dir, "all.ldif"), filepath.Join(s.Dir, "db")
	run := func(command ...string) {
		s.tb.Helper()
		if out, err := s.install.command(command...).CombinedOutput(); err != nil {
			s.tb.Fatalf("%s: %v: %s", command[0], err, out)
		}
	}
	run("slapcat", "-f", conf, "-l", ldif)
	for _, err := range []error{os.RemoveAll(db), os.Mkdir(db, 0o700)} {
		if err != nil {
			s.tb.Fatal(err)
		}
	}
	run("slapadd", "-q", "-f", conf, "-l", ldif)
	if err := os.Remove(ldif); err != nil {
		s.tb.Fatal(err)
	}
}
