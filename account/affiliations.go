package account

import (
	"slices"
	"time"

	"usn.no/matricula/events"
)

// Affiliations that follow from roles. Others, which an account that was taken
// over may have, are not ours to give or take.
const affiliationMember = "member"

func ours(affiliation string) bool {
	return affiliation == Student || affiliation == Employee || affiliation == affiliationMember
}

// affiliations are what an account publishes while it is active: each role's
// from its own opening, or while IT has opened it, until its own end.
func (l *Lifecycle) affiliations(a Account, at time.Time) []string {
	out := slices.DeleteFunc(slices.Clone(a.Affiliations), ours)
	for _, kind := range []string{Employee, Student} {
		open := func(r Role) bool { return r.Kind == kind && (at.Before(a.OpenUntil) || l.openingOf(r).Open(at)) }
		if slices.ContainsFunc(a.counting(at), open) {
			out = append(out, kind)
		}
	}
	if slices.ContainsFunc(out, ours) {
		out = append(out, affiliationMember)
	}
	slices.Sort(out)
	return out
}

// affiliate publishes what an active person is, and tells of it where time
// alone brought it. Whoever nobody has told of yet stays as taken over.
func (l *Lifecycle) affiliate(a *Account, now time.Time, c cause) {
	is := slices.DeleteFunc(slices.Clone(a.Affiliations), ours)
	switch {
	case a.State == Active && !slices.ContainsFunc(a.Told, func(t Told) bool { return t.Source != sourceImport }):
		return
	case a.State == Active:
		is = l.affiliations(*a, now)
	}
	if slices.Equal(is, a.Affiliations) {
		return
	}
	a.Affiliations = is
	if c.turn && a.State == Active {
		a.Unsent = append(a.Unsent, l.did(a, events.AuditUpdated, c, nil))
	}
}
