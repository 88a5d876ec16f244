package table

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// pieces are the benchmarks of packages that belong to an event's or a click's
// way, and what their ratio is to.
var pieces = []struct{ pkg, name, what, against string }{
	{"events", "BenchmarkDecode", "an event is decoded and judged", "encoding/json into the same types"},
	{"policy", "BenchmarkCheckNumber", "an identity number is checked", ""},
	{"policy", "BenchmarkPasswordCheck", "a password is judged by every rule", ""},
	{"policy", "BenchmarkUsernames", "a username is made from a name", ""},
	{"policy", "BenchmarkOpening", "a window is found", ""},
	{"account", "BenchmarkTicket/seal", "a ticket is sealed", "HMAC-SHA256 alone"},
	{"account", "BenchmarkTicket/open", "a ticket is opened", "HMAC-SHA256 alone"},
	{"mailer", "BenchmarkRender/shipped", "a letter is written, text and HTML", "html/template and text/template"},
	{"portal", "BenchmarkPasswordPage", "the password page is shown", ""},
}

// codeRows: what single pieces of code cost on one core, in turn with what one
// would use instead where there is such a thing.
func codeRows(t testing.TB, r *report) {
	for _, x := range pieces {
		f, err := benchmark(x.pkg, x.name)
		if err != nil {
			t.Errorf("%s: %v", x.name, err)
			continue
		}
		line := row{work: "one piece of code, on one core", what: x.what, figure: fmt.Sprintf("%.2f µs", f["ns/op"]/1000), cost: fmt.Sprintf("%.0f allocations, %.1f KB", f["allocs/op"], f["B/op"]/1000)}
		if x.against != "" {
			line.ratio = f["of-peer"]
			line.what += " (ratio: speed beside " + x.against + ")"
		}
		r.add(line)
	}
}

// benchmark runs one and answers its figures by unit.
func benchmark(pkg, name string) (map[string]float64, error) {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = "^" + regexp.QuoteMeta(parts[i]) + "$"
	}
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", strings.Join(parts, "/"), "-benchmem", "-benchtime", "300ms", "./"+pkg)
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 4 || !strings.HasPrefix(f[0], name) {
			continue
		}
		figures := map[string]float64{}
		for i := 2; i+1 < len(f); i += 2 {
			x, err := strconv.ParseFloat(f[i], 64)
			if err != nil {
				return nil, fmt.Errorf("%q is no figure", f[i])
			}
			figures[f[i+1]] = x
		}
		return figures, nil
	}
	return nil, fmt.Errorf("no such benchmark: %s", out)
}
