package mailer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/mailer"
)

// TestLettersHaveNoBarriersInChromium looks at every letter in every language
// with axe: narrow and dark, wide and light, and with REQUIRE=chromium also the
// other way round. A letter made badly on purpose shows that it sees something.
func TestLettersHaveNoBarriersInChromium(t *testing.T) {
	t.Parallel()
	type letter struct {
		Name string `json:"name"`
		HTML string `json:"html"`
	}
	tm := templates(t)
	letters := []letter{{"bad", `<html><body><h3 style="color:#bbb;background:#fff">Hei</h3><img src="data:,"><div style="width:2000px">.</div></body></html>`}}
	for _, template := range events.Letters() {
		for _, lang := range []string{"nb", "nn", "en"} {
			samples := mailer.Samples(template, lang, institution.BaseURL)
			for i, s := range []mailer.Sample{samples[0], samples[len(samples)-1]} {
				l, err := tm.Render(s.Letter)
				if err != nil {
					t.Fatal(err)
				}
				if i == 0 || lang == "nb" { // the awkward person in one language
					letters = append(letters, letter{template + " " + lang + " " + s.About, l.HTML})
				}
			}
		}
	}
	views := [][]any{{320, "dark"}, {760, "light"}}
	if required() {
		views = append(views, []any{320, "light"}, []any{760, "dark"})
	}
	seen, fault := 0, 0
	look(t, map[string]any{"views": views, "letters": letters}, func(name string, violations []string, wide bool, asked []string) {
		seen++
		if strings.HasPrefix(name, "bad ") {
			if len(violations) >= 3 && wide {
				fault++
			}
			return
		}
		if len(violations) > 0 {
			t.Errorf("%s: %s", name, strings.Join(violations, "; "))
		}
		if wide {
			t.Errorf("%s: has to be scrolled sideways", name)
		}
		if len(asked) > 0 {
			t.Errorf("%s: asks for %v: a letter fetches nothing", name, asked)
		}
	})
	if seen != len(views)*len(letters) || fault != len(views) {
		t.Errorf("of %d views %d were seen, and the bad letter was found out in %d of %d", len(views)*len(letters), seen, fault, len(views))
	}
	t.Logf("%d views of letters", seen)
}

// look runs the browser, and calls f for each finding.
func look(t *testing.T, input map[string]any, f func(name string, violations []string, wide bool, asked []string)) {
	t.Helper()
	var err error
	if input["chromium"], err = exec.LookPath("chromium"); err != nil {
		missing(t, "chromium is not installed")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node is not installed")
	}
	if _, err := os.Stat(filepath.Join("..", "portal", "browser", "node_modules", "axe-core")); err != nil {
		missing(t, "portal/browser has no node_modules: run npm ci --ignore-scripts there")
	}
	raw, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "letters.cjs")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends its browser
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir, cmd.Stdin = "browser", bytes.NewReader(raw)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("the browser ended with %v: %s", err, stderr.String())
	}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var found struct {
			Name       string
			Violations []string
			Wide       bool
			Asked      []string
		}
		if err := d.Decode(&found); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("the browser says what nobody understands: %v", err)
		}
		f(found.Name, found.Violations, found.Wide, found.Asked)
	}
}

func required() bool {
	return slices.Contains(strings.Split(os.Getenv("REQUIRE"), ","), "chromium")
}

// missing skips, or fails where REQUIRE names chromium.
func missing(t *testing.T, why string) {
	t.Helper()
	if required() {
		t.Fatalf("REQUIRE names chromium: %s", why)
	}
	t.Skip(why)
}
