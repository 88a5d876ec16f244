package faults

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/events"
)

// snapshot is what was seen once and must be there ever after.
type snapshot struct {
	usernames map[string]string // account ID by username
	facts     map[string]bool
	people    int // checked with binds already
}

func newSnapshot() snapshot {
	return snapshot{usernames: map[string]string{}, facts: map[string]bool{}}
}

// settles is how long after the last fault everything must be finished.
const settles = 60 * time.Second

// check waits until nothing is missing any more, then holds every invariant
// against what can be seen.
func (h *house) check(where string, calm mark) {
	var v *view
	var missing []string
	for {
		var err error
		v, err = h.look()
		missing = nil
		if err != nil {
			missing = []string{err.Error()}
		} else {
			missing = h.missing(v)
		}
		if h.mutant != "" && h.wrongAlready() {
			return
		}
		if len(missing) == 0 || h.fair.over(calm, h.patience) {
			break
		}
		time.Sleep(100 * time.Millisecond) // between two looks
	}
	h.slowest = h.fair.said(calm)
	for i, m := range missing {
		if i == 8 {
			h.violation("I1", "%s: and %d more", where, len(missing)-i)
			break
		}
		h.violation("I1", "%s: not finished %s after the last fault, the bound is %s: %s", where, h.slowest, h.patience, m)
	}
	if v == nil {
		return
	}
	h.accounts(v)
	h.mail(v)
	h.audit(v)
	h.carried(v)
	h.inOrder(v)
	h.remembered(v)
	h.signIns(v)
	h.searchLogs()
}

// wrongAlready looks at what must hold at any moment, and says whether anything
// was seen that is wrong and not only slow.
func (h *house) wrongAlready() bool {
	if v, err := h.look(); err == nil {
		h.accounts(v)
		h.twice(v)
		h.refused(v)
		h.carried(v)
		h.inOrder(v)
	}
	return wrong(h.violated) >= 0
}

// wrong is the first violation that is not one of slowness; -1: none.
func wrong(violated []string) int {
	return slices.IndexFunc(violated, func(v string) bool { return !strings.HasPrefix(v, "I13") && !strings.HasPrefix(v, "I1:") })
}

// missing is what must still happen (I1, I4, I6, I10, I11).
func (h *house) missing(v *view) []string {
	out := append([]string(nil), v.behind...)
	for _, p := range h.people {
		if len(p.announced) == 0 {
			continue
		}
		latest := 0
		for n, id := range p.announced {
			if h.ledger.took(id) {
				latest = n + 1
			}
		}
		if latest == 0 {
			continue
		}
		found := v.entries[p.lin(h.slapd.Realm)]
		if len(found) == 0 {
			out = append(out, p.No+" has no entry")
			continue
		}
		out = append(out, h.unfinished(v, p, found[0], p.Names[latest-1])...)
	}
	if len(v.dead) < len(h.poison) {
		out = append(out, fmt.Sprintf("%d of %d poisonous events are dead letters", len(v.dead), len(h.poison)))
	}
	return out
}

// unfinished is what one person still waits for.
func (h *house) unfinished(v *view, p *person, e *ldap.Entry, name string) []string {
	var out []string
	say := func(format string, args ...any) {
		out = append(out, p.No+" ("+p.Fate+"): "+fmt.Sprintf(format, args...))
	}
	if got := e.GetAttributeValue("displayName"); got != name {
		say("is called by an older event's name")
	}
	if e.GetAttributeValue("matriculaUnsent") != "" {
		say("has facts that nobody published")
	}
	account := e.GetAttributeValue("matriculaId")
	has := func(what string) {
		if v.count(account, what) == 0 {
			say("has no fact %s", what)
		}
	}
	has(events.AuditCreated)
	if p.Fate == waiting {
		if n := v.waitingLetters(account); n != 1 {
			say("%d letters wait", n)
		}
		return out
	}
	has(events.AuditInvited)
	if p.Fate == unknown {
		has(events.AuditLetterFailed)
		return out
	}
	if !v.mailed(p.Email, events.LetterActivation) {
		say("has no activation letter")
	}
	if p.Fate == silent {
		return out
	}
	has(events.AuditActivated)
	has(events.AuditRules)
	if !v.mailed(p.Email, events.LetterActivated) {
		say("has no receipt")
	}
	if p.Fate == locked {
		has(events.AuditSuspended)
		has(events.AuditRestored)
	}
	if p.Fate == robbed {
		has(events.AuditCompromised)
		has(events.AuditPasswordChanged)
		has(events.AuditRestored)
	}
	h.departed(v, p, e, say)
	if s := state(e); s != "active" && !p.ends() {
		say("is %s, not active", s)
	}
	return out
}

func (v *view) count(account, what string) int {
	n := 0
	for _, e := range v.facts[account] {
		if e.Data.(events.Audit).What == what {
			n++
		}
	}
	return n
}

func (v *view) mailed(address, template string) bool {
	for _, l := range v.letters {
		if l.To == address && l.Template == template { // also where our answer was lost: the mailer waits long before it sends another
			return true
		}
	}
	return false
}

func (v *view) waitingLetters(account string) int {
	n := 0
	for subject := range v.waiting {
		if strings.HasPrefix(subject, "wait.letter.") && strings.HasSuffix(subject, ".activation."+account) {
			n++
		}
	}
	return n
}

// accounts holds I2 and I3: one entry per person, nobody else, nothing shared.
func (h *house) accounts(v *view) {
	known := map[string]*person{}
	for _, p := range h.people {
		known[p.lin(h.slapd.Realm)] = p
		if n := len(v.entries[p.lin(h.slapd.Realm)]); n > 1 {
			h.violation("I2", "%s has %d accounts", p.No, n)
		}
	}
	for _, attribute := range []string{"uid", "matriculaId", "norEduPersonNIN", "matriculaHandle"} {
		owner := map[string]string{}
		for _, e := range v.all {
			for _, value := range e.GetAttributeValues(attribute) {
				if other, taken := owner[value]; taken {
					h.violation("I2", "%s and %s share a value of %s", other, e.DN, attribute)
				}
				owner[value] = e.DN
			}
		}
	}
	for lin := range v.entries {
		if known[lin] == nil {
			h.violation("I3", "an account of %s, whom nobody announced", lin)
		}
	}
}

// factsInTime holds I8: no activation before the opening.
func (h *house) factsInTime(v *view, p *person, account string) {
	for _, e := range v.facts[account] {
		a := e.Data.(events.Audit)
		if a.What != events.AuditActivated {
			continue
		}
		if p.Fate == waiting || p.Fate == silent || p.Fate == unknown || e.Time.Before(p.Opens) {
			h.violation("I8", "%s (%s) was activated at %s, the window opens %s", p.No, p.Fate, e.Time, p.Opens)
		}
	}
}

// remembered holds I12: what was once seen stays.
func (h *house) remembered(v *view) {
	now := map[string]string{}
	for _, e := range v.all {
		now[e.GetAttributeValue("uid")] = e.GetAttributeValue("matriculaId")
	}
	for uid, account := range h.seen.usernames {
		if now[uid] != account {
			h.violation("I12", "username %s was account %s's and is now %q's", uid, account, now[uid])
		}
	}
	for id := range h.seen.facts {
		if v.ids[id] == 0 {
			h.violation("I12", "audit fact %s is gone", id)
		}
	}
	for uid, account := range now {
		h.seen.usernames[uid] = account
	}
	for id := range v.ids {
		h.seen.facts[id] = true
	}
}
