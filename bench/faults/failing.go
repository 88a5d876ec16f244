package faults

import (
	"context"
	"fmt"
	"strings"
	"time"

	"usn.no/matricula/events"
)

// alwaysFails has the workers fail at one person each time (F20): the event
// must become a dead letter that says so, hold up nobody for long, and be done
// once the fault is mended and the letter replayed.
func (h *house) alwaysFails() (func(context.Context), error) {
	const family = "Feilfjell"
	for _, r := range h.roles {
		if r.kind == "worker" {
			r.points = "failing=" + family
		}
	}
	return func(ctx context.Context) {
		p := h.cast.invent(0, h.dice(), time.Now())
		p.Role, p.No, p.Fate, p.Email = "employee", poisonKey+p.No, silent, "failing@example.org"
		p.Names = []string{"Prøve " + family}
		e := p.announcement(1, time.Now().Add(-time.Minute))
		h.mu.Lock()
		h.poison = append(h.poison, e.ID)
		h.mu.Unlock()
		p.announced = []string{h.publish(ctx, e)}
		h.killed("F20")
		h.mended = p
	}, nil
}

// mends restarts the workers without the fault and replays what was refused,
// as an operator does who has found the reason.
func (h *house) mends() {
	p := h.mended
	v, err := h.look()
	if err != nil || p == nil {
		h.violation("I13", "before the replay of a dead letter: %v", err)
		return
	}
	var id string
	for _, d := range v.dead {
		if strings.Contains(d.Subject, p.No) {
			if id = d.ID; d.Reason != events.ReasonGaveUp {
				h.violation("I11", "what always fails is a dead letter for %s", d.Reason)
			}
		}
	}
	for _, r := range h.roles {
		r.points = ""
	}
	h.restart()
	out, err := h.command("", nil, "dead", "replay", id).CombinedOutput()
	if err != nil {
		h.violation("I11", "the dead letter %s cannot be replayed: %v: %s", id, err, out)
		return
	}
	h.mu.Lock()
	h.poison = h.poison[:len(h.poison)-1]
	h.mu.Unlock()
	h.joins(p)
	h.check("mended", h.fair.mark())
	fmt.Println("  what failed each time is done after its replay")
}
