package faults

import (
	"slices"

	"usn.no/matricula/events"
)

// poisonous says whether a dead letter is of an event that had to be refused.
func (h *house) poisonous(d events.DeadLetter) bool {
	ids := d.Header["Nats-Msg-Id"]
	return len(ids) == 1 && slices.Contains(h.poison, ids[0])
}
