package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// checks runs check and answers what is not well, by its name.
func (r *rig) checks() (bad map[string]string, code int) {
	r.t.Helper()
	out, code := r.run("check", "--json")
	bad = map[string]string{}
	for l := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
		var f finding
		if err := json.Unmarshal([]byte(l), &f); err == nil && !f.OK && !f.Warn {
			bad[f.What] += f.Text
		}
	}
	return bad, code
}

func TestCheckNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if bad, code := r.checks(); code != exitDone || len(bad) > 0 {
		t.Fatalf("a whole installation: %v, exit code %d", bad, code)
	}
	r.slapd.Kill()
	if bad, code := r.checks(); code != exitFailed || bad["directory"] == "" || len(bad) != 1 {
		t.Errorf("without a directory: %v, exit code %d", bad, code)
	}
	r.slapd.Start()
	js := r.operator()
	if err := js.DeleteConsumer(t.Context(), "INTAKE", "lane-0-of-1"); err != nil {
		t.Fatal(err)
	}
	if bad, code := r.checks(); code != exitFailed || !strings.Contains(bad["streams"], "lane-0-of-1") {
		t.Errorf("without a lane: %v, exit code %d", bad, code)
	}
	if out, code := r.run("serve", "--role", "worker"); code == exitDone || !strings.Contains(out, "matricula setup") {
		t.Errorf("a worker without a lane ended with %d: %s", code, out)
	}
	if out, code := r.run("setup"); code != exitDone {
		t.Fatalf("setup ended with %d: %s", code, out)
	}
	r.mailbox.Stop()
	if bad, code := r.checks(); code != exitFailed || bad["relay"] == "" || len(bad) != 1 {
		t.Errorf("without a relay: %v, exit code %d", bad, code)
	}
}

func TestWrongUseSaysTheWayOutAndEndsWithTwo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"publish"}, {"serve", "--role", "cook"}, {"demo", "--at", "noon"}, {"dead", "replay"}, {"--no-such-flag"}} {
		root := rootCommand()
		root.SetArgs(args)
		root.SetOut(&strings.Builder{})
		root.SetErr(&strings.Builder{})
		if err := root.ExecuteContext(t.Context()); err == nil || exitCode(err) != exitUsage {
			t.Errorf("%v ended with %v", args, err)
		}
	}
}
