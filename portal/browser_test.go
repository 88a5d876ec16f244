package portal_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/portal"
)

// required says whether REQUIRE names chromium: then nothing is skipped.
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

func program(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, names[0]+" is not installed")
	return ""
}

// TestPagesInChromium drives whole trips and looks at every page in one language
// and two of four views. With PORTAL_FULL set, as make pages does, it looks at
// each in every language, light and dark, at 320 and 1280 pixels, which takes
// minutes. With PORTAL_SCREENSHOTS naming a folder it leaves pictures of what it
// saw there, and PORTAL_PAGES=own,done looks at these pages of browser/pages.cjs
// only; "journeys" among them are the trips.
func TestPagesInChromium(t *testing.T) {
	t.Parallel()
	chromium, node := program(t, "chromium", "chromium-browser", "google-chrome"), program(t, "node")
	if _, err := os.Stat(filepath.Join("browser", "node_modules", "playwright-core")); err != nil {
		missing(t, "portal/browser has no node_modules: run npm ci --ignore-scripts there")
	}
	h := start(t, false, func(p *portal.Portal) {
		l, _ := p.Clicks.(*life)
		someDoors(l).set(p)
	})
	residents(h.life)
	elsewhere := start(t, false, func(p *portal.Portal) { p.PIN.ElsewhereURL = "https://kort.example.org" })
	limited := start(t, false, func(p *portal.Portal) { p.Rate = portal.Rate{PerSecond: 0.0001, Burst: 1} })
	input, err := json.Marshal(map[string]any{
		"base": h.URL, "limited": limited.URL, "elsewhere": elsewhere.URL, "chromium": chromium, "languages": languages(), "tickets": cast(h.life),
		"vectors": vectors(t), "screenshots": os.Getenv("PORTAL_SCREENSHOTS"), "full": everywhere(),
		"only": only(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("PORTAL_SCREENSHOTS"); dir != "" {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 28*time.Minute) // go test ends a short run before that
	defer cancel()
	cmd := exec.CommandContext(ctx, node, "suite.cjs")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends its browser
	cmd.WaitDelay = 10 * time.Second
	cmd.Dir, cmd.Stdin = "browser", bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("the suite ended with %v: %s", err, stderr.String())
	}
	judge(t, out)
}

// everywhere says whether every page is seen in every language and view.
func everywhere() bool { return os.Getenv("PORTAL_FULL") != "" }

// only names the pages to look at; nil: all.
func only() []string {
	if os.Getenv("PORTAL_PAGES") == "" {
		return nil
	}
	return strings.Split(os.Getenv("PORTAL_PAGES"), ",")
}

// judge counts what the suite found. It must have come to its end.
func judge(t *testing.T, out []byte) {
	t.Helper()
	n, axe, ended := 0, 0, false
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var f struct {
			Name, Detail string
			OK           bool
		}
		if err := json.Unmarshal(lines.Bytes(), &f); err != nil {
			t.Fatalf("the suite says %q", lines.Text())
		}
		n++
		if strings.HasSuffix(f.Name, "/axe") {
			axe++
		}
		ended = ended || f.Name == "end"
		if !f.OK {
			t.Errorf("%s: %s", f.Name, f.Detail)
		}
	}
	least := 60
	if everywhere() {
		least = 400
	}
	if only() != nil {
		least = len(only()) - 1
	}
	if !ended || axe < least {
		t.Errorf("the suite came to %d findings, %d of them axe's, and ended: %t", n, axe, ended)
	}
	t.Logf("%d findings in Chromium, %d of them runs of axe", n, axe)
}

// residents have an account each, in every language, for the pages that need a
// password.
func residents(l *life) {
	l.move("karnor", good) // whom a letter reports
	for _, lang := range languages() {
		for _, name := range []string{"own", "change", "breached", "breached-again", "many", "receipt", "rules", "newcomer", "demanded", "due", "keys", "pin-all", "pin-nowhere"} {
			p := l.move(name+"-"+lang, good)
			p.Language, p.breached = lang, strings.HasPrefix(name, "breached")
			p.Untold = name == "receipt"
			switch name {
			case "rules":
				p.Rules = account.Acceptance{Version: "2026-02", Hash: "of an older text", At: july.AddDate(-1, 0, 0)}
			case "keys":
				p.Rules, p.ChangeBy = account.Acceptance{}, july.AddDate(0, 0, 14)
			case "demanded":
				p.ChangeBy = july.AddDate(0, 0, 14)
			case "due":
				p.due = true
			case "newcomer":
				p.Rules = account.Acceptance{}
			}
		}
	}
	l.people.limits = map[string]int{"many": 3}
}

// cast invites one person for every page that needs one, in every language.
func cast(l *life) map[string]string {
	changes := map[string]func(*invitation){
		"identify": nil, "password": nil, "done": func(i *invitation) { i.username = "receipt-" + i.language }, "journey-scripts": nil, "journey-plain": nil, "journey-back": nil, "journey-keyboard": nil, "journey-vectors": nil,
		"identify-wrong": nil,
		"closed":         func(i *invitation) { i.opens = time.Date(2027, 7, 31, 22, 0, 0, 0, time.UTC) },
		"replaced":       func(i *invitation) { i.lookFault = account.ErrReplaced },
		"spent":          func(i *invitation) { i.spent = true },
		"expired":        func(i *invitation) { i.expires = july },
		"frozen":         func(i *invitation) { i.wrong = wrongNumbers },
		"suspended":      func(i *invitation) { i.suspended = &account.SuspendedError{State: account.Suspended} },
		"broken":         func(i *invitation) { i.lookFault = errors.New("directory is upside down") },
		"down":           func(i *invitation) { i.lookFault = fmt.Errorf("ldap: %w", account.ErrUnavailable) },
		"busy":           func(i *invitation) { i.activateFault = account.ErrBusy },
		"spent-now":      func(i *invitation) { i.activateFault = account.ErrSpent },
		"reset-identify": func(i *invitation) { i.purpose = account.PurposeReset },
		"reset-done":     func(i *invitation) { i.purpose = account.PurposeReset },
	}
	tickets := map[string]string{}
	for name, change := range changes {
		for _, lang := range languages() {
			key := name + "-" + lang
			tickets[key] = l.invite(key, func(i *invitation) {
				if i.language = lang; change != nil {
					change(i)
				}
			})
		}
	}
	return tickets
}

// vectors are the password rules' own, but for names that the script leaves to
// the server: those it would have to write in another alphabet.
func vectors(t *testing.T) []json.RawMessage {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "policy", "testdata", "passwords.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []json.RawMessage }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(file.Vectors, func(v json.RawMessage) bool {
		return bytes.Contains(v, []byte("in Latin letters"))
	})
}
