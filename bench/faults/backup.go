package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/testkit"
)

// backup is what was kept of the directory at one moment. The claims are never
// put back: older ones would give usernames of the time since to others.
type backup struct {
	at   time.Time
	ldif string
}

// backsUp takes a backup in the middle of the burst, as docs/operating.md says.
func (h *house) backsUp() (func(context.Context), error) {
	return func(ctx context.Context) {
		pause(ctx, 3*time.Second)
		b := backup{at: time.Now(), ldif: filepath.Join(h.dir, "backup.ldif")}
		if out, err := h.slapd.Tool("slapcat", "-l", b.ldif).CombinedOutput(); err != nil {
			h.t.Errorf("slapcat: %v: %s", err, out)
			return
		}
		h.backup = b
		h.killed("F25")
	}, nil
}

// restores loses the directory, puts the backup up on another machine, and has
// the intake handled again from a little before it on (I16).
func (h *house) restores() {
	before, err := h.look()
	if err != nil || h.backup.ldif == "" {
		h.violation("I16", "before the restore: %v", err)
		return
	}
	h.restoresTo(before)
}

// restoresTo does so when the directory was last seen as in before.
func (h *house) restoresTo(before *view) {
	for _, r := range h.roles {
		r.hold.Lock()
		r.child.kill()
	}
	err := h.elsewhere()
	for _, r := range h.roles {
		h.launch(r, "")
		r.hold.Unlock()
	}
	if err != nil {
		h.violation("I16", "restore: %v", err)
		return
	}
	if m := h.fair.mark(); !h.allReady(10 * time.Second) {
		h.violation("I13", "after the restore the roles were not ready within %s", h.fair.said(m))
	}
	since := h.backup.at.Add(-time.Minute).Format(time.RFC3339)
	out, err := h.command("", nil, "replay", "--since", since).CombinedOutput()
	if err != nil {
		h.violation("I16", "replay: %v: %s", err, out)
		return
	}
	began := h.fair.mark()
	var after *view
	for !h.fair.over(began, settles) {
		if after, err = h.look(); err != nil {
			after = &view{}
		} else if len(after.behind) == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond) // between two looks
	}
	if err != nil || len(after.behind) > 0 {
		h.violation("I13", "the replay after a restore was not through within %s: %v, %v", settles, err, after.behind)
		return
	}
	h.restored(before, after)
	fmt.Printf("  the directory restored elsewhere, %s in %s\n", strings.TrimSpace(string(out)), h.fair.said(began))
}

// elsewhere starts another slapd with what the backup holds.
func (h *house) elsewhere() error {
	old, s := h.slapd, testkit.Slapd(h.t)
	old.Kill()
	s.Kill()
	db := filepath.Join(s.Dir, "db")
	if err := os.RemoveAll(db); err != nil {
		return err
	}
	if err := os.Mkdir(db, 0o700); err != nil {
		return err
	}
	if out, err := s.Tool("slapadd", "-q", "-l", h.backup.ldif).CombinedOutput(); err != nil {
		return fmt.Errorf("slapadd: %w: %s", err, out)
	}
	s.Worker, s.Portal, s.Reader = old.Worker, old.Portal, old.Reader // their passwords are in the backup
	s.Start()
	h.slapd = s
	h.file("ldap-operator", s.Admin.Password)
	h.configure(time.Now().Add(-time.Minute))
	return nil
}

// lasting are the attributes that the sources' events decide, and nobody else.
var lasting = []string{ //nolint:gochecknoglobals // a constant list
	"uid", "matriculaId", "matriculaHandle", "norEduPersonLIN", "norEduPersonNIN", "displayName", "cn", "sn", "givenName",
	"schacDateOfBirth", "preferredLanguage", "matriculaRole", "matriculaNumber", "mail",
}

// restored compares with the run that never failed: the same people under the
// same names and IDs, no new letter, no fact told twice.
func (h *house) restored(before, after *view) {
	for lin, was := range before.entries {
		is := after.entries[lin]
		if len(is) != 1 {
			h.violation("I16", "%s has %d entries after the restore", lin, len(is))
			continue
		}
		for _, a := range lasting {
			w, i := strings.Join(was[0].GetAttributeValues(a), "|"), strings.Join(is[0].GetAttributeValues(a), "|")
			if w != i {
				h.violation("I16", "the restore changed %s of %s", a, lin)
			}
		}
	}
	if b, a := len(before.all), len(after.all); a != b {
		h.violation("I16", "the restore left %d accounts of %d", a, b)
	}
	h.newLinks(after.letters[len(before.letters):])
	for id, n := range after.ids {
		if n > 1 {
			h.violation("I6", "after the restore fact %s is there %d times", id, n)
		}
	}
	if b, a := len(before.dead), len(after.dead); a != b {
		h.violation("I11", "the restore made %d dead letters", a-b)
	}
}

// newLinks holds that the restore writes to nobody who is in the backup, and
// once to those whose entry had to be made again: their link went with it.
func (h *house) newLinks(letters []letter) {
	text, err := os.ReadFile(h.backup.ldif)
	if err != nil {
		h.violation("I16", "the backup is gone: %v", err)
		return
	}
	kept, written := strings.ReplaceAll(string(text), "\n ", ""), map[string]int{}
	people := map[string]*person{}
	for _, p := range h.people {
		people[p.Email] = p
	}
	for _, l := range letters {
		p := people[l.To]
		switch {
		case p != nil && p.Fate == robbed && l.Template == events.LetterReset: // robbed after the backup: once more, by word that comes again
		case p == nil || l.Template != events.LetterActivation:
			h.violation("I16", "the restore sent a letter %s", l.Template)
		case strings.Contains(kept, "norEduPersonLIN: "+p.lin(h.slapd.Realm)+"\n"):
			h.violation("I16", "the restore wrote to %s (%s), who is in the backup", p.No, p.Fate)
		case written[l.To] > 0 && !(written[l.To] == 1 && (p.Fate == locked || p.returns())): // let go and back again: the first link died with the suspension
			h.violation("I16", "the restore wrote to %s (%s) %d times", p.No, p.Fate, written[l.To]+1)
		}
		if l.Template == events.LetterActivation {
			written[l.To]++
		}
	}
}
