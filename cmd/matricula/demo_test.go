package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"usn.no/matricula/account"
	"usn.no/matricula/deploy"
	"usn.no/matricula/events"
	"usn.no/matricula/standalone"
	"usn.no/matricula/stream"
	"usn.no/matricula/testkit"
)

// runDemo plays once and answers the summary and the exit code.
func runDemo(t *testing.T, args ...string) (summary, int) {
	t.Helper()
	root := rootCommand()
	var out, log bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&log)
	root.SetArgs(append([]string{"demo", "--once", "--json"}, args...))
	err := root.ExecuteContext(t.Context())
	var s summary
	if jerr := json.Unmarshal(out.Bytes(), &s); jerr != nil {
		t.Fatalf("demo printed no summary: %v\n%s%s", err, out.String(), log.String())
	}
	if err != nil {
		return s, exitCode(err)
	}
	return s, exitDone
}

// recount counts everything anew from what --keep left.
func recount(t *testing.T, dir string) summary {
	t.Helper()
	b := &standalone.Broker{Dir: filepath.Join(dir, "broker"), Log: zerolog.Nop()}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	nc, err := nats.Connect("", b.Options()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := stream.JetStream(nc)
	if err != nil {
		t.Fatal(err)
	}
	got := summary{Letters: map[string]int{}, Audit: map[string]int{}}
	p, err := embeddedPeople(t.Context(), js)
	if err != nil {
		t.Fatal(err)
	}
	err = p.Each(t.Context(), account.Query{}, func(a account.Account) bool {
		got.People++
		if a.State == account.Pending {
			got.Pending++
		}
		if a.State == account.Active {
			got.Activated++
		}
		return true
	})
	err = errors.Join(err, stream.Tail(t.Context(), js, stream.TailOptions{}, func(e events.Event) error {
		got.Audit[e.Data.(events.Audit).What]++
		return nil
	}))
	err = errors.Join(err, (&stream.DeadLetters{JS: js}).List(t.Context(), "", func(events.DeadLetter) bool { got.Dead++; return true }))
	if err != nil {
		t.Fatal(err)
	}
	mails, err := filepath.Glob(filepath.Join(dir, "mail", "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range mails {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for l := range strings.SplitSeq(string(raw), "\r\n") {
			if template, ok := strings.CutPrefix(l, "X-Matricula-Letter: "); ok {
				got.Letters[template]++
			}
		}
	}
	if got.Refused, err = countRefused(filepath.Join(dir, "transcript.jsonl")); err != nil {
		t.Fatal(err)
	}
	return got
}

func same(t *testing.T, what string, got, want summary) {
	t.Helper()
	if got.People != want.People || got.Pending != want.Pending || got.Activated != want.Activated || got.Dead != want.Dead ||
		!maps.Equal(got.Letters, want.Letters) || !maps.Equal(got.Refused, want.Refused) || !maps.Equal(got.Audit, want.Audit) {
		t.Errorf("%s:\n%+v\nbut the demo said\n%+v", what, got, want)
	}
}

func TestDemoLetsOthersKeepThePortOfTheMailbox(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if got := ifFree(l.Addr().String()); got != "" {
		t.Errorf("the page of the mailbox is to listen at %s, where another does", got)
	}
	if own := testkit.FreeAddress(t); ifFree(own) != own {
		t.Errorf("%s is free and not taken", own)
	}
}

func TestDemoSaysWhatIsThere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "kept")
	s, code := runDemo(t, "--keep", dir)
	if code != exitDone || !s.OK || len(s.Problems) > 0 {
		t.Fatalf("demo ended with %d: %+v", code, s)
	}
	same(t, "counted from what it kept", recount(t, dir), s)
}

// Each change of the input shows in the numbers that it touches.
func TestDemoCountsChangeWithTheInput(t *testing.T) {
	t.Parallel()
	raw, err := deploy.Demo.ReadFile(deploy.DemoFile)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	without := func(text string) string {
		var kept []string
		for _, l := range lines {
			if !strings.Contains(l, text) {
				kept = append(kept, l)
			}
		}
		if len(kept) == len(lines) {
			t.Fatalf("no line of the demo holds %s", text)
		}
		return strings.Join(kept, "\n")
	}
	whole, _ := runDemo(t, folder(t, strings.Join(lines, "\n")))
	rows := []struct {
		fact  string
		input string
		holds func(summary) bool
	}{
		{"without the SO-number she cannot activate, and no letter brings it", without("so-number-issued"), func(s summary) bool {
			return s.People == whole.People && s.Pending == whole.Pending+1 && s.Activated == whole.Activated-1 &&
				s.Letters["so-number"] == 0 && s.Refused["window"] == whole.Refused["window"]-1
		}},
		{"without the employee there is one person less", without(`"104711"`), func(s summary) bool {
			return s.People == whole.People-1 && s.Activated == whole.Activated-1 && s.Audit["account.created"] == whole.Audit["account.created"]-1
		}},
		{"without the malformed event nothing is refused", without(`"104714"`), func(s summary) bool {
			return s.Dead == 0 && s.Audit["event.rejected"] == 0 && s.People == whole.People
		}},
	}
	for _, r := range rows {
		t.Run(r.fact, func(t *testing.T) {
			t.Parallel()
			s, code := runDemo(t, folder(t, r.input))
			if code != exitDone || !r.holds(s) {
				t.Errorf("ended with %d: %+v\nthe whole input gives %+v", code, s, whole)
			}
		})
	}
}

func folder(t *testing.T, lines string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "people.jsonl"), []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// With the portal's window check taken out the demo sees it and says so.
func TestDemoFailsWhenThePortalLetsPeopleInTooEarly(t *testing.T) {
	t.Parallel()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "demo", "--once", "--json")
	cmd.Env = append(os.Environ(), envPrefix+"FAILPOINTS=window")
	out, err := cmd.Output()
	var s summary
	if jerr := json.Unmarshal(out, &s); jerr != nil {
		t.Fatalf("no summary: %v, %v\n%s", jerr, err, out)
	}
	if err == nil || s.OK || s.Refused["window"] != 0 {
		t.Fatalf("without a window check the demo ended with %v and %+v", err, s)
	}
	t.Log(strings.Join(s.Problems, "; "))
}
