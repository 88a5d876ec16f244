package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// doors lets the portal of an installation take PINs for a key, and makes the
// installation the access system's too, with these keys, the one in force first.
func (r *rig) doors(sealTo string, opens ...string) {
	r.t.Helper()
	key := func(name string) string {
		path := filepath.Join(r.dir, name)
		if exists(path) {
			return path
		}
		if out, code := r.run("pin", "key", path); code != exitDone || !strings.Contains(out, path+".pub") {
			r.t.Fatalf("pin key ended with %d:\n%s", code, out)
		}
		return path
	}
	text := fmt.Sprintf("[nats.access]\nnkey_file = %q\n[pin]\nlength = 8\npublic_key_file = %q\n", r.broker.SeedFile("access"), key(sealTo)+".pub")
	for i, name := range opens {
		text += fmt.Sprintf("%s = %q\n", []string{"private_key_file", "private_old_file"}[i], key(name))
	}
	r.configure(text)
}

// at gives somebody a campus.
func at(e events.Event, campus string) events.Event {
	if d, ok := e.Data.(events.EmployeeRegistered); ok {
		d.Employments[0].Campus = campus
		e.Data = d
	}
	return e
}

// employed is an employee at a campus, active with goodPassword.
func (r *rig) employed(n int, campus string) (p someone, uid, id string) {
	r.t.Helper()
	p = employeeNo(r.t, n)
	r.publish(at(p.registered(time.Now().Add(-time.Minute)), campus))
	uid, id = r.entry(p).GetAttributeValue("uid"), r.entry(p).GetAttributeValue("matriculaId")
	if done := r.click(p).activate(linkOf(r.letter(p, events.LetterActivation)), goodPassword); done.Path != "/activate/done" {
		r.t.Fatalf("activation ended on %s with %d", done.Path, done.Status)
	}
	return p, uid, id
}

func (r *rig) signedIn(p someone, uid string) *click {
	r.t.Helper()
	c := r.click(p)
	if in := c.do("/signin", url.Values{"username": {uid}, "password": {goodPassword}}); in.Path != "/account" {
		r.t.Fatalf("signing in ended on %s with %d", in.Path, in.Status)
	}
	return c
}

func pinForm(pin string) url.Values { return url.Values{"old": {goodPassword}, "pin": {pin}} }

// waitingPINs is how many the access system could fetch.
func (r *rig) waitingPINs() uint64 {
	r.t.Helper()
	st, err := r.operator().Stream(r.t.Context(), stream.Secret)
	if err != nil {
		r.t.Fatal(err)
	}
	return st.CachedInfo().State.Msgs
}

func (r *rig) awaitPINs(n uint64) {
	r.t.Helper()
	eventually(r.t, 60*time.Second, fmt.Sprintf("%d PINs wait", n), func() (bool, string) { got := r.waitingPINs(); return got == n, fmt.Sprint(got) })
}

// received runs the access system once and reads what it says.
func (r *rig) received(flags ...string) []receivedPIN {
	r.t.Helper()
	out, code := r.run(append([]string{"pin", "receive", "--once", "--json"}, flags...)...)
	if code != exitDone {
		r.t.Fatalf("pin receive ended with %d:\n%s", code, out)
	}
	var all []receivedPIN
	for line := range strings.Lines(out) {
		var p receivedPIN
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			r.t.Fatalf("pin receive says %q", line)
		}
		all = append(all, p)
	}
	return all
}

// mark is how far the PIN of an account has come.
func (r *rig) mark(id, campus string) string {
	r.t.Helper()
	pub := stream.NewPublisher(r.operator())
	defer func() { _ = pub.Close(r.t.Context()) }()
	mark, err := (&stream.PINs{Publisher: pub}).Mark(r.t.Context(), id, campus)
	if err != nil {
		r.t.Fatal(err)
	}
	return mark.State
}

// nobodyReads looks for a PIN in everything that was written down: the
// directory, the broker's store and log, the keys' folder.
func (r *rig) nobodyReads(pin string) {
	r.t.Helper()
	for _, e := range r.entries("(objectClass=*)") {
		for _, a := range e.Attributes {
			if strings.Contains(strings.Join(a.Values, " "), pin) {
				r.t.Errorf("%s holds the PIN", a.Name)
			}
		}
	}
	looked := 0
	for _, dir := range []string{r.broker.Dir, r.dir} {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil //nolint:nilerr // the broker removes files while we look
			}
			if text, err := written(path); err == nil && strings.Contains(string(text), pin) {
				r.t.Errorf("%s holds the PIN", path)
			}
			looked++
			return nil
		})
		if err != nil {
			r.t.Fatal(err)
		}
	}
	if looked < 20 {
		r.t.Errorf("only %d files were looked into: that proves nothing", looked)
	}
}

// A PIN is killed at each point of its way: it is set whole or not at all,
// reaches the access system, its fact is told once, and nobody on the way could
// read it.
func TestPINReachesTheAccessSystemWhateverIsKilledAndNobodyElse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.doors("access.key", "access.key")
	for _, role := range everyRole() {
		r.start(role)
	}
	kari, uid, id := r.employed(31, "Bø")
	points := []string{"pins.offer.before", "pins.offer.after", "publish.audit.after", "directory.update.after"}
	var people []someone
	var names, ids []string
	for i := range points {
		p, u, account := r.employed(32+i, "Drammen")
		people, names, ids = append(people, p), append(names, u), append(ids, account)
	}

	// The portal dies between its write and its word to the worker.
	c := r.signedIn(kari, uid)
	form := c.get(r.base + "/pin")
	r.stop(roleWorker)
	r.stop(rolePortal)
	r.startAt(rolePortal, "directory.update.after")
	const pin = "83610274"
	if _, err := c.v.submit(t.Context(), form, r.base, "/pin", pinForm(pin)); err == nil {
		t.Fatal("the portal survived its end")
	}
	r.died(rolePortal)
	r.nobodyReads(pin)
	if r.waitingPINs() != 0 {
		t.Error("a PIN waits that no worker has offered")
	}
	r.start(roleWorker)
	r.start(rolePortal)
	r.awaitFact(events.AuditPIN, id, 1)
	r.awaitPINs(1)
	r.nobodyReads(pin)
	if out, _ := r.run("check"); !strings.Contains(out, "1 wait for the access system") {
		t.Errorf("check says nothing of it:\n%s", out)
	}
	if got := r.received(); len(got) != 1 || got[0].Account != id || got[0].Campus != "Bø" || got[0].Holder != nil {
		t.Fatalf("the access system got %d PINs, the first %v", len(got), got)
	}
	if got := r.mark(id, "Bø"); got != events.PINConfirmed {
		t.Errorf("after it is confirmed the mark says %q", got)
	}
	if n := len(r.received()); n != 0 || r.waitingPINs() != 0 {
		t.Errorf("%d PINs come again", n)
	}

	// The worker dies around each of its steps.
	for i, point := range points {
		r.stop(roleWorker)
		r.startAt(roleWorker, point)
		pin := []string{"72941385", "94057126", "61580437", "30729164"}[i]
		if done := r.signedIn(people[i], names[i]).do("/pin", pinForm(pin)); done.Path != "/pin/done" || done.Status != http.StatusOK {
			t.Fatalf("%s: setting a PIN ended on %s with %d", point, done.Path, done.Status)
		}
		r.died(roleWorker)
		r.start(roleWorker)
		r.awaitFact(events.AuditPIN, ids[i], 1)
		r.awaitPINs(1)
		got := r.received("--show")
		if len(got) != 1 || got[0].Holder == nil || got[0].Holder.PIN != pin || got[0].Holder.Username != names[i] || got[0].Account != ids[i] || got[0].Holder.Numbers[0] != "employee:"+people[i].no {
			t.Errorf("%s: the access system got %d PINs", point, len(got))
		}
		eventually(t, 60*time.Second, point+": no fact is left unsent", func() (bool, string) {
			return r.entry(people[i]).GetAttributeValue("matriculaUnsent") == "", "unsent"
		})
		if n := len(r.received()); n != 0 {
			t.Errorf("%s: %d PINs come again", point, n)
		}
	}
	if got := r.facts()[events.AuditPIN+" "+id]; got != 1 {
		t.Errorf("%d facts of the first PIN", got)
	}
	r.foreignKey([]*click{r.signedIn(people[0], names[0]), r.signedIn(people[1], names[1])}, ids)
	r.stopAll()
	for role, log := range r.log {
		for _, pin := range []string{pin, "51820637", "62079418", "73914052"} {
			if log.Len() == 0 || strings.Contains(log.String(), pin) {
				t.Errorf("the log of %s is empty or holds a PIN", role)
			}
		}
	}
}

// foreignKey has a PIN sealed to a key that the access system does not hold: it
// stays for whoever does, and is taken away only when that is said.
func (r *rig) foreignKey(who []*click, ids []string) {
	r.t.Helper()
	r.doors("other.key", "access.key")
	r.stop(rolePortal)
	r.start(rolePortal)
	set := func(c *click, pin string) {
		r.t.Helper()
		before := stored(r.t, r.operator(), stream.Secret)
		if done := c.do("/pin", pinForm(pin)); done.Path != "/pin/done" {
			r.t.Fatalf("setting a PIN ended on %s with %d", done.Path, done.Status)
		}
		eventually(r.t, patience, "the PIN waits, and not the one before it", func() (bool, string) {
			got := stored(r.t, r.operator(), stream.Secret)
			return got > before, fmt.Sprint(got)
		})
		r.awaitPINs(1)
	}
	set(who[0], "51820637")
	out, code := r.run("pin", "receive", "--once")
	if code != exitFailed || !strings.Contains(out, "1 could not be opened") || r.waitingPINs() != 1 {
		r.t.Errorf("a PIN for another key ends with %d:\n%s", code, out)
	}
	set(who[0], "62079418") // takes its place, and is fetched at once
	if got := r.received("--discard"); len(got) != 0 || r.mark(ids[0], "Drammen") != events.PINFailed || r.waitingPINs() != 0 {
		r.t.Errorf("taken away: %d were handed over, the mark says %q, %d wait", len(got), r.mark(ids[0], "Drammen"), r.waitingPINs())
	}
	set(who[1], "73914052")
	r.doors("other.key", "other.key", "access.key")
	if got := r.received("--show"); len(got) != 1 || got[0].Holder == nil || got[0].Holder.PIN != "73914052" {
		r.t.Errorf("with the right key %d were handed over", len(got))
	}
}
