package directory_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
	"usn.no/matricula/testkit"
)

var notIndexed = regexp.MustCompile(`candidates: \(([^)]*)\) not indexed`)

// unindexed runs f on a slapd that says what it looks for without an index, and
// answers these attributes.
func unindexed(t *testing.T, s *testkit.SlapdServer, f func()) []string {
	t.Helper()
	s.Kill()
	cmd := s.Tool("slapd", "-h", s.URL+" "+s.SocketURL, "-d", "32")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var found []string
	ended := make(chan bool)
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if m := notIndexed.FindStringSubmatch(lines.Text()); m != nil {
				found = append(found, m[1])
			}
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	for deadline := time.Now().Add(60 * time.Second); ; {
		c, err := ldap.DialURL(s.SocketURL)
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("slapd does not answer: %v", err)
			break
		}
		time.Sleep(5 * time.Millisecond) // waits for slapd to answer
	}
	f()
	_ = cmd.Process.Kill()
	<-ended
	_ = cmd.Wait()
	s.Start()
	slices.Sort(found)
	return slices.Compact(found)
}

// With a hundred thousand people a look at every one of them takes a second.
func TestNothingIsSearchedForWithoutAnIndex(t *testing.T) {
	t.Parallel()
	s := testkit.Slapd(t)
	var worker, portal *directory.Directory
	got := unindexed(t, s, func() {
		worker, portal = open(t, config(s, s.Worker)), open(t, config(s, s.Portal))
		a := person(1)
		a.Handles = []string{"num.1"}
		a.Invitations = []account.Invitation{{ID: "first", Purpose: "activate"}}
		a.Roles = []account.Role{{Kind: "employee", Key: "104711"}}
		a.Unsent = []account.Fact{{What: "pin.set", ID: "x"}}
		a.Turn = time.Date(2027, 8, 1, 0, 0, 0, 0, time.UTC)
		if err := worker.Create(t.Context(), a); err != nil {
			t.Error(err)
			return
		}
		for _, k := range []account.Key{
			{Kind: account.ByID, Value: a.ID}, {Kind: account.ByUsername, Value: a.Username}, {Kind: account.ByInvitation, Value: "first"},
			{Kind: account.ByHandle, Value: "num.1"}, {Kind: account.ByLIN, Value: "employee:104711"},
		} {
			if _, err := portal.Find(t.Context(), k); err != nil {
				t.Errorf("by %s: %v", k.Kind, err)
			}
		}
		was, err := worker.Find(t.Context(), account.Key{Kind: account.ByID, Value: a.ID})
		if err != nil {
			t.Error(err)
			return
		}
		now := was.Clone()
		now.Invitations = nil
		if err := worker.Update(t.Context(), was, now); err != nil {
			t.Error(err)
		}
		if _, err := portal.Find(t.Context(), account.Key{Kind: account.ByInvitation, Value: "first"}); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("a spent invitation leads to %v", err)
		}
		for _, q := range []account.Query{{Unsent: true}, {Due: a.Turn}, {State: account.Pending}, {}} {
			met := 0
			if err := worker.Each(t.Context(), q, func(account.Account) bool { met++; return true }); err != nil || met != 1 {
				t.Errorf("%+v met %d, error %v", q, met, err)
			}
		}
		s.Search(t, s.Reader, "(&(uid=ola1)(eduPersonPrincipalName=ola1@usn.example))")
	})
	if len(got) > 0 {
		t.Errorf("slapd looks at everybody for %v", got)
	}
	if got := unindexed(t, s, func() { s.Search(t, s.Admin, "(givenName=Ola)") }); !slices.Equal(got, []string{"givenName"}) {
		t.Errorf("a search without an index shows as %v", got)
	}
}

// A directory from before invitations had an index that finds them by equality,
// and what docs/operating.md has operators do with it.
func TestInvitationsFromBeforeTheIndexAreFound(t *testing.T) {
	t.Parallel()
	s := testkit.Slapd(t)
	d := open(t, config(s, s.Worker))
	a := person(1)
	a.Invitations = []account.Invitation{{ID: "first", Purpose: "activate"}, {ID: "second", Purpose: "reset"}}
	if err := d.Create(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	m := ldap.NewModifyRequest("uid="+a.Username+",ou=people,"+s.Base, nil)
	m.Delete("matriculaInvitationId", nil)
	if err := s.Conn(t, s.Admin).Modify(m); err != nil {
		t.Fatal(err)
	}
	each := func(when string) {
		t.Helper()
		for _, i := range a.Invitations {
			got, err := d.Find(t.Context(), account.Key{Kind: account.ByInvitation, Value: i.ID})
			if err != nil || got.ID != a.ID {
				t.Errorf("%s the invitation %s leads to %q, error %v", when, i.ID, got.ID, err)
			}
		}
	}
	each("by looking at everybody,")
	docs, err := os.ReadFile("../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)\| (awk '.*matriculaInvitationId.*') >`).FindSubmatch(docs)
	if found == nil {
		t.Fatal("docs/operating.md does not say how")
	}
	s.Kill()
	cmd := exec.Command("sh", "-c", string(found[1]))
	cmd.Stdin = strings.NewReader(s.Slapcat(t))
	ldif, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	db := filepath.Join(s.Dir, "db")
	for _, err := range []error{os.RemoveAll(db), os.Mkdir(db, 0o700)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.Load(t, string(ldif))
	if got := unindexed(t, s, func() { each("after the upgrade") }); len(got) > 0 {
		t.Errorf("slapd looks at everybody for %v", got)
	}
}
