package portal_test

import (
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"

	"usn.no/matricula/portal"
)

func TestFullHouseTurnsAwayWhoComesAndServesWhoIsInside(t *testing.T) {
	t.Parallel()
	var full atomic.Bool
	h := open(t, func(p *portal.Portal) { p.Crowded = full.Load })
	inside, outside := h.reader(t), h.reader(t)
	inside.prove(h.life.invite("kari", nil))
	later := h.life.invite("ola", nil)

	looks := h.life.called("look")

	full.Store(true)
	for _, path := range []string{"/a/" + later, "/activate"} {
		p := outside.get(path)
		expect(t, p, http.StatusServiceUnavailable, "Det er mange her akkurat nå", "lenken i brevet virker fortsatt")
		if p.header.Get("Retry-After") == "" {
			t.Errorf("%s does not say when to come again", path)
		}
	}
	if n := h.life.called("look") - looks; n != 0 {
		t.Errorf("whoever was turned away cost %d looks into the directory", n)
	}
	p := inside.post("/activate/password", choice(inside.get("/activate/password"), good))
	expect(t, inside.get(p.location()), http.StatusOK, "Kontoen er aktivert")

	full.Store(false)
	expect(t, outside.get("/activate"), http.StatusOK, "Bekreft hvem du er")
	p = outside.post("/activate", url.Values{"number": {number}, "role": {"student"}})
	if p.location() != "/activate/password" {
		t.Errorf("the link held no more once there was room: %d %s", p.status, p.words())
	}
}
