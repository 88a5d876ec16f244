package faults

import (
	"time"

	"usn.no/matricula/events"
)

// mail holds I4, I5 and I8: no letter before the entry, copies only where an
// answer was lost, all copies the same.
func (h *house) mail(v *view) {
	type copies struct {
		n, unanswered int
		content       string
	}
	byID, perPerson := map[string]*copies{}, map[string]map[string]bool{}
	extra := 0
	for _, l := range v.letters {
		if l.MessageID == "" || l.Template == "" {
			h.violation("I5", "a letter without Message-ID or template")
		}
		c := byID[l.MessageID]
		if c == nil {
			c = &copies{content: l.Content}
			byID[l.MessageID] = c
			key := l.To + " " + l.Template
			if perPerson[key] == nil {
				perPerson[key] = map[string]bool{}
			}
			perPerson[key][l.MessageID] = true
		} else {
			extra++
		}
		c.n++
		if !l.Answered {
			c.unanswered++
		}
		if c.content != l.Content {
			h.violation("I5", "two letters with one Message-ID differ (%s)", l.Template)
		}
	}
	lost := 0
	for _, c := range byID {
		lost += c.unanswered
	}
	if bound := lost + 4*int(h.ambiguous.Load()+h.brokerKills()); extra > bound {
		h.violation("I5", "%d letters went out again, more than the %d answers that can have been lost", extra, bound)
	}
	for key, ids := range perPerson {
		if len(ids) > 1 {
			h.violation("I5", "%d different letters %s", len(ids), key)
		}
	}
	h.mailInTime(v)
	h.refusals()
}

// refusals holds that what is refused for good is not offered for ever, and
// that no letter is offered without protection.
func (h *house) refusals() {
	h.sink.mu.Lock()
	defer h.sink.mu.Unlock()
	for to, n := range h.sink.refused {
		if bound := 4 + int(h.ambiguous.Load()+h.brokerKills()); n > bound {
			h.violation("I5", "%s was offered %d times and refused for good each time", to[:len(nobody)], n)
		}
	}
	if h.sink.naked > 0 {
		h.violation("I14", "%d letters were offered without protection", h.sink.naked)
	}
}

func (h *house) brokerKills() int64 { return int64(h.count("F4") + h.count("F8")) }

func (h *house) mailInTime(v *view) {
	for _, p := range h.people {
		found := v.entries[p.lin(h.slapd.Realm)]
		for _, l := range v.letters {
			if l.To != p.Email {
				continue
			}
			if p.Fate == waiting && l.Template == events.LetterActivation {
				h.violation("I4", "%s was invited long before their window", p.No)
			}
			if len(found) != 1 {
				h.violation("I4", "a letter to %s, who has %d entries", p.No, len(found))
				continue
			}
			made, err := time.Parse("20060102150405Z", found[0].GetAttributeValue("createTimestamp"))
			if err == nil && l.At.Before(made) {
				h.violation("I4", "a letter to %s before the entry was made", p.No)
			}
		}
	}
}
