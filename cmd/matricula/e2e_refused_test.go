package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
)

var elevenDigits = regexp.MustCompile(`\d{11}`)

// What cannot be handled becomes one dead letter each, whose reason names the
// field and holds no number; everybody else's events go on. Without an address
// or a number a person is pending, and nothing is refused.
func TestWhatIsRefusedIsBuriedWithItsFieldAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start("worker")
	poison, err := os.ReadFile(filepath.Join("..", "..", "deploy", "examples", "events", "poison", "events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(poison)), "\n")
	at := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	hr := func(id, no, data string) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"urn:usn:hr","type":"no.usn.hr.employee.registered.v1","subject":%q,"time":%q,"data":%s}`, id, no, at, data)
	}
	employee := `{"employee_no":%q,"name":{"given":"Kari","family":"Moe"},"birth_date":"1984-03-02","identifiers":%s,"employments":[{"id":"1","start":"2026-01-01","end":null}],"contact":{"email":%q},"language":"nb"%s}`
	lines = append(lines,
		hr("big", "104901", fmt.Sprintf(employee, "104901", "[]", "", `,"filler":"`+strings.Repeat("x", 1<<20)+`"`)),
		hr("kind", "104902", fmt.Sprintf(employee, "104902", `[{"type":"so","value":"`+tenor(t, 5)+`"}]`, "k@example.org", "")),
		hr("nobody", "104903", fmt.Sprintf(employee, "104903", "[]", "n@example.org", "")),
		hr("silent", "104904", fmt.Sprintf(employee, "104904", `[{"type":"fnr","value":"`+tenor(t, 6)+`"}]`, "", "")),
	)
	r.publishRaw(strings.Join(lines, "\n"))
	want := len(lines) - 2
	fine := employeeNo(t, 7)
	r.publish(fine.registered(time.Now().Add(-time.Minute)))
	r.entry(fine)

	var letters []events.DeadLetter
	eventually(t, 60*time.Second, fmt.Sprintf("%d dead letters", want), func() (bool, string) {
		out, code := r.run("dead", "list", "--json")
		letters = nil
		for l := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
			var d events.DeadLetter
			if json.Unmarshal([]byte(l), &d) == nil {
				letters = append(letters, d)
			}
		}
		return code == exitDone && len(letters) == want, fmt.Sprint(len(letters))
	})
	subjects := map[string]int{}
	for _, d := range letters {
		subjects[fmt.Sprint(d.Sequence)]++
		if d.Reason == "" || d.Field == "" || d.Text == "" || d.Attempts < 1 || d.Stream != "INTAKE" {
			t.Errorf("a dead letter without reason, field, way out or origin: %+v", d)
		}
		if elevenDigits.MatchString(d.Text + d.Field) {
			t.Errorf("a dead letter's reason holds a number: %s %s", d.Field, d.Text)
		}
	}
	if len(subjects) != want {
		t.Errorf("%d messages have %d dead letters", len(subjects), want)
	}
	for _, p := range []someone{{no: "104903", role: "employee"}, {no: "104904", role: "employee"}} {
		if got := r.state(p); got != "pending" {
			t.Errorf("%s is %s, not pending", p.no, got)
		}
	}
	out, code := r.run("dead", "replay", letters[0].ID)
	if code != exitDone {
		t.Errorf("replay ended with %d: %s", code, out)
	}
	eventually(t, 60*time.Second, "what was replayed is refused again", func() (bool, string) {
		out, _ := r.run("dead", "list", "--json")
		n := strings.Count(out, "\n")
		return n == want && !strings.Contains(out, letters[0].ID), fmt.Sprint(n)
	})
	if out, code = r.run("dead", "show", "no-such-letter"); code != exitNotFound {
		t.Errorf("an unknown dead letter ended with %d: %s", code, out)
	}
}

// A window that moves in the settings moves the letters that wait for it: one
// time, not one letter at a time.
func TestMovedWindowBringsItsLetters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start("worker")
	r.start("mailer")
	r.start("portal")
	p := studentNo(t, 8)
	r.publish(p.registered(time.Now().Add(-time.Minute)))
	r.oneWaiting("months before", p)
	if n := len(r.letters(p, events.LetterActivation)); n != 0 {
		t.Fatalf("%d letters months before the window", n)
	}
	opened := fmt.Sprintf("[[window]]\nname = \"main\"\npopulation = \"student\"\nstart_between = [\"08-01\", \"09-30\"]\nopens = %q\n[[window]]\nname = \"rest\"\npopulation = \"student\"\nopens = \"08-01\"\n[[window]]\nname = \"hire\"\npopulation = \"employee\"\nopens = \"at-once\"\n",
		time.Now().Add(-time.Minute).UTC().Format(time.RFC3339))
	r.configure(opened)
	r.stop("worker")
	r.stop("portal")
	r.start("worker")
	r.start("portal")
	link := linkOf(r.letter(p, events.LetterActivation))
	if done := r.click(p).activate(link, goodPassword); done.Status != http.StatusOK || done.Path != "/activate/done" {
		t.Fatalf("in the moved window activation ended on %s with %d", done.Path, done.Status)
	}
	if n := len(r.letters(p, events.LetterActivation)); n != 1 {
		t.Fatalf("%d letters after the move, not one", n)
	}
}
