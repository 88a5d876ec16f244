package faults

import (
	"context"
	"sync"
	"time"
)

// allAtOnce kills every process of the installation at one moment, again and
// again: all of them recover together, each from what the others left.
func (h *house) allAtOnce() (func(context.Context), error) {
	return func(ctx context.Context) {
		random := h.dice()
		for ctx.Err() == nil {
			pause(ctx, time.Duration(300+random.IntN(1500))*time.Millisecond)
			h.disturbed()
			for _, r := range h.roles {
				r.hold.Lock()
			}
			var all sync.WaitGroup
			for _, r := range h.roles {
				all.Go(func() {
					if r.child.kill() {
						h.dead(r)
					}
				})
			}
			all.Go(func() {
				if h.natsd.kill() {
					h.killed("F4")
				}
			})
			all.Go(func() {
				h.slapd.Kill()
				h.killed("F5")
			})
			all.Wait()
			h.killed("F6")
			h.slapd.Start()
			h.startBroker()
			for _, r := range h.roles {
				h.launch(r, "")
				r.hold.Unlock()
			}
		}
		h.awaitBroker()
		h.disturbed()
	}, nil
}
