package directory

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
)

// values are the attributes of an entry; one without values is not there.
type values map[string][]string

func (v values) set(name string, vs ...string) {
	for _, s := range vs {
		if s != "" && !slices.Contains(v[name], s) { // an empty value is refused, and so is one twice
			v[name] = append(v[name], s)
		}
	}
}

// same tells whether the entry holds exactly these values.
func (v values) same(e *ldap.Entry) bool {
	for _, name := range wanted {
		if !sameSet(v[name], e.GetEqualFoldAttributeValues(name)) {
			return false
		}
	}
	return true
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func invalid(field string) error { return fmt.Errorf("%w: %s", account.ErrInvalid, field) }

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

// encode turns an account into attributes. It refuses what the directory could
// not give back the same.
func (l layout) encode(a account.Account) (values, error) {
	a = Canonical(a)
	if a.ID == "" || a.Username == "" {
		return nil, invalid("id or username is empty")
	}
	if !slices.Contains(states, a.State) {
		return nil, invalid("state")
	}
	v := values{}
	v.set("objectClass", classes...)
	v.set("uid", a.Username)
	v.set(accountID, a.ID)
	v.set("eduPersonPrincipalName", strings.ToLower(a.Username)+"@"+l.realm)
	v.set("schacHomeOrganization", l.realm)
	v.set(revision, decimal(a.Revision))
	v.set(userStatus, l.statusPrefix()+string(a.State))
	v.name(a)
	if err := v.birthDate(a.BirthDate); err != nil {
		return nil, err
	}
	v.set("preferredLanguage", a.Language)
	v.set("matriculaOrigin", a.Origin)
	v.set("matriculaAddress", a.Address)
	v.set("matriculaMobile", a.Mobile)
	v.set("matriculaProtection", a.Protection)
	if a.Reserved {
		v.set("matriculaReserved", "TRUE")
	}
	v.set("eduPersonAffiliation", a.Affiliations...)
	v.set("matriculaHandle", a.Handles...)
	l.lists(v, a)
	v.turns(a)
	if err := v.secrets(a); err != nil {
		return nil, err
	}
	return v, v.valid()
}

var states = []account.State{account.Pending, account.Active, account.Suspended, account.Closed}

// name fills the attributes that everybody reads. sn must be there: who has no
// family name gets the given one, and the form says that it is none.
func (v values) name(a account.Account) {
	n := a.Name
	legal := account.Name{Given: n.Given, Family: n.Family}.Full()
	family := n.Family
	if family == "" {
		family = first(n.Given, n.Preferred, a.Username)
		v.set("matriculaNameForm", "mononym")
	}
	if n.Preferred != "" {
		v.set("matriculaNameForm", "preferred")
	}
	v.set("cn", first(legal, n.Preferred, a.Username))
	v.set("sn", family)
	v.set("givenName", n.Given)
	v.set("displayName", first(n.Full(), a.Username))
	v.set("norEduPersonLegalName", legal)
}

func first(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}

// birthDate is an integer in the directory, which has no leading zeros.
func (v values) birthDate(date string) error {
	if date == "" {
		return nil
	}
	t, err := time.Parse(time.DateOnly, date)
	if err != nil || t.Year() < 1000 {
		return invalid("birth date")
	}
	v.set("norEduPersonBirthDate", t.Format("20060102"))
	return nil
}

// lists are what an account has several of. Of the numbers only the one in
// force is public to those who may see numbers, and a temporary one never.
func (l layout) lists(v values, a account.Account) {
	if n, ok := a.Current(); ok && (n.Type == "fnr" || n.Type == "dnr") {
		v.set("norEduPersonNIN", n.Value)
	}
	for _, n := range a.Numbers {
		v.set("matriculaNumber", pack(number(n)))
	}
	for _, r := range a.Roles {
		v.set("matriculaRole", pack(role(r)))
		if r.Key != "" {
			v.set("norEduPersonLIN", l.lin(r))
		}
	}
	for _, m := range a.Marks {
		v.set("matriculaMark", pack(mark(m)))
	}
	for _, t := range a.Told {
		v.set("matriculaTold", packTold(t))
	}
	for _, e := range a.Endings {
		v.set("matriculaEnding", pack(ending(e)))
	}
	for _, o := range a.Orders {
		v.set("matriculaOrder", pack(ordered(o)))
	}
	for _, f := range a.Unsent {
		v.set(unsent, pack(f))
	}
}

// turns are what time does to an account, and what became of it.
func (v values) turns(a account.Account) {
	v.set("matriculaPasswordLost", a.PasswordLost)
	v.set(turn, packTime(a.Turn))
	v.set("matriculaLeaving", a.Leaving)
	v.set("matriculaMerged", a.Merged)
	v.set("matriculaErased", packTime(a.Erased))
	v.set("matriculaAdopted", packTime(a.Adopted))
}

// secrets are what a click is about.
func (v values) secrets(a account.Account) error {
	if w := (why(a.Why)); w != (why{}) {
		v.set("matriculaWhy", pack(w))
	}
	if r := (rules(a.Rules)); r != (rules{}) {
		v.set("matriculaRules", pack(r))
	}
	v.set("matriculaPasswordSince", packTime(a.PasswordSince))
	v.set("matriculaSessionsFrom", packTime(a.SessionsFrom))
	v.set("matriculaOpenUntil", packTime(a.OpenUntil))
	for _, i := range a.Invitations {
		s, err := packInvitation(i)
		if err != nil {
			return err
		}
		v.set(invitation, s)
		v.set(invitationID, i.ID)
	}
	return nil
}

// valid refuses what is not UTF-8 before it can be mangled on the way.
func (v values) valid() error {
	for name, vs := range v {
		for _, s := range vs {
			if !utf8.ValidString(s) {
				return invalid(name + " is not UTF-8")
			}
		}
	}
	return nil
}

// Valid tells whether a can be stored: what is refused in one directory is
// refused in every one.
func Valid(a account.Account) error {
	_, err := layout{realm: "valid"}.encode(a)
	return err
}
