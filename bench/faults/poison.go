package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"usn.no/matricula/events"
)

// poisonKey begins the key that everything poisonous is published under.
const poisonKey = "999"

// poisonous says whether a dead letter is of an event that had to be refused.
func poisonous(d events.DeadLetter) bool { return strings.Contains(d.Subject, "."+poisonKey) }

// poisoned publishes what no source may publish; each must become one dead
// letter and hold up nobody else.
func (h *house) poisoned() (func(context.Context), error) {
	return func(ctx context.Context) {
		p := h.cast.invent(0, h.dice(), time.Now()) // never announced in good form
		p.Role, p.No = "employee", poisonKey+p.No
		raw, err := events.EncodeStructured(p.announcement(1, time.Now().Add(-time.Minute)))
		if err != nil {
			h.t.Error(err)
			return
		}
		good := string(raw)
		bad := map[string]string{
			"truncated":   good[:len(good)/2],
			"no json":     "not an event",
			"trailing":    good + "{}",
			"twice":       strings.Replace(good, `"birth_date":`, `"birth_date":"1990-01-01","birth_date":`, 1),
			"no id":       strings.Replace(good, `"id":`, `"di":`, 1),
			"version":     strings.Replace(good, "registered.v1", "registered.v9", 1),
			"other":       strings.Replace(good, `"employee_no":"`, `"employee_no":"1`, 1),
			"check digit": strings.Replace(good, p.Number, p.Number[:10]+string('0'+(p.Number[10]-'0'+1)%10), 1),
			"nul":         strings.Replace(good, "Nordfjell", `Nord\u0000fjell`, 1),
			"line":        strings.Replace(good, "Nordfjell", `Nord\r\nBcc: x`, 1),
			"long":        strings.Replace(good, "Nordfjell", strings.Repeat("Nord", 400), 1),
			"utf8":        strings.Replace(good, "Nordfjell", "Nord\xff", 1),
			"huge":        strings.Replace(good, "Nordfjell", strings.Repeat("x", 200<<10), 1),
		}
		for what, text := range bad {
			id := fmt.Sprintf("poison-%d-%s", len(h.poison), what)
			h.mu.Lock()
			h.poison = append(h.poison, id)
			h.mu.Unlock()
			h.send(ctx, "hr.employee.registered."+p.No, id, []byte(text))
			pause(ctx, 100*time.Millisecond)
		}
	}, nil
}

// replayed has the broker deliver the whole intake once more (F18), and
// expects that nothing that can be seen changes but what counts writes.
func (h *house) replayed() {
	before, err := h.look()
	if err != nil {
		h.violation("I13", "before the replay: %v", err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), longest*settles)
	defer cancel()
	st, err := h.js.Stream(ctx, "INTAKE")
	if err != nil {
		h.violation("I13", "replay: %v", err)
		return
	}
	last, handled := st.CachedInfo().State.LastSeq, h.handled()
	list := st.ListConsumers(ctx)
	for c := range list.Info() {
		if _, err := h.js.ResetConsumerToSequence(ctx, "INTAKE", c.Name, 1); err != nil {
			h.violation("I13", "replay of %s: %v", c.Name, err)
		}
	}
	began := h.fair.mark()
	var after *view
	for {
		after, err = h.look()
		if err == nil && len(after.behind) == 0 && h.handled()-handled >= int(last) || h.fair.over(began, settles) {
			break
		}
		time.Sleep(50 * time.Millisecond) // between two looks
	}
	if err != nil || len(after.behind) > 0 || h.handled()-handled < int(last) {
		h.violation("I13", "the replay was not through within %s, but %s: %d of %d events handled", settles, h.fair.said(began), h.handled()-handled, last)
		return
	}
	h.same(before, after)
	fmt.Printf("  all %d events once more: %s\n", last, h.fair.said(began))
}

// handled counts the events that the workers say they have seen to, each in one
// line.
func (h *house) handled() int {
	n := 0
	for _, name := range []string{"worker-1", "worker-2"} {
		text, _ := os.ReadFile(filepath.Join(h.dir, name+".log"))
		n += strings.Count(string(text), `"worker":"intake","type"`)
	}
	return n
}

// same holds I16: handled again, everything is as it was.
func (h *house) same(before, after *view) {
	due := max(0, before.planned-after.planned) // put off by the relay's word: their time came meanwhile
	if n := len(after.letters) - len(before.letters); n < 0 || n > due {
		h.violation("I16", "the replay sent %d letters, %d were due", n, due)
	}
	if n := len(after.ids) - len(before.ids); n < 0 || n > due {
		h.violation("I16", "the replay made %d audit facts, %d letters were due", n, due)
	}
	if b, a := len(before.dead), len(after.dead); a != b {
		h.violation("I16", "the replay made %d dead letters", a-b)
	}
	was, is := before.content(), after.content()
	for dn, text := range was {
		if is[dn] != text {
			h.violation("I16", "the replay changed %s", dn)
		}
	}
	if len(was) != len(is) {
		h.violation("I16", "the replay made %d accounts", len(is)-len(was))
	}
}

// content is every entry but for what counts its writes.
func (v *view) content() map[string]string {
	out := map[string]string{}
	for _, e := range v.all {
		var lines []string
		for _, a := range e.Attributes {
			if a.Name == "matriculaRevision" || a.Name == "matriculaMark" {
				continue
			}
			values := slices.Clone(a.Values)
			slices.Sort(values)
			lines = append(lines, a.Name+"="+strings.Join(values, "|"))
		}
		slices.Sort(lines)
		out[e.DN] = strings.Join(lines, "\n")
	}
	return out
}
