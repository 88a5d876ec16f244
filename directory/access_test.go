package directory_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
	"usn.no/matricula/testkit"
)

// shop is a server with people in every state, and a connection per role.
type shop struct {
	*testkit.SlapdServer
	conn   map[string]*ldap.Conn
	people string
}

const someHash = "{ARGON2}$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$8Wgaf3gHTcyv3yn6zPBGF0qRX0b2iVbSyNLWmJVMiJk"

func newShop(t *testing.T) *shop {
	t.Helper()
	s := testkit.Slapd(t)
	worker, portal := open(t, config(s, s.Worker)), open(t, config(s, s.Portal))
	for i, p := range []account.Account{
		{Username: "pending1", State: account.Pending},
		{Username: "active1", State: account.Active},
		{Username: "active2", State: account.Active, Protection: "none"},
		{Username: "protected1", State: account.Active, Protection: "confidential"},
		{Username: "protected2", State: account.Active, Protection: "a word of next year"},
		{Username: "reserved1", State: account.Active, Reserved: true},
		{Username: "suspended1", State: account.Suspended},
		{Username: "closed1", State: account.Closed},
	} {
		p.ID, p.Name = "id-"+p.Username, account.Name{Given: "Kari", Family: "Nordmann"}
		p.Numbers = []account.Number{{Type: "fnr", Value: fmt.Sprintf("1791209999%d", i)}}
		p.Roles = []account.Role{{Kind: account.Student, Key: fmt.Sprint(1000 + i), ID: "1"}}
		p.Address, p.Mobile, p.Language, p.BirthDate = "kari@example.org", "+4790000000", "nb", "2005-05-17"
		p.Affiliations, p.Handles = []string{"student"}, []string{"src." + p.Username}
		p.Invitations = []account.Invitation{{ID: "inv" + p.Username, Purpose: account.PurposeReset}}
		p.Unsent = []account.Fact{{What: "pin.set", ID: "fact"}}
		if err := worker.Create(t.Context(), p); err != nil {
			t.Fatalf("%s cannot be created: %v", p.Username, err)
		}
		if p.State != account.Pending {
			was, err := portal.Find(t.Context(), account.Key{Kind: account.ByUsername, Value: p.Username})
			if err != nil {
				t.Fatal(err)
			}
			if err := portal.SetPassword(t.Context(), was, was, "passord "+p.Username); err != nil {
				t.Fatalf("%s gets no password: %v", p.Username, err)
			}
		}
	}
	c := map[string]*ldap.Conn{
		"worker": s.Conn(t, s.Worker), "portal": s.Conn(t, s.Portal), "reader": s.Conn(t, s.Reader),
		"person": s.Conn(t, s.Person("active1", "passord active1")),
	}
	anonymous, err := ldap.DialURL(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = anonymous.Close() })
	c["anonymous"] = anonymous
	return &shop{SlapdServer: s, conn: c, people: "ou=people," + s.Base}
}

func (s *shop) dn(username string) string { return "uid=" + username + "," + s.people }

func (s *shop) status(state string) string {
	return "urn:schac:userStatus:no:" + s.Realm + ":account:" + state
}

// see is what a role sees of people, attribute by attribute.
func (s *shop) see(role, filter string, attributes ...string) map[string]*ldap.Entry {
	r, err := s.conn[role].Search(ldap.NewSearchRequest(s.people, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases,
		0, 0, false, filter, append(attributes, "*", "+"), nil))
	found := map[string]*ldap.Entry{}
	if err != nil {
		return found
	}
	for _, e := range r.Entries {
		if e.DN != s.people {
			found[strings.TrimSuffix(strings.TrimPrefix(e.DN, "uid="), ","+s.people)] = e
		}
	}
	return found
}

func TestOthersSeeOnlyActivePeopleWhoMayBePublished(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	public := []string{
		"objectClass", "uid", "cn", "sn", "givenName", "displayName", "eduPersonPrincipalName", "eduPersonAffiliation",
		"preferredLanguage", "schacHomeOrganization", "schacUserStatus",
	}
	seen := s.see("reader", "(objectClass=*)")
	if len(seen) != 2 || seen["active1"] == nil || seen["active2"] == nil {
		t.Errorf("another service sees %d people: %v", len(seen), seen)
	}
	for username, e := range seen {
		for _, a := range e.Attributes {
			if !strings.Contains(" "+strings.Join(public, " ")+" ", " "+a.Name+" ") {
				t.Errorf("another service sees %s of %s", a.Name, username)
			}
		}
		if len(e.Attributes) != len(public) {
			t.Errorf("another service sees %d attributes of %s, %d are public", len(e.Attributes), username, len(public))
		}
	}
	for _, filter := range []string{ // what is not shown must not be told by a search either
		"(norEduPersonNIN=17912099991)", "(norEduPersonNIN=*)", "(norEduPersonLIN=*)", "(norEduPersonLegalName=*)", "(norEduPersonBirthDate=*)",
		"(userPassword=*)", "(matriculaId=*)", "(matriculaNumber=*)", "(matriculaInvitation=*)", "(matriculaInvitationId=*)", "(matriculaUnsent=*)", "(matriculaAddress=*)",
		"(matriculaHandle=src.active1)", "(matriculaPasswordKept=*)", "(schacUserStatus=" + s.status("pending") + ")", "(uid=pending1)",
		"(uid=protected1)", "(&(uid=active1)(matriculaMobile=+4790000000))",
	} {
		if seen := s.see("reader", filter); len(seen) != 0 {
			t.Errorf("another service finds %d people by %s", len(seen), filter)
		}
	}
	for _, role := range []string{"person", "anonymous"} {
		if seen := s.see(role, "(objectClass=*)"); len(seen) != 0 {
			t.Errorf("%s sees %d people", role, len(seen))
		}
		if ok, err := s.conn[role].Compare(s.dn("active1"), "norEduPersonNIN", "17912099991"); err == nil {
			t.Errorf("%s compares a number: %v", role, ok)
		}
	}
}

func TestWorkerAndPortalSeeWhatTheyNeed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, role := range []string{"worker", "portal"} {
		seen := s.see(role, "(objectClass=*)")
		if len(seen) != 8 {
			t.Errorf("the %s sees %d of 8 people", role, len(seen))
		}
		for username, e := range seen {
			if e.GetAttributeValue("userPassword") != "" {
				t.Errorf("the %s reads the password of %s", role, username)
			}
			if kept := e.GetAttributeValue("matriculaPasswordKept") != ""; kept != (role == "portal" && username != "pending1") {
				t.Errorf("the %s reading the kept hash of %s is %t", role, username, kept)
			}
			if e.GetAttributeValue("matriculaNumber") == "" || e.GetAttributeValue("norEduPersonNIN") == "" {
				t.Errorf("the %s does not read the numbers of %s", role, username)
			}
		}
	}
}

// modify is one change as a row of a table.
func (s *shop) modify(username string, f func(*ldap.ModifyRequest)) func(*ldap.Conn) error {
	m := ldap.NewModifyRequest(s.dn(username), nil)
	f(m)
	return func(c *ldap.Conn) error { return c.Modify(m) }
}

func (s *shop) replace(username, attribute string, values ...string) func(*ldap.Conn) error {
	return s.modify(username, func(m *ldap.ModifyRequest) { m.Replace(attribute, values) })
}

func (s *shop) add(username, attribute string, values ...string) func(*ldap.Conn) error {
	return s.modify(username, func(m *ldap.ModifyRequest) { m.Add(attribute, values) })
}

func (s *shop) remove(username, attribute string, values ...string) func(*ldap.Conn) error {
	return s.modify(username, func(m *ldap.ModifyRequest) { m.Delete(attribute, values) })
}

func (s *shop) move(username, from, to string) func(*ldap.Conn) error {
	return s.modify(username, func(m *ldap.ModifyRequest) {
		m.Delete("schacUserStatus", []string{s.status(from)})
		m.Add("schacUserStatus", []string{s.status(to)})
	})
}

func (s *shop) create(username string, more ...string) func(*ldap.Conn) error {
	r := ldap.NewAddRequest(s.dn(username), nil)
	r.Attribute("objectClass", []string{"inetOrgPerson", "eduPerson", "norEduPerson", "schacContactLocation", "schacUserEntitlements", "matriculaAccount"})
	for _, pair := range append([]string{
		"uid", username, "cn", "x", "sn", "x", "matriculaId", "id-" + username, "matriculaRevision", "1",
		"schacUserStatus", s.status("pending"),
	}, more...) {
		if n := len(r.Attributes); n > 0 && len(r.Attributes[n-1].Vals) == 0 {
			r.Attributes[n-1].Vals = []string{pair}
		} else {
			r.Attributes = append(r.Attributes, ldap.Attribute{Type: pair})
		}
	}
	return func(c *ldap.Conn) error { return c.Add(r) }
}

func TestEveryForbiddenActionIsRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	del := func(username string) func(*ldap.Conn) error {
		return func(c *ldap.Conn) error { return c.Del(ldap.NewDelRequest(s.dn(username), nil)) }
	}
	rename := func(c *ldap.Conn) error {
		return c.ModifyDN(ldap.NewModifyDNRequest(s.dn("active1"), "uid=other1", true, ""))
	}
	exop := func(username string) func(*ldap.Conn) error {
		return func(c *ldap.Conn) error {
			_, err := c.PasswordModify(ldap.NewPasswordModifyRequest(s.dn(username), "", "et annet passord"))
			return err
		}
	}
	policy := func(c *ldap.Conn) error {
		m := ldap.NewModifyRequest("cn=default,ou=policies,"+s.Base, nil)
		m.Replace("pwdMaxFailure", []string{"0"})
		return c.Modify(m)
	}
	service := func(c *ldap.Conn) error {
		m := ldap.NewModifyRequest(s.Worker.DN, nil)
		m.Replace("userPassword", []string{someHash})
		return c.Modify(m)
	}
	everybody := map[string]func(*ldap.Conn) error{
		"deletes a person": del("active1"), "renames a person": rename, "changes the password policy": policy,
		"sets a service's password": service, "sets a password by extended operation": exop("active1"),
		"locks by hand":                    s.replace("active1", "pwdAccountLockedTime", "000001010000Z"),
		"leaves the password policy":       s.add("active1", "pwdPolicySubentry", "cn=services,ou=policies,"+s.Base),
		"unlocks by hand":                  s.replace("active1", "pwdAccountLockedTime"),
		"moves to a made-up state":         s.move("active1", "active", "asleep"),
		"has two states":                   s.add("active1", "schacUserStatus", s.status("closed")),
		"sets a clear password":            s.replace("active1", "userPassword", "et annet passord"),
		"creates somebody with a password": s.create("new1", "userPassword", someHash),
		"creates a kept hash":              s.create("new2", "matriculaPasswordKept", "{}"),
		"creates an organisational unit": func(c *ldap.Conn) error {
			r := ldap.NewAddRequest("ou=other,"+s.Base, nil)
			r.Attribute("objectClass", []string{"organizationalUnit"})
			r.Attribute("ou", []string{"other"})
			return c.Add(r)
		},
	}
	refused := map[string]map[string]func(*ldap.Conn) error{
		"worker": {
			"sets a password":                  s.replace("active1", "userPassword", someHash),
			"adds a password":                  s.add("pending1", "userPassword", someHash),
			"forges a kept hash":               s.add("active1", "matriculaPasswordKept", "{}"),
			"forges accepted rules":            s.replace("active1", "matriculaRules", "{}"),
			"changes the id to another's":      s.replace("active1", "matriculaId", "id-active2"),
			"gives a handle twice":             s.add("active1", "matriculaHandle", "src.active2"),
			"writes a wrong number":            s.replace("active1", "norEduPersonNIN", "1791209999X"),
			"writes an affiliation of its own": s.add("active1", "eduPersonAffiliation", "rector"),
		},
		"portal": {
			"creates a person":         s.create("new3"),
			"writes a number":          s.add("active1", "matriculaNumber", "{}"),
			"writes a national number": s.replace("active1", "norEduPersonNIN", "17912099999"),
			"writes a role":            s.add("active1", "matriculaRole", "{}"),
			"writes a name":            s.replace("active1", "cn", "Another"),
			"writes an address":        s.replace("active1", "matriculaAddress", "other@example.org"),
			"writes a handle":          s.add("active1", "matriculaHandle", "src.other"),
			"writes a mark":            s.add("active1", "matriculaMark", "{}"),
			"ends a role":              s.add("active1", "matriculaEnding", "{}"),
			"writes a told profile":    s.add("active1", "matriculaTold", "{}"),
			"gives an order":           s.add("active1", "matriculaOrder", "{}"),
			"merges an account":        s.replace("active1", "matriculaMerged", "id-active2"),
			"opens a window":           s.replace("active1", "matriculaOpenUntil", "20300101000000Z"),
			"makes an invitation":      s.add("active1", "matriculaInvitation", "forged;reset;x;y"),
			"replaces invitations":     s.replace("active1", "matriculaInvitation", "forged;reset;x;y"),
			"names an invitation":      s.add("active1", "matriculaInvitationId", "forged"),
			"removes a fact":           s.replace("active1", "matriculaUnsent"),
			"raises a closed account":  s.move("closed1", "closed", "active"),
			"closes an account":        s.move("active1", "active", "closed"),
			"changes an id":            s.replace("active1", "matriculaId", "other"),
			"lifts a protection":       s.replace("protected1", "matriculaProtection"),
		},
		"reader": {}, "person": {}, "anonymous": {},
	}
	for _, own := range refused {
		if len(own) == 0 { // these may not do anything at all
			for what, f := range refused["worker"] {
				own[what+" (worker's)"] = f
			}
			for what, f := range refused["portal"] {
				own[what+" (portal's)"] = f
			}
			own["spends an invitation"] = s.replace("active1", "matriculaInvitation")
			own["moves a state"] = s.move("active1", "active", "suspended")
			own["deletes a password"] = s.replace("active1", "userPassword")
		}
	}
	before := s.lines()
	for role, own := range refused {
		for _, actions := range []map[string]func(*ldap.Conn) error{everybody, own} {
			for what, f := range actions {
				if err := f(s.conn[role]); err == nil {
					t.Errorf("the %s %s, and the directory lets it", role, what)
				}
			}
		}
	}
	after := s.lines()
	for _, line := range slices.Concat(before, after) {
		if !slices.Contains(before, line) || !slices.Contains(after, line) {
			t.Errorf("after the refused actions this has come or gone: %s", line)
		}
	}
	if _, err := s.Whoami(s.Person("active1", "passord active1")); err != nil {
		t.Errorf("after all this a person cannot bind: %v", err)
	}
}

// lines are everything the portal sees of people, value by value.
func (s *shop) lines() (lines []string) {
	for username, e := range s.see("portal", "(objectClass=*)") {
		for _, a := range e.Attributes {
			for _, v := range a.Values {
				lines = append(lines, username+": "+a.Name+": "+v)
			}
		}
	}
	return lines
}

// A refusal must not tell whether the number that was tried is somebody's.
func TestARefusalTellsNothingAboutNumbers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, role := range []string{"reader", "person", "portal", "anonymous"} {
		for _, attribute := range []string{"norEduPersonNIN", "norEduPersonLIN", "eduPersonPrincipalName", "matriculaNumber"} {
			theirs := s.see("portal", "(uid=pending1)")["pending1"].GetAttributeValue(attribute)
			somebodys := s.replace("active1", attribute, theirs)(s.conn[role])
			nobodys := s.replace("active1", attribute, strings.Replace(theirs, "0", "5", 1))(s.conn[role])
			if fmt.Sprint(somebodys) != fmt.Sprint(nobodys) {
				t.Errorf("the %s who tries a %s gets %v when it is somebody's, else %v", role, attribute, somebodys, nobodys)
			}
		}
	}
}

func TestEveryRoleCanDoItsWork(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, row := range []struct {
		role, what string
		do         func(*ldap.Conn) error
	}{
		{"worker", "creates a person", s.create("new1")},
		{"worker", "deletes a password", s.replace("active1", "userPassword")},
		{"worker", "suspends", s.move("active1", "active", "suspended")},
		{"worker", "closes", s.move("suspended1", "suspended", "closed")},
		{"worker", "invites", s.add("pending1", "matriculaInvitation", "abc;activate;x;y")},
		{"worker", "removes a fact", s.replace("active1", "matriculaUnsent")},
		{"worker", "writes a number", s.replace("active1", "norEduPersonNIN", "17912099909")},
		{"portal", "sets a password", s.replace("pending1", "userPassword", someHash)},
		{"portal", "activates", s.move("pending1", "pending", "active")},
		{"portal", "spends an invitation", s.remove("pending1", "matriculaInvitation", "abc;activate;x;y")},
		{"portal", "leaves a fact", s.add("pending1", "matriculaUnsent", `{"what":"pin.set"}`)},
		{"portal", "publishes an affiliation", s.add("pending1", "eduPersonAffiliation", "member")},
	} {
		if err := row.do(s.conn[row.role]); err != nil {
			t.Errorf("the %s %s, and is refused: %v", row.role, row.what, err)
		}
	}
}

func TestOnlyActivePeopleBind(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, username := range []string{"active1", "active2", "protected1", "reserved1"} {
		if who, err := s.Whoami(s.Person(username, "passord "+username)); err != nil || who != s.dn(username) {
			t.Errorf("%s binds as %q, error %v", username, who, err)
		}
	}
	for _, username := range []string{"pending1", "suspended1", "closed1", "nobody1"} {
		for _, password := range []string{"passord " + username, "", "{ARGON2}", someHash} {
			if who, err := s.Whoami(s.Person(username, password)); err == nil {
				t.Errorf("%s binds with %q as %q", username, password, who)
			}
		}
	}
	if _, err := directory.Open(t.Context(), config(s.SlapdServer, s.Person("active1", "passord active1"))); err == nil {
		t.Error("a person opens the directory as if it were a service")
	}
}
