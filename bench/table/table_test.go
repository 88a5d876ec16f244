package table

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func build(t *testing.T) string {
	t.Helper()
	if b := os.Getenv("BINARY"); b != "" {
		return b
	}
	binary := filepath.Join(t.TempDir(), "matricula")
	if out, err := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "usn.no/matricula/cmd/matricula").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

func TestRegistrations(t *testing.T) {
	binary := build(t)
	p := newPlace(t, binary, "127.0.0.1:9", "2027-08-01")
	n := 4000
	r := p.register(invent(0, n), 1)
	a := ldapadd(t, p)
	fmt.Printf("%d: %.1f s, %.0f/s, worker %.2f ms, broker %.2f ms, slapd %.2f ms, peak %.0f MiB, lost %d, doubled %d, dead %d; ldapadd %.1f s %.0f/s: ratio %.2f\n",
		n, r.took.Seconds(), float64(n)/r.took.Seconds(), r.worker.Seconds()*1000/float64(n), r.broker.Seconds()*1000/float64(n), r.slapd.Seconds()*1000/float64(n),
		r.peak, r.lost, r.doubled, r.deadLetters, a.Seconds(), float64(n)/a.Seconds(), a.Seconds()/r.took.Seconds())
}
