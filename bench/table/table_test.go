package table

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	longFlag   = flag.Bool("long", false, "everything at full size; it takes about forty minutes")
	scaleFlag  = flag.Float64("scale", 1, "how much of the usual size: for trying the table out")
	rowsFlag   = flag.String("rows", "", "which parts of the table: "+strings.Join(partNames(), ",")+"; without it all, and the results are kept")
	resultFlag = flag.String("results", "", "folder that the results and their plots are written to")
	updateFlag = flag.Bool("update", false, "write the documents anew from the record")
)

// build makes a program of one of our packages, or of a peer's module.
func build(t testing.TB, dir, module, pkg string, flags ...string) string {
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

// programs are what is measured, built before anything is.
type programs struct {
	matricula, server string
	kratos            []string
	loops             map[string][]string
}

func buildAll(t testing.TB, dir string, parts []string) programs {
	t.Helper()
	p := programs{matricula: build(t, dir, ".", "usn.no/matricula/cmd/matricula", "-trimpath", "-ldflags=-s -w"), server: build(t, dir, ".", "github.com/nats-io/nats-server/v2")}
	loop := build(t, dir, ".", "usn.no/matricula/bench/loop")
	if p.matricula == "" || p.server == "" || loop == "" {
		t.Fatal("what is to be measured does not build")
	}
	p.loops = map[string][]string{"ours": {loop, "ours"}, "keyed": {loop, "keyed"}}
	if slices.Contains(parts, "loops") {
		if out := build(t, dir, "../peers/watermill", "."); out != "" {
			p.loops["watermill"] = []string{out}
		}
		if out := build(t, dir, "../peers/benthos", "."); out != "" {
			p.loops["benthos"] = []string{out, "-c", "../peers/benthos/loop.yaml"}
		}
	}
	if slices.Contains(parts, "activations") {
		if out := build(t, dir, "../peers/kratos", ".", "-tags", "sqlite"); out != "" {
			p.kratos = []string{out}
		}
	}
	return p
}

// size is how much of a thing a run does.
func size(usual, long int) int {
	if *longFlag {
		usual = long
	}
	return max(int(float64(usual)**scaleFlag), 20)
}

// kills is how often a loop is killed: each costs one that keeps the order the
// broker's ack wait.
func kills() int {
	if *longFlag {
		return 12
	}
	return 3
}

func growthSizes() []int {
	sizes := []int{size(1000, 1000), size(10000, 10000)}
	if *longFlag {
		sizes = append(sizes, size(100000, 100000))
	}
	return sizes
}

// rows measures one part of the table; nil where there is no such part.
func (x programs) rows(part string) func(t testing.TB, r *report) {
	return map[string]func(t testing.TB, r *report){
		"footprint":     func(t testing.TB, r *report) { footprintRows(t, r, x.matricula) },
		"latency":       func(t testing.TB, r *report) { latencyRows(t, r, x.matricula, size(250, 1000)) },
		"registrations": func(t testing.TB, r *report) { registrationRows(t, r, x.matricula, size(6000, 20000)) },
		"takeover":      func(t testing.TB, r *report) { takeoverRows(t, r, x.matricula, size(1500, 6000)) },
		"loops": func(t testing.TB, r *report) {
			loopRows(t, r, x.server, x.loops, []int{1, 16, 64}, size(4000, 20000), kills())
		},
		"activations": func(t testing.TB, r *report) {
			activationRows(t, r, x.matricula, size(600, 4000), time.Duration(size(30, 600))*time.Second, x.kratos)
		},
		"growth": func(t testing.TB, r *report) { growthRows(t, r, x.matricula, growthSizes(), size(2000, 2000)) },
		"code":   codeRows,
	}[part]
}

// TestTable measures and prints the table. It fails when something was lost,
// doubled or turned round, or could not be measured, and not when a goal of
// speed is missed: that is what the table is for. A whole run keeps its results.
func TestTable(t *testing.T) {
	if *resultFlag == "" && *rowsFlag == "" {
		t.Skip("this measures for minutes: make bench")
	}
	wanted := partNames()
	whole := *rowsFlag == ""
	if !whole {
		wanted = strings.Split(*rowsFlag, ",")
	}
	x := buildAll(t, t.TempDir(), wanted)
	r := newReport(commandLine(), newProgress(wanted, *longFlag, *scaleFlag))
	if whole {
		r.folder = *resultFlag
	}
	r.watch(t)
	for i, name := range wanted {
		rows := x.rows(name)
		if rows == nil {
			t.Fatalf("there is no part %q", name)
		}
		r.progress.begin(name)
		r.doing("%s, part %d of %d", name, i+1, len(wanted))
		measure(t, r, name, func(t testing.TB) { rows(t, r) })
		r.progress.end(name)
		fmt.Printf("-- %s took %.0f s\n", name, r.progress.took[name])
	}
	r.complete()
	r.Minutes, r.Others[1] = time.Since(r.began).Minutes(), busy()
	results, err := r.fill("results.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\n%s\n", results)
	if !whole {
		fmt.Println("A part of the table: bench/RESULTS.md stays as it is.")
	} else if err := r.keep(*resultFlag); err != nil {
		t.Fatal(err)
	}
}

func commandLine() string {
	switch {
	case *longFlag:
		return "make bench-long"
	case *scaleFlag != 1:
		return fmt.Sprintf("make bench SCALE=%g", *scaleFlag)
	}
	return "make bench"
}

// The results, the plots and the capacity page say what the last whole run
// measured, figure by figure; -update writes them anew after their texts were
// changed.
func TestDocumentsSayWhatWasMeasured(t *testing.T) {
	t.Parallel()
	r, err := readRecord("..")
	if err != nil {
		t.Fatal(err)
	}
	if *updateFlag {
		if err := r.publish(".."); err != nil {
			t.Fatal(err)
		}
	}
	docs, err := r.documents()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		have, err := os.ReadFile(filepath.Join("..", d.path))
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != string(d.made) {
			t.Errorf("%s is not what bench/%s says: go test ./table -run Documents -args -update", d.path, recordFile)
		}
	}
}
