package table

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
)

// part is one part of the table. It remembers what went wrong, so that the
// table says so in the part's place and the others are measured all the same.
type part struct {
	testing.TB
	mu      sync.Mutex
	failed  []string
	skipped string
}

func (p *part) fails(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = append(p.failed, text)
}

// Error and the others do what they always do, and remember it.
func (p *part) Error(args ...any) {
	p.Helper()
	p.fails(fmt.Sprint(args...))
	p.TB.Error(args...)
}

// Errorf remembers.
func (p *part) Errorf(format string, args ...any) {
	p.Helper()
	p.fails(fmt.Sprintf(format, args...))
	p.TB.Errorf(format, args...)
}

// Fatal remembers.
func (p *part) Fatal(args ...any) {
	p.Helper()
	p.fails(fmt.Sprint(args...))
	p.TB.Fatal(args...)
}

// Fatalf remembers.
func (p *part) Fatalf(format string, args ...any) {
	p.Helper()
	p.fails(fmt.Sprintf(format, args...))
	p.TB.Fatalf(format, args...)
}

// Skipf remembers.
func (p *part) Skipf(format string, args ...any) {
	p.Helper()
	p.skipped = fmt.Sprintf(format, args...)
	p.TB.Skipf(format, args...)
}

// measure runs one part and puts into the table what it could not measure.
func measure(t *testing.T, r *report, name string, rows func(t testing.TB)) {
	t.Run(name, func(t *testing.T) {
		p := &part{TB: t}
		defer func() {
			if x := recover(); x != nil {
				p.Errorf("panic: %v\n%s", x, debug.Stack())
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			for _, text := range p.failed {
				r.add(row{work: name, what: "**failed**", figure: short(text)})
			}
			if p.skipped != "" {
				r.add(row{work: name, what: "not measured", figure: short(p.skipped)})
			}
		}()
		rows(p)
	})
}

// short is as much of a message as a table holds.
func short(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text = strings.ReplaceAll(strings.ReplaceAll(text, os.TempDir(), "…"), "|", "/")
	return string([]rune(text)[:min(len([]rune(text)), 160)])
}
