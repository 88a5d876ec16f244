package kv

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/account"
)

// An account lies under "a.<username>". A hint "x.<kind>.<value>.<username>"
// says that the account may be found by that value: it is believed only when
// the account says so too.
const (
	hintUnsent = "unsent"
	hintTurn   = "turn" // by the second, in Unix time
	yes        = "yes"
)

func entryKey(username string) string { return "a." + token(strings.ToLower(username)) }

func hintKey(kind, value, username string) string {
	return "x." + kind + "." + token(value) + "." + token(strings.ToLower(username))
}

// token is s as one word of a key: itself where it is one, else "=" and its
// base64.
func token(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
	}
	if !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "=" + base64.RawURLEncoding.EncodeToString([]byte(s))
}

func plain(token string) (string, error) {
	if code, ok := strings.CutPrefix(token, "="); ok {
		s, err := base64.RawURLEncoding.DecodeString(code)
		return string(s), err
	}
	return token, nil
}

// hints are the keys of every way to find a.
func hints(a account.Account) []string {
	keys := []string{hintKey(account.ByID, a.ID, a.Username)}
	for _, i := range a.Invitations {
		keys = append(keys, hintKey(account.ByInvitation, i.ID, a.Username))
	}
	for _, h := range a.Handles {
		keys = append(keys, hintKey(account.ByHandle, h, a.Username))
	}
	for _, r := range a.Roles {
		if r.Key != "" {
			keys = append(keys, hintKey(account.ByLIN, r.Kind+":"+r.Key, a.Username))
		}
	}
	if len(a.Unsent) > 0 {
		keys = append(keys, hintKey(hintUnsent, yes, a.Username))
	}
	if !a.Turn.IsZero() {
		keys = append(keys, hintKey(hintTurn, strconv.FormatInt(a.Turn.Unix(), 10), a.Username))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// move writes the hints that are new and answers those that will be gone, with
// the revision they have now.
func (d *Directory) move(ctx context.Context, old, wish []string) (gone map[string]uint64, err error) {
	gone = map[string]uint64{}
	for _, key := range wish {
		if !slices.Contains(old, key) {
			if _, err := d.Bucket.Put(ctx, key, nil); err != nil {
				return nil, outage("put", err)
			}
		}
	}
	for _, key := range old {
		if slices.Contains(wish, key) {
			continue
		}
		e, err := d.Bucket.Get(ctx, key)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue
		}
		if err != nil {
			return nil, outage("get", err)
		}
		gone[key] = e.Revision()
	}
	return gone, nil
}

// hinted are the usernames that a value may lead to.
func (d *Directory) hinted(ctx context.Context, kind, value string) (usernames []string, err error) {
	prefix := hintKey(kind, value, "")
	err = d.watch(ctx, prefix+"*", func(e jetstream.KeyValueEntry) error {
		u, err := plain(strings.TrimPrefix(e.Key(), prefix))
		usernames = append(usernames, u)
		return err
	})
	return usernames, err
}

// candidates are the usernames that a narrow query may be about.
func (d *Directory) candidates(ctx context.Context, q account.Query) (usernames []string, err error) {
	if q.Unsent {
		return d.hinted(ctx, hintUnsent, yes)
	}
	err = d.watch(ctx, "x."+hintTurn+".*.*", func(e jetstream.KeyValueEntry) error {
		part := strings.Split(e.Key(), ".")
		at, err := strconv.ParseInt(part[2], 10, 64)
		if err != nil || at > q.Due.Unix() {
			return err
		}
		u, err := plain(part[3])
		usernames = append(usernames, u)
		return err
	})
	return usernames, err
}

// watch hands over every key that fits now. A stream that ends before it has
// shown all is an outage, not an end.
func (d *Directory) watch(ctx context.Context, keys string, f func(jetstream.KeyValueEntry) error) error {
	w, err := d.Bucket.Watch(ctx, keys, jetstream.IgnoreDeletes())
	if err != nil {
		return outage("watch", err)
	}
	defer func() { _ = w.Stop() }()
	for {
		select {
		case e, ok := <-w.Updates():
			if !ok {
				return outage("watch", errors.New("ended early"))
			}
			if e == nil {
				return nil
			}
			if err := f(e); err != nil {
				return err
			}
		case <-ctx.Done():
			return outage("watch", ctx.Err())
		}
	}
}
