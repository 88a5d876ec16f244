package table

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/template"

	"github.com/nats-io/nats-server/v2/server"
)

// texts say what the figures mean. A figure in them is one of the record's.
//
//go:embed results.md.tmpl capacity.md.tmpl
var texts embed.FS

// document is what is made of the record.
type document struct {
	path string // from the folder of the record
	made []byte
}

// documents are the results with their plots, and the capacity page.
func (r *record) documents() ([]document, error) {
	out := []document{
		{"rate.svg", plot("messages a second, every one of them durable", "messages under way at the same time", "a second", r.Rates)},
		{"latency.svg", plot("how long it takes, by percentile", "percentile", "milliseconds", r.Waits)},
	}
	for _, d := range []struct{ name, path string }{{"results.md.tmpl", "RESULTS.md"}, {"capacity.md.tmpl", "../docs/capacity.md"}} {
		made, err := r.fill(d.name)
		if err != nil {
			return nil, err
		}
		out = append(out, document{d.path, made})
	}
	return out, nil
}

// publish writes the documents.
func (r *record) publish(folder string) error {
	docs, err := r.documents()
	if err != nil {
		return err
	}
	for _, d := range docs {
		if err := write(filepath.Join(folder, d.path), d.made); err != nil {
			return err
		}
	}
	return nil
}

// fill fills in a text. A text that quotes what was not measured is an error:
// each such paragraph asks first, with has.
func (r *record) fill(name string) ([]byte, error) {
	t, err := template.New(name).Option("missingkey=error").Funcs(template.FuncMap{
		"has": func(names ...string) bool {
			return !slices.ContainsFunc(names, func(n string) bool { _, ok := r.Values[n]; return !ok })
		},
		"v": func(name string) (float64, error) {
			x, ok := r.Values[name]
			if !ok {
				return 0, fmt.Errorf("%s was not measured", name)
			}
			return x, nil
		},
		"mul": func(a, b float64) float64 { return a * b }, "div": func(a, b float64) float64 { return a / b },
		"add": func(a ...float64) (sum float64) {
			for _, x := range a {
				sum += x
			}
			return sum
		},
		"span": span, "n": number0, "up": func(x float64) float64 { return float64(int(x + 0.999)) },
	}).ParseFS(texts, name)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, r); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// number0 writes a number as precisely as it was measured: three digits.
func number0(x float64) string {
	switch {
	case x >= 1000:
		s := fmt.Sprintf("%.0f", x)
		return s[:len(s)-3] + "," + s[len(s)-3:]
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

// span writes seconds as a person says them.
func span(seconds float64) string {
	switch {
	case seconds < 100:
		return fmt.Sprintf("%.0f s", seconds)
	case seconds < 100*60:
		return fmt.Sprintf("%.0f min", seconds/60)
	case seconds < 48*3600:
		return fmt.Sprintf("%.0f h", seconds/3600)
	}
	return fmt.Sprintf("%.0f days", seconds/86400)
}

// Works are the rows by what they measure, in the order of the run.
func (r *record) Works() []section {
	var out []section
	for _, x := range r.Rows {
		i := slices.IndexFunc(out, func(s section) bool { return s.Work == x.work })
		if i < 0 {
			i, out = len(out), append(out, section{Work: x.work})
		}
		out[i].Lines = append(out[i].Lines, fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s |", x.what, x.figure, ratio(x.ratio), x.goal, x.verdict(), x.cost, x.harm))
	}
	return out
}

// section is the rows of one kind of work, as a table has them.
type section struct {
	Work  string
	Lines []string
}

// Goals counts the goals that were met, and shows the rows of those that were
// not.
func (r *record) Goals() (g goals) {
	for _, x := range r.Rows {
		if x.goal == "" {
			continue
		}
		if g.Set++; x.met {
			g.Met++
			continue
		}
		g.Missed = append(g.Missed, fmt.Sprintf("| %s | %s | %s | %s | %s |", x.work, x.what, x.figure, ratio(x.ratio), x.goal))
	}
	return g
}

type goals struct {
	Set, Met int
	Missed   []string
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
	return fmt.Sprintf("%d cores (%s), %s of memory, %s, nats-server %s, slapd %s", runtime.NumCPU(), model, ram(), runtime.Version(), server.VERSION, slapdVersion())
}

// ram is the machine's memory.
func ram() string {
	b, _ := os.ReadFile("/proc/meminfo")
	var kb float64
	if _, err := fmt.Sscanf(string(b), "MemTotal: %f kB", &kb); err != nil {
		return "an unknown amount"
	}
	return fmt.Sprintf("%.0f GB", kb/(1<<20))
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
