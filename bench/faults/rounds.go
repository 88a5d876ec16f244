package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"
)

// When a scenario is played.
const (
	always = "always"  // in every run
	byTurn = "by turn" // in some runs, as the seed says, and in long ones
	long   = "long"    // in long runs: what a relay puts off comes again after a minute
	alone  = "alone"   // when it is asked for by name
)

// scenario is a round that has a name. docs/faults.md says of each what it
// does and what must hold; a test compares the two.
type scenario struct {
	name, faults, when string
	disks              bool // needs to mount
	storm              func(h *house) storm
}

const turns = 2 // scenarios by turn in a run

// scenarios are all there are, in the order in which they are played.
func scenarios() []scenario {
	const s = time.Second
	plain := func(st storm) func(*house) storm { return func(*house) storm { return st } }
	return []scenario{
		{"worker", "F1", always, false, plain(storm{roles: []string{"worker-1", "worker-2"}, people: 40, last: 10 * s, kills: kills, brisk: 2})},
		{"mailer", "F2", always, false, plain(storm{roles: []string{"mailer-1"}, people: 40, last: 12 * s, kills: kills, brisk: 3, trouble: trouble{wait: 100 * time.Millisecond, drop: 0.15}})},
		{"portal", "F3", always, false, plain(storm{roles: []string{"portal-1", "portal-2"}, people: 40, last: 13 * s, kills: kills})},
		{"broker", "F4", always, false, plain(storm{broker: true, people: 30, last: 10 * s, kills: kills})},
		{"directory", "F5", always, false, plain(storm{directory: true, people: 30, last: 10 * s, kills: kills})},
		{"frozen", "F7", byTurn, false, plain(storm{frozen: []string{"worker-1", "portal-2"}, people: 30, last: 13 * s})},
		{"everything", "F1-F5", byTurn, false, plain(storm{roles: []string{"worker-1", "mailer-1", "portal-1"}, broker: true, directory: true, people: 40, last: 14 * s})},
		{"at once", "F6", byTurn, false, func(h *house) storm { return storm{prepare: h.allAtOnce, people: 30, last: 14 * s} }},
		{"clock", "F17", byTurn, false, func(h *house) storm { return storm{prepare: h.clocks, people: 30, last: 14 * s} }},
		{"poison", "F18 F19", byTurn, false, func(h *house) storm { return storm{prepare: h.poisoned, people: 20, last: 6 * s, replay: true} }},
		{"power", "F8", always, true, func(h *house) storm { return storm{prepare: h.powerCuts, people: 30, last: 14 * s} }},
		{"broker full", "F9", always, true, func(h *house) storm { return storm{prepare: h.brokerFull, people: 30, last: 14 * s} }},
		{"directory full", "F9", byTurn, true, func(h *house) storm { return storm{prepare: h.directoryFull, people: 30, last: 14 * s} }},
		{"idle", "F9", always, true, func(h *house) storm { return storm{prepare: h.idleFull, last: 4 * s} }},
		{"read-only", "F10", byTurn, true, func(h *house) storm { return storm{prepare: h.readOnly, people: 30, last: 16 * s} }},
		{"failing", "F20", byTurn, false, func(h *house) storm { return storm{prepare: h.alwaysFails, after: h.mends, people: 20, last: 6 * s} }},
		{"lines", "F12 F13", always, false, func(h *house) storm { return storm{prepare: h.wired, people: 30, last: 14 * s} }},
		{"answers", "F15", byTurn, false, func(h *house) storm { return storm{prepare: h.answersWrong, people: 30, last: 12 * s} }},
		{"stale", "F16", byTurn, false, func(h *house) storm { return storm{prepare: h.readsStale, people: 30, last: 12 * s} }},
		{"acks", "F21", byTurn, false, func(h *house) storm { return storm{prepare: h.acksLost, people: 30, last: 12 * s} }},
		{"backup", "F25", alone, false, func(h *house) storm { return storm{prepare: h.backsUp, after: h.restores, people: 40, last: 8 * s} }},
		{"one of three", "F4", long, false, func(h *house) storm {
			return storm{prepare: h.oneDies, after: h.stillWell, people: 30, last: 50 * s, patience: 2 * time.Minute}
		}},
		{"one cut off", "F13", long, false, func(h *house) storm {
			return storm{prepare: h.oneIsCutOff, after: h.stillWell, people: 30, last: 75 * s, patience: 2 * time.Minute}
		}},
		{"versions", "F22", long, false, func(h *house) storm { return storm{prepare: h.rolls, after: h.rolledBack, people: 40, last: 45 * s} }},
		{"bit flips", "F11", long, false, func(h *house) storm { return storm{after: h.rots, people: 30, last: 6 * s} }},
		{"relay", "F14", long, false, plain(storm{people: 40, last: 20 * s, patience: 3 * time.Minute, trouble: trouble{temporary: 0.1, refuse: 0.05, drop: 0.05}})},
		{"greylist", "F14", long, false, plain(storm{people: 20, last: 10 * s, patience: 4 * time.Minute, trouble: trouble{greylist: true, wait: time.Second}})},
		{"stripped", "F14", byTurn, false, plain(storm{people: 20, last: 10 * s, patience: 3 * time.Minute, trouble: trouble{door: stripped}})},
		{"outdated", "F14", long, false, plain(storm{people: 20, last: 10 * s, patience: 3 * time.Minute, trouble: trouble{door: outdated}})},
		{"another", "F14", long, false, plain(storm{people: 20, last: 10 * s, patience: 3 * time.Minute, trouble: trouble{door: another}})},
	}
}

// totals are what a run comes to.
type totals struct {
	seeds, simulated, kills, cuts, violations int
	each                                      map[string]int
}

// chosen are the scenarios of one seed.
func chosen(seed uint64, only string, minutes float64) []scenario {
	var turn, out []scenario
	for _, s := range scenarios() {
		if s.when == byTurn {
			turn = append(turn, s)
		}
	}
	r := rand.New(rand.NewPCG(seed, 6))
	r.Shuffle(len(turn), func(i, j int) { turn[i], turn[j] = turn[j], turn[i] })
	taken := map[string]bool{}
	for _, s := range turn[:turns] {
		taken[s.name] = true
	}
	for _, s := range scenarios() {
		switch {
		case only != "":
			if slices.Contains(strings.Split(only, ","), s.name) {
				out = append(out, s)
			}
		case s.when == always, minutes > 0 && s.when != alone, s.when == byTurn && taken[s.name]:
			out = append(out, s)
		}
	}
	return out
}

// add runs the scenarios of one seed and counts.
func (t *totals) add(tb *testing.T, binary, server string, seed uint64, list []scenario) {
	town := &town{tb: tb, binary: binary, server: server, seed: seed}
	defer func() { t.count(town) }()
	for n, s := range list {
		if err := s.cannot(); err != nil {
			fmt.Printf("  no %s: %v\n", s.name, err)
			continue
		}
		if town.violations() > 0 {
			return // the first ones tell most, and later rounds would wait for the same people
		}
		h := town.house(s)
		st := s.storm(h)
		st.name = s.name
		h.round(n+1, st)
	}
}

func (t *totals) faults() string {
	var out []string
	for k, n := range t.each {
		out = append(out, fmt.Sprintf("%s %d", k, n))
	}
	sort.Strings(out)
	return strings.Join(out, ", ")
}

// enough holds what a run promises: so many kills of each process.
func (t *totals) enough() []string {
	var out []string
	for _, fault := range []string{"F1", "F2", "F3", "F4", "F5"} {
		if n := t.each[fault]; n < kills {
			out = append(out, fmt.Sprintf("%s: %d kills, not %d", fault, n, kills))
		}
	}
	for _, fault := range []string{"F8", "F9 broker", "F13"} {
		if err := canMount(); t.each[fault] == 0 && (err == nil || fault == "F13") {
			out = append(out, fault+" did not happen")
		}
	}
	return out
}

const kills = 20 // of each process, at least

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
