//go:build failpoints

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/worker"
)

// A mutant is the program with one of its safeguards taken out, named in
// MATRICULA_FAILPOINTS beside a point: "without.claim". Whoever watches from
// outside must see the difference, or watches badly.
const (
	withoutClaim       = "without.claim"       // usernames and numbers are not fixed before the entry
	withoutCompare     = "without.compare"     // a write goes through whatever has changed meanwhile
	withoutFacts       = "without.facts"       // facts of a click in a second Modify, not in the same
	withoutIdempotence = "without.idempotence" // each publish names the fact anew
	withoutOrder       = "without.order"       // one person's events are worked on at the same time
)

func mutant(name string) bool { return slices.Contains(failpoint.mutants, name) }

// directly writes over what is there now, as if it were what was read.
func directly(ctx context.Context, d account.Directory, was, now account.Account) error {
	err := d.Update(ctx, was, now)
	for errors.Is(err, account.ErrStale) {
		held, findErr := d.Find(ctx, account.Key{Kind: account.ByID, Value: now.ID})
		if findErr != nil {
			return findErr
		}
		err = d.Update(ctx, held, now)
	}
	return err
}

// mutated is SetPassword without one of its safeguards.
func mutated(ctx context.Context, p account.Passwords, was, now account.Account, password string) error {
	d, ok := p.(account.Directory)
	if !ok {
		return p.SetPassword(ctx, was, now, password)
	}
	if mutant(withoutCompare) {
		err := p.SetPassword(ctx, was, now, password)
		for errors.Is(err, account.ErrStale) {
			held, findErr := d.Find(ctx, account.Key{Kind: account.ByID, Value: now.ID})
			if findErr != nil {
				return findErr
			}
			err = p.SetPassword(ctx, held, now, password)
		}
		return err
	}
	bare := now.Clone()
	bare.Unsent = was.Unsent
	err := around("directory.setpassword", func() error { return p.SetPassword(ctx, was, bare, password) })
	if err != nil {
		return err
	}
	held, err := d.Find(ctx, account.Key{Kind: account.ByID, Value: now.ID})
	if err != nil {
		return err
	}
	full := held.Clone()
	full.Unsent = now.Unsent
	return d.Update(ctx, held, full)
}

// watchOrder takes each message for another person's.
func watchOrder(w *worker.Worker) {
	if mutant(withoutOrder) {
		w.Key = func(string) string { return rand.Text() }
	}
}

// renamed gives audit facts names that no repetition has.
func renamed(evs []events.Event) []events.Event {
	out := slices.Clone(evs)
	for i, e := range out {
		if _, audit := e.Data.(events.Audit); audit {
			out[i].ID = e.ID + "-" + rand.Text()
		}
	}
	return out
}
