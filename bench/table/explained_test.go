package table

import (
	"strings"
	"testing"
)

// explained is the paragraph of the results that says what limits a work, by how
// the work's name begins. Where a goal is none of speed, and missing it is a
// fault, there is nothing to say.
var explained = map[string]string{
	"registrations →":          "**Registrations.**",
	"letters that are due":     "**Letters.**",
	"one event, nothing else":  "**One event alone.**",
	"consume → validate":       "**The loop.**",
	"activations over HTTP":    "**Activations.**",
	"opening minute":           "**The opening minute.**",
	"beyond what the portal":   "**Beyond the portal's rate.**",
	"cost of a registration":   "**Growth.**",
	"resident memory of a":     "**Memory in the opening.**",
	"one of two workers":       "",
	"start, idle, size":        "",
	"one piece of code, on on": "",
}

func TestResultsSayWhatLimitsWhereAGoalIsMissed(t *testing.T) {
	t.Parallel()
	r, err := readRecord("..")
	if err != nil {
		t.Fatal(err)
	}
	made, err := r.fill("results.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	_, limits, _ := strings.Cut(string(made), "## What limits")
	for _, x := range r.Rows {
		known := false
		for begins, paragraph := range explained {
			if !strings.HasPrefix(x.work, begins) {
				continue
			}
			if known = true; x.goal != "" && !x.met && (paragraph == "" || !strings.Contains(limits, paragraph)) {
				t.Errorf("the goal of %q, %s, is missed and nothing says what limits it", x.work, x.what)
			}
		}
		if !known {
			t.Errorf("no paragraph is meant to say what limits %q", x.work)
		}
	}
}
