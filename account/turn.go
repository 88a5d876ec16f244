package account

import (
	"context"
	"errors"
	"reflect"
	"time"

	"usn.no/matricula/events"
)

// change handles a word about an account that must be there: join takes it into
// the registers and says whether it was news. What follows from it is in the
// same Modify, with the facts to publish. A word that comes again finds itself
// known, and what may not have been published yet is. An account that was merged
// answers with the one it was merged into.
func (l *Lifecycle) change(ctx context.Context, k Key, m events.Meta, join func(*Account) bool) error {
	a, err := l.heir(ctx, k)
	if err != nil {
		return l.orWait(m, err)
	}
	var s step
	a, err = l.updateHeir(ctx, a.ID, func(now *Account) (bool, error) {
		s = step{again: true, carried: true}
		if !now.Erased.IsZero() {
			return false, now.risen(m)
		}
		before := now.Clone()
		if !join(now) && reflect.DeepEqual(before, *now) {
			return false, nil
		}
		if err := l.settle(ctx, now, cause{Meta: m}); err != nil {
			return false, err
		}
		if differs(before, *now) {
			now.carry(m)
		}
		return !reflect.DeepEqual(before, *now), nil
	})
	if err != nil {
		return l.orWait(m, err)
	}
	s.account = a
	return l.follow(ctx, m, s)
}

// merges is how many mergers in a row are followed; more is a ring.
const merges = 10

// heir finds the account that k names, or the one it was merged into.
func (l *Lifecycle) heir(ctx context.Context, k Key) (Account, error) {
	for range merges {
		a, err := l.Directory.Find(ctx, k)
		if err != nil || a.Merged == "" {
			return a, err
		}
		k = Key{ByID, a.Merged}
	}
	return Account{}, ErrNotFound
}

// updateHeir is update for what a source tells of a person: where the account was
// merged into another meanwhile, that one is written.
func (l *Lifecycle) updateHeir(ctx context.Context, id string, change func(*Account) (bool, error)) (Account, error) {
	for range merges {
		a, err := l.update(ctx, Key{ByID, id}, func(now *Account) (bool, error) {
			if now.Merged != "" {
				return false, errAgain
			}
			return change(now)
		})
		if !errors.Is(err, errAgain) {
			return a, err
		}
		id = a.Merged
	}
	return Account{}, ErrNotFound
}

// TakeTurns does what time alone brings: to every account whose turn has come,
// one Modify that holds the transition and the facts to publish. Where the next
// step stands in the same entry as what it follows from, none can be lost or
// left over; whoever moves an end moves the step. It answers how many accounts
// it changed. What cannot be done now is due again, and stops nobody else.
func (l *Lifecycle) TakeTurns(ctx context.Context) (int, error) {
	var due []string
	err := l.Directory.Each(ctx, Query{Due: l.Now()}, func(a Account) bool {
		due = append(due, a.ID)
		return true
	})
	done := 0
	for _, id := range due {
		changed, failed := l.turn(ctx, id)
		if changed {
			done++
		}
		err = errors.Join(err, failed)
		if ctx.Err() != nil || events.IsUnavailable(failed) {
			break
		}
	}
	return done, err
}

func (l *Lifecycle) turn(ctx context.Context, id string) (changed bool, err error) {
	a, err := l.update(ctx, Key{ByID, id}, func(now *Account) (bool, error) {
		changed = false
		if now.Turn.IsZero() || now.Turn.After(l.Now()) {
			return false, nil // another worker was faster
		}
		before := now.Clone()
		if err := l.settle(ctx, now, cause{turn: true}); err != nil {
			return false, err
		}
		changed = !reflect.DeepEqual(before, *now)
		return changed, nil
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return changed, l.publishFacts(ctx, a)
}

// leavingLetter tells somebody whose last role is over until when the account
// works, or that it is locked already, where the end was told late or a worker
// was away; whoever is back meanwhile, or dead, gets none.
func (l *Lifecycle) leavingLetter(a Account, f Fact) []events.Event {
	kept := a.State == Active && len(a.counting(l.Now())) > 0
	if kept || a.Address == "" || a.Order(OrderDeceased).On || a.Why.Reason != WhyLeft && a.State != Active {
		return nil
	}
	id := letterID(events.LetterLeaving, a.ID, f.ID)
	r := l.letter(a, events.LetterLeaving, id)
	until, err := time.Parse(time.RFC3339, f.Details["deadline"])
	switch {
	case a.State != Active:
		r.Locked = true
	case err == nil && until.After(f.At):
		r.Deadline = &until
	}
	return []events.Event{events.Once(id, f.At, r)}
}
