package directory

import (
	"context"
	"slices"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
)

// strip removes what an entry holds beside the account: attributes and classes
// that other systems put there. It comes before the erasure itself, so that one
// that is cut off begins again. What the service account may not remove stays:
// the administrator may remove everything.
func (d *Directory) strip(ctx context.Context, was account.Account) error {
	dn := d.layout.dn(was.Username)
	e, err := d.read(ctx, dn, []string{"*"})
	if err != nil {
		return err
	}
	var rest changes
	for _, a := range e.Attributes {
		switch {
		case a.Name == "objectClass" && !sameSet(a.Values, classes):
			rest = append(rest, change{name: a.Name, add: classes, replace: true})
		case !slices.Contains(order, a.Name) && a.Name != userPassword && a.Name != passwordKept:
			rest = append(rest, change{name: a.Name, replace: true})
		}
	}
	if len(rest) == 0 {
		return nil
	}
	if err := d.try(ctx, dn, rest); err == nil || !notAllowed(err) {
		return translate("modify", err)
	}
	for _, c := range rest {
		if err := d.try(ctx, dn, changes{c}); err != nil && !notAllowed(err) {
			return translate("modify", err)
		}
	}
	return nil
}

func (d *Directory) try(ctx context.Context, dn string, cs changes) error {
	req := cs.request(dn)
	_, err := d.tell(ctx, func(c *ldap.Conn) error { return c.Modify(req) })
	return err
}

// notAllowed: by the access rules, or because another class demands it.
func notAllowed(err error) bool {
	switch answered(err) {
	case ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultObjectClassViolation, ldap.LDAPResultObjectClassModsProhibited,
		ldap.LDAPResultConstraintViolation, ldap.LDAPResultNotAllowedOnRDN:
		return true
	}
	return false
}
