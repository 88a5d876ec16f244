package account

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"usn.no/matricula/events"
)

// absorb joins what is known of another account of the same person, register by
// register, as if its sources had told it of this one. It says whether any of
// that was news. What is about the other's password, links and letters is left.
func (a *Account) absorb(from Account) bool {
	before := a.Clone()
	for _, n := range from.Numbers {
		addNumbers(a, []Number{n})
		i := slices.IndexFunc(a.Numbers, func(o Number) bool { return o.Type == n.Type && o.Value == n.Value })
		own := &a.Numbers[i]
		own.Replaced, own.Renewed = later(own.Replaced, n.Replaced), later(own.Renewed, n.Renewed)
	}
	for _, t := range from.Told {
		a.tell(t)
	}
	for _, m := range from.Marks {
		switch m.Facet {
		case FacetRoles:
			a.absorbRoles(from, m)
		case FacetProfile, FacetNumbers:
			a.absorbMark(m)
		}
	}
	for _, r := range from.Roles {
		if _, told := from.mark(sourceOf(r.Kind), r.Key, FacetRoles); !told {
			a.listRole(r, false) // taken over with a directory: no source has told of it yet
		}
	}
	sortRoles(a.Roles)
	for _, e := range from.Endings {
		a.end(e)
	}
	for _, o := range from.Orders {
		switch o.What {
		case OrderLock, OrderOpen, OrderDeceased:
			a.order(o)
		}
	}
	a.profile()
	a.absorbBounce(from)
	return !reflect.DeepEqual(before, *a)
}

// absorbBounce takes the word that letters came back, where they went to what
// is the address now.
func (a *Account) absorbBounce(from Account) {
	gone, _, bounced := from.Bounced()
	if !bounced || !strings.EqualFold(gone, a.Address) {
		return
	}
	a.Address = ""
	for _, m := range from.Marks {
		if m.Facet == FacetAddress {
			a.Marks = append(a.Marks, m)
		}
	}
}

func later(x, y time.Time) time.Time {
	if y.After(x) {
		return y
	}
	return x
}

// absorbMark moves a mark to where the other's stands. What changed something
// there is told already, and not of this account.
func (a *Account) absorbMark(m Mark) {
	m.Changed = false
	i := slices.IndexFunc(a.Marks, func(o Mark) bool {
		return o.Source == m.Source && o.Subject == m.Subject && o.Facet == m.Facet
	})
	switch {
	case i < 0:
		a.Marks = append(a.Marks, m)
	case m.recency().compare(a.Marks[i].recency()) > 0:
		a.Marks[i] = m
	}
}

// absorbRoles tells this account, one after the other, the full states of one
// subject as the other account remembers them: those before the newest with the
// roles that the newest lacks.
func (a *Account) absorbRoles(from Account, newest Mark) {
	states := map[Recency][]Role{newest.recency(): nil}
	for _, m := range from.Marks {
		if m.Source == newest.Source && m.Subject == newest.Subject && m.Facet == FacetListing {
			states[m.recency()] = nil
		}
	}
	for _, r := range from.Roles {
		if sourceOf(r.Kind) != newest.Source || r.Key != newest.Subject {
			continue
		}
		at := r.Listed
		if r.Listed = (Recency{}); at == (Recency{}) {
			at = newest.recency()
		}
		states[at] = append(states[at], r)
	}
	for _, at := range slices.SortedFunc(maps.Keys(states), Recency.compare) {
		m := events.Meta{Source: newest.Source, Subject: newest.Subject, Time: at.Time, Sequence: at.Sequence, Position: at.Position}
		listRoles(a, announcement{Meta: m, kind: kindOf(newest.Source), roles: states[at]})
		if a.seen(m, FacetRoles) == "new" {
			a.setMark(m, FacetRoles, false)
		}
	}
}

func kindOf(source string) string {
	if source == events.SourceHR {
		return Employee
	}
	return Student
}
