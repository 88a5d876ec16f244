package faults

import (
	"os/exec"
	"runtime"
	"testing"
	"time"
)

func TestStarvedTimeDoesNotCountAndSlowTimeDoes(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for _, row := range []struct {
		what                string
		elapsed, stood      time.Duration
		others, idle, ours  float64 // processor seconds, of two processors
		over                bool
		starvedLow, starved time.Duration
	}{
		{"quick", 9 * s, 0, 0, 9, 9, false, 0, 0},
		{"slow with nobody else there", 11 * s, 0, 0, 0, 22, true, 0, 0},
		{"slow on an idle machine", 11 * s, 0, 0, 20, 2, true, 0, 0},
		{"others were there, and half was idle", 11 * s, 0, 6, 11, 5, true, 0, 0},
		{"others took half", 18 * s, 0, 18, 0, 18, false, 9 * s, 9 * s},
		{"others took half, and it was still too slow", 22 * s, 0, 22, 0, 22, true, 11 * s, 11 * s},
		{"others took some of it, while some was idle", 12 * s, 0, 12, 6, 6, false, 3 * s, 3 * s},
		{"the housekeeping of the machine", 10*s + 200*time.Millisecond, 0, 0.8, 0, 19.6, true, 0, 0},
		{"the disk stood still", 14 * s, 5 * s, 0, 24, 4, false, 5 * s, 5 * s},
		{"the disk stood still while others took half", 16 * s, 5 * s, 16, 0, 16, false, 8 * s, 8 * s},
		{"nobody can wait for ever", 61 * s, 61 * s, 122, 0, 0, true, 61 * s, 61 * s},
	} {
		at, now := load{all: 100, idle: 50, ours: 10}, time.Now()
		f := &fair{sample: func() (load, error) { return at, nil }, now: func() time.Time { return now }}
		m := f.mark()
		now = now.Add(row.elapsed)
		at = load{all: 100 + row.others + row.idle + row.ours, idle: 50 + row.idle, ours: 10 + row.ours}
		f.stood.Add(int64(row.stood))
		if got := f.over(m, 10*s); got != row.over {
			t.Errorf("%s: %s of 10 s is over: %t", row.what, f.said(m), got)
		}
		if got := f.starved(m); got < row.starvedLow-time.Millisecond || got > row.starved+time.Millisecond {
			t.Errorf("%s: %s were starved, not %s", row.what, got, row.starved)
		}
	}
}

// What the machine says must tell others' load from the rig's own.
func TestOnlyOthersStarve(t *testing.T) {
	f := newFair()
	done := make(chan struct{})
	t.Cleanup(func() { close(done) })
	if err := f.beat(t.TempDir(), done); err != nil {
		t.Fatal(err)
	}
	quiet := f.mark()
	time.Sleep(time.Second) // what the machine does without us
	before := float64(f.starved(quiet)) / float64(time.Second)

	share := func(hog func() *exec.Cmd) float64 {
		var hogs []*exec.Cmd
		for range 2 * runtime.NumCPU() {
			c := hog()
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			hogs = append(hogs, c)
		}
		m := f.mark()
		time.Sleep(2 * time.Second) // that they take
		out := float64(f.starved(m)) / float64(2*time.Second)
		for _, c := range hogs {
			_ = c.Wait()
		}
		return out
	}
	const loop = "timeout 3 sh -c 'while :; do :; done'" // ends by itself, whatever becomes of us
	own := share(func() *exec.Cmd { return exec.Command("sh", "-c", loop) })
	others := share(func() *exec.Cmd { return exec.Command("sh", "-c", loop+" &") })
	if others < 0.5 {
		t.Errorf("twice as many strangers as processors took everything, and %.0f %% of the time count as starved", 100*others)
	}
	if before < 0.2 && own > 0.3 {
		t.Errorf("what the rig itself uses counts as starved for %.0f %% of the time", 100*own)
	}
	t.Logf("starved: %.0f %% beforehand, %.0f %% beside our own load, %.0f %% beside others'", 100*before, 100*own, 100*others)
}
