package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// summary is what demo --once prints. Every number is counted from outside:
// in the directory, the mailbox, the portal's answers, the streams.
type summary struct {
	OK        bool           `json:"ok"`
	People    int            `json:"people"`  // accounts in the directory
	Pending   int            `json:"pending"` // of these, never activated
	Activated int            `json:"activated"`
	Letters   map[string]int `json:"letters"`         // by template, in the mailbox
	Refused   map[string]int `json:"refused"`         // window, wrong_number, spent: answers of the portal
	Audit     map[string]int `json:"audit"`           // by type
	Lives     int            `json:"lives,omitempty"` // people whose year was played
	Turns     map[string]int `json:"turns,omitempty"` // of these: transitions told, and leaving letters
	PINs      int            `json:"pins"`            // that the access system took
	Dead      int            `json:"dead"`
	Problems  []string       `json:"problems,omitempty"`
	Seconds   float64        `json:"seconds"`
}

// expect reckons the summary from the events alone.
func (p *play) expect() {
	w := summary{
		People: len(p.cast.Members), Dead: p.cast.Refused,
		Letters: map[string]int{}, Refused: map[string]int{}, Audit: map[string]int{},
	}
	so, compromised := 0, 0
	for _, m := range p.cast.Members {
		n, ok := m.best()
		if ok && n.Type == "so" && m.Email != "" {
			so++
		}
		if !m.invitable() {
			w.Pending++
			continue
		}
		w.Activated++
		if now := p.clock.Now(); m.opens(p.cfg.Windows()).After(now) && !m.due(p.system).After(now) {
			w.Refused["window"]++
		}
		if m.Employee {
			compromised = 1
		}
	}
	w.Refused["wrong_number"], w.Refused["spent"] = w.Activated, w.Activated
	w.set(w.Letters, events.LetterActivation, w.Activated, events.LetterActivated, w.Activated, events.LetterSONumber, so,
		events.LetterReset, compromised, events.LetterPasswordCompromised, compromised, events.LetterPasswordChanged, compromised)
	letters := 0
	for _, n := range w.Letters {
		letters += n
	}
	w.set(w.Audit, events.AuditCreated, w.People, events.AuditInvited, w.Activated, events.AuditActivated, w.Activated,
		events.AuditRules, w.Activated+compromised, events.AuditCompromised, compromised, events.AuditRestored, compromised,
		events.AuditPasswordChanged, compromised, events.AuditLetterSent, letters, events.AuditEventRejected, w.Dead,
		events.AuditActivationDenied, w.Refused["window"]+w.Refused["wrong_number"]+w.Refused["spent"])
	p.want = w
}

func (summary) set(m map[string]int, pairs ...any) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if n := pairs[i+1].(int); n > 0 {
			m[pairs[i].(string)] = n
		}
	}
}

// count counts what there is, when everything that is expected has come.
func (p *play) count(ctx context.Context) (summary, error) {
	if err := p.quiet(ctx); err != nil {
		return summary{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var whole *summary // the last one that was counted to its end
	err := until(ctx, func() (bool, error) {
		got, err := p.countNow(ctx)
		if err != nil {
			return false, err
		}
		whole = &got
		return len(got.differences(p.want)) == 0, nil
	})
	if whole != nil {
		return *whole, nil // what is missing is said as a difference
	}
	return summary{}, err
}

func (p *play) countNow(ctx context.Context) (summary, error) {
	got := summary{Letters: map[string]int{}, Audit: map[string]int{}}
	err := p.people.Each(ctx, account.Query{}, func(a account.Account) bool {
		got.People++
		if a.State == account.Pending {
			got.Pending++
		}
		if a.State == account.Active {
			got.Activated++
		}
		return true
	})
	if err != nil {
		return got, err
	}
	for _, l := range p.mailbox.Messages() {
		got.Letters[l.Get("X-Matricula-Letter")]++
	}
	if got.Refused, err = countRefused(p.log.Name()); err != nil {
		return got, err
	}
	if got.Dead, err = p.countDead(ctx); err != nil {
		return got, err
	}
	got.PINs = len(p.doors.all())
	return got, stream.Tail(ctx, p.js, stream.TailOptions{}, func(e events.Event) error {
		if a, ok := e.Data.(events.Audit); ok {
			got.Audit[a.What]++
		}
		return nil
	})
}

// countRefused counts the portal's refusals in a transcript.
func countRefused(path string) (map[string]int, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	out := map[string]int{}
	s := bufio.NewScanner(f)
	for s.Scan() {
		var a answer
		if err := json.Unmarshal(s.Bytes(), &a); err != nil {
			return nil, fmt.Errorf("transcript: %w", err)
		}
		switch {
		case a.Step == stepEarly && a.Status == http.StatusForbidden:
			out["window"]++
		case a.Step == stepWrong && a.Status == http.StatusUnprocessableEntity:
			out["wrong_number"]++
		case a.Step == stepAgain && a.Status == http.StatusGone:
			out["spent"]++
		}
	}
	return out, s.Err()
}

func (p *play) countDead(ctx context.Context) (int, error) {
	n := 0
	d := &stream.DeadLetters{JS: p.js}
	return n, d.List(ctx, "", func(events.DeadLetter) bool { n++; return true })
}

// differences says where what happened is not what was to be expected. What is
// expected to be none may be absent; account.updated is not reckoned.
func (s summary) differences(want summary) []string {
	var out []string
	say := func(what string, got, want int) {
		if got != want {
			out = append(out, fmt.Sprintf("%s: %d, expected %d", what, got, want))
		}
	}
	say("people", s.People, want.People)
	say("pending", s.Pending, want.Pending)
	say("activated", s.Activated, want.Activated)
	say("dead", s.Dead, want.Dead)
	say("pins", s.PINs, want.PINs)
	for name, pair := range map[string][2]map[string]int{
		"letters": {s.Letters, want.Letters}, "refused": {s.Refused, want.Refused}, "audit": {s.Audit, want.Audit},
	} {
		keys := slices.Collect(maps.Keys(pair[0]))
		keys = slices.AppendSeq(keys, maps.Keys(pair[1]))
		slices.Sort(keys)
		for _, k := range slices.Compact(keys) {
			if k != events.AuditUpdated {
				say(name+" "+k, pair[0][k], pair[1][k])
			}
		}
	}
	slices.Sort(out)
	return out
}

func (s summary) print(w io.Writer) error {
	verdict := "everything as expected"
	if !s.OK {
		verdict = "NOT as expected"
	}
	_, _ = fmt.Fprintf(w, "\n%s, in %.1f s\n\n", verdict, s.Seconds)
	rows := [][]any{
		{"people", s.People}, {"  still pending", s.Pending}, {"  active", s.Activated}, {"PINs at the doors", s.PINs}, {"dead letters", s.Dead},
	}
	for _, k := range slices.Sorted(maps.Keys(s.Turns)) {
		rows = append(rows, []any{fmt.Sprintf("%s in a year of %d", k, s.Lives), s.Turns[k]})
	}
	for _, part := range []struct {
		name   string
		counts map[string]int
	}{{"letter", s.Letters}, {"refused", s.Refused}, {"audit", s.Audit}} {
		for _, k := range slices.Sorted(maps.Keys(part.counts)) {
			rows = append(rows, []any{part.name + " " + k, part.counts[k]})
		}
	}
	if err := table(w, []any{"COUNTED", ""}, rows); err != nil {
		return err
	}
	for _, p := range s.Problems {
		_, _ = fmt.Fprintln(w, "!!", p)
	}
	return nil
}
