package testkit

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestSlapdKnowsItsServicesAndKeepsItsData(t *testing.T) {
	t.Parallel()
	s := Slapd(t)
	if who, err := s.Whoami(s.Portal); err != nil || who != s.Portal.DN {
		t.Errorf("the portal binds as %q, error %v", who, err)
	}
	if _, err := s.Whoami(Login{s.Portal.DN, "wrong"}); err == nil {
		t.Error("the portal binds with a wrong password")
	}
	if out := s.LDAPSearch(t, s.Admin, "(ou=people)"); !strings.Contains(out, "dn: ou=people,"+s.Base) {
		t.Errorf("ldapsearch prints %q", out)
	}
	s.Kill()
	if _, err := s.Whoami(s.Portal); err == nil {
		t.Error("a killed server answers")
	}
	s.Start()
	if _, err := s.Whoami(s.Portal); err != nil {
		t.Errorf("after a restart the portal cannot bind: %v", err)
	}
}

// The packages are fetched once into a folder of this test and then used.
func TestSlapdComesFromUnpackedPackages(t *testing.T) {
	if os.Getenv("REQUIRE") == "" && testing.Short() {
		t.Skip("fetches packages: not with -short")
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	begun := time.Now()
	install, err := unpackedSlapd()
	if err != nil {
		t.Skipf("no packages to unpack here: %v", err)
	}
	if !strings.Contains(install.Modules, "matricula/slapd") || install.Libraries == "" {
		t.Fatalf("the installation is not the unpacked one: %+v", install)
	}
	s := newSlapd(t, install)
	if _, err := s.Whoami(s.Worker); err != nil {
		t.Errorf("the worker cannot bind to the unpacked server: %v", err)
	}
	maps, err := os.ReadFile("/proc/" + s.pid() + "/maps")
	if err != nil {
		t.Skip("no /proc to see what was loaded")
	}
	for _, line := range strings.Split(string(maps), "\n") {
		if strings.Contains(line, "argon2") && !strings.Contains(line, "matricula/slapd") {
			t.Errorf("the unpacked server loads the system's module: %s", line)
		}
	}
	t.Logf("fetched, unpacked and used in %v", time.Since(begun).Round(time.Millisecond))
}
