package faults

import (
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"
)

// totals are what a run comes to.
type totals struct {
	seeds, kills, cuts, violations int
	each                           map[string]int
}

// storms are the rounds of one seed.
func storms() []storm {
	return []storm{
		{name: "worker", roles: []string{"worker-1", "worker-2"}, people: 40, last: 12 * time.Second},
		{name: "mailer", roles: []string{"mailer-1"}, people: 40, last: 13 * time.Second, trouble: trouble{wait: 200 * time.Millisecond, drop: 0.15}},
		{name: "portal", roles: []string{"portal-1", "portal-2"}, people: 40, last: 12 * time.Second},
		{name: "broker", broker: true, people: 30, last: 10 * time.Second},
		{name: "directory", directory: true, people: 30, last: 10 * time.Second},
		{name: "frozen", frozen: []string{"worker-1", "portal-2"}, people: 30, last: 13 * time.Second},
		{name: "everything", roles: []string{"worker-1", "mailer-1", "portal-1"}, broker: true, directory: true, people: 40, last: 14 * time.Second},
	}
}

// relayTrouble is for long runs: what a relay puts off comes again after a
// minute.
func relayTrouble() storm {
	return storm{name: "relay", people: 40, last: 20 * time.Second, patience: 3 * time.Minute, trouble: trouble{temporary: 0.1, refuse: 0.05, drop: 0.05}}
}

// add runs every round of one seed and counts.
func (s *totals) add(t *testing.T, binary, server string, seed uint64, only string, long bool) {
	h := newHouse(t, binary, server, seed, "")
	defer func() {
		s.seeds++
		s.kills += h.total()
		s.violations += len(h.violated)
		if s.each == nil {
			s.each = map[string]int{}
		}
		for k, n := range h.kills {
			s.each[k] += n
		}
	}()
	rounds := append(storms(), storm{name: "poison", people: 20, last: 6 * time.Second, prepare: h.poisoned, replay: true})
	rounds = append(rounds, h.diskStorms()...)
	rounds = append(rounds, storm{name: "lines", people: 30, last: 16 * time.Second, prepare: h.wired})
	if long {
		rounds = append(rounds, relayTrouble())
	}
	for n, st := range rounds {
		if len(h.violated) > 0 {
			break // the first ones tell most, and later rounds would wait for the same people
		}
		if only == "" || only == st.name {
			h.round(n+1, st)
		}
	}
	s.cuts += h.count("F8")
}

// diskStorms are the rounds that take disks away, where that can be done.
func (h *house) diskStorms() []storm {
	if err := canMount(); err != nil {
		fmt.Printf("  no power cuts and no full disk: %v\n", err)
		return nil
	}
	return []storm{
		{name: "power", people: 30, last: 14 * time.Second, prepare: h.powerCuts},
		{name: "broker full", people: 30, last: 14 * time.Second, prepare: h.brokerFull},
		{name: "directory full", people: 30, last: 14 * time.Second, prepare: h.directoryFull},
	}
}

func (s *totals) faults() string {
	var out []string
	for k, n := range s.each {
		out = append(out, fmt.Sprintf("%s %d", k, n))
	}
	sort.Strings(out)
	return strings.Join(out, ", ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
