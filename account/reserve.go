package account

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// retired is whose the names are that nobody may have again.
const retired = "retired"

// retire claims the names of people who have left for good. One that somebody
// goes by still is in conflict, and his or hers meanwhile.
func (i *Import) retire(ctx context.Context, all []*Adoption) error {
	used := map[string]bool{}
	for _, a := range all {
		for _, key := range a.names {
			used[key] = true
		}
	}
	for _, name := range i.Retired {
		if used[UsernameHandle(name)] {
			continue
		}
		if _, err := i.Life.take(ctx, []string{UsernameHandle(name)}, Claim{Account: retired, Username: name}); err != nil {
			return err
		}
	}
	return nil
}

// RetiredName reads one line of a list of retired usernames: in lower case,
// without what is around it. ok is false for a line that says nothing and for a
// name that no account here can have, which needs no claim.
func RetiredName(line string) (name string, ok bool) {
	name = strings.ToLower(strings.TrimSpace(line))
	return name, possible(name)
}

// take claims every key of an entry. False: one of them is somebody else's.
func (i *Import) take(ctx context.Context, a *Adoption, mine Claim) (bool, error) {
	keys := slices.Concat(a.names, a.handles)
	held, err := i.Life.take(ctx, keys, mine)
	if err != nil || len(held) == 0 {
		return err == nil, err
	}
	for _, raw := range held {
		var c Claim
		if err := json.Unmarshal(raw, &c); err != nil || c != mine {
			return false, err
		}
	}
	err = i.Life.join(ctx, mine, keys, held)
	if c := (*errConflict)(nil); errors.As(err, &c) {
		return false, nil
	}
	return err == nil, err
}

// keep reserves what an entry in conflict holds. Whoever else holds some of it
// keeps that.
func (i *Import) keep(ctx context.Context, a *Adoption) error {
	for _, key := range append(a.names, a.handles...) {
		if _, err := i.Life.take(ctx, []string{key}, a.reserve); err != nil {
			return err
		}
	}
	return nil
}
