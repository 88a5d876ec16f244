package account

import (
	"slices"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// What is kept of an employment or a programme: the role as the newest full
// state that listed it has it; when that was (Role.Listed, zero while it was the
// newest of all); the times of the full states before the newest, as marks of
// FacetListing; and the newest word about its end. From these, in whichever
// order they came, follows when it ends.

// Standing is a role as it counts.
type Standing struct {
	Role                // End is the last day by all that was told
	Over      time.Time // midnight after the last day; zero: no end is known
	Cancelled time.Time // when the source took it back; zero: it did not
}

// Counts says whether it is neither over nor taken back.
func (s Standing) Counts(now time.Time) bool {
	return s.Cancelled.IsZero() && (s.Over.IsZero() || now.Before(s.Over))
}

// Standing answers every role with its end.
func (a Account) Standing() []Standing {
	out := make([]Standing, 0, len(a.Roles))
	for _, r := range a.Roles {
		s := Standing{Role: r}
		if e, ok := a.ending(r); ok {
			if s.End = e.End; e.Cancelled {
				s.Cancelled = e.Time
			}
		}
		if day := a.vanished(r); day != "" && (s.End == "" || day < s.End) {
			s.End = day
		}
		s.Over, _ = policy.EndOfDay(s.End)
		out = append(out, s)
	}
	return out
}

// counting are the roles that count now.
func (a Account) counting(now time.Time) []Role {
	var out []Role
	for _, s := range a.Standing() {
		if s.Counts(now) {
			out = append(out, s.Role)
		}
	}
	return out
}

func sourceOf(kind string) string {
	if kind == Employee {
		return events.SourceHR
	}
	return events.SourceAdmissions
}

// listed is when a full state last had the role.
func (a Account) listed(r Role) Recency {
	if r.Listed != (Recency{}) {
		return r.Listed
	}
	m, _ := a.mark(sourceOf(r.Kind), r.Key, FacetRoles)
	return m.recency()
}

// ending is the newest word about a role's end, where it is newer than the last
// full state that had the role.
func (a Account) ending(r Role) (Ending, bool) {
	var best Ending
	found := false
	for _, e := range a.Endings {
		if e.Source != sourceOf(r.Kind) || e.Subject != r.Key || e.ID != "" && e.ID != r.ID {
			continue
		}
		if e.compare(a.listed(r)) > 0 && (!found || e.compare(best.Recency) > 0) {
			best, found = e, true
		}
	}
	return best, found
}

// vanished is the day of the first full state that lacked the role; "" while
// the newest has it.
func (a Account) vanished(r Role) string {
	if r.Listed == (Recency{}) {
		return ""
	}
	var first Recency
	for _, m := range a.Marks {
		if m.Source != sourceOf(r.Kind) || m.Subject != r.Key || m.Facet != FacetListing && m.Facet != FacetRoles {
			continue
		}
		if m.recency().compare(r.Listed) > 0 && (first == (Recency{}) || m.recency().compare(first) < 0) {
			first = m.recency()
		}
	}
	return policy.DayOf(first.Time)
}

// listRoles joins the roles of a full state. One that is older than the newest
// tells only of roles that the newest lacks. It leaves the mark of the newest
// to its caller.
func listRoles(acc *Account, a announcement) {
	at := recency(a.Meta)
	mark, known := acc.mark(a.Source, a.Subject, FacetRoles)
	newest := !known || at.compare(mark.recency()) > 0
	switch {
	case known && at.compare(mark.recency()) == 0:
		return
	case newest && known:
		if !at.sameInstant(mark.recency()) {
			acc.listing(a, mark.recency())
		}
		for i := range acc.Roles {
			if r := &acc.Roles[i]; r.Kind == a.kind && r.Key == a.Subject && r.Listed == (Recency{}) {
				r.Listed = mark.recency()
			}
		}
	case known:
		if !at.sameInstant(mark.recency()) {
			acc.listing(a, at)
		}
	default: // what was taken over stood for whatever the source would tell
		acc.Roles = slices.DeleteFunc(acc.Roles, func(r Role) bool { return r.Kind == a.kind && r.Key == a.Subject })
	}
	for _, r := range a.roles {
		if !newest {
			r.Listed = at
		}
		acc.listRole(r, newest)
	}
	sortRoles(acc.Roles)
}

// listRole joins one role as a full state has it. What was recorded first stays
// known: the next 1 August counts from there.
func (a *Account) listRole(r Role, newest bool) {
	i := slices.IndexFunc(a.Roles, func(o Role) bool { return o.Kind == r.Kind && o.Key == r.Key && o.ID == r.ID })
	if i < 0 {
		a.Roles = append(a.Roles, r)
		return
	}
	old := a.Roles[i]
	first := old.Since
	if r.Since.Before(first) {
		first = r.Since
	}
	if newest || old.Listed != (Recency{}) && r.Listed.compare(old.Listed) > 0 {
		a.Roles[i] = r
	}
	a.Roles[i].Since = first
}

// listings is how many full states before the newest are remembered of one
// subject. It is how far out of order they may come for the day on which a role
// vanished to be right; with a longer delay it is a later one.
const listings = 6

// listing remembers when there was a full state. Who has had the same roles all
// along needs none of them.
func (a *Account) listing(of announcement, at Recency) {
	m := Mark{Source: of.Source, Subject: of.Subject, Facet: FacetListing, Time: at.Time, Sequence: at.Sequence, Position: at.Position}
	if slices.ContainsFunc(a.Marks, func(o Mark) bool {
		return o.Facet == FacetListing && o.Source == m.Source && o.Subject == m.Subject && o.recency().sameInstant(at)
	}) {
		return // told twice
	}
	a.Marks = append(a.Marks, m)
	var older []Mark
	for _, m := range a.Marks {
		if m.Facet == FacetListing && m.Source == of.Source && m.Subject == of.Subject {
			older = append(older, m)
		}
	}
	if len(older) <= listings {
		return
	}
	slices.SortFunc(older, func(x, y Mark) int { return x.recency().compare(y.recency()) })
	used := func(m Mark) bool { // it is the day on which a role vanished
		return slices.ContainsFunc(a.Roles, func(r Role) bool {
			return r.Kind == of.kind && r.Key == of.Subject && r.Listed != (Recency{}) && policy.DayOf(m.Time) == a.vanished(r)
		})
	}
	for _, m := range older[:len(older)-listings] {
		if !used(m) {
			a.Marks = slices.DeleteFunc(a.Marks, func(o Mark) bool { return o == m })
		}
	}
}

// end joins a source's word about the end of a role and says whether it is
// news.
func (a *Account) end(e Ending) bool {
	i := slices.IndexFunc(a.Endings, func(o Ending) bool { return o.Source == e.Source && o.Subject == e.Subject && o.ID == e.ID })
	switch {
	case i < 0:
		a.Endings = append(a.Endings, e)
	case e.compare(a.Endings[i].Recency) <= 0:
		return false
	default:
		a.Endings[i] = e
	}
	slices.SortFunc(a.Endings, func(x, y Ending) int {
		return compare(x.Source+"|"+x.Subject+"|"+x.ID, y.Source+"|"+y.Subject+"|"+y.ID)
	})
	return true
}
