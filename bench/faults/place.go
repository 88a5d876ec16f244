package faults

import (
	"fmt"
	"os"
	"testing"

	"usn.no/matricula/testkit"
)

// keptDir stays when the test fails: ledger, settings and logs of the run.
func keptDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "faults-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			fmt.Printf("  ledger and logs are kept in %s\n", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	return dir
}

func freePort(t testing.TB) string {
	t.Helper()
	return testkit.FreeAddress(t)
}
