package directory_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
	"usn.no/matricula/testkit"
)

// before is an entry as a directory had it before us, in LDIF.
func before(s *testkit.SlapdServer, rdn string, lines ...string) string {
	return "dn: " + rdn + ",ou=people," + s.Base + "\nobjectClass: inetOrgPerson\nobjectClass: eduPerson\nobjectClass: norEduPerson\n" +
		"objectClass: schacUserEntitlements\n" + strings.Join(lines, "\n") + "\n\n"
}

// hers is one with what every one has.
func hers(s *testkit.SlapdServer, username string, lines ...string) string {
	return before(s, "uid="+username, append([]string{"uid: " + username, "sn: Nordmann", "cn: Nordmann, Kari " + username}, lines...)...)
}

func estate(t *testing.T, entries func(*testkit.SlapdServer) string) (*testkit.SlapdServer, *directory.Directory, map[string]account.Existing) {
	t.Helper()
	s := testkit.Slapd(t)
	s.Load(t, entries(s))
	d, err := directory.Open(t.Context(), config(s, s.Admin))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	found := map[string]account.Existing{}
	if err := d.Existing(t.Context(), func(e account.Existing) bool { found[e.Username+"/"+e.Name.Given] = e; return true }); err != nil {
		t.Fatal(err)
	}
	return s, d, found
}

func TestExistingEntriesAreReadAsTheyStand(t *testing.T) {
	t.Parallel()
	_, _, found := estate(t, func(s *testkit.SlapdServer) string {
		state := "schacUserStatus: urn:schac:userStatus:no:" + s.Realm + ":account:"
		return hers(s, "whole", "givenName: Whole", "displayName: Kari N.", "norEduPersonNIN: 17912099997", "norEduPersonBirthDate: 19990212",
			"norEduPersonLIN: "+s.Realm+":employee:035016", "norEduPersonLIN: other.example:student:7", "norEduPersonLIN: student:8", "eduPersonPrincipalName: kari.n@"+s.Realm,
			"eduPersonPrincipalNamePrior: kari.old@"+s.Realm, "eduPersonPrincipalNamePrior: kari@other.example",
			"eduPersonAffiliation: faculty", "preferredLanguage: nn-NO", "userPassword: "+testkit.SSHA("x", "salt"), "pwdChangedTime: 20240102030405Z", state+"active") +
			hers(s, "locked", "givenName: Locked", "pwdAccountLockedTime: 000001010000Z") +
			hers(s, "resting", "givenName: Resting", "pwdAccountLockedTime: 20240102030405Z") +
			hers(s, "twostates", "givenName: Two", state+"active", state+"locked") +
			hers(s, "elsewhere", "givenName: Elsewhere", "schacUserStatus: urn:schac:userStatus:no:other.example:account:locked") +
			before(s, "uid=twonames", "givenName: Names", "sn: Nordmann", "cn: N", "uid: twonames", "uid: alias") +
			hers(s, "noday", "givenName: Noday", "norEduPersonBirthDate: 19990231") +
			before(s, "cn=Not by uid", "givenName: Cn", "uid: byname", "sn: N", "cn: Not by uid") +
			before(s, "uid=two+sn=N", "givenName: Multi", "uid: two", "sn: N", "cn: Two") +
			"dn: ou=old,ou=people," + s.Base + "\nobjectClass: organizationalUnit\nou: old\n\n" +
			before(s, "uid=deeper,ou=old", "givenName: Deep", "uid: deeper", "sn: N", "cn: Deep") +
			"dn: uid=daemon,ou=people," + s.Base + "\nobjectClass: account\nobjectClass: norEduPerson\nuid: daemon\n\n" +
			"dn: uid=thing,ou=people," + s.Base + "\nobjectClass: account\nuid: thing\n\n"
	})
	want := map[string]account.Existing{
		"whole/Whole": {
			Username: "whole", Names: []string{"kari.n", "kari.old"}, Name: account.Name{Given: "Whole", Family: "Nordmann", Preferred: "Kari N."},
			BirthDate: "1999-02-12", Language: "nn-NO", NIN: "17912099997", LINs: []string{"employee:035016"}, OtherLINs: true,
			Affiliations: []string{"faculty"}, Status: "active", HasPassword: true, PasswordSince: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC),
		},
		"locked/Locked":       {Username: "locked", Name: account.Name{Given: "Locked", Family: "Nordmann"}, Locked: true},
		"resting/Resting":     {Username: "resting", Name: account.Name{Given: "Resting", Family: "Nordmann"}},
		"twostates/Two":       {Username: "twostates", Name: account.Name{Given: "Two", Family: "Nordmann"}, Unfit: account.ConflictStatus},
		"elsewhere/Elsewhere": {Username: "elsewhere", Name: account.Name{Given: "Elsewhere", Family: "Nordmann"}},
		"twonames/Names":      {Username: "twonames", Name: account.Name{Given: "Names", Family: "Nordmann"}, Unfit: account.ConflictNames},
		"noday/Noday":         {Username: "noday", Name: account.Name{Given: "Noday", Family: "Nordmann"}, Unfit: account.ConflictBirth},
		"byname/Cn":           {Username: "byname", Name: account.Name{Given: "Cn", Family: "N"}, Unfit: account.ConflictPlace},
		"two/Multi":           {Username: "two", Name: account.Name{Given: "Multi", Family: "N"}, Unfit: account.ConflictPlace},
		"deeper/Deep":         {Username: "deeper", Name: account.Name{Given: "Deep", Family: "N"}, Unfit: account.ConflictPlace},
		"daemon/":             {Username: "daemon", Unfit: account.ConflictClass},
	}
	for name, w := range want {
		if got := fmt.Sprintf("%+v", found[name]); got != fmt.Sprintf("%+v", w) {
			t.Errorf("%s is read as\n%s, not\n%+v", name, got, w)
		}
	}
	if len(found) != len(want) {
		t.Errorf("%d entries are read, not %d: %v", len(found), len(want), slices.Collect(maps.Keys(found)))
	}
}

func TestAdoptingAddsWhatIsMissingAndNothingElse(t *testing.T) {
	t.Parallel()
	hash := testkit.SSHA("et gammelt passord", "salt")
	s, d, found := estate(t, func(s *testkit.SlapdServer) string {
		return hers(s, "kari", "givenName: Kari", "norEduPersonNIN: 17912099997", "eduPersonPrincipalName: kari.n@"+s.Realm,
			"norEduPersonLIN: "+s.Realm+":employee:104711", "preferredLanguage: de", "mail: kari@"+s.Realm, "userPassword: "+hash) +
			hers(s, "odd", "givenName: Odd", "userPassword: "+hash, "pwdAccountLockedTime: 000001010000Z",
				"schacUserStatus: urn:schac:userStatus:no:"+s.Realm+":account:locked")
	})
	blind, err := directory.Open(t.Context(), config(s, s.Worker))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(blind.Close)
	if err := blind.Existing(t.Context(), func(account.Existing) bool { return true }); !errors.Is(err, account.ErrInvalid) {
		t.Errorf("who may not see passwords takes everybody for new: %v", err)
	}
	if _, err := d.Find(t.Context(), account.Key{Kind: account.ByLIN, Value: "employee:104711"}); !errors.Is(err, account.ErrNotFound) {
		t.Errorf("an entry that is no account yet is found by its employee number: %v", err)
	}
	kari, day := found["kari/Kari"], time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
	a := account.Account{
		ID: "aaaaaaaaaaaaaaaaaaaaaaaaaa", Origin: "adopted", Username: "kari", State: account.Active, Why: account.Why{Reason: account.WhyActivated, Since: day},
		Name: kari.Name, Language: "en", Numbers: []account.Number{{Type: "fnr", Value: kari.NIN}}, Roles: []account.Role{{Kind: account.Employee, Key: "104711"}},
		Handles: []string{"num.1.x"}, PasswordSince: day, Adopted: day,
	}
	changed := kari
	changed.NIN = ""
	if err := d.Adopt(t.Context(), changed, a); !errors.Is(err, account.ErrStale) {
		t.Errorf("adopting what has changed since it was read: %v", err)
	}
	unlike := a
	unlike.Numbers, unlike.Name.Family = nil, "Hansen"
	if err := d.Adopt(t.Context(), kari, unlike); !errors.Is(err, account.ErrInvalid) {
		t.Errorf("adopting what would read otherwise afterwards: %v", err)
	}
	was := s.Slapcat(t)
	for range 2 {
		if err := d.Adopt(t.Context(), kari, a); err != nil {
			t.Fatalf("adopting, and adopting again: %v", err)
		}
	}
	now := s.Slapcat(t)
	for _, line := range strings.Split(was, "\n") {
		for _, stays := range []string{"userPassword:", "cn:", "sn:", "mail:", "eduPersonPrincipalName:", "norEduPerson", "structuralObjectClass", "uid:"} {
			if strings.HasPrefix(line, stays) && !strings.Contains(now, line) {
				t.Errorf("adopting took away %q", line)
			}
		}
	}
	e := s.Search(t, s.Admin, "(uid=kari)")[0]
	for name, want := range map[string]string{
		"displayName": "Kari Nordmann", "norEduPersonLegalName": "Kari Nordmann", "schacHomeOrganization": s.Realm, "preferredLanguage": "en",
		"schacUserStatus": "urn:schac:userStatus:no:" + s.Realm + ":account:active", "matriculaRevision": "1",
	} {
		if got := e.GetAttributeValues(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
	if _, err := s.Whoami(s.Person("kari", "et gammelt passord")); err != nil {
		t.Errorf("the old password no longer signs in: %v", err)
	}
	if got, err := d.Find(t.Context(), account.Key{Kind: account.ByLIN, Value: "employee:104711"}); err != nil || got.ID != a.ID {
		t.Errorf("the account is not found by its employee number: %v", err)
	}
	other := a
	other.ID = "bbbbbbbbbbbbbbbbbbbbbbbbbb"
	if err := d.Adopt(t.Context(), kari, other); !errors.Is(err, account.ErrTaken) {
		t.Errorf("adopting what is another account by now: %v", err)
	}
	theirs := found["odd/Odd"]
	b := account.Account{
		ID: "cccccccccccccccccccccccccc", Username: "odd", State: account.Suspended, Why: account.Why{Reason: account.WhyLocked, Since: day},
		Name: theirs.Name, PasswordSince: day, Adopted: day,
	}
	if err := d.Adopt(t.Context(), theirs, b); err != nil {
		t.Fatal(err)
	}
	if e := s.Search(t, s.Admin, "(uid=odd)", "pwdAccountLockedTime", "userPassword")[0]; e.GetAttributeValue("pwdAccountLockedTime") != "" || e.GetAttributeValue("userPassword") != hash {
		t.Errorf("a locked entry keeps a lock beside its state, or lost its password: %v", e.Attributes)
	}
	if _, err := s.Whoami(s.Person("odd", "et gammelt passord")); err == nil {
		t.Error("who was locked before can sign in after")
	}
}
