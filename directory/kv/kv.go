// Package kv keeps accounts in a JetStream key-value bucket: the directory of
// the demo and of development, with the rules and the hashes of package
// directory. It must not know LDAP, nor when an account may change.
package kv

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
)

// Directory is account.Directory and account.Passwords over a bucket. Both
// fields are needed.
type Directory struct {
	Bucket jetstream.KeyValue
	Hasher *directory.Hasher
}

var (
	_ account.Directory = (*Directory)(nil)
	_ account.Passwords = (*Directory)(nil)
)

// BucketConfig is the bucket that a Directory needs.
func BucketConfig() jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{Bucket: "directory", Description: "accounts of the embedded directory", History: 1, Storage: jetstream.FileStorage}
}

// record is what lies under an account's key. Writer is drawn for each write:
// it tells whose write it was when the answer got lost.
type record struct {
	Account account.Account
	Hash    string           `json:",omitempty"`
	Kept    []directory.Kept `json:",omitempty"`
	Writer  string
}

// Find reads one account.
func (d *Directory) Find(ctx context.Context, k account.Key) (account.Account, error) {
	if !slices.Contains([]string{account.ByID, account.ByUsername, account.ByInvitation, account.ByHandle, account.ByLIN}, k.Kind) {
		return account.Account{}, fmt.Errorf("directory: %w: no key of kind %q", account.ErrInvalid, k.Kind)
	}
	if !directory.Possible(k.Value) {
		return account.Account{}, account.ErrNotFound
	}
	usernames := []string{k.Value}
	if k.Kind != account.ByUsername {
		var err error
		if usernames, err = d.hinted(ctx, k.Kind, k.Value); err != nil {
			return account.Account{}, err
		}
	}
	var found []account.Account
	for _, u := range usernames {
		r, _, err := d.read(ctx, u)
		if errors.Is(err, account.ErrNotFound) {
			continue
		}
		if err != nil {
			return account.Account{}, err
		}
		if directory.Has(r.Account, k) {
			found = append(found, r.Account)
		}
	}
	switch len(found) {
	case 0:
		return account.Account{}, account.ErrNotFound
	case 1:
		return found[0], nil
	}
	return account.Account{}, fmt.Errorf("directory: %s names more than one entry", k.Kind)
}

// Create writes the entry of a.Username. Its hints are written first: one that
// leads nowhere does no harm, one that is missing hides an account.
func (d *Directory) Create(ctx context.Context, a account.Account) error {
	a.Revision = 1
	if err := directory.Valid(a); err != nil {
		return err
	}
	a = directory.Canonical(a)
	other, err := d.Find(ctx, account.Key{Kind: account.ByID, Value: a.ID})
	if err == nil && entryKey(other.Username) != entryKey(a.Username) {
		return fmt.Errorf("directory: %w: id has an entry under another username", account.ErrInvalid)
	}
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return err
	}
	for _, h := range hints(a) {
		if _, err := d.Bucket.Put(ctx, h, nil); err != nil {
			return outage("put", err)
		}
	}
	err = d.write(ctx, record{Account: a}, 0)
	if errors.Is(err, account.ErrStale) {
		return account.ErrTaken
	}
	return err
}

// Update writes now where was is what is there.
func (d *Directory) Update(ctx context.Context, was, now account.Account) error {
	return d.update(ctx, was, now, func(r *record) error {
		if now.PasswordGone {
			r.Hash = ""
		}
		if !now.Erased.IsZero() {
			r.Kept = nil
		}
		return nil
	})
}

// SetPassword is Update with the password in the same write.
func (d *Directory) SetPassword(ctx context.Context, was, now account.Account, password string) error {
	if now.PasswordGone {
		return fmt.Errorf("directory: %w: a password to set and to delete", account.ErrInvalid)
	}
	return d.update(ctx, was, now, func(r *record) (err error) {
		r.Hash, r.Kept, err = d.Hasher.Renew(ctx, r.Kept, was, now, password)
		return err
	})
}

func (d *Directory) update(ctx context.Context, was, now account.Account, secret func(*record) error) error {
	if was.Revision == 0 || was.ID != now.ID || was.Username != now.Username {
		return fmt.Errorf("directory: %w: update of another account, or of one that was not read", account.ErrInvalid)
	}
	now.Revision = was.Revision + 1
	if err := directory.Valid(now); err != nil {
		return err
	}
	r, rev, err := d.read(ctx, was.Username)
	if err != nil {
		return err
	}
	if r.Account.ID != was.ID || r.Account.Revision != was.Revision {
		return account.ErrStale
	}
	if err := secret(&r); err != nil {
		return err
	}
	old := hints(r.Account)
	r.Account = directory.Canonical(now)
	gone, err := d.move(ctx, old, hints(r.Account))
	if err != nil {
		return err
	}
	if err := d.write(ctx, r, rev); err != nil {
		return err
	}
	for key, seen := range gone {
		// Unless somebody has written the hint since; one that stays leads nowhere.
		_ = d.Bucket.Delete(ctx, key, jetstream.LastRevision(seen))
	}
	return nil
}

// tries is how often a write is sent when no answer comes.
const tries = 3

// write stores r where the key's revision is rev (0: there is no key). A write
// whose answer got lost is sent again, and then recognised by its writer.
func (d *Directory) write(ctx context.Context, r record, rev uint64) error {
	r.Writer = rand.Text()
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("directory: %w: %w", account.ErrInvalid, err)
	}
	key := entryKey(r.Account.Username)
	again := false
	for range tries {
		if rev == 0 {
			_, err = d.Bucket.Create(ctx, key, data)
		} else {
			_, err = d.Bucket.Update(ctx, key, data, rev)
		}
		if err == nil {
			return nil
		}
		if errors.Is(err, jetstream.ErrKeyExists) {
			if !again {
				return account.ErrStale
			}
			there, _, err := d.read(ctx, r.Account.Username)
			if err == nil && there.Writer != r.Writer {
				return account.ErrStale
			}
			return err
		}
		again = true
	}
	return outage("write", err)
}

// read is the record of a username with its key's revision.
func (d *Directory) read(ctx context.Context, username string) (record, uint64, error) {
	e, err := d.Bucket.Get(ctx, entryKey(username))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return record{}, 0, account.ErrNotFound
	}
	if err != nil {
		return record{}, 0, outage("get", err)
	}
	r, err := decode(e.Value())
	return r, e.Revision(), err
}

func decode(data []byte) (record, error) {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("directory: %w: entry cannot be read", account.ErrInvalid)
	}
	r.Account = directory.Canonical(r.Account)
	return r, nil
}

// Each calls f for every account that matches q, as they were at one moment.
func (d *Directory) Each(ctx context.Context, q account.Query, f func(account.Account) bool) error {
	var found []account.Account
	if q.Unsent || !q.Due.IsZero() {
		usernames, err := d.candidates(ctx, q)
		if err != nil {
			return err
		}
		for _, u := range usernames {
			r, _, err := d.read(ctx, u)
			if err != nil && !errors.Is(err, account.ErrNotFound) {
				return err
			}
			found = append(found, r.Account)
		}
	} else if err := d.watch(ctx, entryKey("")+"*", func(e jetstream.KeyValueEntry) error {
		r, err := decode(e.Value())
		found = append(found, r.Account)
		return err
	}); err != nil {
		return err
	}
	for _, a := range found {
		late := !q.Due.IsZero() && (a.Turn.IsZero() || a.Turn.After(q.Due))
		if a.ID == "" || late || q.Unsent && len(a.Unsent) == 0 || q.State != "" && a.State != q.State {
			continue
		}
		if !f(a) {
			return nil
		}
	}
	return nil
}

// Verify tries a password. Only an active account has one that counts.
func (d *Directory) Verify(ctx context.Context, username, password string) error {
	if !directory.Possible(username) {
		return account.ErrWrongPassword
	}
	r, _, err := d.read(ctx, username)
	if errors.Is(err, account.ErrNotFound) || err == nil && r.Account.State != account.Active {
		return account.ErrWrongPassword
	}
	if err != nil {
		return err
	}
	ok, err := d.Hasher.Matches(ctx, r.Hash, password)
	if err == nil && !ok {
		err = account.ErrWrongPassword
	}
	return err
}

// Knows holds a password against the hash that is kept beside it.
func (d *Directory) Knows(ctx context.Context, username, password string) error {
	if !directory.Possible(username) {
		return account.ErrWrongPassword
	}
	r, _, err := d.read(ctx, username)
	if errors.Is(err, account.ErrNotFound) {
		return account.ErrWrongPassword
	}
	if err != nil {
		return err
	}
	return d.Hasher.Knows(ctx, r.Kept, password)
}

func outage(what string, err error) error {
	return fmt.Errorf("directory %s: %w: %w", what, account.ErrUnavailable, err)
}
