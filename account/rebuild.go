package account

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
)

// Rebuild makes the claims again from the entries: after the bucket was lost,
// or when the key is changed. Replaying every event then finds everybody and
// makes nobody twice. Running it again changes nothing.
type Rebuild struct {
	Life    *Lifecycle // Claims, Identity, Directory
	Ledger  Ledger
	Retired []string // usernames that stand in no entry, as the import was given them
	// Only drops the handles of every key but the newest, from entries and
	// claims. Without it the handles of keys that are not in force stay.
	Only bool
	// Progress, where given, is told how many of how many are done.
	Progress func(done, of int)
}

// Restored is what becomes of the claims of one entry.
type Restored struct {
	Username string
	Account  string
	Missing  int      // claims that are written
	Handles  int      // handles that the entry lacks under a key in force
	Dropped  int      // handles of older keys that go
	Conflict []string // accounts or usernames that hold some of its claims

	account Account
	claim   Claim
	keys    []string // what is to point here
	handles []string // what the entry is to say
}

// Plan compares every entry with the claims and says what would change, of
// those entries where anything would. all counts the entries. It writes
// nothing.
func (r *Rebuild) Plan(ctx context.Context) (out []*Restored, all int, err error) {
	held, err := ledger(ctx, r.Ledger)
	if err != nil {
		return nil, 0, err
	}
	owner := map[string]*Restored{}
	var entries []*Restored
	err = r.Life.Directory.Each(ctx, Query{}, func(a Account) bool {
		e := r.restored(a)
		for _, key := range e.keys {
			if other, ok := owner[key]; ok {
				e.conflict(other.Username)
				other.conflict(e.Username)
				continue
			}
			owner[key] = e
		}
		entries = append(entries, e)
		return true
	})
	if err != nil {
		return nil, 0, err
	}
	slices.SortFunc(entries, func(x, y *Restored) int { return compare(x.Username, y.Username) })
	for _, e := range entries {
		e.compare(held)
		if e.Missing+e.Handles+e.Dropped+len(e.Conflict) > 0 {
			out = append(out, e)
		}
	}
	return out, len(entries), nil
}

// restored says what is to point to an entry. A closed one keeps its name and
// its numbers; of one that was merged only the name is left, everything else
// is the other's.
func (r *Rebuild) restored(a Account) *Restored {
	e := &Restored{Username: a.Username, Account: a.ID, account: a, claim: Claim{Account: a.ID, Username: a.Username}}
	e.keys = []string{UsernameHandle(strings.ToLower(a.Username))}
	e.handles = a.Handles
	if a.Merged != "" {
		return e
	}
	derived := r.Life.Identity.handlesOf(a)
	e.handles = nil
	for _, h := range slices.Concat(a.Handles, derived) {
		switch v := version(h); {
		case slices.Contains(e.handles, h):
		case r.Only && v != 0 && v != r.Life.Identity.Version:
			e.Dropped++
		default:
			e.handles = append(e.handles, h)
		}
	}
	for _, h := range e.handles {
		if !slices.Contains(a.Handles, h) {
			e.Handles++
		}
	}
	slices.Sort(e.handles)
	e.keys = append(e.keys, e.handles...)
	return e
}

func (e *Restored) conflict(with string) {
	if !slices.Contains(e.Conflict, with) {
		e.Conflict = append(e.Conflict, with)
		slices.Sort(e.Conflict)
	}
}

// compare sees which of an entry's keys are free or somebody else's.
func (e *Restored) compare(held map[string]Claim) {
	for _, key := range e.keys {
		switch c, ok := held[key]; {
		case !ok:
			e.Missing++
		case c.Account != e.Account && e.account.Merged == "": // the name of one that was merged is its heir's
			e.conflict(c.Username)
		}
	}
}

// Apply does what Plan answered. What is somebody else's stays so: it is for a
// human.
//
// Errors: ErrUnavailable; what is done by then stays done.
func (r *Rebuild) Apply(ctx context.Context, plan []*Restored) error {
	for _, name := range r.Retired {
		if _, err := r.Life.take(ctx, []string{UsernameHandle(name)}, Claim{Account: retired, Username: name}); err != nil {
			return err
		}
	}
	return eachOf(ctx, plan, r.restore, r.Progress)
}

func (r *Rebuild) restore(ctx context.Context, e *Restored) error {
	held, err := r.Life.take(ctx, e.keys, e.claim)
	if err != nil {
		return err
	}
	for _, key := range e.keys {
		if _, ok := held[key]; ok || len(held) == 0 {
			continue
		}
		if _, err := r.Life.take(ctx, []string{key}, e.claim); err != nil {
			return err
		}
	}
	if e.Handles+e.Dropped == 0 {
		return nil
	}
	// Claims first: while the entry says a handle, another run finds it.
	gone := without(e.account.Handles, e.handles)
	if err := r.Life.release(ctx, e.claim, gone); err != nil {
		return err
	}
	_, err = r.Life.update(ctx, Key{ByID, e.Account}, func(now *Account) (bool, error) {
		want := r.restored(*now).handles
		gone = without(now.Handles, want)
		changed := !slices.Equal(want, now.Handles)
		now.Handles = want
		return changed, nil
	})
	if err != nil {
		return err
	}
	return r.Life.release(ctx, e.claim, gone)
}

// release frees claims that say was. Those that say something else stay.
func (l *Lifecycle) release(ctx context.Context, was Claim, keys []string) error {
	value, err := json.Marshal(was)
	if err != nil || len(keys) == 0 {
		return err
	}
	_, err = l.Claims.Move(ctx, keys, nil, value, nil)
	return err
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// atOnce is how many entries are done at a time: more only wait for each other.
const atOnce = 8

// eachOf does f to all, several at a time, and stops at the first error.
func eachOf[T any](ctx context.Context, all []T, f func(context.Context, T) error, progress func(done, of int)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan T)
	var wait sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range atOnce {
		wait.Go(func() {
			for one := range next {
				if err := f(ctx, one); err != nil {
					cancel(err)
					continue
				}
				mu.Lock()
				if done++; progress != nil {
					progress(done, len(all))
				}
				mu.Unlock()
			}
		})
	}
	for _, one := range all {
		if ctx.Err() != nil {
			break
		}
		next <- one
	}
	close(next)
	wait.Wait()
	return context.Cause(ctx)
}
