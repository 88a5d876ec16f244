package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/testkit"
)

// backup is what was kept of the directory and of the claims at one moment.
type backup struct {
	at     time.Time
	ldif   string
	claims uint64 // the last claim there was
}

// backsUp takes a backup in the middle of the burst, as docs/operating.md says.
func (h *house) backsUp() (func(context.Context), error) {
	return func(ctx context.Context) {
		pause(ctx, 3*time.Second)
		b := backup{at: time.Now(), ldif: filepath.Join(h.dir, "backup.ldif")}
		st, err := h.js.Stream(ctx, "KV_claims")
		if err == nil {
			b.claims = st.CachedInfo().State.LastSeq
			if out, slapcat := h.slapd.Tool("slapcat", "-l", b.ldif).CombinedOutput(); slapcat != nil {
				err = fmt.Errorf("slapcat: %w: %s", slapcat, out)
			}
		}
		if err != nil {
			h.t.Errorf("backup: %v", err)
			return
		}
		h.backup = b
		h.killed("F25")
	}, nil
}

// restores loses the directory, and the claims since the backup, puts both back
// on another machine, and has the intake handled again since then (I16).
func (h *house) restores() {
	before, err := h.look()
	if err != nil || h.backup.ldif == "" {
		h.violation("I16", "before the restore: %v", err)
		return
	}
	for _, r := range h.roles {
		r.hold.Lock()
		r.child.kill()
	}
	err = h.elsewhere()
	for _, r := range h.roles {
		h.launch(r, "")
		r.hold.Unlock()
	}
	if err != nil {
		h.violation("I16", "restore: %v", err)
		return
	}
	if took, ok := h.allReady(10 * time.Second); !ok {
		h.violation("I13", "after the restore the roles were not ready within %s", took)
	}
	since := h.backup.at.Add(-time.Second).Format(time.RFC3339)
	out, err := h.command("", nil, "replay", "--since", since).CombinedOutput()
	if err != nil {
		h.violation("I16", "replay: %v: %s", err, out)
		return
	}
	began := time.Now()
	var after *view
	for time.Since(began) < settles {
		if after, err = h.look(); err == nil && len(after.behind) == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond) // between two looks
	}
	if err != nil || len(after.behind) > 0 {
		h.violation("I13", "the replay after a restore was not through within %s: %v", settles, err)
		return
	}
	h.restored(before, after)
	fmt.Printf("  directory and claims restored elsewhere, %s in %.1f s\n", strings.TrimSpace(string(out)), time.Since(began).Seconds())
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
	return h.forgetClaims()
}

// forgetClaims makes the bucket what it was at the backup: a claim is written
// once, so that those after it are all that differs.
func (h *house) forgetClaims() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	st, err := h.js.Stream(ctx, "KV_claims")
	if err != nil {
		return err
	}
	for seq := h.backup.claims + 1; seq <= st.CachedInfo().State.LastSeq; seq++ {
		if err := st.SecureDeleteMsg(ctx, seq); err != nil && !strings.Contains(err.Error(), jetstream.ErrMsgNotFound.Error()) {
			m, getErr := st.GetMsg(ctx, seq)
			if getErr == nil {
				return fmt.Errorf("claim %d (%s): %w", seq, m.Subject, err)
			}
		}
	}
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
	if b, a := len(before.letters), len(after.letters); a != b {
		h.violation("I16", "the restore sent %d letters", a-b)
	}
	for id, n := range after.ids {
		if n > 1 {
			h.violation("I6", "after the restore fact %s is there %d times", id, n)
		}
	}
	if b, a := len(before.dead), len(after.dead); a != b {
		h.violation("I11", "the restore made %d dead letters", a-b)
	}
}
