package directory

import (
	"context"
	"fmt"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
)

// Find reads one account. Where a key fits several entries none of them is the
// answer.
func (d *Directory) Find(ctx context.Context, k account.Key) (account.Account, error) {
	if !Possible(k.Value) {
		return account.Account{}, account.ErrNotFound
	}
	a, err := d.find(ctx, k)
	if k.Kind != account.ByInvitation || err != account.ErrNotFound { //nolint:errorlint // not one that is spent
		return a, err
	}
	return d.oldInvitation(ctx, k.Value)
}

func (d *Directory) find(ctx context.Context, k account.Key) (account.Account, error) {
	base, scope, filter, err := d.layout.lookup(k)
	if err != nil {
		return account.Account{}, err
	}
	var found []*ldap.Entry
	err = d.ask(ctx, func(c *ldap.Conn) error {
		r, err := c.Search(ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 2, 0, false, filter, wanted, nil))
		if r != nil {
			found = r.Entries
		}
		return err
	})
	switch code := answered(err); {
	case code == ldap.LDAPResultNoSuchObject && scope == ldap.ScopeBaseObject:
		return account.Account{}, account.ErrNotFound
	case code == ldap.LDAPResultSizeLimitExceeded && len(found) > 1:
	case code == ldap.LDAPResultSizeLimitExceeded: // by a limit of the server's own: it found more than it says
		return account.Account{}, fmt.Errorf("ldap search: %w: %s", account.ErrUnavailable, described(err))
	case err != nil:
		return account.Account{}, translate("search", err)
	}
	if len(found) > 1 {
		return account.Account{}, fmt.Errorf("ldap: %s names more than one entry", k.Kind)
	}
	if len(found) == 0 {
		return account.Account{}, account.ErrNotFound
	}
	a, err := d.layout.decode(found[0])
	if err != nil {
		return account.Account{}, err
	}
	if !Has(a, k) { // the server compares more kindly than we do, and names what is spent
		return account.Account{}, fmt.Errorf("ldap: %w: not by this %s", account.ErrNotFound, k.Kind)
	}
	return a, nil
}

// oldInvitation looks for an invitation that a version wrote which knew no
// matriculaInvitationId. What is written today is named there for good, also
// when it is spent, so that nobody is led here who holds a link of today. It
// has no index: one look at a time.
func (d *Directory) oldInvitation(ctx context.Context, id string) (account.Account, error) {
	select {
	case d.old <- struct{}{}:
		defer func() { <-d.old }()
	case <-ctx.Done():
		return account.Account{}, translate("search", ctx.Err())
	}
	return d.find(ctx, account.Key{Kind: byOldInvitation, Value: id})
}
