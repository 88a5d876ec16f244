package mailer

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

// How a refusal moves the pace: it halves, at most once in paceSettles, never
// below the slowest, and grows by a quarter for every paceGrows without one until
// it is what the settings allow.
const (
	paceSettles = 10 * time.Second
	paceGrows   = 30 * time.Second
	paceNoLimit = 200.0 // letters a second: a pace beyond which counting is pointless
)

// gate lets letters to one relay: so many at once, so many a second, and so
// many a day. Who waits is let in oldest first, urgent ones before all others.
// Both bounds are one gate, so that an urgent letter never waits for a
// connection behind letters that were let in for their rate.
type gate struct {
	full    float64 // letters a second, +Inf: no limit
	slowest float64

	mu     sync.Mutex
	free   int // connections
	rate   float64
	tokens float64
	filled time.Time // when tokens were last counted
	slowed time.Time // the last time a refusal halved the rate
	grown  time.Time
	recent []time.Time // of the last letters let in: what an unlimited pace is halved from
	urgent []chan struct{}
	plain  []chan struct{}
	timer  *time.Timer
}

const remembered = 32

// newGate lets so many letters through at once and so many a minute and a day;
// 0 means no limit. A daily limit is spread evenly: that holds over any 24
// hours and through restarts, and a backlog that fills days takes as long.
func newGate(connections, perMinute, perDay, slowest int) *gate {
	full := math.Inf(1)
	if perMinute > 0 {
		full = float64(perMinute) / 60
	}
	if perDay > 0 {
		full = min(full, float64(perDay)/(24*60*60))
	}
	now := time.Now()
	return &gate{full: full, rate: full, slowest: float64(slowest) / 60, free: connections, tokens: 1, filled: now, grown: now}
}

// enter waits for this letter's turn. leave must follow where it answers nil.
func (g *gate) enter(ctx context.Context, urgent bool) error {
	turn := make(chan struct{})
	g.mu.Lock()
	if urgent {
		g.urgent = append(g.urgent, turn)
	} else {
		g.plain = append(g.plain, turn)
	}
	g.pump()
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-turn: // let in at that moment: pass it on
		g.free++
		g.tokens = min(1, g.tokens+1)
	default:
		mine := func(c chan struct{}) bool { return c == turn }
		g.urgent, g.plain = slices.DeleteFunc(g.urgent, mine), slices.DeleteFunc(g.plain, mine)
	}
	g.pump()
	return ctx.Err()
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free++
	g.pump()
}

// pump lets in who may go now, and sets a timer for the next.
func (g *gate) pump() {
	g.refill(time.Now())
	for g.free > 0 && g.tokens >= 1 && len(g.urgent)+len(g.plain) > 0 {
		queue := &g.urgent
		if len(g.urgent) == 0 {
			queue = &g.plain
		}
		close((*queue)[0])
		*queue = (*queue)[1:]
		g.free--
		if !math.IsInf(g.rate, 1) {
			g.tokens--
		}
		g.recent = append(g.recent, g.filled)
		if len(g.recent) > remembered {
			g.recent = g.recent[1:]
		}
	}
	if g.free == 0 || len(g.urgent)+len(g.plain) == 0 {
		return // leave or enter comes back here
	}
	// A nanosecond more than exact arithmetic says, or rounding would wake it
	// a hair too early again and again.
	wait := time.Duration((1-g.tokens)/g.rate*float64(time.Second)) + time.Nanosecond
	if g.timer == nil {
		g.timer = time.AfterFunc(wait, func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.pump()
		})
		return
	}
	g.timer.Reset(wait)
}

func (g *gate) refill(now time.Time) {
	if math.IsInf(g.rate, 1) {
		g.tokens = 1
	} else {
		g.tokens = min(1, g.tokens+now.Sub(g.filled).Seconds()*g.rate)
	}
	g.filled = now
	for g.rate < g.full && now.Sub(g.grown) >= paceGrows {
		g.grown = g.grown.Add(paceGrows)
		if g.rate *= 1.25; g.rate >= g.full || g.rate >= paceNoLimit {
			g.rate = g.full
		}
	}
}

// slow halves the pace: the relay asked for less. Refusals of letters that
// were under way together count once.
func (g *gate) slow() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	g.refill(now)
	if !g.slowed.IsZero() && now.Sub(g.slowed) < paceSettles {
		return
	}
	g.slowed, g.grown = now, now
	rate := g.rate
	if math.IsInf(rate, 1) {
		rate = min(g.observed(now), paceNoLimit)
	}
	g.rate = min(g.full, max(rate/2, g.slowest))
	g.tokens = min(g.tokens, 0)
}

// observed is the pace of the last letters, one a second where there were too
// few to tell.
func (g *gate) observed(now time.Time) float64 {
	if len(g.recent) < 2 {
		return 1
	}
	took := max(now.Sub(g.recent[0]), time.Millisecond)
	return float64(len(g.recent)) / took.Seconds()
}

// pace is the letters a second allowed now, +Inf for no limit.
func (g *gate) pace() float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refill(time.Now())
	return g.rate
}
