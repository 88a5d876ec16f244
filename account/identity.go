package account

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// Identity derives the handles by which persons are known. Key is a secret of
// at least 32 bytes with a backup: an identity number has about 4·10⁷
// plausible values, so that a plain hash of it falls in seconds. Version stands
// in every handle; a new key gets a new version. While a key is being changed
// Older holds those that handles still stand under.
type Identity struct {
	Key     []byte
	Version int
	Older   []Identity
}

func (i Identity) mac(kind string, parts ...string) []byte {
	h := hmac.New(sha256.New, i.Key)
	_, _ = fmt.Fprintf(h, "%s", kind)
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "|%d:%s", len(p), p)
	}
	return h.Sum(nil)
}

// AccountID derives the opaque ID of the account that the first event of
// (source, subject) makes: 26 lower-case base32 characters.
func (i Identity) AccountID(source, subject string) string {
	return strings.ToLower(lowerBase32.EncodeToString(i.mac("account", source, subject)[:16]))
}

// NumberHandle is the claim key of an identity number.
func (i Identity) NumberHandle(typ, value string) string {
	return fmt.Sprintf("num.%d.%s", i.Version, hex.EncodeToString(i.mac("number", typ, value)))
}

// SourceHandle is the claim key of a source's subject.
func (i Identity) SourceHandle(source, subject string) string {
	return fmt.Sprintf("src.%d.%s", i.Version, hex.EncodeToString(i.mac("source", source, subject)))
}

// UsernameHandle is the claim key of a username. A username is public, and
// never given again.
func UsernameHandle(username string) string { return "uid." + username }

// Claim is what a claim says: who it is, under which name. Both are fixed at
// once, for ever, before there is an entry.
type Claim struct {
	Account  string `json:"account"`
	Username string `json:"username"`
}

// errConflict says that the handles of one event belong to several accounts.
type errConflict struct{ accounts []string }

func (e *errConflict) Error() string {
	return "numbers belong to accounts " + strings.Join(e.accounts, " and ")
}

// errUnclaimed: nobody holds any of the handles.
var errUnclaimed = errors.New("no claim")

// settled reads what the handles say: one claim, errUnclaimed or *errConflict.
func settled(held map[string][]byte) (Claim, error) {
	var claim Claim
	var ids []string
	for key, raw := range held {
		var c Claim
		if err := json.Unmarshal(raw, &c); err != nil {
			return Claim{}, fmt.Errorf("claim %s: %w", key, err)
		}
		if !slices.Contains(ids, c.Account) {
			ids = append(ids, c.Account)
		}
		claim = c
	}
	switch len(ids) {
	case 0:
		return Claim{}, errUnclaimed
	case 1:
		return claim, nil
	}
	slices.Sort(ids)
	return Claim{}, &errConflict{accounts: ids}
}

// claim finds or makes the claim that all handles share. The common case, a
// new person, is one indivisible write of all handles and the username, and made
// tells so; every other case reads what is held and joins it. names yields
// username candidates; it is endless. Where others may well have the first of
// them, shared, it is looked at before: a claim that is refused costs everybody
// who is written together with it a look at what they have, and one more write.
func (l *Lifecycle) claim(ctx context.Context, id string, handles []string, names func(func(string) bool), shared bool) (c Claim, made bool, err error) {
	next, stop := iter.Pull(iter.Seq[string](names))
	defer stop()
	var ahead, also []string
	for size := 1; ; {
		if len(ahead) == 0 {
			var held map[string][]byte
			if ahead, held, err = l.unclaimed(ctx, also, next, size, shared); err != nil {
				return Claim{}, false, err
			}
			if also = nil; size == 1 {
				also = handles // once
			}
			size = min(max(size*4, 8), 128)
			if len(held) > 0 {
				c, err = l.joined(ctx, handles, held)
				return c, false, err
			}
			continue
		}
		name := ahead[0]
		ahead = ahead[1:]
		mine := Claim{Account: id, Username: name}
		held, err := l.take(ctx, append(slices.Clone(handles), UsernameHandle(name)), mine)
		if err != nil {
			return Claim{}, false, err
		}
		if len(held) == 0 {
			return mine, held == nil, nil
		}
		_, nameIsTaken := held[UsernameHandle(name)]
		delete(held, UsernameHandle(name))
		c, err = l.joined(ctx, handles, held)
		if errors.Is(err, errUnclaimed) && nameIsTaken {
			continue // the username alone is held: the next candidate
		}
		return c, false, err
	}
}

// joined finds whose the handles are that are held, and takes the others for it.
func (l *Lifecycle) joined(ctx context.Context, handles []string, held map[string][]byte) (Claim, error) {
	theirs, err := l.whose(ctx, held)
	if err != nil {
		return Claim{}, err
	}
	return theirs, l.join(ctx, theirs, handles, held)
}

// unclaimed are those of the next n usernames that nobody holds. A first one
// that is nobody else's is simply tried; where many share a name, whole blocks
// are looked through at once. held is what some handles say that are read also:
// a name that is taken may be the person's own.
func (l *Lifecycle) unclaimed(ctx context.Context, handles []string, next func() (string, bool), n int, shared bool) (names []string, held map[string][]byte, err error) {
	var keys []string
	for range n {
		name, ok := next()
		if !ok {
			return nil, nil, errors.New("usernames: there are no more")
		}
		names, keys = append(names, name), append(keys, UsernameHandle(name))
	}
	if n == 1 && !shared {
		return names, nil, nil
	}
	found, err := l.Claims.Read(ctx, append(keys, handles...))
	if err != nil {
		return nil, nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { _, ok := found[UsernameHandle(name)]; return ok })
	maps.DeleteFunc(found, func(key string, _ []byte) bool { return !slices.Contains(handles, key) })
	return names, found, nil
}

// join takes the handles that the person did not have yet for a claim that
// exists, all or none. Somebody else's hold on one of them is a conflict for a
// human, and nothing is claimed.
func (l *Lifecycle) join(ctx context.Context, c Claim, handles []string, held map[string][]byte) error {
	missing := slices.DeleteFunc(slices.Clone(handles), func(h string) bool { _, ok := held[h]; return ok })
	if len(missing) == 0 {
		return nil
	}
	if err := l.remains(ctx, c); err != nil {
		return err
	}
	for len(missing) > 0 {
		others, err := l.take(ctx, missing, c)
		if err != nil || len(others) == 0 {
			return err
		}
		for _, h := range slices.Sorted(maps.Keys(others)) {
			if err := l.shares(ctx, c, map[string][]byte{h: others[h]}); err != nil {
				return err
			}
		}
		missing = slices.DeleteFunc(missing, func(h string) bool { _, ok := others[h]; return ok })
	}
	return nil
}

// shares answers *errConflict unless what is held is c's, or its heir's.
func (l *Lifecycle) shares(ctx context.Context, c Claim, held map[string][]byte) error {
	got, err := settled(held)
	if err != nil || got.Account == c.Account {
		return err
	}
	ids := []string{c.Account, got.Account}
	slices.Sort(ids)
	if _, one, err := l.one(ctx, ids...); err != nil || one {
		return err
	}
	return &errConflict{accounts: ids}
}

func (l *Lifecycle) take(ctx context.Context, keys []string, c Claim) (map[string][]byte, error) {
	value, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return l.Claims.Take(ctx, keys, value)
}

// claimed answers who (source, subject) is, or errUnclaimed.
func (l *Lifecycle) claimed(ctx context.Context, source, subject string) (Claim, error) {
	held, err := l.Claims.Read(ctx, l.Identity.SourceHandles(source, subject))
	if err != nil {
		return Claim{}, err
	}
	return l.whose(ctx, held)
}

// parked turns a conflict into the dead letter that names the accounts, and
// word of somebody erased into what is to be said of it.
func parked(m events.Meta, err error, field string) error {
	var c *errConflict
	var gone *risenError
	if errors.As(err, &gone) {
		return gone.account.risen(m)
	}
	if !errors.As(err, &c) {
		return err
	}
	return events.Refuse(events.ReasonParked, field,
		"one number on accounts "+strings.Join(c.accounts, " and ")+": merge them or correct the number at its source, then replay")
}

// current is the number in force: of those that no other has replaced the
// highest rank, and of one rank the latest recorded. ok is false when the person
// has none that proves.
func (a Account) current() (Number, bool) {
	var best Number
	for _, n := range a.Numbers {
		if n.Replaced.After(n.Renewed) {
			continue
		}
		r, b := policy.NumberRank(n.Type), policy.NumberRank(best.Type)
		if r > b || r == b && r > 0 && n.told().After(best.told()) {
			best = n
		}
	}
	return best, best.Type != "" && policy.Proves(best.Type)
}

// told is when a source last made it the number in force.
func (n Number) told() time.Time {
	if n.Renewed.After(n.Since) {
		return n.Renewed
	}
	return n.Since
}

// Current is the identity number in force, for directories and letters.
func (a Account) Current() (Number, bool) { return a.current() }
