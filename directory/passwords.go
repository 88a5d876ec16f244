package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
)

// SetPassword is Update with the password in the same Modify. The hash is made
// before anything is written.
func (d *Directory) SetPassword(ctx context.Context, was, now account.Account, password string) error {
	if now.PasswordGone {
		return invalid("a password to set and to delete")
	}
	changes, err := d.layout.changes(was, now)
	if err != nil {
		return err
	}
	var kept []Kept
	if !was.PasswordSince.IsZero() { // who never had a password has none that is kept
		if kept, err = d.kept(ctx, was); err != nil {
			return err
		}
	}
	hash, keep, err := d.hasher.Renew(ctx, kept, was, now, password)
	if err != nil {
		return err
	}
	var texts []string
	for _, k := range keep {
		texts = append(texts, pack(k))
	}
	changes = append(changes,
		change{name: userPassword, add: []string{hash}, replace: true},
		change{name: passwordKept, add: texts, replace: true})
	// The salt makes the hash ours alone: where it is kept, we were the one.
	return d.modify(ctx, was, changes, func(e *ldap.Entry) bool {
		return slices.ContainsFunc(e.GetEqualFoldAttributeValues(passwordKept), func(s string) bool {
			k, err := unpack[Kept](s)
			return err == nil && k.Hash == hash
		})
	})
}

// kept is what is kept beside the password of an account that still is as it was:
// no hash is made for who comes second.
func (d *Directory) kept(ctx context.Context, was account.Account) ([]Kept, error) {
	e, err := d.read(ctx, d.layout.dn(was.Username), []string{passwordKept, revision})
	if err != nil {
		return nil, err
	}
	if e.GetEqualFoldAttributeValue(revision) != decimal(was.Revision) {
		return nil, account.ErrStale
	}
	r := reader{entry: e}
	kept := readAll[Kept](&r, passwordKept)
	if r.err != nil {
		return nil, fmt.Errorf("account %s: %w: %w", was.ID, account.ErrInvalid, r.err)
	}
	return kept, nil
}

// Crowded tells whether so many wait for a hash that nobody else should be led up
// to one.
func (d *Directory) Crowded() bool { return d.hasher.Crowded() }

// Waits has something to receive when somebody has had to wait noticeably for a
// hash.
func (d *Directory) Waits() <-chan struct{} { return d.hasher.Waits() }

// Verify binds as the person, on a connection of its own. Only an active
// account has a password that counts.
func (d *Directory) Verify(ctx context.Context, username, password string) error {
	p, ok := composed(password)
	if !ok || username == "" { // an empty password would bind as nobody and succeed
		return account.ErrWrongPassword
	}
	give, err := d.binds.take(ctx)
	if err != nil {
		return err
	}
	defer give()
	if err := d.bind(ctx, username, p); err != nil {
		return err
	}
	// A directory with other access rules than ours may let more people bind.
	a, err := d.Find(ctx, account.Key{Kind: account.ByUsername, Value: username})
	if err == nil && a.State != account.Active || errors.Is(err, account.ErrNotFound) {
		err = account.ErrWrongPassword // not found: LDAP folds spellings of a name that are not the name
	}
	return err
}

// Knows holds a password against the hash that is kept beside it: the server
// lets nobody bind who is not active, and nobody read a password.
func (d *Directory) Knows(ctx context.Context, username, password string) error {
	if !Possible(username) {
		return account.ErrWrongPassword
	}
	e, err := d.read(ctx, d.layout.dn(strings.ToLower(username)), []string{passwordKept})
	if errors.Is(err, account.ErrNotFound) {
		return account.ErrWrongPassword
	}
	if err != nil {
		return err
	}
	r := reader{entry: e}
	kept := readAll[Kept](&r, passwordKept)
	if r.err != nil {
		return fmt.Errorf("%w: %w", account.ErrInvalid, r.err)
	}
	return d.hasher.Knows(ctx, kept, password)
}

func (d *Directory) bind(ctx context.Context, username, password string) error {
	c, err := d.dialer.dial(ctx)
	if err != nil {
		return translate("connect", err)
	}
	defer func() { _ = c.Close() }()
	policy := []ldap.Control{ldap.NewControlBeheraPasswordPolicy()}
	r, err := c.SimpleBind(ldap.NewSimpleBindRequest(d.layout.dn(strings.ToLower(username)), password, policy))
	switch answered(err) {
	case ldap.LDAPResultInvalidCredentials, ldap.LDAPResultInappropriateAuthentication,
		ldap.LDAPResultInsufficientAccessRights, ldap.LDAPResultNoSuchObject:
		if lockedOut(r) {
			return fmt.Errorf("%w: too many attempts, locked for some minutes", account.ErrWrongPassword)
		}
		return account.ErrWrongPassword
	}
	return translate("bind", err)
}

// lockedOut reads the one answer that tells a lock from a wrong password.
func lockedOut(r *ldap.SimpleBindResult) bool {
	if r == nil {
		return false
	}
	c, ok := ldap.FindControl(r.Controls, ldap.ControlTypeBeheraPasswordPolicy).(*ldap.ControlBeheraPasswordPolicy)
	return ok && c.Error == ldap.BeheraAccountLocked
}
