package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

const goodPassword = "Fjord-og-fjell-2027-sommer"

// An HR event file is published, and ldapsearch shows the pending entry
// without a password: the first walk.
func TestEventFileBecomesAPendingEntryThatCannotBind(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start("worker")
	kari := employeeNo(t, 1)
	r.publish(kari.registered(time.Now().Add(-time.Minute)))
	e := r.entry(kari)
	out := r.slapd.LDAPSearch(t, r.slapd.Admin, "(uid="+e.GetAttributeValue("uid")+")")
	if !strings.Contains(out, "schacUserStatus: urn:schac:userStatus:no:"+r.slapd.Realm+":account:pending") {
		t.Fatalf("ldapsearch does not show a pending entry:\n%s", out)
	}
	if strings.Contains(out, "userPassword") || strings.Contains(out, "eduPersonAffiliation") {
		t.Fatalf("a pending entry has a password or an affiliation:\n%s", out)
	}
	if _, err := r.slapd.Whoami(r.slapd.Person(e.GetAttributeValue("uid"), "")); err == nil {
		t.Fatal("a pending account could bind")
	}
}

// The whole spine on processes: refused before the window, let in after it,
// once; everything handled again changes nothing.
func TestSpineFromEventFileToBindAndOnlyOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	window := func(opens time.Time) {
		r.configure(fmt.Sprintf("[[window]]\nname = \"soon\"\npopulation = \"student\"\nopens = %q\n[[window]]\nname = \"hire\"\npopulation = \"employee\"\nopens = \"at-once\"\n", opens.UTC().Format(time.RFC3339)))
	}
	opens := time.Now().Add(time.Hour).Truncate(time.Second)
	window(opens)
	for _, role := range everyRole() {
		r.start(role)
	}
	liv := studentNo(t, 2)
	r.publish(liv.registered(time.Now().Add(-time.Minute)))
	account := r.entry(liv).GetAttributeValue("matriculaId")
	uid := r.entry(liv).GetAttributeValue("uid")
	link := linkOf(r.letter(liv, events.LetterActivation))
	r.awaitFact(events.AuditLetterSent, account, 1)

	c := r.click(liv)
	before := r.snapshot()
	c.get(link)
	at := c.get(link)
	c.must(c.v.submit(t.Context(), page{}, r.base, "/activate", url.Values{}))
	if after := r.snapshot(); after != before {
		t.Fatalf("two GETs and an empty POST changed something:\n%s\n--- before\n%s", after, before)
	}
	early := c.prove(at)
	if shown, err := time.Parse(time.RFC3339, early.Opens); early.Status != http.StatusForbidden || err != nil || !shown.Equal(opens) {
		t.Fatalf("a correct form before the window was answered with %d and opening %q, not refused with %s", early.Status, early.Opens, opens)
	}
	r.awaitFact(events.AuditActivationDenied, account, 1)

	// The window is moved, and everything is restarted: the same link works. How
	// long all of this takes decides nothing.
	r.stopAll()
	window(time.Now().Add(-time.Second))
	for _, role := range everyRole() {
		r.start(role)
	}
	if done := r.click(liv).activate(link, goodPassword); done.Path != "/activate/done" || done.Strong != uid {
		t.Fatalf("activation ended on %s with %d for %q", done.Path, done.Status, done.Strong)
	}
	if who, err := r.slapd.Whoami(r.slapd.Person(uid, goodPassword)); err != nil || !strings.HasPrefix(who, "uid="+uid) {
		t.Fatalf("an activated account cannot bind: %q, %v", who, err)
	}
	again := r.click(liv)
	if second := again.prove(again.get(link)); second.Status != http.StatusGone {
		t.Fatalf("a second use of the link was answered with %d", second.Status)
	}
	if _, err := r.slapd.Whoami(r.slapd.Person(uid, goodPassword)); err != nil {
		t.Fatalf("the first password does not stand: %v", err)
	}
	r.letter(liv, events.LetterActivated)
	for what, n := range map[string]int{events.AuditCreated: 1, events.AuditInvited: 1, events.AuditActivated: 1, events.AuditRules: 1} {
		r.awaitFact(what, account, n)
	}
	if n := len(r.letters(liv, events.LetterActivation)); n != 1 {
		t.Fatalf("%d activation letters across the restart, not one", n)
	}
	r.redeliverEverything()
}

// redeliverEverything makes the broker deliver the whole intake once more, and
// expects that nothing changes.
func (r *rig) redeliverEverything() {
	r.t.Helper()
	r.stop(rolePortal) // what it says behind its answers is said before it ends
	js := r.operator()
	st, err := js.Stream(r.t.Context(), "INTAKE")
	if err != nil {
		r.t.Fatal(err)
	}
	last := st.CachedInfo().State.LastSeq
	lanes := st.ListConsumers(r.t.Context())
	var names []string
	for info := range lanes.Info() {
		names = append(names, info.Name)
	}
	if len(names) == 0 {
		r.t.Fatal("the intake has no lanes")
	}
	handled := func(what string) {
		r.t.Helper()
		eventually(r.t, time.Minute, what, func() (bool, string) {
			pending, floor := uint64(0), uint64(0)
			for _, name := range names {
				c, err := js.Consumer(r.t.Context(), "INTAKE", name)
				if err != nil {
					r.t.Fatal(err)
				}
				i := c.CachedInfo()
				pending += i.NumPending + uint64(i.NumAckPending)
				floor = max(floor, i.AckFloor.Stream)
			}
			return pending == 0 && floor >= last, fmt.Sprintf("%d pending, floor %d of %d", pending, floor, last)
		})
		eventually(r.t, time.Minute, "no fact is left unsent", func() (bool, string) {
			n := len(r.entries("(matriculaUnsent=*)"))
			return n == 0, fmt.Sprint(n)
		})
		if r.running[roleMailer] != nil { // a letter is there before the fact that it was sent
			eventually(r.t, time.Minute, "no letter is under way", func() (bool, string) {
				mail, err := js.Stream(r.t.Context(), stream.Mail)
				if err != nil {
					r.t.Fatal(err)
				}
				n := mail.CachedInfo().State.Msgs
				return n == 0, fmt.Sprint(n)
			})
		}
	}
	handled("everything is handled")
	before := r.snapshot()
	for _, name := range names {
		if _, err := js.ResetConsumerToSequence(r.t.Context(), "INTAKE", name, 1); err != nil {
			r.t.Fatal(err)
		}
	}
	handled("everything is handled again")
	if after := r.snapshot(); after != before {
		r.t.Fatalf("handling everything again changed something:\n%s\n--- before\n%s", after, before)
	}
}

// IT's word: bind stops, the link of the reset letter and the own number lead
// back in, and the old password is not taken again.
func TestCompromisedPasswordStopsBindAndLeadsBackByLetter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, role := range everyRole() {
		r.start(role)
	}
	kari := employeeNo(t, 3)
	r.publish(kari.registered(time.Now().Add(-time.Minute)))
	uid, account := r.entry(kari).GetAttributeValue("uid"), r.entry(kari).GetAttributeValue("matriculaId")
	if done := r.click(kari).activate(linkOf(r.letter(kari, events.LetterActivation)), goodPassword); done.Path != "/activate/done" {
		t.Fatalf("activation ended on %s with %d", done.Path, done.Status)
	}
	r.publish(events.Event{
		Meta: events.Meta{ID: "it-1", Source: events.SourceIT, Subject: uid, Time: time.Now()},
		Data: events.PasswordCompromised{Username: uid, Reason: "leak", ReportedBy: "soc"},
	})
	reset := linkOf(r.letter(kari, events.LetterReset))
	if _, err := r.slapd.Whoami(r.slapd.Person(uid, goodPassword)); err == nil {
		t.Fatal("a compromised password still binds")
	}
	if got := r.state(kari); got != "suspended" {
		t.Fatalf("state is %s, not suspended", got)
	}
	c := r.click(kari)
	form := c.prove(c.get(reset))
	if same := c.must(c.set(form, goodPassword)); same.Status != http.StatusUnprocessableEntity {
		t.Fatalf("the compromised password was answered with %d on %s", same.Status, same.Path)
	}
	const other = "Nye-nokler-til-alle-dorer-7"
	if done := c.must(c.set(form, other)); done.Path != "/activate/done" {
		t.Fatalf("reset ended on %s with %d", done.Path, done.Status)
	}
	if _, err := r.slapd.Whoami(r.slapd.Person(uid, other)); err != nil {
		t.Fatalf("the new password does not bind: %v", err)
	}
	for _, what := range []string{events.AuditCompromised, events.AuditPasswordChanged, events.AuditRestored} {
		r.awaitFact(what, account, 1)
	}
	r.letter(kari, events.LetterPasswordChanged)
	r.redeliverEverything()
}
