package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
)

// bytesOf counts where below the folders one of the words stands.
func bytesOf(t *testing.T, words []string, folders ...string) map[string]int {
	t.Helper()
	found := map[string]int{}
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // servers remove files while we look
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			body, err := written(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			countWords(found, words, path, body)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// written is what a file holds without its holes: the directory's map is eight
// gigabytes of them.
func written(path string) (body []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	const data, hole = 3, 4 // SEEK_DATA and SEEK_HOLE
	for at := int64(0); ; {
		if at, err = f.Seek(at, data); errors.Is(err, syscall.ENXIO) {
			return body, nil
		} else if err != nil {
			return nil, err
		}
		end, err := f.Seek(at, hole)
		if err != nil {
			return nil, err
		}
		part := make([]byte, end-at)
		if _, err := f.ReadAt(part, at); err != nil {
			return nil, err
		}
		body, at = append(body, part...), end
	}
}

func countWords(found map[string]int, words []string, where string, body []byte) {
	for _, w := range words {
		if n := bytes.Count(body, []byte(w)); n > 0 {
			found[w+" in "+where] += n
		}
	}
}

// words are what must not be found of a person who is erased.
func (p someone) words() []string {
	name := p.registered(time.Now()).Data.(events.EmployeeRegistered).Name
	return []string{name.Given, name.Family, p.email, p.number}
}

func TestErasedPersonIsInNoStoreAndNoLog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	gone, uid, id := r.active(41)
	refusal := uid + " is active: suspend it (matricula account suspend " + uid + ")"
	for _, how := range []string{"--dry-run", "--yes"} {
		out, code := r.run("account", "erase", uid, how, "--actor", "ola.drift")
		if code != exitRefused || !strings.Contains(out, refusal) || strings.Contains(out, "would go") != (how == "--dry-run") {
			t.Errorf("erasing somebody active with %s ended with %d:\n%s", how, code, out)
		}
	}
	stays := employeeNo(t, 42)
	r.publish(stays.registered(time.Now().Add(-time.Minute)))
	r.letter(stays, events.LetterActivation)

	// A dead letter that holds the number, a reported password, the end.
	told := func(n int, source, subject string, d events.Data) events.Event {
		return events.Event{Meta: events.Meta{ID: fmt.Sprintf("erase-%d", n), Source: source, Subject: subject, Time: time.Now()}, Data: d}
	}
	number := events.Identifier{Type: "fnr", Value: gone.number}
	r.publish(
		told(1, events.SourceHR, gone.no, events.EmployeeIDChanged{EmployeeNo: gone.no, IDChange: events.IDChange{Old: number, New: events.Identifier{Type: "so", Value: "01512510074"}}}),
		told(2, events.SourceIT, uid, events.PasswordCompromised{Username: uid, Reason: "phished: " + gone.email, ReportedBy: "soc"}),
		told(3, events.SourceHR, gone.no, events.EmployeeEnded{EmployeeNo: gone.no, End: "2026-02-01", Reason: "resigned"}),
	)
	r.letter(gone, events.LetterReset)
	eventually(t, 60*time.Second, "who left long ago is closed", func() (bool, string) {
		s := r.state(gone)
		return s == string(account.Closed), s
	})
	stores := []string{filepath.Join(r.broker.Dir, "store"), r.slapd.Dir, filepath.Join(r.dir, "data")}
	if before := bytesOf(t, gone.words(), stores...); len(before) < 8 {
		t.Fatalf("the search finds too little of somebody who is there: %v", before)
	}
	if out, code := r.run("account", "erase", uid, "--dry-run"); code != exitDone || !strings.Contains(out, "INTAKE") || !strings.Contains(out, "DEAD") {
		t.Fatalf("the dry run ended with %d:\n%s", code, out)
	}
	if out, code := r.run("account", "erase", uid, "--yes", "--actor", "ola.drift", "--wait", patience.String()); code != exitDone || !strings.Contains(out, "erased") {
		t.Fatalf("erasing ended with %d:\n%s", code, out)
	}
	r.awaitFact(events.AuditErased, id, 1)
	r.eraseWhatCameSince(gone, uid)
	logs := map[string]int{}
	r.stopAll()
	for role, log := range r.log {
		countWords(logs, append(gone.words(), stays.words()...), "the log of the "+role, log.Bytes())
	}
	if len(logs) > 0 {
		t.Errorf("a log names somebody: %v", logs)
	}
	r.broker.Stop()
	pages := bytesOf(t, gone.words(), filepath.Join(r.slapd.Dir, "db"))
	r.slapd.Compact()
	t.Logf("the directory's file before it was compacted: %v", pages)
	if left := bytesOf(t, gone.words(), stores...); len(left) > 0 {
		t.Errorf("the erased person is still in a store: %v", left)
	}
	if left := bytesOf(t, stays.words(), stores...); len(left) < 8 {
		t.Errorf("of somebody else there is too little left: %v", left)
	}

	// The tombstone stays, and is explained.
	r.slapd.Start()
	r.broker.Start()
	if e := r.entries("(uid=" + uid + ")"); len(e) != 1 || e[0].GetAttributeValue("matriculaErased") == "" || e[0].GetAttributeValue("cn") != uid {
		t.Errorf("no tombstone stays under %s: %v", uid, e)
	}
	if out, code := r.run("account", "explain", uid, "--language", "en"); code != exitDone || !strings.Contains(out, "was erased") {
		t.Errorf("explaining an erased account ended with %d:\n%s", code, out)
	}
}

// eraseWhatCameSince: the source publishes about the erased person once more,
// something old and something new, and erasing by its key removes it.
func (r *rig) eraseWhatCameSince(gone someone, uid string) {
	r.t.Helper()
	registered, ok := gone.registered(time.Now()).Data.(events.EmployeeRegistered)
	if !ok {
		r.t.Fatal("the person is no employee")
	}
	told := func(id string, at time.Time) events.Event {
		return events.Event{Meta: events.Meta{ID: id, Source: events.SourceHR, Subject: gone.no, Time: at}, Data: events.EmployeeUpdated(registered)}
	}
	r.publish(told("since-1", time.Now().Add(-time.Hour)), told("since-2", time.Now()))
	eventually(r.t, patience, "the new word of an erased person is parked", func() (bool, string) {
		out, _ := r.run("dead", "list", "--reason", events.ReasonParked, "--json")
		return strings.Count(out, "\n") == 1, out
	})
	key := "employee:" + gone.no
	if out, code := r.run("account", "erase", key, "--dry-run"); code != exitDone || !strings.Contains(out, uid) || !strings.Contains(out, "INTAKE") || !strings.Contains(out, "DEAD") {
		r.t.Errorf("what came since is not found by %s (code %d):\n%s", key, code, out)
	}
	if out, code := r.run("account", "erase", key, "--yes", "--actor", "ola.drift"); code != exitDone || !strings.Contains(out, "INTAKE") {
		r.t.Errorf("erasing what came since ended with %d:\n%s", code, out)
	}
	if out, code := r.run("account", "erase", "employee:1", "--dry-run"); code != exitNotFound {
		r.t.Errorf("erasing nobody ended with %d:\n%s", code, out)
	}
}
