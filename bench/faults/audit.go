package faults

import "usn.no/matricula/events"

// audit holds I6 and I11: each fact once, no fact of what did not happen, and
// nothing refused that is good.
func (h *house) audit(v *view) {
	h.twice(v)
	h.refused(v)
	accounts := map[string]bool{"": true}
	for _, p := range h.people {
		for _, e := range v.entries[p.lin(h.slapd.Realm)] {
			account := e.GetAttributeValue("matriculaId")
			accounts[account] = true
			if p.Fate != robbed && v.count(account, events.AuditCompromised)+v.count(account, events.AuditPasswordChanged) > 0 {
				h.violation("I6", "%s: a fact about a theft that nobody reported", p.No)
			}
			h.factsInTime(v, p, account)
			h.stayed(v, p, account)
		}
	}
	for account := range v.facts {
		if !accounts[account] {
			h.violation("I6", "facts about account %s, which is not there", account)
		}
	}
}

// twice holds I6: each fact once.
func (h *house) twice(v *view) {
	for id, n := range v.ids {
		if n > 1 {
			h.violation("I6", "audit fact %s is there %d times", id, n)
		}
	}
	once := []string{
		events.AuditCreated, events.AuditInvited, events.AuditActivated, events.AuditCompromised,
		events.AuditPasswordChanged, events.AuditRestored, events.AuditSuspended, events.AuditClosed,
	}
	for _, p := range h.people {
		for _, e := range v.entries[p.lin(h.slapd.Realm)] {
			for _, what := range once {
				if n := v.count(e.GetAttributeValue("matriculaId"), what); n > 1 {
					h.violation("I6", "%s: %d × %s", p.No, n, what)
				}
			}
		}
	}
}

// refused holds I11: one dead letter for each event that had to be refused, and
// none for another.
func (h *house) refused(v *view) {
	buried := map[uint64]bool{}
	for _, d := range v.dead {
		if buried[d.Sequence] {
			h.violation("I11", "message %d is there as two dead letters", d.Sequence)
		}
		buried[d.Sequence] = true
		if !poisonous(d) {
			h.violation("I11", "a good event was refused: %s %s (%s)", d.Subject, d.Reason, d.Text)
		}
	}
	if len(v.dead) > len(h.poison) {
		h.violation("I11", "%d dead letters of %d poisonous events", len(v.dead), len(h.poison))
	}
}
