package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action, Package, ImportPath, Test, Output, FailedBuild string

	Elapsed float64 // seconds
}

// tally follows a stream of events and counts. A test with subtests counts
// like each of them.
type tally struct {
	w                       io.Writer
	passed, failed, skipped int
	output                  map[string][]string // by package, test
	ran                     map[string]int      // tests by package
	broken                  map[string]bool     // packages that a failed test explains
	skips, fails            []string
}

func newTally(w io.Writer) *tally {
	return &tally{w: w, output: map[string][]string{}, ran: map[string]int{}, broken: map[string]bool{}}
}

// read takes in the whole stream and prints each package when it is done.
func (t *tally) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			t.line(line)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (t *tally) line(line string) {
	var e event
	if json.Unmarshal([]byte(line), &e) != nil {
		fmt.Fprint(t.w, line) // not from a test: show it as it came
		return
	}
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		t.output[key] = append(t.output[key], e.Output)
	case "build-output":
		t.output["build "+e.ImportPath] = append(t.output["build "+e.ImportPath], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.packageDone(e)
		} else {
			t.testDone(e)
		}
		delete(t.output, key)
	}
}

func (t *tally) testDone(e event) {
	name, said := short(e.Package)+" "+e.Test, t.output[e.Package+" "+e.Test]
	t.ran[e.Package]++
	switch e.Action {
	case "pass":
		t.passed++
	case "skip":
		t.skipped++
		t.skips = append(t.skips, name+": "+reason(said))
	case "fail":
		t.failed++
		t.broken[e.Package] = true
		t.fails = append(t.fails, name)
		fmt.Fprintf(t.w, "\n%s", strings.Join(said, ""))
	}
}

func (t *tally) packageDone(e event) {
	word := map[string]string{"pass": "ok  ", "fail": "FAIL", "skip": "    "}[e.Action]
	remark := fmt.Sprintf("%d tests", t.ran[e.Package])
	switch {
	case e.Action == "skip" || e.Action == "pass" && t.ran[e.Package] == 0:
		remark = "no tests"
	case e.Action == "fail" && e.FailedBuild != "":
		t.fail(e.Package, " does not build", t.output["build "+e.FailedBuild])
	case e.Action == "fail" && !t.broken[e.Package]: // a panic, a race, the time limit
		t.fail(e.Package, " as a whole", t.left(e.Package))
	}
	fmt.Fprintf(t.w, "%s %-28s %-12s %6.1fs\n", word, short(e.Package), remark, e.Elapsed)
}

func (t *tally) fail(pkg, what string, said []string) {
	t.failed++
	t.fails = append(t.fails, short(pkg)+what)
	fmt.Fprintf(t.w, "\n%s", strings.Join(said, ""))
}

// left is what a package and its unfinished tests have said.
func (t *tally) left(pkg string) []string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(t.output)) {
		if strings.HasPrefix(key, pkg+" ") {
			out = append(out, t.output[key]...)
		}
	}
	return out
}

// close prints what was skipped and why, what failed, and the counts.
func (t *tally) close() {
	for _, list := range []struct {
		head  string
		lines []string
	}{{"skipped:", t.skips}, {"failed:", t.fails}} {
		if len(list.lines) > 0 {
			fmt.Fprintf(t.w, "\n%s\n  %s\n", list.head, strings.Join(list.lines, "\n  "))
		}
	}
	fmt.Fprintf(t.w, "\n%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
}

// reason is what a test said before it skipped, without the marks of go test.
func reason(said []string) string {
	var words []string
	for _, line := range said {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "===") || strings.HasPrefix(line, "---") {
			continue
		}
		if _, text, ok := strings.Cut(line, ".go:"); ok {
			_, line, _ = strings.Cut(text, ": ")
		}
		words = append(words, line)
	}
	return cmp.Or(strings.Join(words, " "), "no reason given")
}

// short leaves out the module.
func short(pkg string) string {
	if _, name, ok := strings.Cut(pkg, "matricula/"); ok {
		return name
	}
	return pkg
}
