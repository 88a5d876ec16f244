package faults

import (
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var ( //nolint:gochecknoglobals // flags
	seedFlag     = flag.Uint64("seed", 0, "seed of the first round; 0: of the clock")
	minutesFlag  = flag.Float64("minutes", 0, "go on with further seeds for so long")
	scenarioFlag = flag.String("scenario", "", "one scenario, by name")
	simFlag      = flag.Int("sim", 0, "play so many seeds of the simulation first, and count them")
)

// TestFaults is the whole proof; "make faults" runs it.
func TestFaults(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) % 1e6
	}
	if len(chosen(seed, *scenarioFlag, *minutesFlag)) == 0 {
		t.Fatalf("there is no scenario %q: see docs/faults.md", *scenarioFlag)
	}
	began := time.Now()
	var sum totals
	if *simFlag > 0 {
		sum.simulate(t, *simFlag)
	}
	binary, server := build(t)
	for n := uint64(0); n == 0 || time.Since(began).Minutes() < *minutesFlag; n++ {
		t.Run(fmt.Sprintf("seed=%d", seed+n), func(t *testing.T) {
			sum.add(t, binary, server, seed+n, chosen(seed+n, *scenarioFlag, *minutesFlag))
		})
		if t.Failed() {
			break
		}
	}
	if *scenarioFlag == "" && !t.Failed() {
		for _, missed := range sum.enough() {
			t.Errorf("TOO LITTLE %s", missed)
		}
	}
	if err := canMount(); err != nil {
		fmt.Printf("no disks could be mounted here: no power was cut, no disk filled up: %v\n", err)
	}
	fmt.Printf("%s in %d seeds, %d kills, %d power cuts; seed %d, %d simulated; %.0f s\n%s\n", plural(sum.violations, "violation"),
		sum.seeds+sum.simulated, sum.kills, sum.cuts, seed, sum.simulated, time.Since(began).Seconds(), sum.faults())
}

var simLine = regexp.MustCompile(`(\d+) violations in (\d+) seeds`)

// simulate plays the simulation of the domain, which is a test of its own.
func (t *totals) simulate(tb *testing.T, seeds int) {
	tb.Helper()
	out, err := exec.Command("go", "test", "usn.no/matricula/account", "-run", "^TestSim$", "-count=1", "-v", "-timeout", "10m",
		"-args", fmt.Sprintf("-seeds=%d", seeds)).CombinedOutput()
	found := simLine.FindSubmatch(out)
	if found == nil {
		tb.Fatalf("the simulation says nothing: %v\n%s", err, out)
	}
	red, _ := strconv.Atoi(string(found[1]))
	played, _ := strconv.Atoi(string(found[2]))
	t.violations, t.simulated = t.violations+red, played
	fmt.Printf("simulated: %s\n", found[0])
	if err != nil {
		tb.Fatalf("the simulation: %v\n%s", err, strings.TrimSpace(string(out)))
	}
}

// build makes the product with failpoints and mutants, and the broker.
func build(t *testing.T) (binary, server string) {
	t.Helper()
	dir := t.TempDir()
	binary, server = filepath.Join(dir, "matricula"), filepath.Join(dir, "nats-server")
	for _, build := range [][]string{
		{"build", "-tags", "failpoints", "-o", binary, "usn.no/matricula/cmd/matricula"},
		{"build", "-o", server, "github.com/nats-io/nats-server/v2"},
	} {
		if out, err := exec.Command("go", build...).CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", build, err, out)
		}
	}
	return binary, server
}

// TestTakenOutSafeguardsAreSeen holds the rig itself: without one of the
// product's safeguards it must go red within a minute.
func TestTakenOutSafeguardsAreSeen(t *testing.T) {
	binary, server := build(t)
	for _, mutant := range []string{"without.claim", "without.compare", "without.facts", "without.idempotence", "without.order"} {
		t.Run(mutant, func(t *testing.T) {
			h := newHouse(t, binary, server, 1, mutant)
			h.patience = 12 * time.Second
			began := h.fair.mark()
			st := storm{name: mutant, roles: []string{"worker-1", "portal-1"}, people: 40, last: 10 * time.Second}
			if mutant == "without.order" { // shows where much comes at once
				st.roles, st.prepare = nil, h.chatters
				h.patience = 30 * time.Second
			}
			h.round(1, st)
			seen := wrong(h.violated)
			if seen < 0 {
				t.Fatalf("nobody noticed: %v", h.violated)
			}
			fmt.Printf("%s: red after %s: %.200s\n", mutant, h.fair.said(began), h.violated[seen])
			if h.fair.over(began, time.Minute) {
				t.Errorf("red only after %s", h.fair.said(began))
			}
		})
	}
}
