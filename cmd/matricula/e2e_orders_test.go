package main

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
)

// order gives an order of IT's by command and answers its outcome, however long
// a busy machine takes.
func (r *rig) order(args ...string) (orderOutcome, int) {
	r.t.Helper()
	if !slices.Contains(args, "--wait") {
		args = append(args, "--wait", patience.String())
	}
	cmd := r.command("", append(append([]string{"account"}, args...), "--json")...)
	out, err := cmd.Output()
	var o orderOutcome
	if len(out) > 0 {
		if err := json.Unmarshal(out, &o); err != nil {
			r.t.Fatalf("account %v prints %s: %v", args, out, err)
		}
	} else if err == nil {
		r.t.Fatalf("account %v prints nothing", args)
	}
	return o, cmd.ProcessState.ExitCode()
}

// ordered is order for one that is to be done.
func (r *rig) ordered(state string, args ...string) orderOutcome {
	r.t.Helper()
	o, code := r.order(args...)
	if code != exitDone || o.State+" "+o.Why != state {
		r.t.Fatalf("account %v ended with %d: %+v", args, code, o)
	}
	return o
}

func (r *rig) binds(uid, password string) bool {
	_, err := r.slapd.Whoami(r.slapd.Person(uid, password))
	return err == nil
}

func TestITLocksRestoresAndDemandsAPasswordByCommand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	kari, uid, account := r.active(51)

	done := r.ordered("suspended locked", "suspend", uid, "--reason", "case 4711", "--actor", "csirt")
	if r.binds(uid, goodPassword) {
		t.Error("a locked account binds")
	}
	if again, code := r.order("suspend", account, "--reason", "case 4711"); code != exitDone || again.Reason != "already" {
		t.Errorf("locked again ended with %d: %+v", code, again)
	}
	if denied, code := r.order("resend", uid); code != exitRefused || denied.Reason != "suspended" {
		t.Errorf("a link for a locked account ended with %d: %+v", code, denied)
	}
	out, _ := r.run("audit", "tail", "--json")
	if want := `"actor":{"kind":"it","id":"csirt"},"outcome":"done","reason":"locked","cause":"` + done.Event; !strings.Contains(out, want) {
		t.Errorf("the audit stream does not hold %s:\n%s", want, out)
	}
	r.ordered("active activated", "restore", "employee:"+kari.no, "--reason", "case closed")
	if !r.binds(uid, goodPassword) {
		t.Error("a restored account does not bind")
	}

	// The deadline may be over before the command has its answer; that nothing
	// happens until it is held by another one.
	r.ordered("active activated", "require-change", uid, "--deadline", "1h", "--reason", "seen on a shared machine")
	if !r.binds(uid, goodPassword) {
		t.Error("an account whose password is due in an hour does not bind")
	}
	if due, code := r.order("require-change", uid, "--deadline", "2s", "--reason", "seen once more"); code != exitDone {
		t.Fatalf("a second deadline ended with %d: %+v", code, due)
	}
	r.letter(kari, events.LetterChangeRequired)
	eventually(t, 60*time.Second, "the deadline stops the password", func() (bool, string) { return !r.binds(uid, goodPassword), r.state(kari) })
	c := r.click(kari)
	if in := c.do("/signin", url.Values{"username": {uid}, "password": {goodPassword}}); in.Path == "/account" {
		t.Error("a password that is due signs in to the portal")
	}
	if at := c.get(r.base + "/account"); at.Path != "/signin" {
		t.Errorf("a password that is due opens %s", at.Path)
	}
	const next = "Nye-nokler-til-alle-dorer-7"
	if set := c.do("/password", url.Values{"username": {uid}, "old": {goodPassword}, "password": {next}}); set.Path != "/password/done" {
		t.Fatalf("a new password ended on %s with %d", set.Path, set.Status)
	}
	if !r.binds(uid, next) || r.binds(uid, goodPassword) {
		t.Error("not the new password alone binds")
	}
	for what, n := range map[string]int{events.AuditSuspended: 3, events.AuditRestored: 2, events.AuditChangeRequired: 2, events.AuditPasswordChanged: 1} {
		r.awaitFact(what, account, n) // one of the suspensions found it locked
	}

	for name, wrong := range map[string]struct {
		args []string
		code int
	}{
		"nobody":          {[]string{"suspend", "nobody99", "--reason", "x"}, exitNotFound},
		"without reason":  {[]string{"suspend", uid}, exitUsage},
		"without actor":   {[]string{"suspend", uid, "--reason", "x", "--actor", ""}, exitUsage},
		"no such day":     {[]string{"require-change", uid, "--reason", "x", "--deadline", "2027-02-30"}, exitUsage},
		"merged into one": {[]string{"merge", uid, "--into", account, "--reason", "x"}, exitUsage},
		"two of them":     {[]string{"restore", uid, uid, "--reason", "x"}, exitUsage},
	} {
		if _, code := r.order(wrong.args...); code != wrong.code {
			t.Errorf("%s ended with %d, not %d", name, code, wrong.code)
		}
	}
	r.stop(roleWorker)
	if late, code := r.order("suspend", uid, "--reason", "case 4712", "--wait", "1s"); code != exitFailed || late.Outcome != outcomeUnknown {
		t.Errorf("an order without a worker ended with %d: %+v", code, late)
	}
	r.start(roleWorker)
	eventually(t, 60*time.Second, "the order is done by the next worker", func() (bool, string) { return r.state(kari) == "suspended", r.state(kari) })
	r.redeliverEverything()
}

// One number on two accounts changes nothing and names them; merged, with
// workers that are killed on the way, and replayed, the event is done.
func TestParkedEventIsDoneOnceItsAccountsAreMerged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	hired, uid, account := r.active(52)
	studies := studentNo(t, 53)
	r.publish(studies.registered(time.Now().Add(-time.Minute)))
	other := r.entry(studies).GetAttributeValue("matriculaId")

	both := hired
	both.number = studies.number
	update := both.registered(time.Now())
	update.ID = "reg-both"
	r.publish(update)
	var parked events.DeadLetter
	eventually(t, 60*time.Second, "a dead letter", func() (bool, string) {
		out, _ := r.run("dead", "list", "--reason", events.ReasonParked, "--json")
		return json.Unmarshal([]byte(out), &parked) == nil, out
	})
	if !strings.Contains(parked.Text, account) || !strings.Contains(parked.Text, other) {
		t.Errorf("the dead letter does not name %s and %s: %s", account, other, parked.Text)
	}

	r.stop(roleWorker)
	merge := make(chan orderOutcome)
	go func() {
		o, _ := r.order("merge", other, "--into", uid, "--reason", "one person, two numbers", "--wait", "10m")
		merge <- o
	}()
	for _, point := range []string{"claims.move.after", "directory.update.after=2"} {
		r.startAt(roleWorker, point)
		r.died(roleWorker)
	}
	r.start(roleWorker)
	if o := <-merge; o.Outcome != outcomeDone || o.State+" "+o.Why != "closed merged" {
		t.Fatalf("the merger ended as %+v", o)
	}
	if out, code := r.run("dead", "replay", parked.ID); code != exitDone {
		t.Fatalf("replay ended with %d: %s", code, out)
	}
	r.awaitFact(events.AuditClosed, other, 1)
	named := func(after someone) {
		t.Helper()
		eventually(t, time.Minute, "the newest word about the person is "+after.no+"'s", func() (bool, string) {
			name := r.entry(hired).GetAttributeValue("displayName")
			return strings.HasSuffix(name, word(after.no)), name
		})
	}
	named(hired) // the replayed event is newer than what admissions said
	for _, p := range []someone{hired, studies} {
		if got := r.entry(p).GetAttributeValue("uid"); got != uid {
			t.Errorf("%s %s is %s, not %s", p.role, p.no, got, uid)
		}
	}
	if !r.binds(uid, goodPassword) {
		t.Error("the account that is kept does not bind")
	}
	if out, code := r.run("dead", "list"); code != exitDone || strings.Contains(out, parked.ID) || strings.Contains(out, events.ReasonParked) {
		t.Errorf("after the replay the dead letters are (%d):\n%s", code, out)
	}
	// Both sources find the one account from now on, and it is theirs to end.
	later := studies.registered(time.Now())
	later.ID, later.Time = "reg-later", time.Now()
	r.publish(later)
	named(studies)
	r.redeliverEverything()
	if got := len(r.entries("(objectClass=matriculaAccount)")); got != 2 {
		t.Errorf("%d entries after all of it", got)
	}
}
