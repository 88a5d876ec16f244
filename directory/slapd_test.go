package directory_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
	"usn.no/matricula/testkit"
)

func TestConnectionsAreEncryptedOrOfThisMachine(t *testing.T) {
	t.Parallel()
	s := testkit.Slapd(t)
	tls := strings.TrimPrefix(s.TLSURL, "ldaps://")
	for _, row := range []struct {
		what   string
		change func(*directory.Config)
		want   error
	}{
		{"plain on this machine", func(*directory.Config) {}, nil},
		{"a local socket", func(c *directory.Config) { c.URL = s.SocketURL }, nil},
		{"a local socket by its path", func(c *directory.Config) { c.URL = "ldapi://" + filepath.Join(s.Dir, "ldapi") }, nil},
		{"no socket", func(c *directory.Config) { c.URL = "ldapi://somewhere" }, account.ErrInvalid},
		{"ldaps with the authority", func(c *directory.Config) { c.URL, c.CAFile = s.TLSURL, s.CAFile }, nil},
		{"ldaps by name with the authority", func(c *directory.Config) {
			c.URL, c.CAFile = "ldaps://localhost"+tls[strings.LastIndex(tls, ":"):], s.CAFile
		}, nil},
		{"StartTLS with the authority", func(c *directory.Config) { c.CAFile = s.CAFile }, nil},
		{"ldaps with other authorities", func(c *directory.Config) { c.URL = s.TLSURL }, account.ErrUnavailable},
		{"a wrong password", func(c *directory.Config) { c.Password = "wrong" }, account.ErrUnavailable},
		{"a base that isn't there", func(c *directory.Config) { c.Base = "dc=other" }, account.ErrUnavailable},
		{"no such authority file", func(c *directory.Config) { c.CAFile = filepath.Join(s.Dir, "none.pem") }, account.ErrInvalid},
		{"an authority file without one", func(c *directory.Config) { c.CAFile = filepath.Join(s.Dir, "base.ldif") }, account.ErrInvalid},
		{"another scheme", func(c *directory.Config) { c.URL = "http://127.0.0.1" }, account.ErrInvalid},
		{"no service account", func(c *directory.Config) { c.BindDN = "" }, account.ErrInvalid},
		{"no password", func(c *directory.Config) { c.Password = "" }, account.ErrInvalid},
		{"impossible costs", func(c *directory.Config) { c.Argon2 = directory.Argon2{Memory: 1, Time: 1, Threads: 1} }, account.ErrInvalid},
	} {
		c := config(s, s.Worker)
		row.change(&c)
		d, err := directory.Open(t.Context(), c)
		if err == nil {
			d.Close()
		}
		if !errors.Is(err, row.want) || row.want == nil && err != nil {
			t.Errorf("%s: %v, not %v", row.what, err, row.want)
		}
	}
}

// The configuration with which a production server refuses what is not
// encrypted.
func TestAServerThatAsksForEncryptionGetsIt(t *testing.T) {
	t.Parallel()
	s := testkit.Slapd(t)
	file := filepath.Join(s.Dir, "slapd.conf")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	strict := strings.Replace(string(text), "security simple_bind=0", "security simple_bind=128", 1)
	if strict == string(text) {
		t.Fatal("the configuration says nothing about security")
	}
	if err := os.WriteFile(file, []byte(strict), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	s.Start()
	c := config(s, s.Worker)
	if _, err := directory.Open(t.Context(), c); !errors.Is(err, account.ErrUnavailable) || !strings.Contains(err.Error(), "Confidentiality Required") {
		t.Errorf("an unencrypted bind answered %v", err)
	}
	for _, change := range []func(*directory.Config){
		func(c *directory.Config) { c.CAFile = s.CAFile },
		func(c *directory.Config) { c.URL = s.SocketURL },
	} {
		c := config(s, s.Worker)
		change(&c)
		open(t, c)
	}
}

func TestUnlikeMachinesWantEncryption(t *testing.T) {
	t.Parallel()
	c := directory.Config{
		URL: "ldap://directory.usn.example", BindDN: "cn=x", Password: "x", Base: "dc=x", Realm: "x",
	}
	for url, want := range map[string]bool{
		"ldap://directory.usn.example": true, "ldap://127.0.0.1:3890": false, "ldap://localhost": false, "ldap://[::1]": false,
		"ldap://127.0.0.1.example.org": true, "ldap://10.0.0.1": true,
	} {
		c.URL = url
		if got := directory.Encrypts(t, c); got != want {
			t.Errorf("StartTLS with %s is %t", url, got)
		}
	}
	c.Plain = true
	if c.URL = "ldap://directory.usn.example"; directory.Encrypts(t, c) {
		t.Error("StartTLS although plain is allowed")
	}
}

func TestDefaultHashIsOneThatSlapdVerifies(t *testing.T) {
	t.Parallel()
	s := testkit.Slapd(t)
	c := config(s, s.Portal)
	c.Argon2 = directory.Argon2{}
	worker, portal := open(t, config(s, s.Worker)), open(t, c)
	if err := worker.Create(t.Context(), person(1)); err != nil {
		t.Fatal(err)
	}
	was, err := portal.Find(t.Context(), account.Key{Kind: account.ByID, Value: "id1"})
	if err != nil {
		t.Fatal(err)
	}
	const password = "Æ 🎓 passord, \x00 og \" \\ $"
	if err := portal.SetPassword(t.Context(), was, clicked(was), password); err != nil {
		t.Fatalf("the password cannot be set: %v", err)
	}
	if err := portal.Verify(t.Context(), was.Username, password); err != nil {
		t.Errorf("the password does not verify: %v", err)
	}
	e := s.Search(t, s.Admin, "(uid=ola1)", "userPassword", "matriculaPasswordKept")[0]
	hash := e.GetAttributeValue("userPassword")
	if !strings.HasPrefix(hash, "{ARGON2}$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the hash begins with %.60s", hash)
	}
	if kept := e.GetAttributeValue("matriculaPasswordKept"); !strings.Contains(kept, hash[20:]) {
		t.Errorf("kept is another hash")
	}
}

func TestOneHandleIsOnOneEntryAlsoInARace(t *testing.T) {
	t.Parallel()
	s := testkit.Slapd(t)
	d := open(t, config(s, s.Worker))
	for round := range 10 {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				a := person(round*8 + i)
				a.Handles = []string{fmt.Sprintf("num.%d", round)}
				if err := d.Create(t.Context(), a); err != nil && !errors.Is(err, account.ErrInvalid) {
					t.Errorf("a handle that is on another entry answered %v", err)
				}
			})
		}
		wg.Wait()
		if found := s.Search(t, s.Admin, fmt.Sprintf("(matriculaHandle=num.%d)", round), "uid"); len(found) != 1 {
			t.Errorf("round %d: %d entries have the handle", round, len(found))
		}
	}
	other := person(1)
	other.Username, other.Handles = "another", nil
	if found := s.Search(t, s.Admin, "(matriculaId=id1)", "uid"); len(found) == 1 {
		if err := d.Create(t.Context(), other); !errors.Is(err, account.ErrInvalid) {
			t.Errorf("one id under two usernames answered %v", err)
		}
	}
}

func TestEachReadsInPages(t *testing.T) {
	t.Parallel()
	s := testkit.Slapd(t)
	d := open(t, config(s, s.Worker))
	const people = 620 // more than a page, and more than are asked for at once
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < people; i += 8 {
				a := person(i)
				a.Unsent = []account.Fact{{What: "pin.set", ID: "x"}}
				if err := d.Create(t.Context(), a); err != nil {
					t.Errorf("account %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	for _, q := range []account.Query{{}, {Unsent: true}, {State: account.Pending}} {
		met := map[string]bool{}
		if err := d.Each(t.Context(), q, func(a account.Account) bool { met[a.ID] = true; return true }); err != nil || len(met) != people {
			t.Errorf("each with %+v met %d of %d, error %v", q, len(met), people, err)
		}
		calls := 0
		err := d.Each(t.Context(), q, func(a account.Account) bool {
			calls++
			_, err := d.Find(t.Context(), account.Key{Kind: account.ByID, Value: a.ID}) // the directory may be asked meanwhile
			return err == nil && calls < 550
		})
		if err != nil || calls != 550 {
			t.Errorf("each with %+v stopped after %d calls, error %v", q, calls, err)
		}
	}
}

func TestAnEntryThatCannotBeReadIsNamedAndStopsNobody(t *testing.T) {
	t.Parallel()
	s := testkit.Slapd(t)
	d, admin := open(t, config(s, s.Worker)), s.Conn(t, s.Admin)
	for i := range 3 {
		a := person(i)
		a.Numbers = []account.Number{{Type: "fnr", Value: "17912099997"}}
		if err := d.Create(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	for attribute, value := range map[string]string{
		"matriculaNumber": "17912099997", "matriculaInvitation": "17912099997", "matriculaWhy": "17912099997 since yesterday",
		"matriculaPasswordSince": "20270801120000+0200",
	} {
		m := ldap.NewModifyRequest("uid=ola1,ou=people,"+s.Base, nil)
		m.Replace(attribute, []string{value})
		if err := admin.Modify(m); err != nil {
			t.Fatal(err)
		}
		_, err := d.Find(t.Context(), account.Key{Kind: account.ByUsername, Value: "ola1"})
		if !errors.Is(err, account.ErrInvalid) || !strings.Contains(err.Error(), "id1") || !strings.Contains(err.Error(), attribute) {
			t.Errorf("an unreadable %s answered %v", attribute, err)
		}
		if strings.Contains(err.Error(), "1791") {
			t.Errorf("the error quotes the value: %v", err)
		}
		met := 0
		if err := d.Each(t.Context(), account.Query{}, func(account.Account) bool { met++; return true }); met != 2 || !errors.Is(err, account.ErrInvalid) {
			t.Errorf("each met %d of the two others, error %v", met, err)
		}
		m = ldap.NewModifyRequest("uid=ola1,ou=people,"+s.Base, nil)
		m.Replace(attribute, nil)
		if err := admin.Modify(m); err != nil {
			t.Fatal(err)
		}
	}
	// Somebody else's entry in the same place is nobody's account.
	r := ldap.NewAddRequest("uid=guest,ou=people,"+s.Base, nil)
	r.Attribute("objectClass", []string{"inetOrgPerson"})
	r.Attribute("cn", []string{"x"})
	r.Attribute("sn", []string{"x"})
	if err := admin.Add(r); err != nil {
		t.Fatal(err)
	}
	guest := person(9)
	guest.Username = "guest"
	if err := d.Create(t.Context(), guest); !errors.Is(err, account.ErrTaken) {
		t.Errorf("the username of somebody else's entry answered %v", err)
	}
	if _, err := d.Find(t.Context(), account.Key{Kind: account.ByUsername, Value: "guest"}); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("somebody else's entry is found: %v", err)
	}
}

func TestGuessingLocksForAWhile(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	was := l.created(t, 1)
	if err := l.portal.SetPassword(t.Context(), was, clicked(was), "et langt passord"); err != nil {
		t.Fatal(err)
	}
	var err error
	tried := 0
	for ; tried < 60 && (err == nil || !strings.Contains(err.Error(), "locked")); tried++ {
		if err = l.portal.Verify(t.Context(), was.Username, "feil passord"); !errors.Is(err, account.ErrWrongPassword) {
			t.Fatalf("wrong password %d answered %v", tried, err)
		}
	}
	if tried < 25 || tried == 60 {
		t.Errorf("%d wrong passwords were tried before the account was locked", tried)
	}
	err = l.portal.Verify(t.Context(), was.Username, "et langt passord")
	if !errors.Is(err, account.ErrWrongPassword) || !strings.Contains(err.Error(), "locked") {
		t.Errorf("after all the wrong passwords the right one answered %v", err)
	}
	was = l.find(t, 1)
	if err := l.portal.SetPassword(t.Context(), was, was, "et annet passord"); err != nil {
		t.Fatalf("a locked account cannot be given a new password: %v", err)
	}
	if err := l.portal.Verify(t.Context(), was.Username, "et annet passord"); err != nil {
		t.Errorf("a new password does not end the lock: %v", err)
	}
}
