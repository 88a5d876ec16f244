package account

import (
	"context"
	"slices"
	"strings"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// apply writes an announcement's facts into acc and says whether anything but
// marks changed. Full state older than a facet's mark changes nothing in that
// facet; numbers are only ever added.
func (l *Lifecycle) apply(acc *Account, a announcement) bool {
	changed := addNumbers(acc, a.numbers)
	changed = addHandles(acc, l.handles(a)) || changed
	if acc.seen(a.Meta, FacetProfile) == "new" {
		changed = applyProfile(acc, a) || changed
	}
	if acc.seen(a.Meta, FacetRoles) == "new" {
		changed = applyRoles(acc, a) || changed
	} else {
		recordedFirst(acc.Roles, a.roles)
	}
	for _, facet := range []string{FacetProfile, FacetRoles} {
		if acc.seen(a.Meta, facet) == "new" {
			acc.setMark(a.Meta, facet, changed)
		}
	}
	return changed
}

// applyProfile takes name, contact, language and protection. A source that
// says nothing about a field does not erase what another source said.
func applyProfile(acc *Account, a announcement) bool {
	before := *acc
	if !newestProfile(acc, a) {
		return false
	}
	acc.Name = a.name
	if a.birthDate != "" {
		acc.BirthDate = a.birthDate
	}
	if gone, _, bounced := acc.Bounced(); a.address != "" && !(bounced && strings.EqualFold(gone, a.address)) {
		acc.Address = a.address
		if bounced {
			before.Address = gone
			acc.forgetBounce()
		}
	}
	if a.mobile != "" {
		acc.Mobile = a.mobile
	}
	if a.language != "" {
		acc.Language = a.language
	}
	if a.protection != "" {
		acc.Protection = a.protection
	}
	acc.Reserved = a.reserved
	if acc.Address != before.Address && before.Address != "" {
		// The old links went to an address that is no longer the person's. A new
		// one for a new password is asked for, and comes to the new address.
		acc.replace()
	}
	return acc.Name != before.Name || acc.BirthDate != before.BirthDate || acc.Address != before.Address ||
		acc.Mobile != before.Mobile || acc.Language != before.Language || acc.Protection != before.Protection ||
		acc.Reserved != before.Reserved
}

// newestProfile decides between sources: the later recorded profile stands,
// whichever order the events come in; at one instant HR's does.
func newestProfile(acc *Account, a announcement) bool {
	for _, m := range acc.Marks {
		if m.Facet != FacetProfile || m.Source == a.Source && m.Subject == a.Subject {
			continue
		}
		if m.Time.After(a.Time) || m.Time.Equal(a.Time) && m.Source > a.Source {
			return false
		}
	}
	return true
}

// recordedFirst takes from older state only when a role was recorded first: it
// may arrive after the newer state.
func recordedFirst(roles, older []Role) {
	for i := range roles {
		for _, o := range older {
			r := &roles[i]
			if o.Kind == r.Kind && o.Key == r.Key && o.ID == r.ID && o.Since.Before(r.Since) {
				r.Since = o.Since
			}
		}
	}
}

// applyRoles replaces the roles of this source's subject. What was recorded
// first stays known: the next 1 August counts from there.
func applyRoles(acc *Account, a announcement) bool {
	old := slices.Clone(acc.Roles)
	roles := slices.DeleteFunc(slices.Clone(acc.Roles), func(r Role) bool { return r.Kind == a.kind && r.Key == a.Subject })
	for _, r := range a.roles {
		for _, o := range old {
			if o.Kind == r.Kind && o.Key == r.Key && o.ID == r.ID && o.Since.Before(r.Since) {
				r.Since = o.Since
			}
		}
		roles = append(roles, r)
	}
	acc.Roles = roles
	sortRoles(acc.Roles)
	sortRoles(old)
	return !slices.Equal(old, acc.Roles)
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
	after, err := l.update(ctx, Key{ByID, acc.ID}, func(now *Account) (bool, error) {
		s = step{}
		if now.State == Closed {
			return false, nil // a tombstone: a late event does not raise it
		}
		before := now.Clone()
		newer := now.seen(a.Meta, FacetProfile) == "new" || now.seen(a.Meta, FacetRoles) == "new"
		s.again = !newer
		s.changed = l.apply(now, a)
		s.carried = s.changed && !newer && now.carry(a.Meta)
		s.renumbered = len(before.Numbers) != len(now.Numbers)
		s.readdressed = before.Address != now.Address
		return s.changed || newer || !slices.Equal(before.Numbers, now.Numbers) || !slices.Equal(before.Roles, now.Roles), nil
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
		return parked(err, "data.so_number")
	}
	var s step
	after, err := l.update(ctx, Key{ByID, claim.Account}, func(now *Account) (bool, error) {
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
