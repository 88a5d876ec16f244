package table

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// parts are the parts of the table in the order they are measured, and how many
// seconds each took in a usual and in a long run: what is left of a run is
// guessed from them and from how fast this one has been.
var parts = []struct {
	name        string
	usual, long float64
}{
	{"footprint", 9, 9}, {"latency", 36, 140}, {"registrations", 60, 200}, {"takeover", 38, 120},
	{"loops", 140, 290}, {"activations", 190, 930}, {"growth", 32, 320}, {"code", 18, 18},
}

// partNames are their names.
func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// progress is how far a run has come.
type progress struct {
	mu     sync.Mutex
	began  time.Time
	expect map[string]float64 // seconds, of the parts that are wanted
	order  []string
	took   map[string]float64
	now    string // the part that is measured
	since  time.Time
}

func newProgress(wanted []string, long bool, scale float64) *progress {
	p := &progress{began: time.Now(), expect: map[string]float64{}, order: wanted, took: map[string]float64{}}
	for _, x := range parts {
		if p.expect[x.name] = x.usual * scale; long {
			p.expect[x.name] = x.long * scale
		}
	}
	return p
}

// begin notes that a part begins; end that it is done.
func (p *progress) begin(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now, p.since = part, time.Now()
}

func (p *progress) end(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.took[part], p.now = time.Since(p.since).Seconds(), ""
}

// left guesses how many seconds the run will still take: what the parts to come
// are known to take, stretched as the ones before were.
func (p *progress) left(now time.Time) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	expected, took, left := 60.0, 60.0, 0.0 // the first part alone says little
	for _, name := range p.order {
		seconds, done := p.took[name]
		switch {
		case done:
			expected, took = expected+p.expect[name], took+seconds
		case name == p.now:
			left += max(p.expect[name]-now.Sub(p.since).Seconds(), 0)
		default:
			left += p.expect[name]
		}
	}
	return left * took / expected
}

// doing says what is measured now, how long the run has taken so far and how
// long it may still take.
func (r *report) doing(format string, args ...any) {
	now := time.Now()
	fmt.Printf("-- %s, about %s left: %s\n", clock(now.Sub(r.began).Seconds()), clock(r.progress.left(now)), fmt.Sprintf(format, args...))
}

// clock writes seconds as minutes and seconds.
func clock(seconds float64) string {
	return fmt.Sprintf("%d:%02d", int(seconds)/60, int(seconds)%60)
}

// What a run leaves behind that did not come to its end.
const (
	partialRecord  = "partial.json"
	partialResults = "partial.md"
)

// rescue keeps what was measured so far, in the form of the results.
func (r *report) rescue() error {
	if r.folder == "" {
		return nil
	}
	r.Minutes, r.Partial = time.Since(r.began).Minutes(), true
	text, err := r.fill("results.md.tmpl")
	if err == nil {
		err = write(filepath.Join(r.folder, partialResults), text)
	}
	if err == nil {
		err = r.write(filepath.Join(r.folder, partialRecord))
	}
	return err
}

// complete ends what rescue began.
func (r *report) complete() {
	r.Partial = false
	for _, name := range []string{partialRecord, partialResults} {
		_ = os.Remove(filepath.Join(r.folder, name)) // it may never have been written
	}
}

// watch says where the results so far are when somebody interrupts the run.
func (r *report) watch(t testing.TB) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, os.Interrupt, syscall.SIGTERM)
	t.Cleanup(func() { signal.Stop(asked) })
	go func() {
		<-asked
		fmt.Printf("\n-- %s: interrupted.", clock(time.Since(r.began).Seconds()))
		if r.folder != "" {
			fmt.Printf(" What was measured so far is in bench/%s and bench/%s; the results of the last whole run stay as they are.", partialResults, partialRecord)
		}
		fmt.Println()
		os.Exit(1) // the servers end with us
	}()
}
