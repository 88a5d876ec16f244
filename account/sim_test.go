package account_test

import (
	"bytes"
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
	"usn.no/matricula/policy"
)

// The simulation plays the domain against doubles that fail, one seed after
// another. A seed that goes red plays again, exactly, with its whole story:
//
//	go test ./account -run TestSim$ -seed 4711
//	MATRICULA_SIM_SEEDS=2000 go test ./account -run TestSim$
var (
	simSeed  = flag.Uint64("seed", number("MATRICULA_SIM_SEED", 0), "play this one seed of the simulation and tell its story")
	simSeeds = flag.Uint64("seeds", number("MATRICULA_SIM_SEEDS", simDefault), "how many seeds of the simulation to play")
	simFirst = flag.Uint64("first", number("MATRICULA_SIM_FIRST", 1), "the first of them")
)

func number(name string, otherwise uint64) uint64 {
	if n, err := strconv.ParseUint(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

func TestSim(t *testing.T) {
	if *simSeed != 0 {
		if s := play(t, *simSeed, true); len(s.wrong) > 0 {
			t.Logf("%s", strings.Join(s.story, "\n"))
			t.Errorf("seed %d:\n%s", *simSeed, strings.Join(s.wrong, "\n"))
		}
		return
	}
	began, steps, red, played := time.Now(), 0, 0, 0
	for seed := *simFirst; seed < *simFirst+*simSeeds && red < 5; seed++ {
		s := play(t, seed, false)
		played++
		if steps += s.steps; len(s.wrong) > 0 {
			red++
			t.Errorf("seed %d: %s", seed, strings.Join(s.wrong, "\n\t"))
		}
	}
	t.Logf("%d violations in %d seeds from %d, %d steps, %.0f seeds a minute", red, played, *simFirst, steps,
		float64(played)/time.Since(began).Minutes())
}

// play plays one seed from the first registration to the last activation.
func play(t *testing.T, seed uint64, tell bool) (s *sim) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, seed)
	synctest.Test(t, func(t *testing.T) {
		s = newSim(t, seed, tell)
		s.storm()
		s.drain()
		s.settle(2 * time.Hour)
		s.check()
		s.again()
		s.rescue()
		s.settle(2 * time.Hour)
		s.check()
		s.again()
	})
	return s
}

func newSim(t *testing.T, seed uint64, tell bool) *sim {
	s := &sim{
		t: t, seed: seed, tell: tell, rng: rand.New(rand.NewPCG(seed, 1)), born: time.Now(),
		stopped: make(chan struct{}), spent: map[string]int{},
	}
	s.dir = &memory{sim: s}
	s.pub = &bus{sim: s, marks: map[string]bool{}, seen: map[string]time.Time{}, taken: map[string]int{}}
	s.claim = &claims{sim: s, held: map[string][]byte{}}
	s.plans = &plans{sim: s}
	s.tries = &counter{sim: s, counts: map[string]int{}}
	s.town = newTown(s)
	before := []time.Duration{30 * time.Second, time.Hour, 3 * 24 * time.Hour, 15 * 24 * time.Hour, 20 * 24 * time.Hour}
	s.start = s.town.opening.Add(-before[s.rng.IntN(len(before))])
	f := []float64{0, 0.002, 0.01, 0.03}
	s.faults = faults{
		fail: f[s.rng.IntN(4)], die: f[s.rng.IntN(4)], freeze: f[s.rng.IntN(4)], kill: f[s.rng.IntN(3)] / 2,
		replay: []float64{0, 0, 0, 0.02}[s.rng.IntN(4)],
	}
	for p := range s.lives {
		s.skew[p] = time.Duration(s.rng.IntN(2001)-1000) * time.Millisecond
		s.lives[p] = s.life(p)
	}
	return s
}

func (s *sim) life(process int) *account.Lifecycle {
	letters := account.DefaultLetterRules()
	letters.WaitForPerson = 90 * 24 * time.Hour // longer than any storm: nobody is an orphan
	return &account.Lifecycle{
		Directory: s.dir, Passwords: s.dir, Claims: s.claim, Publisher: s.pub, Waiting: s.plans, Attempts: s.tries,
		Windows: policy.DefaultWindows(), PasswordRules: policy.DefaultPasswordRules(), Letters: letters,
		Identity: account.Identity{Key: bytes.Repeat([]byte{7}, 32), Version: 1},
		Tickets:  account.Tickets{Keys: [][]byte{bytes.Repeat([]byte{9}, 32)}}, Realm: "usn.example", Synthetic: true,
		Seal:        func(_, secret string) (string, error) { return "sealed " + secret, nil },
		SealRequest: func(_, text string) (string, error) { return text, nil },
		OpenRequest: func(_, sealed string) ([]byte, error) { return []byte(sealed), nil },
		Now:         func() time.Time { return s.clock(process) },
		Clock:       func(context.Context) error { return s.agrees(process) },
	}
}

// storm is the time with faults.
func (s *sim) storm() {
	for range 300 + s.rng.IntN(500) {
		if s.chance(0.003) { // a clock jumps
			s.skew[s.rng.IntN(len(s.skew))] = time.Duration(s.rng.IntN(2001)-1000) * time.Millisecond
		}
		if s.chance(0.003) { // a portal's is set wrong
			s.skew[portals+s.rng.IntN(2)] = time.Duration(s.rng.IntN(14401)-7200) * time.Second
		}
		s.turn(s.town.choices()...)
	}
}

// agrees is what a portal finds when it compares its clock with the broker's.
func (s *sim) agrees(process int) error {
	if process >= portals && s.skew[process].Abs() > time.Second {
		return account.ErrUnavailable
	}
	return nil
}

// drain publishes what is recorded and wakes what is stopped.
func (s *sim) drain() {
	for p := portals; p < len(s.skew); p++ {
		if s.skew[p].Abs() > time.Second {
			s.skew[p] = 0 // somebody has set it right
		}
	}
	for len(s.town.outbox) > 0 {
		s.town.publish()
	}
}

// again replays the whole intake: nothing changes and no letter goes out.
func (s *sim) again() {
	type state struct {
		entries []account.Account
		facts   int
		letters int
	}
	look := func() (st state) {
		for _, e := range s.dir.entries {
			a := directory.Canonical(e.Account)
			a.Revision = 0
			st.entries = append(st.entries, a)
		}
		st.facts, st.letters = len(s.pub.facts), len(s.pub.sent)
		return st
	}
	// At midnight, by any of the clocks, roles begin and end: that would be told
	// of meanwhile, and just after it not every clock has come to it.
	hour := s.now().Truncate(time.Hour)
	if s.now().Sub(hour) > time.Hour-2*maxSkew {
		hour = hour.Add(time.Hour)
	}
	if left := hour.Add(2 * maxSkew).Sub(s.now()); left > 0 {
		s.pass(left)
		s.settle(time.Minute)
	}
	before := look()
	s.pub.replay()
	s.settle(time.Minute)
	after := look()
	for i := range after.entries {
		if i >= len(before.entries) || !reflect.DeepEqual(before.entries[i], after.entries[i]) {
			s.violation("I16", "a full replay changed %s:\n%+v\n%+v", after.entries[i].Username, before.entries[min(i, len(before.entries)-1)], after.entries[i])
		}
	}
	if before.letters != after.letters {
		s.violation("I16", "a full replay sent %s", s.pub.sent[before.letters:])
	}
	if before.facts != after.facts {
		s.violation("I16", "a full replay told %v", s.pub.facts[before.facts:])
	}
}

// rescue lets everybody who can act do so in peace: each ends active.
func (s *sim) rescue() {
	if left := s.town.opening.Sub(s.now()); left > 0 {
		s.settle(left + 2*maxSkew)
		s.pass(s.town.opening.Add(2 * maxSkew).Sub(s.now()))
	}
	for range 8 {
		var left []*entry
		for _, e := range s.dir.entries {
			o, ok := s.lives[0].Opens(e.Account)
			if _, proves := e.Current(); proves && e.Address != "" && ok && (e.State == account.Pending || e.State == account.Suspended) {
				if s.now().Before(o.Add(2 * maxSkew)) {
					s.settle(o.Sub(s.now()) + 2*maxSkew)
					s.pass(o.Add(2 * maxSkew).Sub(s.now()))
				}
				left = append(left, e)
			}
		}
		if len(left) == 0 {
			return
		}
		for _, e := range left {
			l, ok := s.lastLetter(e)
			if !ok {
				s.violation("I4", "%s is %s and has no letter to act with", e.Username, e.State)
				return
			}
			s.spawn("patient visitor", portals, "", func(ctx context.Context) { s.town.act(ctx, l) })
		}
		s.settle(time.Minute)
	}
	for _, e := range s.dir.entries {
		if _, proves := e.Current(); proves && e.Address != "" && len(e.Roles) > 0 && e.State != account.Active {
			s.violation("I4", "%s can do nothing more and is still %s", e.Username, e.State)
		}
	}
}

// lastLetter is the letter whose link works, else the last one: people try
// each.
func (s *sim) lastLetter(e *entry) (last letter, ok bool) {
	for _, l := range s.pub.sent {
		if l.Account != e.ID || l.Invitation == "" {
			continue
		}
		if held, works := e.Invitation(last.Invitation); !works || held.Purpose != last.Purpose {
			last, ok = l, true
		}
	}
	return last, ok
}
