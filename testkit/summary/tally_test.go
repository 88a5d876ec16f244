package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// play counts a recorded stream and answers what was printed.
func play(t *testing.T, lines ...string) (*tally, string) {
	t.Helper()
	var out strings.Builder
	counts := newTally(&out)
	if err := counts.read(strings.NewReader(strings.Join(lines, "\n"))); err != nil {
		t.Fatal(err)
	}
	counts.close()
	return counts, out.String()
}

func TestLastLineHoldsTheCounts(t *testing.T) {
	t.Parallel()
	_, out := play(t,
		`{"Action":"output","Package":"usn.no/matricula/policy","Test":"TestA","Output":"--- PASS: TestA\n"}`,
		`{"Action":"pass","Package":"usn.no/matricula/policy","Test":"TestA"}`,
		`{"Action":"output","Package":"usn.no/matricula/policy","Test":"TestB","Output":"    slapd.go:17: slapd is not installed\n"}`,
		`{"Action":"skip","Package":"usn.no/matricula/policy","Test":"TestB"}`,
		`{"Action":"output","Package":"usn.no/matricula/policy","Test":"TestC","Output":"    c_test.go:9: seven is not eight\n"}`,
		`{"Action":"fail","Package":"usn.no/matricula/policy","Test":"TestC"}`,
		`{"Action":"fail","Package":"usn.no/matricula/policy","Elapsed":0.5}`,
		`{"Action":"skip","Package":"usn.no/matricula/deploy"}`,
	)
	if !strings.HasSuffix(out, "\n1 passed, 1 failed, 1 skipped\n") {
		t.Errorf("the counts are not alone on the last line:\n%s", out)
	}
	for _, want := range []string{"policy TestB: slapd is not installed", "seven is not eight", "FAIL policy", "failed:\n  policy TestC"} {
		if !strings.Contains(out, want) {
			t.Errorf("not said: %q in\n%s", want, out)
		}
	}
}

func TestPackageThatFailsWithoutAFailedTestIsCounted(t *testing.T) {
	t.Parallel()
	counts, out := play(t,
		`{"Action":"output","Package":"usn.no/matricula/stream","Test":"TestA","Output":"panic: broken\n"}`,
		`{"Action":"output","Package":"usn.no/matricula/stream","Output":"FAIL stream 0.1s\n"}`,
		`{"Action":"fail","Package":"usn.no/matricula/stream"}`,
		`{"Action":"build-output","ImportPath":"usn.no/matricula/worker","Output":"worker.go:3: undefined: x\n"}`,
		`{"Action":"build-fail","ImportPath":"usn.no/matricula/worker"}`,
		`{"Action":"fail","Package":"usn.no/matricula/worker","FailedBuild":"usn.no/matricula/worker"}`,
	)
	if counts.failed != 2 {
		t.Errorf("a panic and a package that does not build count as %d failures:\n%s", counts.failed, out)
	}
	for _, want := range []string{"panic: broken", "undefined: x", "worker does not build"} {
		if !strings.Contains(out, want) {
			t.Errorf("not said: %q in\n%s", want, out)
		}
	}
}

// The stream as go test writes it today, not as we remember it.
func TestRealRunIsCountedAndItsFailureIsTheExitCode(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	files := map[string]string{
		"go.mod":          "module example.org/x\n\ngo 1.26.0\n",
		"a/a_test.go":     "package a\n\nimport \"testing\"\n\nfunc TestGood(t *testing.T) { t.Run(\"sub\", func(t *testing.T) {}) }\nfunc TestLeft(t *testing.T) { t.Skip(\"no server\") }\n",
		"b/b_test.go":     "package b\n\nimport \"testing\"\n\nfunc TestBad(t *testing.T) { t.Error(\"bad\") }\n",
		"c/c_test.go":     "package c\n\nfunc broken() { undefined() }\n",
		"d/d_test.go":     "package d\n\nimport \"testing\"\n\nfunc TestPanics(t *testing.T) { panic(\"here\") }\n",
		"e/no_test_at.go": "package e\n",
	}
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tool := filepath.Join(folder, "summary")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", tool, ".").CombinedOutput(); err != nil {
		t.Fatalf("building the tool: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), tool, "./...")
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("a run with failures ends with %v", err)
	}
	if !strings.HasSuffix(string(out), "\n2 passed, 3 failed, 1 skipped\n") {
		t.Errorf("counted wrongly:\n%s", out)
	}
	for _, want := range []string{"a TestLeft: no server", "b TestBad", "c does not build", "panic: here"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("not said: %q in\n%s", want, out)
		}
	}
}
