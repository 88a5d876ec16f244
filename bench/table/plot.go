package table

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/wcharczuk/go-chart/v2"
)

// lines are the points of a plot by who they are of.
type lines map[string][]point

type point struct{ x, y float64 }

// plot writes an SVG: what went how fast, beside the others.
func plot(file, across, up string, all lines) error {
	whole := func(v any) string { return fmt.Sprintf("%.0f", v) }
	graph := chart.Chart{
		Width: 760, Height: 420,
		Background: chart.Style{Padding: chart.Box{Top: 48, Left: 16, Right: 16, Bottom: 8}},
		XAxis:      chart.XAxis{Name: across, ValueFormatter: whole}, YAxis: chart.YAxis{Name: up, ValueFormatter: whole, Range: &chart.ContinuousRange{Min: 0, Max: highest(all) * 1.1}},
	}
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		s := chart.ContinuousSeries{Name: name, Style: chart.Style{StrokeWidth: 2, DotWidth: 3, StrokeColor: chart.GetDefaultColor(i), DotColor: chart.GetDefaultColor(i)}}
		for _, p := range all[name] {
			s.XValues, s.YValues = append(s.XValues, p.x), append(s.YValues, p.y)
		}
		graph.Series = append(graph.Series, s)
	}
	graph.Elements = []chart.Renderable{chart.LegendThin(&graph)}
	var b bytes.Buffer
	if err := graph.Render(chart.SVG, &b); err != nil {
		return fmt.Errorf("plot %s: %w", file, err)
	}
	return os.WriteFile(file, b.Bytes(), 0o644) //nolint:gosec // it is a document
}

func highest(all lines) float64 {
	top := 1.0
	for _, ps := range all {
		for _, p := range ps {
			top = max(top, p.y)
		}
	}
	return top
}

// percentiles are the points of a plot of latencies, in milliseconds.
func percentiles(of []time.Duration) []point {
	var out []point
	for _, p := range []float64{0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99} {
		out = append(out, point{p * 100, float64(percentile(of, p).Microseconds()) / 1000})
	}
	return out
}
