package account_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"usn.no/matricula/account"
)

// An order is what the scheduler tells an actor that waits at a point.
type order int

const (
	goOn order = iota
	fail       // before an effect: it is not done; after it: the answer is lost
	die        // the process is gone: nothing after this point happens
)

type crashed struct{}

// An actor is one thing a process does: a message under way, a click, a sweep.
// It runs only while the scheduler lets it, from one point to the next.
type actor struct {
	name    string
	process int
	cause   string // ID of the event it handles
	at      string // the point it waits at
	turn    chan order
	asleep  time.Time // not before this: a slow person, or a stopped process
	gone    bool
}

type actorKey struct{}

// sim is one seed: people, four processes, doubles with faults, and a clock.
// Exactly one goroutine runs at a time and every choice is drawn from rng, so
// that a seed plays the same again.
type sim struct {
	t      *testing.T
	seed   uint64
	rng    *rand.Rand
	start  time.Time // true time when it began
	born   time.Time // the bubble's time then
	calm   bool      // no faults any more
	faults faults
	steps  int
	spent  map[string]int // by invitation
	story  []string
	tell   bool

	actors  []*actor
	stopped chan struct{}

	skew  [4]time.Duration // workers 0 and 1, portals 2 and 3
	lives [4]*account.Lifecycle

	dir   *memory
	pub   *bus
	claim *claims
	plans *plans
	tries *counter
	town  *town

	wrong []string // violations found on the way
}

type faults struct{ fail, die, freeze, kill, replay float64 }

const (
	workers = 0
	portals = 2
)

func (s *sim) now() time.Time { return s.start.Add(time.Since(s.born)) }

func (s *sim) clock(process int) time.Time { return s.now().Add(s.skew[process]) }

func (s *sim) chance(p float64) bool { return s.rng.Float64() < p }

func (s *sim) violation(id, format string, args ...any) {
	if len(s.wrong) < 20 {
		s.wrong = append(s.wrong, id+": "+fmt.Sprintf(format, args...))
	}
}

func (s *sim) note(format string, args ...any) {
	if s.tell {
		s.story = append(s.story, s.now().UTC().Format("02T15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
}

// spawn starts an actor; it waits at its first point.
func (s *sim) spawn(name string, process int, cause string, f func(context.Context)) *actor {
	a := &actor{name: name, process: process, cause: cause, at: "start", turn: make(chan order)}
	s.actors = append(s.actors, a)
	go func() {
		defer func() {
			a.gone = true
			if p := recover(); p != nil {
				if _, ok := p.(crashed); !ok {
					s.violation("panic", "%s: %v", a.name, p)
				}
			}
			s.stopped <- struct{}{}
		}()
		if <-a.turn == die {
			panic(crashed{})
		}
		f(context.WithValue(context.Background(), actorKey{}, a))
	}()
	return a
}

// point parks the actor of ctx until the scheduler goes on with it. Outside a
// simulation there is nobody to wait for.
func (s *sim) point(ctx context.Context, what string) order {
	a, ok := ctx.Value(actorKey{}).(*actor)
	if s == nil || !ok {
		return goOn
	}
	a.at = what
	s.stopped <- struct{}{}
	o := <-a.turn
	if o == die {
		panic(crashed{})
	}
	return o
}

// effect is a step that the world keeps: it can fail before, and after, and
// the process can die before, and after.
func (s *sim) effect(ctx context.Context, what string, do func() error) error {
	if s.point(ctx, "before "+what) == fail || ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, account.ErrUnavailable)
	}
	if err := do(); err != nil {
		return err
	}
	if s.point(ctx, "after "+what) == fail || ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, account.ErrUnavailable)
	}
	return nil
}

// look is a step that only reads.
func (s *sim) look(ctx context.Context, what string) error {
	if s.point(ctx, what) == fail || ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, account.ErrUnavailable)
	}
	return nil
}

// think lets an actor wait, as people do.
func (s *sim) think(ctx context.Context, d time.Duration) {
	if a, ok := ctx.Value(actorKey{}).(*actor); ok {
		a.asleep = s.now().Add(d)
		s.point(ctx, "thinks")
	}
}

func (s *sim) causeOf(ctx context.Context) (string, int) {
	if a, ok := ctx.Value(actorKey{}).(*actor); ok {
		return a.cause, a.process
	}
	return "", 0
}

// resume lets an actor run to its next point.
func (s *sim) resume(a *actor, o order) {
	s.steps++
	s.note("%s %s %s", a.name, []string{"goes on", "fails", "dies"}[o], a.at)
	a.turn <- o
	<-s.stopped
	if a.gone {
		s.actors = slices.DeleteFunc(s.actors, func(b *actor) bool { return b == a })
	}
}

// step runs one actor, with a fault now and then.
func (s *sim) step(a *actor) {
	o := goOn
	if !s.calm && a.at != "thinks" {
		switch {
		case s.chance(s.faults.freeze): // SIGSTOP: it goes on later, as a zombie
			a.asleep = s.now().Add(time.Duration(1+s.rng.IntN(40)) * time.Second)
			s.note("%s stops %s", a.name, a.at)
			return
		case s.chance(s.faults.die):
			o = die
		case s.chance(s.faults.fail):
			o = fail
		case s.chance(s.faults.kill):
			s.kill(a.process)
			return
		}
	}
	s.resume(a, o)
}

// kill ends a process with everything it was doing.
func (s *sim) kill(process int) {
	for _, a := range slices.Clone(s.actors) {
		if a.process == process {
			s.resume(a, die)
		}
	}
}

// pass lets time go by. What was to happen meanwhile has happened then.
func (s *sim) pass(d time.Duration) {
	time.Sleep(max(d, time.Microsecond)) // waits for the clock of its bubble: no time passes outside
	synctest.Wait()
}

type choice struct {
	weight int
	do     func()
}

// turn makes one choice among everything that could happen now and answers
// false when nothing could.
func (s *sim) turn(extra ...choice) bool {
	var cs []choice
	now := s.now()
	for _, a := range s.actors {
		if !a.asleep.After(now) {
			cs = append(cs, choice{12, func() { s.step(a) }})
		}
	}
	cs = append(cs, s.pub.choices()...)
	cs = append(cs, extra...)
	total := 0
	for _, c := range cs {
		total += c.weight
	}
	if total == 0 {
		return false
	}
	n := s.rng.IntN(total)
	for _, c := range cs {
		if n -= c.weight; n < 0 {
			c.do()
			break
		}
	}
	return true
}

// settle lets everything come to an end without faults, up to a horizon.
func (s *sim) settle(horizon time.Duration) {
	was := s.calm
	s.calm = true
	until := s.now().Add(horizon)
	for range 200_000 {
		if s.turn() {
			continue
		}
		if s.sweep() {
			continue
		}
		next, ok := s.next()
		if !ok || next.After(until) {
			s.calm = was
			return
		}
		s.pass(next.Sub(s.now()))
	}
	s.violation("I13", "it does not come to rest: %d actors, partitions %v", len(s.actors), s.pub.heads())
	s.calm = was
}

// next is when something could happen that cannot happen now.
func (s *sim) next() (time.Time, bool) {
	var at []time.Time
	for _, a := range s.actors {
		at = append(at, a.asleep)
	}
	at = append(at, s.pub.wakes()...)
	at = slices.DeleteFunc(at, func(t time.Time) bool { return !t.After(s.now()) })
	if len(at) == 0 {
		return time.Time{}, false
	}
	return slices.MinFunc(at, time.Time.Compare), true
}

// sweep starts a search for facts that no hurry announced, where there are
// any: a worker does so every few seconds.
func (s *sim) sweep() bool {
	if !s.dir.carries() && !s.dir.due(s.now().Add(-maxSkew)) {
		return false
	}
	p := workers + s.rng.IntN(2)
	s.spawn("sweep", p, "", func(ctx context.Context) {
		_, _ = s.lives[p].PublishUnsent(ctx)
		_, _ = s.lives[p].TakeTurns(ctx)
	})
	return true
}
