package account

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Ledger reads all claims, as an operator may.
//
// Errors: ErrUnavailable.
type Ledger interface {
	Each(ctx context.Context, f func(key string, value []byte)) error
}

// ledger is every claim by its key.
func ledger(ctx context.Context, l Ledger) (map[string]Claim, error) {
	held := map[string]Claim{}
	var failed error
	err := l.Each(ctx, func(key string, value []byte) {
		var c Claim
		if err := json.Unmarshal(value, &c); err != nil {
			failed = fmt.Errorf("claim %s: %w", key, err)
			return
		}
		held[key] = c
	})
	if err == nil {
		err = failed
	}
	return held, err
}

// shared finds what two entries claim alike. Neither is adopted: which of them
// is right is for a human.
func shared(all []*Adoption) {
	owners := map[string][]*Adoption{}
	for _, a := range all {
		for _, key := range slices.Concat(a.handles, a.names) {
			owners[key] = append(owners[key], a)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(owners)) {
		same := owners[key]
		if len(same) < 2 {
			continue
		}
		reason := ConflictName
		switch kind, _, _ := strings.Cut(key, "."); kind {
		case "num":
			reason = ConflictNumber
		case "src":
			reason = ConflictLIN
		}
		for _, a := range same {
			for _, b := range same {
				a.conflict(reason, b.Username)
			}
		}
	}
}

// reservation tells whether a claim was made for an entry in conflict. A person
// whom no event could find, once adopted, has such an account ID too.
func (i *Import) reservation(c Claim) bool {
	return c.Account == i.Life.Identity.kept().AccountID(sourceImport, strings.ToLower(c.Username))
}

// stale drops from held, and lists, the reservations that no entry explains
// any more: a number that was corrected, an entry that was deleted. Names stay
// reserved for ever.
func (i *Import) stale(ctx context.Context, held map[string]Claim, all []*Adoption) error {
	says := map[string]map[string]bool{}
	know := func(account string, keys []string) {
		if says[account] == nil {
			says[account] = map[string]bool{}
		}
		for _, k := range keys {
			says[account][k] = true
		}
	}
	for _, a := range all {
		know(a.reserve.Account, a.handles)
	}
	err := i.Life.Directory.Each(ctx, Query{}, func(a Account) bool {
		if !a.Adopted.IsZero() {
			know(a.ID, a.Handles)
		}
		return true
	})
	if err != nil {
		return err
	}
	i.void = map[string]Claim{}
	for key, c := range held {
		if version(key) != 0 && i.reservation(c) && !says[c.Account][key] {
			i.void[key] = c
			delete(held, key)
		}
	}
	return nil
}

// compare sees whose an entry's keys are by now. An account ID that has been
// reserved for it stays: events may have joined it.
func (a *Adoption) compare(held map[string]Claim) {
	for _, key := range slices.Concat(a.names, a.handles) {
		switch c, ok := held[key]; {
		case !ok, c.Account == a.account.ID && c.Username == a.Username:
		case c.Account == a.reserve.Account:
			a.renamed(c.Account)
		default:
			a.conflict(ConflictClaimed, c.Username)
		}
	}
}

// renamed gives the account another ID.
func (a *Adoption) renamed(id string) {
	if a.account.ID != id {
		at := a.account.Adopted
		a.Account, a.account.ID, a.account.Origin = id, id, id+"-adopted"
		a.account.Unsent = []Fact{adoptedFact(a.account, at)}
	}
}
