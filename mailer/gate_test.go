package mailer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// goOn moves the clock of a synctest bubble.
func goOn(d time.Duration) {
	time.Sleep(d) // waits for the bubble's clock, which takes no time
}

// passed runs letters through a gate for so long, one after another on every
// connection, and answers how many went.
func passed(g *gate, connections int, span time.Duration) int {
	ctx, cancel := context.WithTimeout(context.Background(), span)
	defer cancel()
	var n int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			for g.enter(ctx, false) == nil {
				goOn(50 * time.Millisecond)
				mu.Lock()
				n++
				mu.Unlock()
				g.leave()
			}
		})
	}
	all.Wait()
	return n
}

func TestPaceIsHeldOverMinutesAndDays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		perMinute, perDay int
		span              time.Duration
		want              int
	}{
		"thirty a minute":                        {30, 0, time.Hour, 30 * 60},
		"ten thousand a day":                     {0, 10_000, 24 * time.Hour, 10_000},
		"thirty a minute and ten thousand a day": {30, 10_000, 48 * time.Hour, 20_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := passed(newGate(4, c.perMinute, c.perDay, 2), 4, c.span)
				if n > c.want+1 || n < c.want*99/100 {
					t.Errorf("%d letters went in %s, %d may", n, c.span, c.want)
				}
			})
		})
	}
}

func TestRefusalHalvesThePaceOnceAndItComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(4, 60, 0, 2)
		for range 4 { // four letters that were under way together
			g.slow()
		}
		if got := g.pace() * 60; got != 30 {
			t.Errorf("after refusals at one moment the pace is %.1f a minute, not 30", got)
		}
		for range 10 {
			goOn(paceSettles)
			g.slow()
		}
		if got := g.pace() * 60; got != 2 {
			t.Errorf("a relay that keeps refusing is sent %.1f letters a minute, not the slowest, 2", got)
		}
		goOn(10 * time.Minute)
		if got := g.pace() * 60; got != 60 {
			t.Errorf("ten minutes after the last refusal the pace is %.1f a minute, not 60", got)
		}
	})
}

func TestRefusalSlowsAnUnlimitedPaceToHalfOfWhatItWas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2, 0, 0, 2)
		passed(g, 2, 10*time.Second) // 40 a second
		g.slow()
		if got := g.pace(); got < 15 || got > 25 {
			t.Errorf("a pace of 40 letters a second is halved to %.1f", got)
		}
		if n := passed(g, 2, 10*time.Second); n < 150 || n > 260 {
			t.Errorf("%d letters went in ten seconds at about 20 a second", n)
		}
		goOn(time.Hour)
		if got := g.pace(); !math.IsInf(got, 1) {
			t.Errorf("an hour without a refusal, and the pace is still held at %.1f a second", got)
		}
	})
}

func TestUrgentLettersGoFirstThenTheLongestWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 60, 0, 2)
		if err := g.enter(t.Context(), false); err != nil { // the gate is busy
			t.Fatal(err)
		}
		var order []string
		var all sync.WaitGroup
		queue := func(name string, urgent bool) {
			all.Go(func() {
				if g.enter(t.Context(), urgent) == nil {
					order = append(order, name)
					g.leave()
				}
			})
			synctest.Wait()
		}
		for i := range 3 {
			queue(fmt.Sprintf("plain %d", i), false)
		}
		queue("urgent 0", true)
		queue("urgent 1", true)
		g.leave()
		all.Wait()
		if want := []string{"urgent 0", "urgent 1", "plain 0", "plain 1", "plain 2"}; !slices.Equal(order, want) {
			t.Errorf("letters went as %v, not %v", order, want)
		}
	})
}

func TestLetterThatLeavesTheQueueTakesNoTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 60, 0, 2)
		_ = g.enter(t.Context(), false)
		for range 50 {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			if err := g.enter(ctx, true); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a letter went through a gate that is full: %v", err)
			}
			cancel()
		}
		g.leave()
		begun := time.Now()
		if err := g.enter(t.Context(), false); err != nil || time.Since(begun) > time.Second {
			t.Errorf("after 50 letters that left, the next waits %s: %v", time.Since(begun), err)
		}
	})
}

func TestBreakerTriesOneConnectionAfterEachPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := breaker{first: 5 * time.Second}
		down := errors.New("connection refused")
		tries := 0
		for range 10 * 60 { // ten minutes, somebody asking every second
			if b.enter() == nil {
				if tries >= breakerTries && b.enter() == nil {
					t.Fatal("a second connection is tried beside the first")
				}
				tries++
				b.done(down, false)
			}
			goOn(time.Second)
		}
		// 3 at once, then after 5, 10, 20, 40, 80, 160 s and 5 minutes.
		if tries < 8 || tries > 10 {
			t.Errorf("a relay that is away is tried %d times in ten minutes", tries)
		}
		goOn(breakerLongest)
		if err := b.enter(); err != nil {
			t.Fatalf("after the longest pause nobody may try: %v", err)
		}
		b.done(nil, false)
		if b.open() || b.enter() != nil {
			t.Error("a connection stands, and the breaker is still open")
		}
	})
}

func TestRefusedLoginIsNotRepeatedSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := breaker{first: 5 * time.Second}
		tries := 0
		for range 60 * 60 {
			if b.enter() == nil {
				tries++
				b.done(errors.New("535 5.7.8 no"), true)
			}
			goOn(time.Second)
		}
		if tries > 9 {
			t.Errorf("a refused login is tried %d times in an hour: relays lock such accounts", tries)
		}
	})
}

func TestOnlyWhatIsSaidOfTheRelaySlowsIt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"450 4.2.2 mailbox full": false, "450 4.1.1 unknown for now": false, "450 4.2.0 greylisted": false,
		"451 4.7.650 rate limited": true, "421 4.3.2 closing": true, "452 4.3.1 no space": true, "450 slow down": true,
		"550 5.1.1 no": false, "250 2.0.0 taken": false,
	} {
		var code int
		_, _ = fmt.Sscanf(text, "%d", &code)
		r := reply(Retry, code, text[4:])
		if got := wantsLess(r); got != want {
			t.Errorf("%q slows the relay: %v", text, got)
		}
	}
}
