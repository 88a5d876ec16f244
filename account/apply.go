package account

import (
	"context"
	"reflect"
	"slices"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// register joins an announcement's facts into acc's registers: of two full
// states the newer stands; numbers are only ever added.
func (l *Lifecycle) register(acc *Account, a announcement) {
	addNumbers(acc, a.numbers)
	addHandles(acc, l.handles(a))
	acc.tell(a.told())
	listRoles(acc, a)
	acc.profile()
}

// marked moves the marks of an announcement that is newer than they are.
func (a *Account) marked(m events.Meta, changed bool) {
	for _, facet := range []string{FacetProfile, FacetRoles} {
		if a.seen(m, facet) == "new" {
			a.setMark(m, facet, changed)
		}
	}
}

// differs says whether anything that is worth telling of has become different;
// a change of state is told for itself.
func differs(was, now Account) bool {
	roles := func(a Account) []Standing {
		out := a.Standing()
		for i := range out {
			out[i].Since, out[i].Listed = time.Time{}, Recency{} // recorded earlier: noted, not told
		}
		return out
	}
	return was.Name != now.Name || was.BirthDate != now.BirthDate || was.Address != now.Address || was.Mobile != now.Mobile ||
		was.Language != now.Language || was.Protection != now.Protection || was.Reserved != now.Reserved ||
		was.State == now.State && !slices.Equal(was.Affiliations, now.Affiliations) ||
		len(was.Numbers) != len(now.Numbers) || was.inForce() != now.inForce() || !slices.Equal(was.Handles, now.Handles) ||
		!slices.Equal(roles(was), roles(now))
}

// inForce is the number in force, or "".
func (a Account) inForce() string {
	n, _ := a.current()
	return n.Type + n.Value
}

func sortRoles(rs []Role) {
	slices.SortFunc(rs, func(x, y Role) int {
		for _, c := range []int{compare(x.Kind, y.Kind), compare(x.Key, y.Key), compare(x.ID, y.ID)} {
			if c != 0 {
				return c
			}
		}
		return 0
	})
}

func compare(x, y string) int {
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// addNumbers adds what is not there, and says whether there was any. The
// earliest time a number was recorded stands, so that the order of arrival does
// not show; that alone is no change to tell anybody of.
func addNumbers(acc *Account, ns []Number) bool {
	changed := false
	for _, n := range ns {
		i := slices.IndexFunc(acc.Numbers, func(o Number) bool { return o.Type == n.Type && o.Value == n.Value })
		if i < 0 {
			acc.Numbers = append(acc.Numbers, n)
			changed = true
		} else if n.Since.Before(acc.Numbers[i].Since) {
			acc.Numbers[i].Since = n.Since
		}
	}
	slices.SortFunc(acc.Numbers, func(x, y Number) int {
		if c := policy.NumberRank(y.Type) - policy.NumberRank(x.Type); c != 0 {
			return c
		}
		return compare(x.Value, y.Value)
	})
	return changed
}

func addHandles(acc *Account, hs []string) bool {
	changed := false
	for _, h := range hs {
		if !slices.Contains(acc.Handles, h) {
			acc.Handles = append(acc.Handles, h)
			changed = true
		}
	}
	slices.Sort(acc.Handles)
	return changed
}

// applyFullState brings an announcement into an entry that exists, then sees
// to what follows from it.
func (l *Lifecycle) applyFullState(ctx context.Context, a announcement, acc Account) error {
	var s step
	after, err := l.updateHeir(ctx, acc.ID, func(now *Account) (bool, error) {
		s = step{}
		if !now.Erased.IsZero() {
			return false, now.risen(a.Meta)
		}
		before := now.Clone()
		newer := now.seen(a.Meta, FacetProfile) == "new" || now.seen(a.Meta, FacetRoles) == "new"
		s.again = !newer
		l.register(now, a)
		now.marked(a.Meta, false)
		if err := l.settle(ctx, now, cause{Meta: a.Meta}); err != nil {
			return false, err
		}
		s.changed = differs(before, *now)
		if newer {
			now.remark(a.Meta, s.changed)
		}
		s.carried = s.changed && !newer && now.carry(a.Meta)
		s.renumbered = len(before.Numbers) != len(now.Numbers)
		s.readdressed = before.Address != now.Address
		return !reflect.DeepEqual(before, *now), nil
	})
	if err != nil {
		return err
	}
	if s.again {
		s.created = after.Origin == originOf(a.Meta)
		s.changed = s.changed || after.changedBy(a.Meta, FacetProfile)
	}
	s.account = after
	return l.follow(ctx, a.Meta, s)
}

// SONumberIssued adds the temporary number of a student and mails it.
func (l *Lifecycle) SONumberIssued(ctx context.Context, m events.Meta, e events.SONumberIssued) error {
	ns, err := l.numbers(m, []events.Identifier{{Type: "so", Value: e.SONumber}})
	if err != nil {
		r, _ := events.Rejected(err)
		return events.Refuse(r.Reason, "data.so_number", r.Text)
	}
	claim, err := l.known(ctx, m, events.SourceAdmissions, m.Subject)
	if err != nil {
		return err
	}
	handles := l.Identity.NumberHandles("so", e.SONumber)
	if err := l.join(ctx, claim, handles, nil); err != nil {
		return parked(m, err, "data.so_number")
	}
	var s step
	after, err := l.updateHeir(ctx, claim.Account, func(now *Account) (bool, error) {
		s = step{again: now.seen(m, FacetNumbers) != "new"}
		if now.State == Closed {
			return false, nil
		}
		before := slices.Clone(now.Numbers)
		s.renumbered = addNumbers(now, ns)
		s.changed = addHandles(now, handles) || s.renumbered
		if !s.again {
			now.setMark(m, FacetNumbers, s.changed)
		}
		s.carried = s.changed && s.again && now.carry(m)
		return s.changed || !s.again || !slices.Equal(before, now.Numbers), nil
	})
	if err != nil {
		return l.orWait(m, err)
	}
	s.changed = s.changed || after.changedBy(m, FacetNumbers)
	s.account = after
	return l.follow(ctx, m, s)
}
