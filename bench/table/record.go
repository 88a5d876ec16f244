package table

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"time"
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

// kept is a row as it lies in the record.
type kept struct {
	Work, What, Figure string
	Ratio              float64 `json:",omitempty"`
	Goal               string  `json:",omitempty"`
	Met                bool    `json:",omitempty"`
	Cost               string  `json:",omitempty"`
	Harm               string  `json:",omitempty"`
}

// MarshalJSON writes the row into the record.
func (r row) MarshalJSON() ([]byte, error) {
	return json.Marshal(kept{r.work, r.what, r.figure, r.ratio, r.goal, r.met, r.cost, r.harm})
}

// UnmarshalJSON reads it back.
func (r *row) UnmarshalJSON(b []byte) error {
	var k kept
	if err := json.Unmarshal(b, &k); err != nil {
		return err
	}
	*r = row{k.Work, k.What, k.Figure, k.Ratio, k.Goal, k.Met, k.Cost, k.Harm}
	return nil
}

// record is what one run measured. The results, their plots and the capacity
// page are written from it and from nothing else.
type record struct {
	Date, Command, Machine string
	Minutes                float64
	Partial                bool       `json:",omitempty"` // the run did not come to its end
	Others                 [2]float64 // what other processes used of the machine before and after, in percent
	Rows                   []row
	KratosHash             string             `json:",omitempty"` // what Kratos hashes with by itself
	Rates, Waits           lines              // to be plotted: rates by concurrency, latencies by percentile
	Values                 map[string]float64 // what the texts quote, by name
}

// report is the table as it grows.
type report struct {
	record
	began    time.Time
	progress *progress
	folder   string // where it keeps what it has so far; empty: nowhere
}

func newReport(command string, p *progress) *report {
	before := busy()
	return &report{began: time.Now(), progress: p, record: record{
		Others: [2]float64{before, before},
		Date:   time.Now().Format(time.DateOnly), Command: command, Machine: machine(),
		Rates: lines{}, Waits: lines{}, Values: map[string]float64{"cores": float64(runtime.NumCPU())},
	}}
}

// add prints a row at once, and keeps it at once: the table takes minutes.
func (r *report) add(rows ...row) {
	for i, x := range rows {
		if math.IsNaN(x.ratio) || math.IsInf(x.ratio, 0) {
			x.ratio, x.met = 0, false
			rows[i] = x
		}
		fmt.Printf("%-46s %-30s %-24s %6s  %-8s %-6s %-34s %s\n", x.work, x.what, x.figure, ratio(x.ratio), x.goal, x.verdict(), x.cost, x.harm)
	}
	r.Rows = append(r.Rows, rows...)
	if err := r.rescue(); err != nil {
		fmt.Printf("-- what was measured so far cannot be kept: %v\n", err)
	}
}

// value keeps a figure that the texts quote. One that could not be measured,
// because something took no time or did nothing, is none.
func (r *report) value(name string, x float64) {
	if !math.IsNaN(x) && !math.IsInf(x, 0) {
		r.Values[name] = x
	}
}

// rate keeps a point of the plot of rates.
func (r *report) rate(who string, width int, rate float64) {
	r.Rates[who] = append(r.Rates[who], point{float64(width), rate})
}

// wait keeps a line of the plot of latencies.
func (r *report) wait(who string, of []time.Duration) {
	if len(of) > 0 {
		r.Waits[who] = percentiles(of)
	}
}

const recordFile = "results.json"

// keep writes the record into a folder, and beside it what is made of it.
func (r *record) keep(folder string) error {
	if err := r.write(filepath.Join(folder, recordFile)); err != nil {
		return err
	}
	return r.publish(folder)
}

func (r *record) write(file string) error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return write(file, append(b, '\n'))
}

// readRecord is the record of the last whole run.
func readRecord(folder string) (*record, error) {
	b, err := os.ReadFile(filepath.Join(folder, recordFile))
	if err != nil {
		return nil, err
	}
	r := &record{}
	return r, json.Unmarshal(b, r)
}

func write(file string, b []byte) error {
	return os.WriteFile(file, b, 0o644) //nolint:gosec // it is a document
}

func ratio(x float64) string {
	if x == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", x)
}

func perSecond(x float64) string { return fmt.Sprintf("%.0f/s", x) }

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }

// millis is a duration as the texts quote it.
func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
