package faults

import (
	"net/http"
	"syscall"
	"time"
)

// disturbed says that servers are gone or were until a moment ago.
func (h *house) disturbed() { m := h.fair.mark(); h.outage.Store(&m) }

// calm says that no server has been gone for half a minute.
func (h *house) calm() bool {
	m := h.outage.Load()
	return m == nil || h.fair.over(*m, 30*time.Second)
}

// allReady waits until every role says that it is ready.
func (h *house) allReady(within time.Duration) bool {
	m := h.fair.mark()
	for _, r := range h.roles {
		for !ready(r.metrics) {
			if h.fair.over(m, within) {
				return false
			}
			time.Sleep(20 * time.Millisecond) // between two looks
		}
	}
	return true
}

func ready(address string) bool {
	c := http.Client{Timeout: 3 * time.Second}
	resp, err := c.Get("http://" + address + "/readyz")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// restart gives every role the settings of this round.
func (h *house) restart() {
	for _, r := range h.roles {
		r.hold.Lock()
		r.child.signal(syscall.SIGTERM)
		m := h.fair.mark()
		for !r.child.within(100*time.Millisecond) && !h.fair.over(m, 20*time.Second) {
		}
		if r.child.alive() {
			h.violation("I13", "%s did not end within 20 s of SIGTERM, but %s", r.name, h.fair.said(m))
			r.child.kill()
		}
		h.launch(r, "")
		r.hold.Unlock()
	}
	if m := h.fair.mark(); !h.allReady(10 * time.Second) {
		h.violation("I13", "the roles were not ready within %s of a restart", h.fair.said(m))
	}
}
