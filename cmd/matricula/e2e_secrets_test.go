package main

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"usn.no/matricula/events"
)

// do fills in the form on path, from a page that shows it.
func (c *click) do(path string, fields url.Values) page {
	c.t.Helper()
	at := c.get(c.r.base + path)
	return c.must(c.v.submit(c.t.Context(), at, c.r.base, path, fields))
}

// active is an employee who has activated with goodPassword.
func (r *rig) active(n int) (p someone, uid, account string) {
	r.t.Helper()
	for _, role := range everyRole() {
		r.start(role)
	}
	p = employeeNo(r.t, n)
	r.publish(p.registered(time.Now().Add(-time.Minute)))
	uid, account = r.entry(p).GetAttributeValue("uid"), r.entry(p).GetAttributeValue("matriculaId")
	if done := r.click(p).activate(linkOf(r.letter(p, events.LetterActivation)), goodPassword); done.Path != "/activate/done" {
		r.t.Fatalf("activation ended on %s with %d", done.Path, done.Status)
	}
	return p, uid, account
}

func TestForgottenPasswordLeadsToALetterAndEndsOtherSessions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	kari, uid, account := r.active(21)
	other := r.click(kari)
	if in := other.do("/signin", url.Values{"username": {uid}, "password": {goodPassword}}); in.Path != "/account" || in.Strong != uid {
		t.Fatalf("signing in ended on %s with %d for %q", in.Path, in.Status, in.Strong)
	}
	c := r.click(kari)
	half := func() time.Time { return time.Now().UTC().Truncate(30 * time.Minute) } // one letter in each half hour
	begun := half()
	for range 3 {
		if asked := c.do("/forgot", url.Values{"number": {kari.number}, "family": {"NORDMANN" + word(kari.no)}}); asked.Path != "/forgot/asked" || asked.Status != http.StatusOK {
			t.Fatalf("asking ended on %s with %d", asked.Path, asked.Status)
		}
	}
	most := 1
	if half() != begun {
		most = 2
	}
	reset := linkOf(r.letter(kari, events.LetterReset))
	if at := other.get(r.base + "/account"); at.Path != "/account" {
		t.Fatalf("asking for a letter ended a session: %s", at.Path)
	}
	form := c.prove(c.get(reset))
	if _, err := r.slapd.Whoami(r.slapd.Person(uid, goodPassword)); err != nil {
		t.Fatalf("the old password stopped before there is a new one: %v", err)
	}
	const next = "Nye-nokler-til-alle-dorer-7"
	if done := c.must(c.set(form, next)); done.Path != "/activate/done" {
		t.Fatalf("reset ended on %s with %d", done.Path, done.Status)
	}
	if _, err := r.slapd.Whoami(r.slapd.Person(uid, next)); err != nil {
		t.Fatalf("the new password does not bind: %v", err)
	}
	if _, err := r.slapd.Whoami(r.slapd.Person(uid, goodPassword)); err == nil {
		t.Fatal("the forgotten password still binds")
	}
	if at := other.get(r.base + "/account"); at.Path != "/signin" {
		t.Fatalf("a session from before the new password shows %s", at.Path)
	}
	r.awaitFact(events.AuditPasswordChanged, account, 1)
	r.letter(kari, events.LetterPasswordChanged)
	if n := len(r.letters(kari, events.LetterReset)); n > most {
		t.Errorf("three requests sent %d letters", n)
	}
	r.redeliverEverything()
}

func TestReportedPasswordIsBlockedAlsoWhenThePortalDiesAndANewOneIsChosenAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ola, uid, account := r.active(22)
	r.stop(rolePortal)
	r.startAt(rolePortal, "directory.update.after")
	c := r.click(ola)
	at := c.get(r.base + "/compromised")
	form := url.Values{"username": {uid}, "password": {goodPassword}}
	if _, err := c.v.submit(t.Context(), at, r.base, "/compromised", form); err == nil {
		t.Fatal("the portal survived its end")
	}
	r.died(rolePortal)
	r.awaitFact(events.AuditCompromised, account, 1)
	if _, err := r.slapd.Whoami(r.slapd.Person(uid, goodPassword)); err == nil {
		t.Fatal("the reported password still binds")
	}
	r.letter(ola, events.LetterPasswordCompromised)
	reset := linkOf(r.letter(ola, events.LetterReset))
	r.start(rolePortal)
	const second = "Nye-nokler-til-alle-dorer-7"
	back := r.click(ola)
	if done := back.must(back.set(back.prove(back.get(reset)), second)); done.Path != "/activate/done" {
		t.Fatalf("the letter ended on %s with %d", done.Path, done.Status)
	}

	// Once more, and now the way back is taken in the same browser.
	if in := back.do("/signin", url.Values{"username": {uid}, "password": {second}}); in.Path != "/account" {
		t.Fatalf("signing in ended on %s with %d", in.Path, in.Status)
	}
	renew := back.do("/compromised", nil)
	if renew.Path != "/compromised/password" {
		t.Fatalf("reporting ended on %s with %d", renew.Path, renew.Status)
	}
	if _, err := r.slapd.Whoami(r.slapd.Person(uid, second)); err == nil {
		t.Fatal("the second reported password still binds")
	}
	for _, old := range []string{goodPassword, second} {
		if same := back.do("/compromised/password", url.Values{"number": {ola.number}, "password": {old}}); same.Status != http.StatusUnprocessableEntity {
			t.Fatalf("a reported password is answered %d", same.Status)
		}
	}
	const third = "Tredje-gang-er-gull-verd-9"
	if done := back.do("/compromised/password", url.Values{"number": {ola.number}, "password": {third}}); done.Path != "/password/done" {
		t.Fatalf("a new password ended on %s with %d", done.Path, done.Status)
	}
	if _, err := r.slapd.Whoami(r.slapd.Person(uid, third)); err != nil {
		t.Fatalf("the new password does not bind: %v", err)
	}
	if at := back.get(r.base + "/account"); at.Path != "/account" {
		t.Fatalf("after it the account shows %s", at.Path)
	}
	const fourth = "Fjerde-gang-med-vilje-11"
	if done := back.do("/password", url.Values{"old": {third}, "password": {fourth}}); done.Path != "/password/done" {
		t.Fatalf("a change ended on %s with %d", done.Path, done.Status)
	}
	if _, err := r.slapd.Whoami(r.slapd.Person(uid, fourth)); err != nil {
		t.Fatalf("the changed password does not bind: %v", err)
	}
	for what, n := range map[string]int{events.AuditCompromised: 2, events.AuditPasswordChanged: 3, events.AuditRestored: 2} {
		r.awaitFact(what, account, n)
	}
}
