package main

import (
	"bytes"
	"context"
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"usn.no/matricula/breach"
)

func breachBuild(t *testing.T, args ...string) (string, error) {
	t.Helper()
	root := rootCommand()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(append([]string{"breach", "build"}, args...))
	err := root.ExecuteContext(t.Context())
	return out.String(), err
}

func TestBreachBuildMakesAnIndexThatKnowsItsPasswords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	corpus, to := filepath.Join(dir, "corpus.txt"), filepath.Join(dir, "breach.idx")
	const known = "Fjord-og-fjell-2027-sommer"
	line := fmt.Sprintf("%X:7\n", sha1.Sum([]byte(known)))
	if err := os.WriteFile(corpus, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := breachBuild(t, "--quiet", "--from", corpus, "--to", to); err == nil {
		t.Fatalf("a corpus that is cut was taken as whole: %s", out)
	}
	out, err := breachBuild(t, "--quiet", "--partial", "--from", corpus, "--to", to)
	if err != nil || !strings.HasPrefix(out, "1 passwords of 1 lines") {
		t.Fatalf("build: %v\n%s", err, out)
	}
	index, err := breach.OpenIndex(to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = index.Close() })
	c := &breach.Checker{Index: index}
	if r, err := c.Check(context.Background(), known); err != nil || !r.Found {
		t.Errorf("the index does not know its password: %+v, %v", r, err)
	}
	if r, err := c.Check(context.Background(), known+"-ny"); err != nil || r.Found {
		t.Errorf("the index knows another password: %+v, %v", r, err)
	}
	if _, err := breachBuild(t); err == nil || exitCode(err) != exitUsage {
		t.Errorf("without a corpus it ended with %v", err)
	}
}
