package faults

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// signIns holds I7 and I9 for the people since the last check: an answer
// "done" is done, each invitation was used once, and an account is active
// exactly when one of the passwords lets its owner in.
func (h *house) signIns(v *view) {
	for _, p := range h.people[h.seen.people:] {
		found := v.entries[p.lin(h.slapd.Realm)]
		if len(found) != 1 {
			continue
		}
		_, password, err := h.binds(p)
		for m := h.fair.mark(); err != nil && !h.fair.over(m, 10*time.Second); {
			time.Sleep(100 * time.Millisecond) // a busy directory may not have answered
			_, password, err = h.binds(p)
		}
		if err != nil {
			h.violation("I7", "%s: %v", p.No, err)
			continue
		}
		if active := state(found[0]) == "active"; active != (password != "") {
			h.violation("I7", "%s is half done: %s, and signing in works: %t", p.No, state(found[0]), password != "")
		}
		h.usedOnce(p, password)
	}
	h.seen.people = len(h.people)
}

// use is one operation on an invitation: a click with a password, or a look at
// which password binds.
type use struct{ password, answer string }

// register is an invitation as it must behave: unused, then used with one
// password, which stands. A click whose answer was lost may count or not.
var register = porcupine.Model{ //nolint:gochecknoglobals // a constant
	Init: func() any { return "" },
	Step: func(held, in, _ any) (bool, any) {
		u, now := in.(use), held.(string)
		switch u.answer {
		case "done":
			// The second press of one button may be led to the receipt of the first.
			return now == "" || now == u.password, u.password
		case "unknown":
			if now == "" {
				return true, u.password
			}
			return true, now
		case "spent":
			return now != "", now
		default: // binds
			return now == u.password, now
		}
	},
}

// decide bounds the decision about one invitation; it takes milliseconds.
const decide = time.Minute

// usedOnce checks the history of each of a person's invitations: linearizable
// as a register that is written once.
func (h *house) usedOnce(p *person, binds string) {
	history := map[string][]porcupine.Operation{}
	last, end := "", time.Now()
	clicks := p.clicks()
	slices.SortFunc(clicks, func(a, b act) int { return a.began.Compare(b.began) })
	for i, a := range clicks {
		u := use{a.password, a.answer}
		switch a.answer {
		case "done", "spent", "binds":
		case "unknown":
			a.ended = end.Add(time.Hour) // it may take effect at any time from its beginning on
		default:
			continue // refused for a reason that leaves the invitation alone
		}
		history[a.invitation] = append(history[a.invitation], porcupine.Operation{
			ClientId: i, Input: u, Call: a.began.UnixNano(), Return: a.ended.UnixNano(),
		})
		last = a.invitation
	}
	if last != "" && !p.ends() { // whose account is shut signs in with none
		history[last] = append(history[last], porcupine.Operation{
			ClientId: len(clicks), Input: use{binds, "binds"}, Call: end.UnixNano(), Return: end.UnixNano() + 1,
		})
	}
	for _, operations := range history {
		operations = telling(operations)
		switch porcupine.CheckOperationsTimeout(register, operations, decide) {
		case porcupine.Illegal:
			h.violation("I9", "%s (%s): the invitation was not used exactly once: %s", p.No, p.Fate, story(operations))
		case porcupine.Unknown:
			h.violation("I9", "%s (%s): could not be decided within %s: %s", p.No, p.Fate, decide, story(operations))
		}
	}
}

// telling leaves out the clicks without an answer that can make no difference:
// whoever kills a server for a while leaves dozens, and deciding takes twice as
// long for each. What is written once has one writer. Where an answer names its
// password, a click with another one is not it, and may as well have come
// later; where none does, whichever began first serves as well as any.
func telling(operations []porcupine.Operation) []porcupine.Operation {
	named, first := map[string]bool{}, -1
	for i, o := range operations {
		switch u := o.Input.(use); u.answer {
		case "done", "binds":
			named[u.password] = true
		case "unknown":
			if first < 0 || o.Call < operations[first].Call {
				first = i
			}
		}
	}
	delete(named, "") // who signs in with none
	var out []porcupine.Operation
	seen := map[string]bool{}
	for i, o := range operations {
		u := o.Input.(use)
		if u.answer == "unknown" {
			if len(named) > 0 && (!named[u.password] || seen[u.password]) || len(named) == 0 && i != first {
				continue
			}
			seen[u.password] = true // the first of one password says all that the others could
		}
		out = append(out, o)
	}
	return out
}

// story is a history without passwords.
func story(operations []porcupine.Operation) string {
	names, lines := map[string]string{"": "none"}, []string(nil)
	for _, o := range operations {
		u := o.Input.(use)
		if names[u.password] == "" {
			names[u.password] = "p" + spelled(len(names))
		}
		lines = append(lines, names[u.password]+" "+u.answer)
	}
	return strings.Join(lines, ", ")
}

// searchLogs holds I14: no identity number, password or ticket in any log, nor
// on any command line.
func (h *house) searchLogs() {
	files, _ := filepath.Glob(filepath.Join(h.dir, "*.log"))
	files = append(files, filepath.Join(h.slapd.Dir, "slapd.log"), filepath.Join(h.broker.Dir, "nats.log"))
	texts := map[string]string{"a command line": h.processes()}
	for _, f := range files {
		if raw, err := os.ReadFile(f); err == nil {
			texts[filepath.Base(f)] = string(raw)
		}
	}
	secrets := map[string]bool{}
	h.mu.Lock()
	for _, s := range h.leaks {
		secrets[s] = true
	}
	h.mu.Unlock()
	for _, l := range h.sink.taken() {
		if _, ticket, ok := strings.Cut(l.Link, "/a/"); ok {
			secrets[ticket] = true
		}
	}
	for where, text := range texts {
		for s := range secrets {
			if strings.Contains(text, s) {
				h.violation("I14", "%s holds a secret of %d characters", where, len(s))
			}
		}
	}
}
