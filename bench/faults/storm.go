package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// points are where a role kills itself: before and after each side effect.
var points = map[string][]string{ //nolint:gochecknoglobals // a constant table
	"worker": {
		"claims.take.before", "claims.take.after", "directory.create.before", "directory.create.after",
		"publish.audit.before", "publish.audit.after", "publish.mail.before", "publish.mail.after",
		"directory.update.before", "directory.update.after", "waiting.plan.before", "waiting.plan.after",
	},
	"mailer": {"letters.mark.before", "letters.mark.after", "publish.audit.before", "publish.audit.after"},
	"portal": {"directory.setpassword.before", "directory.setpassword.after", "publish.portal.before", "publish.portal.after"},
}

var faultOf = map[string]string{"worker": "F1", "mailer": "F2", "portal": "F3"} //nolint:gochecknoglobals // a constant table

// batter kills a role again and again until the storm ends: at a named point,
// or at any time; often again while it still recovers.
func (h *house) batter(ctx context.Context, r *role, brisk int, random *rand.Rand) {
	r.hold.Lock()
	defer r.hold.Unlock()
	if r.child.kill() {
		h.dead(r)
	}
	for ctx.Err() == nil {
		point, life := "", time.Duration(200+random.IntN(1500))*time.Millisecond
		if random.IntN(4) > 0 {
			list := points[r.kind]
			point, life = fmt.Sprintf("%s=%d", list[random.IntN(len(list))], 1+random.IntN(4)), 2500*time.Millisecond
		}
		life /= time.Duration(max(brisk, 1))
		h.launch(r, point)
		select {
		case <-r.child.done:
			if r.child.crashed() {
				h.dead(r)
			} else {
				pause(ctx, 100*time.Millisecond)
			}
			continue
		case <-time.After(life):
		case <-ctx.Done():
		}
		if r.child.kill() {
			h.dead(r)
		}
	}
	h.launch(r, "")
}

func (h *house) dead(r *role) {
	h.killed(faultOf[r.kind])
	if r.kind == "mailer" {
		h.ambiguous.Add(1)
	}
}

// killBroker kills the broker until the storm ends, every other time again
// while it is still starting.
func (h *house) killBroker(ctx context.Context, random *rand.Rand) {
	for ctx.Err() == nil {
		h.disturbed()
		if h.natsd.kill() {
			h.killed("F4")
		}
		h.startBroker()
		if random.IntN(2) == 0 {
			pause(ctx, time.Duration(10+random.IntN(200))*time.Millisecond)
			continue
		}
		h.awaitBroker()
		pause(ctx, time.Duration(100+random.IntN(600))*time.Millisecond)
	}
	h.awaitBroker()
	h.disturbed()
}

// awaitConnections waits until the broker takes connections.
func (h *house) awaitConnections() {
	for m := h.fair.mark(); !h.fair.over(m, 20*time.Second); time.Sleep(20 * time.Millisecond) { // between two looks
		if nc, err := nats.Connect(h.broker.URL, h.broker.Options("operator")...); err == nil {
			nc.Close()
			return
		}
	}
	h.t.Fatal("nats-server did not start within 20 s")
}

// awaitBroker waits until the broker and its streams answer.
func (h *house) awaitBroker() {
	for m := h.fair.mark(); !h.fair.over(m, 30*time.Second); {
		if nc, err := nats.Connect(h.broker.URL, h.broker.Options("operator")...); err == nil {
			_, err = nc.Request("$JS.API.STREAM.INFO.INTAKE", nil, time.Second)
			nc.Close()
			if err == nil {
				return
			}
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
	h.violation("I13", "the broker was not back within 30 s")
}

// killDirectory kills slapd in the middle of its writes.
func (h *house) killDirectory(ctx context.Context, random *rand.Rand) {
	for ctx.Err() == nil {
		h.disturbed()
		h.slapd.Kill()
		h.killed("F5")
		pause(ctx, time.Duration(random.IntN(200))*time.Millisecond)
		h.slapd.Start()
		pause(ctx, time.Duration(50+random.IntN(250))*time.Millisecond)
	}
	h.disturbed()
}

// freeze stops a process where it stands for longer than the broker waits for
// an acknowledgement: it goes on after another one has taken its work.
func (h *house) freeze(ctx context.Context, r *role, d time.Duration) {
	r.hold.Lock()
	defer r.hold.Unlock()
	r.child.signal(syscall.SIGSTOP)
	h.killed("F7")
	pause(ctx, d)
	r.child.signal(syscall.SIGCONT)
}

// storm is the faults of one round.
type storm struct {
	name      string
	roles     []string // battered
	brisk     int      // so many times as often
	kills     int      // so many at least
	frozen    []string // stopped for longer than the ack wait, one after the other
	broker    bool
	directory bool
	trouble   trouble
	prepare   func() (func(context.Context), error) // makes ready whatever else happens
	after     func()                                // once all is calm and checked
	replay    bool                                  // everything is delivered once more afterwards
	patience  time.Duration                         // instead of the usual
	people    int
	last      time.Duration
}

// longer is how long a storm may go on for want of kills.
const longer = time.Minute

// rage lets the storm go on for its time, and on until it has killed what a run
// promises, at most for so long once more as a slow machine needs.
func (h *house) rage(ctx context.Context, s storm, during func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cancel()
		before := h.total()
		pause(ctx, s.last)
		for m := h.fair.mark(); h.total()-before < s.kills && !h.fair.over(m, longer); {
			pause(ctx, 50*time.Millisecond)
		}
	})
	for _, name := range s.roles {
		random := h.dice()
		wg.Go(func() { h.batter(ctx, h.roles[name], s.brisk, random) })
	}
	if s.broker {
		random := h.dice()
		wg.Go(func() { h.killBroker(ctx, random) })
	}
	if s.directory {
		random := h.dice()
		wg.Go(func() { h.killDirectory(ctx, random) })
	}
	for i, name := range s.frozen {
		wg.Go(func() {
			pause(ctx, time.Duration(i)*time.Second)
			h.freeze(ctx, h.roles[name], s.last)
		})
	}
	if during != nil {
		wg.Go(func() { during(ctx) })
	}
	h.sink.trouble(s.trouble)
	if what := s.trouble.what(); what != "" {
		h.killed("F14 " + what)
	}
	wg.Wait()
	h.sink.trouble(trouble{})
}

// round is people who live through a storm, then calm, then the checks.
func (h *house) round(n int, s storm) {
	if s.patience > 0 {
		usual := h.patience
		h.patience = s.patience
		defer func() { h.patience = usual }()
	}
	for _, r := range h.roles {
		r.wires, r.points = nil, ""
	}
	var during func(context.Context)
	if s.prepare != nil {
		var err error
		if during, err = s.prepare(); err != nil {
			h.t.Fatalf("%s: %v", s.name, err)
		}
	}
	began := time.Now()
	noon := began.Add(s.last * 2 / 3).Truncate(time.Second)
	h.configure(noon)
	h.restart()
	ctx, cancel := context.WithCancel(context.Background()) // people give up when the patience ends
	defer cancel()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 24)
	for range s.people {
		p, random := h.cast.invent(n, h.random, noon), rand.New(rand.NewPCG(h.random.Uint64(), 5))
		h.joins(p)
		wg.Go(func() {
			pause(ctx, time.Duration(random.Int64N(int64(s.last/2))))
			if p.Fate == waiting || p.Fate == silent || p.Fate == unknown {
				slots <- struct{}{}
				defer func() { <-slots }()
			}
			h.live(ctx, p, random)
		})
	}
	wg.Go(func() { h.watchOpening(ctx, noon) })
	h.rage(ctx, s, during)
	stormed := time.Since(began)
	calm := h.fair.mark()
	if !h.allReady(10 * time.Second) {
		h.violation("I13", "%s: the roles were not ready %s after the last fault, the bound is 10 s", s.name, h.fair.said(calm))
	}
	took := h.fair.said(calm)
	living := make(chan struct{})
	go func() { wg.Wait(); close(living) }()
	for busy := true; busy; {
		select {
		case <-living:
			busy = false
		case <-time.After(100 * time.Millisecond):
		}
		if busy && h.mutant != "" && h.wrongAlready() {
			cancel()
			<-living
			return
		}
		if busy && h.fair.over(calm, h.patience) {
			h.violation("I13", "%s: people were still busy %s after the last fault, the bound is %s", s.name, h.fair.said(calm), h.patience)
			cancel()
			<-living
			busy = false
		}
	}
	h.check(s.name, calm)
	if s.replay {
		h.replayed()
	}
	if s.after != nil && len(h.violated) == 0 {
		s.after()
	}
	fmt.Printf("seed %d round %d %-15s %3d people, %2.0f s storm, ready in %s, settled in %s, %3d kills so far, %d violations (%.0f s)\n",
		h.seed, n, s.name, s.people, stormed.Seconds(), took, h.slowest, h.total(), len(h.violated), time.Since(began).Seconds())
}

// total counts what was killed; the other faults are no kills.
func (h *house) total() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, fault := range []string{"F1", "F2", "F3", "F4", "F5"} {
		n += h.kills[fault]
	}
	return n
}
