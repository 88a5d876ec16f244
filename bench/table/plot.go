package table

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"maps"
	"math"
	"slices"
	"time"
)

// lines are the points of a plot by who they are of.
type lines map[string][]point

type point struct{ X, Y float64 }

// The plot's measures, and its colours: seven that are told apart by those who
// see some colours alike, for a light page and for a dark one. Each line has its
// name at its end, so that nobody needs the colours.
const (
	plotWidth, plotHeight = 760.0, 420.0
	plotLeft, plotRight   = 64.0, 190.0
	plotTop, plotBottom   = 44.0, 52.0
	plotStyle             = `<style>text{font:13px system-ui,sans-serif;fill:#1f2937}.t{font-size:15px;font-weight:600}.b{fill:#fff}.g{stroke:#e2e6ea}` +
		`path{fill:none;stroke-width:2;stroke-linejoin:round}` + `.c0{stroke:#0b6bb0}.c1{stroke:#c2410c}.c2{stroke:#15803d}.c3{stroke:#7c3aed}.c4{stroke:#a16207}.c5{stroke:#be185d}.c6{stroke:#475569}` +
		`@media(prefers-color-scheme:dark){text{fill:#e5e7eb}.b{fill:#12161c}.g{stroke:#2c333c}` +
		`.c0{stroke:#5db2f0}.c1{stroke:#fb923c}.c2{stroke:#5fd38a}.c3{stroke:#b69bff}.c4{stroke:#e3b341}.c5{stroke:#f58bb8}.c6{stroke:#a3b0c2}}</style>`
)

// plot draws lines as an SVG. What lies across is drawn at even distances; what
// goes up is drawn evenly where it begins at 0, and by powers of ten where the
// highest is more than fifty times the lowest.
func plot(title, across, up string, all lines) []byte {
	var b bytes.Buffer
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	say(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img" aria-label="%s">%s`, plotWidth, plotHeight, plotWidth, plotHeight, html.EscapeString(title), plotStyle)
	say(`<rect class="b" width="%g" height="%g"/><text class="t" x="16" y="24">%s</text>`, plotWidth, plotHeight, html.EscapeString(title))
	xs, s := places(all), scaleOf(all)
	at := func(x float64) float64 {
		i, _ := slices.BinarySearch(xs, x)
		return plotLeft + (plotWidth-plotLeft-plotRight)*(float64(i)+0.5)/float64(max(len(xs), 1))
	}
	for _, y := range s.ticks() {
		say(`<line class="g" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text x="%g" y="%.1f" text-anchor="end">%s</text>`, plotLeft, plotWidth-plotRight, s.at(y), s.at(y), plotLeft-8, s.at(y)+4, tick(y))
	}
	for _, x := range xs {
		say(`<text x="%.1f" y="%g" text-anchor="middle">%g</text>`, at(x), plotHeight-plotBottom+20, x)
	}
	say(`<text x="%g" y="%g" text-anchor="middle">%s</text>`, (plotLeft+plotWidth-plotRight)/2, plotHeight-12, html.EscapeString(across))
	say(`<text x="16" y="%g" text-anchor="middle" transform="rotate(-90 16 %g)">%s</text>`, plotHeight/2, plotHeight/2, html.EscapeString(up))
	for i, name := range slices.Sorted(maps.Keys(all)) {
		path := "M"
		for _, p := range all[name] {
			path += fmt.Sprintf(" %.1f %.1f", at(p.X), s.at(p.Y))
		}
		say(`<path class="c%d" d="%s"/>`, i%7, path)
	}
	names(say, all, at, s)
	say("</svg>")
	return b.Bytes()
}

// names writes each line's name at its end, moved apart where lines end close
// together.
func names(say func(string, ...any), all lines, across func(float64) float64, s scale) {
	type label struct {
		name       string
		colour     int
		x, end, at float64
	}
	var labels []label
	for i, name := range slices.Sorted(maps.Keys(all)) {
		last := all[name][len(all[name])-1]
		y := s.at(last.Y)
		labels = append(labels, label{name, i % 7, across(last.X), y, y})
	}
	slices.SortFunc(labels, func(a, b label) int { return cmp.Compare(a.at, b.at) })
	for i := 1; i < len(labels); i++ {
		labels[i].at = max(labels[i].at, labels[i-1].at+17)
	}
	low := plotHeight - plotBottom
	for i := len(labels) - 1; i >= 0; i-- { // and back up where the lowest fell off
		labels[i].at = min(labels[i].at, low)
		low = labels[i].at - 17
	}
	x := plotWidth - plotRight
	for _, l := range labels {
		say(`<path class="c%d" d="M %g %.1f L %g %.1f"/><text x="%g" y="%.1f">%s</text>`, l.colour, l.x, l.end, x+12, l.at, x+16, l.at+4, html.EscapeString(l.name))
	}
}

// places are the values that lie across, in order.
func places(all lines) []float64 {
	var xs []float64
	for _, ps := range all {
		for _, p := range ps {
			xs = append(xs, p.X)
		}
	}
	slices.Sort(xs)
	return slices.Compact(xs)
}

// scale leads from a value to its height.
type scale struct {
	low, high float64
	powers    bool
}

func scaleOf(all lines) scale {
	low, high := math.Inf(1), 0.0
	for _, ps := range all {
		for _, p := range ps {
			low, high = min(low, p.Y), max(high, p.Y)
		}
	}
	if high == 0 {
		return scale{0, 1, false}
	}
	if low > 0 && high > 50*low {
		return scale{math.Pow(10, math.Floor(math.Log10(low))), math.Pow(10, math.Ceil(math.Log10(high))), true}
	}
	return scale{0, high * 1.08, false}
}

func (s scale) at(y float64) float64 {
	part := (y - s.low) / (s.high - s.low)
	if s.powers {
		part = math.Log10(max(y, s.low)/s.low) / math.Log10(s.high/s.low)
	}
	return plotHeight - plotBottom - part*(plotHeight-plotTop-plotBottom)
}

// ticks are the heights with a line: powers of ten, or about five round steps.
func (s scale) ticks() (out []float64) {
	if s.powers {
		for y := s.low; y <= s.high*1.001; y *= 10 {
			out = append(out, y)
		}
		return out
	}
	step := math.Pow(10, math.Floor(math.Log10(s.high/5)))
	for _, by := range []float64{2, 2.5, 2} { // 1, 2, 5, 10 of it
		if s.high/step > 6 {
			step *= by
		}
	}
	for y := 0.0; y <= s.high; y += step {
		out = append(out, y)
	}
	return out
}

// tick writes a number beside its line: thousands apart, no needless noughts.
func tick(y float64) string {
	if y >= 1000 {
		return fmt.Sprintf("%d,%03d", int(y)/1000, int(y)%1000)
	}
	return fmt.Sprintf("%g", math.Round(y*1000)/1000)
}

// percentiles are the points of a plot of latencies, in milliseconds.
func percentiles(of []time.Duration) []point {
	var out []point
	for _, p := range []float64{0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99} {
		out = append(out, point{p * 100, millis(percentile(of, p))})
	}
	return out
}
