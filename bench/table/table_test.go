package table

import (
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	longFlag   = flag.Bool("long", false, "everything at full size; it takes about an hour")
	scaleFlag  = flag.Float64("scale", 1, "how much of the usual size: for trying the table out")
	rowsFlag   = flag.String("rows", "footprint,latency,registrations,loops,activations,growth", "which parts of the table")
	resultFlag = flag.String("results", "", "folder that the table and its plots are written to")
)

// build makes a program of one of our packages, or of a peer's module.
func build(t *testing.T, dir, module, pkg string, flags ...string) string {
	t.Helper()
	out := filepath.Join(dir, filepath.Base(pkg)+filepath.Base(module))
	cmd := exec.Command("go", slices.Concat([]string{"build", "-o", out}, flags, []string{pkg})...)
	cmd.Dir = module
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Logf("%s is left out: %v\n%s", pkg, err, b[:min(len(b), 600)])
		return ""
	}
	return out
}

// TestTable measures and prints the table. It fails when something was lost,
// doubled or turned round, and not when a goal of speed is missed: that is what
// the table is for.
func TestTable(t *testing.T) {
	dir := t.TempDir()
	binary, server, loop := build(t, dir, ".", "usn.no/matricula/cmd/matricula", "-trimpath", "-ldflags=-s -w"), build(t, dir, ".", "github.com/nats-io/nats-server/v2"), build(t, dir, ".", "usn.no/matricula/bench/loop")
	if binary == "" || server == "" || loop == "" {
		t.Fatal("what is to be measured does not build")
	}
	n := func(usual, long int) int {
		if *longFlag {
			usual = long
		}
		return max(int(float64(usual)**scaleFlag), 20)
	}
	r := &report{began: time.Now()}
	for _, part := range strings.Split(*rowsFlag, ",") {
		t.Run(part, func(t *testing.T) {
			switch part {
			case "footprint":
				footprintRows(t, r, binary)
			case "latency":
				latencyRows(t, r, binary, n(100, 1000))
			case "registrations":
				registrationRows(t, r, binary, n(10000, 20000))
			case "loops":
				peers := map[string][]string{"ours": {loop, "ours"}, "keyed": {loop, "keyed"}}
				if p := build(t, dir, "../peers/watermill", "."); p != "" {
					peers["watermill"] = []string{p}
				}
				if p := build(t, dir, "../peers/benthos", "."); p != "" {
					peers["benthos"] = []string{p, "-c", "../peers/benthos/loop.yaml"}
				}
				loopRows(t, r, server, peers, []int{1, 16, 64}, n(4000, 20000), 6)
			case "activations":
				var kratos []string
				if p := build(t, dir, "../peers/kratos", ".", "-tags", "sqlite"); p != "" {
					kratos = []string{p}
				}
				activationRows(t, r, binary, n(600, 4000), time.Duration(n(30, 300))*time.Second, kratos)
			case "growth":
				sizes := []int{1000, 10000}
				if *longFlag {
					sizes = append(sizes, 100000)
				}
				for i := range sizes {
					sizes[i] = max(int(float64(sizes[i])**scaleFlag), 20)
				}
				growthRows(t, r, binary, sizes, n(2000, 2000))
			default:
				t.Fatalf("there is no part %q", part)
			}
		})
	}
	fmt.Printf("\n%s\n", r.markdown())
	if *resultFlag != "" && !t.Failed() {
		if err := r.keep(*resultFlag); err != nil {
			t.Fatal(err)
		}
	}
}
