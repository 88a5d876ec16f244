package account

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

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

// claimsAtOnce is how many entries' claims are read together.
const claimsAtOnce = 50

// held compares with the claims that are there.
func (i *Import) held(ctx context.Context, all []*Adoption) error {
	strangers := map[string]*Adoption{}
	for _, a := range all {
		strangers[a.reserve.Account] = a
	}
	for some := range slices.Chunk(all, claimsAtOnce) {
		var keys []string
		for _, a := range some {
			keys = slices.Concat(keys, a.handles, a.names)
		}
		held, err := i.Life.Claims.Read(ctx, keys)
		if err != nil {
			return err
		}
		for _, a := range some {
			if err := a.compare(held, strangers); err != nil {
				return err
			}
		}
	}
	return nil
}

// compare sees whose an entry's keys are by now. An account ID that has been
// reserved for it stays: events may have joined it. A reservation for another
// entry that no longer says the same is void.
func (a *Adoption) compare(held map[string][]byte, strangers map[string]*Adoption) error {
	for _, key := range slices.Concat(a.names, a.handles) {
		raw, ok := held[key]
		if !ok {
			continue
		}
		var c Claim
		if err := json.Unmarshal(raw, &c); err != nil {
			return fmt.Errorf("claim %s: %w", key, err)
		}
		switch other := strangers[c.Account]; {
		case c.Account == a.reserve.Account:
			a.renamed(c.Account)
		case c.Account == a.account.ID && c.Username == a.Username:
		case other != nil && !slices.Contains(other.handles, key) && !slices.Contains(other.names, key):
			a.void = append(a.void, string(raw))
		case other != nil:
			a.conflict(ConflictClaimed, other.Username)
		default:
			a.conflict(ConflictClaimed, c.Username)
		}
	}
	return nil
}

// renamed gives the account another ID.
func (a *Adoption) renamed(id string) {
	if a.account.ID != id {
		at := a.account.Adopted
		a.Account, a.account.ID, a.account.Origin = id, id, id+"-adopted"
		a.account.Unsent = []Fact{adoptedFact(a.account, at)}
	}
}
