package table

import (
	"math"
	"testing"
	"time"
)

func TestTurnsCountAsOneOverAll(t *testing.T) {
	t.Parallel()
	a := registered{n: 100, took: time.Second, worker: time.Second, peak: 40, census: census{lost: 1}}
	b := registered{n: 100, took: 3 * time.Second, worker: 2 * time.Second, peak: 30, census: census{doubled: 2, dead: 1}}
	got := registered{}.with(a).with(b)
	if got.n != 200 || math.Abs(got.rate()-50) > 1e-9 || got.worker != 3*time.Second || got.peak != 40 || got.lost != 1 || got.doubled != 2 || got.dead != 1 {
		t.Errorf("100 in 1 s and 100 in 3 s count as %d at %.0f/s with %s of processor time, %.0f MiB and %s; it is 200 at 50/s with 3s, 40 MiB and 1, 2, 1",
			got.n, got.rate(), got.worker, got.peak, got.census)
	}
	if s, want := got.speed(), "50/s (100/s, then 33/s)"; s != want {
		t.Errorf("two turns read %q, not %q", s, want)
	}
}
