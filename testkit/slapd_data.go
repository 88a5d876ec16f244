package testkit

import (
	"crypto/sha1"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Load adds entries offline, as slapadd does: no rule of the server is asked,
// which is how an existing directory comes about. The server is restarted.
func (s *SlapdServer) Load(tb testing.TB, ldif string) {
	tb.Helper()
	path := filepath.Join(s.Dir, "load.ldif")
	if err := os.WriteFile(path, []byte(ldif), 0o600); err != nil {
		tb.Fatal(err)
	}
	s.stop()
	if out, err := s.install.command("slapadd", "-q", "-f", filepath.Join(s.Dir, "slapd.conf"), "-l", path).CombinedOutput(); err != nil {
		tb.Fatalf("slapadd: %v\n%s", err, out)
	}
	s.Start()
}

// Slapcat is the whole database as slapcat prints it: every byte that is kept.
func (s *SlapdServer) Slapcat(tb testing.TB) string {
	tb.Helper()
	cmd := s.install.command("slapcat", "-f", filepath.Join(s.Dir, "slapd.conf"), "-o", "ldif-wrap=no")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		tb.Fatalf("slapcat: %v\n%s", err, errs.String())
	}
	return string(out)
}

// Argon2 hashes a password as the product does, at the lowest cost.
func Argon2(password string) string { return hash(password) }

// SSHA hashes a password as directories did for decades.
func SSHA(password, salt string) string {
	sum := sha1.Sum([]byte(password + salt))
	return "{SSHA}" + base64.StdEncoding.EncodeToString(append(sum[:], salt...))
}
