package faults

import (
	"fmt"
	"net"
	"os"
	"testing"
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
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
