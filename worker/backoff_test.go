package worker

import (
	"testing"
	"time"
)

func TestPauseAfterALongOutageLeavesTimeToBeReadyInTenSeconds(t *testing.T) {
	t.Parallel()
	last := time.Duration(0)
	for n := 1; n < 200; n++ {
		d := Backoff{}.after(n)
		if n < 5 && d < last/2 {
			t.Errorf("pause %d is %s after %s: it does not grow", n, d, last)
		}
		if last = d; d > 5*time.Second {
			t.Fatalf("after %d failures the pause is %s", n, d)
		}
	}
	if last < 2*time.Second {
		t.Errorf("after an outage of hours a server that is down is asked every %s", last)
	}
}
