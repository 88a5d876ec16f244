package directory_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
	"usn.no/matricula/testkit"
)

// small leaves slapd a map of one mebibyte.
func small(t *testing.T, s *testkit.SlapdServer) {
	t.Helper()
	s.Kill()
	conf := filepath.Join(s.Dir, "slapd.conf")
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(conf, regexp.MustCompile(`(?m)^maxsize .*$`).ReplaceAll(text, []byte("maxsize 1048576")), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Start()
}

func TestFullDirectoryShowsWhileNobodyWrites(t *testing.T) {
	t.Parallel()
	s := testkit.Slapd(t)
	small(t, s)
	worker, err := directory.Open(t.Context(), config(s, s.Worker))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(worker.Close)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				if err := worker.Writable(t.Context()); err != nil {
					t.Errorf("a sound directory takes no writes: %v", err)
				}
			}
		})
	}
	all.Wait()
	admin := s.Conn(t, s.Admin)
	left := func() int {
		r, err := admin.Search(ldap.NewSearchRequest("ou=people,"+s.Base, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false,
			"(objectClass=*)", []string{"description"}, nil))
		if err != nil || len(r.Entries) != 1 {
			t.Fatalf("the people cannot be looked at: %v", err)
		}
		return len(r.Entries[0].GetAttributeValues("description"))
	}
	if n := left(); n != 0 {
		t.Errorf("%d values are left of trials", n)
	}
	full := false
	for n := 0; n < 1000 && !full; n++ {
		req := ldap.NewAddRequest(fmt.Sprintf("ou=junk-%d,ou=policies,%s", n, s.Base), nil)
		req.Attribute("objectClass", []string{"organizationalUnit"})
		req.Attribute("description", []string{strings.Repeat("x", 3000)})
		full = admin.Add(req) != nil
	}
	if !full {
		t.Fatal("a map of one mebibyte took a thousand entries")
	}
	for range 20 {
		if err := worker.Writable(t.Context()); !errors.Is(err, account.ErrUnavailable) {
			t.Fatalf("the map is full and the trial says %v", err)
		}
	}
}

func TestTrialIsTheWorkersAlone(t *testing.T) {
	t.Parallel()
	s := testkit.Slapd(t)
	for _, who := range []testkit.Login{s.Portal, s.Reader} {
		d, err := directory.Open(t.Context(), config(s, who))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Writable(t.Context()); !errors.Is(err, directory.ErrNotTried) {
			t.Errorf("%s tries a write and hears %v", who.DN, err)
		}
		d.Close()
	}
}
