package directory_test

import (
	"errors"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
)

// code is the server's answer in a number, 0 for done.
func code(err error) uint16 {
	var e *ldap.Error
	if errors.As(err, &e) {
		return e.ResultCode
	}
	return 0
}

func TestProtectedPeopleAreToOthersLikePeopleWhoAreNotThere(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	strict := account.Account{
		ID: "id-strict1", Username: "strict1", State: account.Active, Protection: "strictly_confidential",
		Name: account.Name{Given: "Kari", Family: "Nordmann"}, Handles: []string{"src.strict1"},
	}
	if err := open(t, config(s.SlapdServer, s.Worker)).Create(t.Context(), strict); err != nil {
		t.Fatal(err)
	}
	const nobody = "nobody1"
	for _, role := range []string{"reader", "person", "anonymous"} {
		c := s.conn[role]
		base := func(username string) (int, uint16) {
			r, err := c.Search(ldap.NewSearchRequest(s.dn(username), ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", nil, nil))
			if r == nil {
				return 0, code(err)
			}
			return len(r.Entries), code(err)
		}
		compared := func(username, attribute, value string) uint16 {
			_, err := c.Compare(s.dn(username), attribute, value)
			return code(err)
		}
		for _, hidden := range []string{"protected1", "strict1", "protected2", "reserved1"} {
			n, got := base(hidden)
			if _, want := base(nobody); n != 0 || got != want {
				t.Errorf("%s asks for %s and hears %d, with %d entries; of nobody it hears %d", role, hidden, got, n, want)
			}
			for attribute, value := range map[string]string{"uid": hidden, "displayName": "Kari Nordmann", "schacUserStatus": s.status("active")} {
				if got, want := compared(hidden, attribute, value), compared(nobody, attribute, value); got != want {
					t.Errorf("%s compares the %s of %s and hears %d; of nobody it hears %d", role, attribute, hidden, got, want)
				}
			}
			for _, filter := range []string{"(uid=" + hidden + ")", "(eduPersonPrincipalName=" + hidden + "@" + s.Realm + ")", "(displayName=Kari*)", "(sn=Nordmann)", "(!(uid=x))"} {
				if seen := s.see(role, filter); seen[hidden] != nil {
					t.Errorf("%s finds %s by %s", role, hidden, filter)
				}
			}
		}
		if seen := s.see(role, "(displayName=Kari*)"); (len(seen) == 2) != (role == "reader") {
			t.Errorf("%s finds %d people by their name: the search would prove nothing", role, len(seen))
		}
	}
}
