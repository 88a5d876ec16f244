package table

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// row is one measured thing beside what it is compared with.
type row struct {
	work   string
	what   string // who does it, how
	figure string
	ratio  float64 // to the peer or the limit; 0: this line is the peer
	goal   string
	met    bool
	cost   string // processor time per item, peak memory
	harm   string // lost, doubled, turned round
}

func (r row) verdict() string {
	switch {
	case r.goal == "":
		return ""
	case r.met:
		return "yes"
	}
	return "**no**"
}

// report is the table as it grows.
type report struct {
	began        time.Time
	rows         []row
	loops, waits lines // to be plotted: rates by concurrency, latencies by percentile
}

// add prints a row at once: the table takes minutes.
func (r *report) add(rows ...row) {
	for _, x := range rows {
		fmt.Printf("%-46s %-30s %-24s %6s  %-8s %-6s %-34s %s\n", x.work, x.what, x.figure, ratio(x.ratio), x.goal, x.verdict(), x.cost, x.harm)
	}
	r.rows = append(r.rows, rows...)
}

func ratio(x float64) string {
	if x == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", x)
}

// markdown is the table as it is kept, with the machine and the versions.
func (r *report) markdown() string {
	var b strings.Builder
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	say("# Results\n\nMade by `make bench` (%s, %.0f minutes). Every broker syncs each write before it answers (`sync_interval: always`), every",
		r.began.Format(time.DateOnly), time.Since(r.began).Minutes())
	say("directory with its default; load and servers share the machine. Ratios are of one run.\n")
	say("%s\n", machine())
	say("| work | who | figure | ratio | goal | met | cost | lost, doubled, turned round |\n|---|---|---|---|---|---|---|---|")
	for _, x := range r.rows {
		say("| %s | %s | %s | %s | %s | %s | %s | %s |", x.work, x.what, x.figure, ratio(x.ratio), x.goal, x.verdict(), x.cost, x.harm)
	}
	if len(r.loops) > 0 {
		say("\n![messages a second by concurrency](rate.svg)")
	}
	if len(r.waits) > 0 {
		say("\n![latency by percentile](latency.svg)")
	}
	return b.String()
}

// keep writes the table and its plots into a folder.
func (r *report) keep(folder string) error {
	if err := os.WriteFile(filepath.Join(folder, "RESULTS.md"), []byte(r.markdown()), 0o644); err != nil { //nolint:gosec // it is a document
		return err
	}
	if len(r.loops) > 0 {
		if err := plot(filepath.Join(folder, "rate.svg"), "at the same time", "messages a second, durable", r.loops); err != nil {
			return err
		}
	}
	if len(r.waits) == 0 {
		return nil
	}
	return plot(filepath.Join(folder, "latency.svg"), "percentile", "milliseconds", r.waits)
}

func (r *report) rate(who string, width int, rate float64) {
	if r.loops == nil {
		r.loops = lines{}
	}
	r.loops[who] = append(r.loops[who], point{float64(width), rate})
}

func (r *report) wait(who string, of []time.Duration) {
	if r.waits == nil {
		r.waits = lines{}
	}
	r.waits[who] = percentiles(of)
}

func machine() string {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				model = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(name), ":"))
				break
			}
		}
	}
	return fmt.Sprintf("%d cores (%s), %s, nats-server %s, slapd %s.", runtime.NumCPU(), model, runtime.Version(), server.VERSION, slapdVersion())
}

func slapdVersion() string {
	out, _ := exec.Command("slapd", "-VV").CombinedOutput() // it exits with an error after telling
	_, rest, _ := strings.Cut(string(out), "slapd ")
	version, _, _ := strings.Cut(rest, " ")
	if version == "" {
		return "of the distribution"
	}
	return version
}

func perSecond(x float64) string { return fmt.Sprintf("%.0f/s", x) }

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }
