// Package directory keeps accounts in LDAP. Every write is one request that the
// server refuses as a whole when the account is no longer what the caller read;
// an answer that got lost on the way is found out before it is passed on. Here,
// too, passwords are hashed, in this process and never more at a time than
// there are cores. It must not know when an account may change, what follows
// from it, or any broker, letter or page.
package directory

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
)

// Directory is account.Directory and account.Passwords over LDAP, as the
// service account it was opened with: the server lets the worker create people
// and the portal set passwords, and neither do the other's work.
//
// Slices come back sorted, times in UTC. The revision of an account counts from
// 1 and grows by one with every write.
type Directory struct {
	layout layout
	dialer *dialer
	conns  *conns
	hasher *Hasher
	binds  slots
	writes chan struct{} // one in it for each write that the server has
	old    chan struct{} // one in it while an old invitation is looked for
}

var (
	_ account.Directory = (*Directory)(nil)
	_ account.Passwords = (*Directory)(nil)
)

// Open connects and sees that the people are there.
//
// Errors: account.ErrInvalid for a configuration that cannot work,
// account.ErrUnavailable.
func Open(ctx context.Context, c Config) (*Directory, error) {
	d, err := newDialer(c)
	if err != nil {
		return nil, err
	}
	dir := &Directory{
		layout: layout{base: c.Base, realm: c.Realm},
		dialer: d,
		conns:  newConns(d),
		hasher: NewHasher(c.Argon2, c.Hashers),
		binds:  newSlots(c.Hashers),
		writes: make(chan struct{}, writesAtOnce),
		old:    make(chan struct{}, 1),
	}
	if err := dir.Ping(ctx); err != nil {
		dir.Close()
		return nil, err
	}
	return dir, nil
}

// Close closes the connections.
func (d *Directory) Close() { d.conns.close() }

// Ping answers nil when the directory answers and shows where the people are.
func (d *Directory) Ping(ctx context.Context) error {
	err := d.ask(ctx, func(c *ldap.Conn) error {
		_, err := c.Search(ldap.NewSearchRequest(d.layout.people(), ldap.ScopeBaseObject, ldap.NeverDerefAliases,
			1, 0, false, "(objectClass=*)", []string{"1.1"}, nil))
		return err
	})
	if answered(err) == ldap.LDAPResultNoSuchObject {
		return fmt.Errorf("ldap: %w: %s is not there or not to be seen by this service account", account.ErrUnavailable, d.layout.people())
	}
	return translate("ping", err)
}

// Create writes the entry of a.Username.
func (d *Directory) Create(ctx context.Context, a account.Account) error {
	a.Revision = 1
	values, err := d.layout.encode(a)
	if err != nil {
		return err
	}
	dn := d.layout.dn(a.Username)
	req := ldap.NewAddRequest(dn, nil)
	for _, name := range order {
		if len(values[name]) > 0 {
			req.Attribute(name, values[name])
		}
	}
	again, err := d.write(ctx, func(c *ldap.Conn) error { return c.Add(req) })
	if answered(err) != ldap.LDAPResultEntryAlreadyExists {
		return translate("add", err)
	}
	e, err := d.read(ctx, dn, wanted)
	switch {
	case errors.Is(err, account.ErrNotFound): // a server in trouble, or it has just gone
		return fmt.Errorf("ldap add: %w: the entry is said to exist and not to", account.ErrUnavailable)
	case err != nil:
		return err
	case again && values.same(e): // the first try was done although its answer got lost
		return nil
	}
	return account.ErrTaken
}

// Update writes what differs between was and now.
func (d *Directory) Update(ctx context.Context, was, now account.Account) error {
	changes, err := d.layout.changes(was, now)
	if err != nil {
		return err
	}
	if now.PasswordGone {
		changes = append(changes, change{name: userPassword, replace: true})
	}
	if !now.Erased.IsZero() && was.Erased.IsZero() {
		changes = append(changes, change{name: passwordKept, replace: true}, change{name: invitationID, replace: true})
		if err := d.strip(ctx, was); err != nil {
			return err
		}
	}
	return d.modify(ctx, was, changes, nil)
}

// modify sends the changes and says what became of them. proof, where given,
// tells from the entry whether it was this very request that changed it.
func (d *Directory) modify(ctx context.Context, was account.Account, changes changes, proof func(*ldap.Entry) bool) error {
	dn := d.layout.dn(was.Username)
	req := changes.request(dn)
	again, err := d.write(ctx, func(c *ldap.Conn) error { return c.Modify(req) })
	switch answered(err) {
	case ldap.LDAPResultNoSuchAttribute, ldap.LDAPResultConstraintViolation, ldap.LDAPResultAttributeOrValueExists:
	default:
		return translate("modify", err)
	}
	// A refusal names only the first thing that was wrong: the entry decides.
	attributes := wanted
	if proof == nil {
		proof = changes.done
	} else {
		attributes = append([]string{passwordKept}, wanted...)
	}
	e, readErr := d.read(ctx, dn, attributes)
	if readErr != nil {
		return readErr
	}
	if e.GetEqualFoldAttributeValue(revision) == decimal(was.Revision) {
		return translate("modify", err)
	}
	if again && proof(e) {
		return nil
	}
	return account.ErrStale
}

// read is the entry as it stands, or ErrNotFound.
func (d *Directory) read(ctx context.Context, dn string, attributes []string) (*ldap.Entry, error) {
	var found *ldap.Entry
	err := d.ask(ctx, func(c *ldap.Conn) error {
		r, err := c.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases,
			1, 0, false, "(objectClass=*)", attributes, nil))
		if err == nil && len(r.Entries) == 1 {
			found = r.Entries[0]
		}
		return err
	})
	if answered(err) == ldap.LDAPResultNoSuchObject || err == nil && found == nil {
		return nil, account.ErrNotFound
	}
	return found, translate("search", err)
}

// unsentAtOnce is how many entries with unsent facts, or whose turn it is, are
// asked for on a shared connection; more are read in pages.
const unsentAtOnce = 200

// Each calls f for every account that matches q. An entry that cannot be read
// as an account doesn't stop the others; the error names it at the end.
func (d *Directory) Each(ctx context.Context, q account.Query, f func(account.Account) bool) error {
	filter := d.layout.matching(q)
	if q.Unsent || !q.Due.IsZero() {
		var found []*ldap.Entry
		err := d.ask(ctx, func(c *ldap.Conn) error {
			r, err := c.Search(d.search(filter, unsentAtOnce))
			if err == nil {
				found = r.Entries
			}
			return err
		})
		if answered(err) != ldap.LDAPResultSizeLimitExceeded {
			if err != nil {
				return translate("search", err)
			}
			_, err = d.each(found, f)
			return err
		}
	}
	return d.pages(ctx, filter, f)
}

func (d *Directory) search(filter string, limit int) *ldap.SearchRequest {
	return ldap.NewSearchRequest(d.layout.people(), ldap.ScopeWholeSubtree, ldap.NeverDerefAliases,
		limit, 0, false, filter, wanted, nil)
}

func (d *Directory) each(found []*ldap.Entry, f func(account.Account) bool) (more bool, err error) {
	var bad []error
	for _, e := range found {
		a, err := d.layout.decode(e)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		if !f(a) {
			return false, nil
		}
	}
	return true, errors.Join(bad...)
}

// pages reads on a connection of its own: a reader that is slow, or f that
// asks the directory, would block a shared one.
func (d *Directory) pages(ctx context.Context, filter string, f func(account.Account) bool) error {
	c, err := d.dialer.service(ctx)
	if err != nil {
		return translate("connect", err)
	}
	defer func() { _ = c.Close() }()
	page := ldap.NewControlPaging(500)
	req := d.search(filter, 0)
	req.Controls = []ldap.Control{page}
	var bad []error
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r, err := c.Search(req)
		if err != nil {
			return translate("search", err)
		}
		more, err := d.each(r.Entries, f)
		bad = append(bad, err)
		answer, ok := ldap.FindControl(r.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if !more || !ok || len(answer.Cookie) == 0 {
			return errors.Join(bad...)
		}
		page.SetCookie(answer.Cookie)
	}
}
