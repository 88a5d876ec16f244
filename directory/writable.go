package directory

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
)

// ErrNotTried means that the access rules let this service account try no
// write, so that nobody knows whether one would be taken.
var ErrNotTried = errors.New("the access rules let this service account try no write")

// trialSize is what a trial adds for a moment. A server whose disk or map is
// full goes on taking small changes, in the pages that the changes before have
// freed; eight pages in a row it no longer has.
const trialSize = 32 << 10

// Writable answers nil when the directory takes writes. It adds a value to the
// entry that all people are below and takes it away again; several at once do
// no harm, and what one that was killed left the next one removes.
//
// Errors: ErrNotTried, account.ErrUnavailable.
func (d *Directory) Writable(ctx context.Context) error {
	value := []string{strings.Repeat("trial ", trialSize/6)}
	add, remove := ldap.NewModifyRequest(d.layout.people(), nil), ldap.NewModifyRequest(d.layout.people(), nil)
	add.Add("description", value)
	remove.Delete("description", value)
	for _, step := range []struct {
		request *ldap.ModifyRequest
		fine    int // another one was quicker
	}{{add, ldap.LDAPResultAttributeOrValueExists}, {remove, ldap.LDAPResultNoSuchAttribute}} {
		_, err := d.tell(ctx, func(c *ldap.Conn) error { return c.Modify(step.request) })
		switch code := answered(err); {
		case err == nil || code == step.fine:
		case code == ldap.LDAPResultInsufficientAccessRights:
			return ErrNotTried
		case code >= 0:
			return fmt.Errorf("ldap trial: %w: %s", account.ErrUnavailable, described(err))
		default:
			return translate("trial", err)
		}
	}
	return nil
}
