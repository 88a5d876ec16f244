package faults

import (
	"context"
	"net/http"
	"os"
	"time"
)

// skewAllowed is what a portal's clock may be off before it must refuse.
const skewAllowed = time.Second

// setClock shifts a role's clock, from now on.
func (h *house) setClock(r *role, by time.Duration) {
	if err := os.WriteFile(h.clock(r)+".new", []byte(by.String()), 0o600); err != nil {
		h.t.Error(err)
		return
	}
	if err := os.Rename(h.clock(r)+".new", h.clock(r)); err != nil {
		h.t.Error(err)
	}
}

// clocks lets the portals' clocks jump, back and forth, around the opening. One
// that is off by more than the limit must say so and let nobody in.
func (h *house) clocks() (func(context.Context), error) {
	return func(ctx context.Context) {
		jumps := []time.Duration{90 * time.Second, -800 * time.Millisecond, 2 * time.Hour, 800 * time.Millisecond, -2 * time.Hour, -90 * time.Second}
		pause(ctx, time.Second)
		for n := 0; ctx.Err() == nil; n++ {
			by, r := jumps[n%len(jumps)], h.roles[[]string{"portal-2", "portal-1"}[n/len(jumps)%2]]
			h.setClock(r, by)
			h.killed("F17")
			if by.Abs() > skewAllowed {
				h.refuses(ctx, r)
			}
			pause(ctx, 1500*time.Millisecond)
			h.setClock(r, 0)
			pause(ctx, 300*time.Millisecond)
		}
		for _, name := range []string{"portal-1", "portal-2"} {
			h.setClock(h.roles[name], 0)
		}
	}, nil
}

// refuses expects that a portal decides about no link and is red.
func (h *house) refuses(ctx context.Context, r *role) {
	if ready(r.metrics) {
		h.violation("I8", "%s is ready with a clock that is off", r.name)
	}
	for _, l := range h.sink.taken() {
		if l.Link == "" || ctx.Err() != nil {
			continue
		}
		at := h.portals[0]
		if r.name == "portal-2" {
			at = h.portals[1]
		}
		if got, ok := h.open(newBrowser(h.base, []string{at}, h.dice()), l.Link); ok && got.Status != http.StatusServiceUnavailable {
			h.violation("I8", "%s answers %d with a clock that is off", r.name, got.Status)
		}
		return
	}
}
