package account

import (
	"cmp"
	"slices"

	"usn.no/matricula/events"
)

// age compares an event with a mark: +1 newer, 0 the very same, -1 older.
func age(m events.Meta, mark Mark) int { return recency(m).compare(mark.recency()) }

// compare says whether r is newer (+1), the very same (0) or older (-1).
// Sequence decides where both have one, else the time the source recorded, and
// between words of one instant the position in the stream. The measures are
// never mixed.
func (r Recency) compare(than Recency) int {
	if r.Sequence != 0 && than.Sequence != 0 {
		return cmp.Compare(r.Sequence, than.Sequence)
	}
	if c := r.Time.Compare(than.Time); c != 0 {
		return c
	}
	return cmp.Compare(r.Position, than.Position)
}

func (r Recency) sameInstant(as Recency) bool {
	return r.Sequence == as.Sequence && r.Time.Equal(as.Time)
}

func recency(m events.Meta) Recency {
	return Recency{Time: m.Time.UTC(), Sequence: m.Sequence, Position: m.Position}
}

func (m Mark) recency() Recency {
	return Recency{Time: m.Time, Sequence: m.Sequence, Position: m.Position}
}

func (a *Account) mark(source, subject, facet string) (Mark, bool) {
	for _, m := range a.Marks {
		if m.Source == source && m.Subject == subject && m.Facet == facet {
			return m, true
		}
	}
	return Mark{}, false
}

// setMark moves the mark of one facet to m.
func (a *Account) setMark(m events.Meta, facet string, changed bool) {
	mark := Mark{
		Source: m.Source, Subject: m.Subject, Facet: facet,
		Time: m.Time.UTC(), Sequence: m.Sequence, Position: m.Position, Changed: changed,
	}
	i := slices.IndexFunc(a.Marks, func(o Mark) bool {
		return o.Source == m.Source && o.Subject == m.Subject && o.Facet == facet
	})
	if i < 0 {
		a.Marks = append(a.Marks, mark)
		return
	}
	a.Marks[i] = mark
}

// remark says of the marks that m moved whether it changed anything.
func (a *Account) remark(m events.Meta, changed bool) {
	for i := range a.Marks {
		o := &a.Marks[i]
		if o.Source == m.Source && o.Subject == m.Subject && (o.Facet == FacetProfile || o.Facet == FacetRoles) && age(m, *o) == 0 {
			o.Changed = changed
		}
	}
}

// seen says how m stands to a facet: "new", "again" (this very event has been
// applied) or "old".
func (a *Account) seen(m events.Meta, facet string) string {
	mark, ok := a.mark(m.Source, m.Subject, facet)
	switch {
	case !ok || age(m, mark) > 0:
		return "new"
	case age(m, mark) == 0:
		return "again"
	}
	return "old"
}

// changedBy tells whether m is the event of a facet's mark and changed
// anything.
func (a *Account) changedBy(m events.Meta, facet string) bool {
	mark, ok := a.mark(m.Source, m.Subject, facet)
	return ok && age(m, mark) == 0 && mark.Changed
}

// carry lets the entry carry the fact that m changed it. No mark says so of an
// event that is older than its facet: handled again it finds nothing left to
// change, and nobody would tell of it.
func (a *Account) carry(m events.Meta) bool {
	what := events.AuditUpdated
	a.Unsent = append(a.Unsent, Fact{
		What: what, ID: m.Causes(events.Audit{What: what}, a.ID).ID, At: m.Time, Actor: actorOf(m.Source).Kind, Cause: m.ID,
	})
	return true
}
