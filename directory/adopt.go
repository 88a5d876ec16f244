package directory

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
)

// Attributes of entries that were there before us.
const (
	ppolicyLock  = "pwdAccountLockedTime"
	passwordTime = "pwdChangedTime"
	formerNames  = "eduPersonPrincipalNamePrior"
	principal    = "eduPersonPrincipalName"
	nin          = "norEduPersonNIN"
	linAttribute = "norEduPersonLIN"
	affiliation  = "eduPersonAffiliation"
)

// lockedForGood is what an administrator's lock says; any other time is the
// server's own, which passes.
const lockedForGood = "000001010000Z"

// strangers matches people who are no account of ours.
const strangers = "(&(|(objectClass=inetOrgPerson)(objectClass=norEduPerson))(!(objectClass=" + ourClass + ")))"

const ourClass = "matriculaAccount"

// looked is what an import asks for. The password is not: whether there is one
// is a question of its own, and no hash leaves the server.
func looked() []string {
	return append([]string{"objectClass", ppolicyLock, passwordTime, formerNames}, wanted...)
}

var _ account.Estate = (*Directory)(nil)

// Existing calls f for every person who is no account of ours. It is an error
// not to see a single password: a service account that may not look for them
// would take everybody for somebody who has none.
func (d *Directory) Existing(ctx context.Context, f func(account.Existing) bool) error {
	with := map[string]bool{}
	err := d.scan(ctx, "("+userPassword+"=*)", []string{"1.1"}, func(e *ldap.Entry) bool {
		with[e.DN] = true
		return true
	})
	if err != nil {
		return err
	}
	found := false
	err = d.scan(ctx, strangers, looked(), func(e *ldap.Entry) bool {
		x := d.layout.existing(e)
		x.HasPassword, found = with[e.DN], true
		return f(x)
	})
	if err == nil && found && len(with) == 0 {
		err = fmt.Errorf("ldap: %w: nobody has a password, or this service account may not see who has: it must be the administrator", account.ErrInvalid)
	}
	return err
}

// scan reads entries in pages, on a connection of its own.
func (d *Directory) scan(ctx context.Context, filter string, attributes []string, f func(*ldap.Entry) bool) error {
	c, err := d.dialer.service(ctx)
	if err != nil {
		return translate("connect", err)
	}
	defer func() { _ = c.Close() }()
	page := ldap.NewControlPaging(500)
	req := ldap.NewSearchRequest(d.layout.people(), ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false,
		filter, attributes, []ldap.Control{page})
	for ctx.Err() == nil {
		r, err := c.Search(req)
		if err != nil {
			return translate("search", err)
		}
		for _, e := range r.Entries {
			if !f(e) {
				return nil
			}
		}
		answer, ok := ldap.FindControl(r.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if !ok || len(answer.Cookie) == 0 {
			return nil
		}
		page.SetCookie(answer.Cookie)
	}
	return ctx.Err()
}

// existing is an entry as an import reads it.
func (l layout) existing(e *ldap.Entry) account.Existing {
	r := reader{entry: e}
	x := account.Existing{
		Name:         account.Name{Given: r.one("givenName"), Family: r.one("sn")},
		Language:     r.one("preferredLanguage"),
		NIN:          r.one(nin),
		Affiliations: r.all(affiliation),
		Locked:       r.one(ppolicyLock) == lockedForGood,
	}
	x.Username, x.Unfit = l.placed(e, &r)
	if shown := r.one("displayName"); shown != "" && shown != x.Name.Full() {
		x.Name.Preferred = shown
	}
	if x.BirthDate = r.birthDate(); r.err != nil {
		x.BirthDate = ""
		x.Unfit = first(x.Unfit, account.ConflictBirth)
	}
	for _, s := range r.all(linAttribute) {
		if n := len(l.realm) + 1; len(s) > n && strings.EqualFold(s[:n], l.realm+":") {
			x.LINs = append(x.LINs, s[n:])
		} else {
			x.OtherLINs = true
		}
	}
	for _, s := range slices.Concat(r.all(principal), r.all(formerNames)) {
		if local, ok := cutSuffixFold(s, "@"+l.realm); ok && !strings.EqualFold(local, x.Username) {
			x.Names = append(x.Names, local)
		}
	}
	switch own := l.statuses(&r); len(own) {
	case 0:
	case 1:
		x.Status = own[0][len(l.statusPrefix()):]
	default:
		x.Unfit = first(x.Unfit, account.ConflictStatus)
	}
	if t, err := unpackTime(r.one(passwordTime)); err == nil {
		x.PasswordSince = t
	}
	return x
}

// placed reads the username and sees that the entry stands where ours do.
func (l layout) placed(e *ldap.Entry, r *reader) (username, unfit string) {
	dn, err := ldap.ParseDN(e.DN)
	if err != nil || len(dn.RDNs) == 0 || len(dn.RDNs[0].Attributes) != 1 {
		return r.one("uid"), account.ConflictPlace
	}
	rdn := dn.RDNs[0].Attributes[0]
	people, err := ldap.ParseDN(l.people())
	if err != nil {
		return r.one("uid"), account.ConflictPlace
	}
	switch {
	case !strings.EqualFold(rdn.Type, "uid") || !(&ldap.DN{RDNs: dn.RDNs[1:]}).EqualFold(people):
		return r.one("uid"), account.ConflictPlace
	case len(r.all("uid")) != 1:
		return rdn.Value, account.ConflictNames
	case !slices.ContainsFunc(r.all("objectClass"), func(c string) bool { return strings.EqualFold(c, "inetOrgPerson") }):
		return rdn.Value, account.ConflictClass
	}
	return r.one("uid"), ""
}

func cutSuffixFold(s, suffix string) (string, bool) {
	if len(s) <= len(suffix) || !strings.EqualFold(s[len(s)-len(suffix):], suffix) {
		return s, false
	}
	return s[:len(s)-len(suffix)], true
}

// statuses are the values that are about the account, other systems' left out.
func (l layout) statuses(r *reader) (own []string) {
	for _, s := range r.all(userStatus) {
		if n := len(l.statusPrefix()); len(s) > n && strings.EqualFold(s[:n], l.statusPrefix()) {
			own = append(own, s)
		}
	}
	return own
}

// Adopt makes e the account a, in one Modify.
func (d *Directory) Adopt(ctx context.Context, e account.Existing, a account.Account) error {
	a.Revision = 1
	dn := d.layout.dn(e.Username)
	now, err := d.read(ctx, dn, looked())
	if err != nil {
		return err
	}
	if id := now.GetEqualFoldAttributeValue(accountID); id != "" {
		return ours(id, a.ID)
	}
	if !sameEntry(d.layout.existing(now), e) {
		return account.ErrStale
	}
	changes, err := d.layout.adoption(now, e, a)
	if err != nil {
		return err
	}
	req := changes.request(dn)
	_, err = d.tell(ctx, func(c *ldap.Conn) error { return c.Modify(req) })
	switch answered(err) {
	case ldap.LDAPResultNoSuchAttribute, ldap.LDAPResultAttributeOrValueExists, ldap.LDAPResultConstraintViolation:
	default:
		return translate("modify", err)
	}
	// Done before, without an answer; or by somebody else; or refused.
	found, readErr := d.read(ctx, dn, []string{accountID})
	if readErr != nil {
		return readErr
	}
	if id := found.GetEqualFoldAttributeValue(accountID); id != "" {
		return ours(id, a.ID)
	}
	return translate("modify", err)
}

func ours(found, id string) error {
	if found == id {
		return nil
	}
	return account.ErrTaken
}

// sameEntry compares what can be compared: whether there is a password is not
// asked again.
func sameEntry(x, y account.Existing) bool {
	x.HasPassword = y.HasPassword
	return reflect.DeepEqual(x, y)
}
