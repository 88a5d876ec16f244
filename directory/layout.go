package directory

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
)

// Attributes that code names more than once.
const (
	userPassword = "userPassword"
	userStatus   = "schacUserStatus"
	revision     = "matriculaRevision"
	accountID    = "matriculaId"
	invitation   = "matriculaInvitation"
	invitationID = "matriculaInvitationId"
	unsent       = "matriculaUnsent"
	turn         = "matriculaTurn"
	passwordKept = "matriculaPasswordKept"
)

// How an attribute is written.
const (
	fixed   = iota // with the entry, never after
	guard          // by deleting what was read and adding what is to be
	single         // by replacing its value
	many           // value by value
	pointer        // by adding what is new: what points to nothing any more misleads nobody
)

// attributes is what an account is made of in the directory, in the order in
// which a request names them: what decides a race comes first.
var attributes = []struct {
	name  string
	write int
}{
	{"objectClass", fixed}, {"uid", fixed}, {accountID, fixed}, {"eduPersonPrincipalName", fixed}, {"schacHomeOrganization", fixed},
	{revision, guard}, {userStatus, guard},
	{invitation, many}, {invitationID, pointer},
	{"cn", single}, {"sn", single}, {"givenName", single}, {"displayName", single}, {"norEduPersonLegalName", single},
	{"matriculaNameForm", many},
	{"preferredLanguage", single}, {"norEduPersonBirthDate", single}, {"norEduPersonNIN", single}, {"norEduPersonLIN", many},
	{"eduPersonAffiliation", many},
	{"matriculaOrigin", single}, {"matriculaWhy", single},
	{"matriculaAddress", single}, {"matriculaMobile", single}, {"matriculaProtection", single}, {"matriculaReserved", single},
	{"matriculaNumber", many}, {"matriculaRole", many}, {"matriculaHandle", many}, {"matriculaMark", many},
	{"matriculaTold", many}, {"matriculaEnding", many}, {"matriculaOrder", many},
	{unsent, many}, {"matriculaRules", single},
	{"matriculaPasswordSince", single}, {"matriculaSessionsFrom", single}, {"matriculaOpenUntil", single},
	{"matriculaPasswordLost", single}, {turn, single}, {"matriculaLeaving", single},
	{"matriculaMerged", single}, {"matriculaErased", single}, {"matriculaAdopted", single},
}

var classes = []string{
	"inetOrgPerson", "eduPerson", "norEduPerson", "schacContactLocation", "schacUserEntitlements", "matriculaAccount",
}

// order is the attributes' names, wanted what is asked for: nothing that an
// account isn't made of ever leaves the server.
var order, wanted = names()

func names() (order, wanted []string) {
	for _, a := range attributes {
		order = append(order, a.name)
		if a.name != "objectClass" {
			wanted = append(wanted, a.name)
		}
	}
	return order, wanted
}

// layout is where things are in one institution's directory.
type layout struct{ base, realm string }

func (l layout) people() string { return "ou=people," + l.base }

func (l layout) dn(username string) string {
	return "uid=" + ldap.EscapeDN(username) + "," + l.people()
}

func (l layout) statusPrefix() string {
	return "urn:schac:userStatus:no:" + l.realm + ":account:"
}

func (l layout) lin(r account.Role) string { return l.realm + ":" + lin(r) }

func lin(r account.Role) string { return r.Kind + ":" + r.Key }

// byOldInvitation finds an invitation that a version wrote which knew no
// matriculaInvitationId.
const byOldInvitation = "old invitation"

// lookup is the search that finds a key, by an index of its own.
func (l layout) lookup(k account.Key) (base string, scope int, filter string, err error) {
	value := ldap.EscapeFilter(k.Value)
	base, scope = l.people(), ldap.ScopeWholeSubtree
	switch k.Kind {
	case account.ByUsername:
		return l.dn(k.Value), ldap.ScopeBaseObject, "(objectClass=matriculaAccount)", nil
	case account.ByID:
		filter = "(" + accountID + "=" + value + ")"
	case account.ByInvitation:
		filter = "(" + invitationID + "=" + value + ")"
	case byOldInvitation:
		filter = "(&(" + invitation + "=" + value + ";*)(!(" + invitationID + "=*)))"
	case account.ByHandle:
		filter = "(matriculaHandle=" + value + ")"
	case account.ByLIN:
		// Entries from before us have such numbers, too.
		filter = "(&(objectClass=matriculaAccount)(norEduPersonLIN=" + ldap.EscapeFilter(l.realm+":"+k.Value) + "))"
	default:
		return "", 0, "", fmt.Errorf("ldap: %w: no key of kind %q", account.ErrInvalid, k.Kind)
	}
	return base, scope, filter, nil
}

// matching is the filter of a query.
func (l layout) matching(q account.Query) string {
	filter := "(objectClass=matriculaAccount)"
	if q.Unsent { // first, for its index is the smallest
		filter = "(" + unsent + "=*)" + filter
	}
	if !q.Due.IsZero() {
		filter = "(" + turn + "<=" + packTime(q.Due) + ")" + filter
	}
	if q.State != "" {
		filter += "(" + userStatus + "=" + ldap.EscapeFilter(l.statusPrefix()+string(q.State)) + ")"
	}
	return "(&" + filter + ")"
}

// Possible tells whether any account could have this value as a key: what comes
// from outside may be anything.
func Possible(value string) bool {
	return value != "" && len(value) <= 1024 && utf8.ValidString(value) &&
		!strings.ContainsFunc(value, unicode.IsControl)
}

// Has tells whether a is what k names. Usernames are compared without regard
// to case, everything else exactly.
func Has(a account.Account, k account.Key) bool {
	switch k.Kind {
	case account.ByID:
		return a.ID == k.Value
	case account.ByUsername:
		return strings.EqualFold(a.Username, k.Value)
	case account.ByInvitation, byOldInvitation:
		_, ok := a.Invitation(k.Value)
		return ok
	case account.ByHandle:
		return slices.ContainsFunc(a.Handles, func(h string) bool { return h == k.Value })
	case account.ByLIN:
		return slices.ContainsFunc(a.Roles, func(r account.Role) bool { return r.Key != "" && lin(r) == k.Value })
	}
	return false
}
