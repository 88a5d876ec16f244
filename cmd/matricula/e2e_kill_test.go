package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// Each process is killed at each point before and after each side effect, as a
// power cut would, and started again. Afterwards the person has one entry, one
// letter with one Message-ID or copies of it, and each fact once; handling
// everything again changes nothing.

func TestKilledWorkerLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start("mailer")
	for i, point := range []string{
		"claims.take.before", "claims.take.after", "directory.create.before", "directory.create.after",
		"publish.audit.before", "publish.audit.after",
	} {
		p := employeeNo(t, 100+i)
		r.startAt("worker", point)
		r.publish(p.registered(time.Now().Add(-time.Minute)))
		r.died("worker")
		r.start("worker")
		r.onePendingWithLetter(point, p)
		r.stop("worker")
	}
	for i, point := range []string{"waiting.plan.before", "waiting.plan.after"} {
		p := studentNo(t, 120+i)
		r.startAt("worker", point)
		r.publish(p.registered(time.Now().Add(-time.Minute)))
		r.died("worker")
		r.start("worker")
		r.oneWaiting(point, p)
		r.stop("worker")
	}
	r.start("worker")
	r.redeliverEverything()
}

func TestKilledMailerLosesNothingAndKeepsTheMessageID(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start("worker")
	for i, point := range []string{"letters.mark.before", "letters.mark.after", "publish.audit.before", "publish.audit.after"} {
		p := employeeNo(t, 200+i)
		r.startAt("mailer", point)
		r.publish(p.registered(time.Now().Add(-time.Minute)))
		r.died("mailer")
		r.start("mailer")
		r.onePendingWithLetter("mailer "+point, p)
		r.stop("mailer")
	}
	r.start("mailer")
	r.redeliverEverything()
}

func TestKilledUnderAClickItIsDoneWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, role := range everyRole() {
		r.start(role)
	}
	for i, point := range []string{"directory.setpassword.before", "directory.setpassword.after", "publish.portal.before", "publish.portal.after"} {
		p := employeeNo(t, 300+i)
		r.publish(p.registered(time.Now().Add(-time.Minute)))
		r.killedWhileActivating(point, p)
	}
	for i, point := range []string{"publish.audit.before", "publish.audit.after", "directory.update.before", "directory.update.after"} {
		p := employeeNo(t, 320+i)
		r.publish(p.registered(time.Now().Add(-time.Minute)))
		link := linkOf(r.letter(p, events.LetterActivation))
		r.stop("worker")
		if done := r.click(p).activate(link, goodPassword); done.Path != "/activate/done" {
			t.Fatalf("%s: activation ended on %s with %d", point, done.Path, done.Status)
		}
		r.startAt("worker", point)
		r.died("worker")
		r.start("worker")
		r.activatedOnce("worker "+point, p)
	}
	r.redeliverEverything()
}

// onePendingWithLetter is what a registration must end in.
func (r *rig) onePendingWithLetter(point string, p someone) {
	r.t.Helper()
	account := r.entry(p).GetAttributeValue("matriculaId")
	r.letter(p, events.LetterActivation)
	for _, what := range []string{events.AuditCreated, events.AuditInvited, events.AuditLetterSent} {
		r.awaitFact(what, account, 1)
	}
	ids := map[string]int{}
	for _, m := range r.letters(p, events.LetterActivation) {
		ids[m.Get("Message-ID")]++
	}
	if len(ids) != 1 {
		r.t.Errorf("%s: letters with %d Message-IDs, not one: %v", point, len(ids), ids)
	}
	for _, copies := range ids {
		if copies > 2 { // one kill between the relay's answer and the mark
			r.t.Errorf("%s: %d copies of one letter", point, copies)
		}
	}
	if got := r.state(p); got != "pending" {
		r.t.Errorf("%s: state is %s, not pending", point, got)
	}
}

// oneWaiting is what a registration months before its window must end in: a
// letter that waits, in a group whose time is planned.
func (r *rig) oneWaiting(point string, p someone) {
	r.t.Helper()
	account := r.entry(p).GetAttributeValue("matriculaId")
	r.awaitFact(events.AuditCreated, account, 1)
	js := r.operator()
	w := &stream.Waiting{JS: js, Settings: stream.DefaultSettings()}
	eventually(r.t, 60*time.Second, point+": one letter waits in a planned group", func() (bool, string) {
		st, err := js.Stream(r.t.Context(), "WAIT")
		if err != nil {
			r.t.Fatal(err)
		}
		m, err := st.GetLastMsgForSubject(r.t.Context(), "wait.letter.main_2027.activation."+account)
		if err != nil {
			return false, err.Error()
		}
		groups, err := w.Groups(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		for _, g := range groups {
			if g.Group == "main_2027" && g.Planned && g.Due.Year() == 2027 {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%s, %+v", m.Subject, groups)
	})
}

// killedWhileActivating kills the portal under a click. Whatever the browser
// saw: either nothing happened and the link still works, or all of it did.
func (r *rig) killedWhileActivating(point string, p someone) {
	r.t.Helper()
	link := linkOf(r.letter(p, events.LetterActivation))
	r.stop("portal")
	r.startAt("portal", point)
	c := r.click(p)
	form := c.prove(c.get(link))
	end, err := c.set(form, goodPassword)
	// The hint to a worker goes out behind the answer: the browser may have seen
	// it, or may not. Before the write it must not.
	answered := err == nil
	if answered && !strings.HasPrefix(point, "publish.portal.") {
		r.t.Fatalf("%s: the portal answered although it was to be killed", point)
	}
	r.died("portal")
	r.start("portal")
	uid := r.entry(p).GetAttributeValue("uid")
	_, bind := r.slapd.Whoami(r.slapd.Person(uid, goodPassword))
	if answered && end.Path == "/activate/done" && bind != nil {
		r.t.Fatalf("%s: the portal said done, and the password does not bind: %v", point, bind)
	}
	second := r.click(p)
	at := second.prove(second.get(link))
	if (bind == nil) != (at.Status == http.StatusGone) {
		r.t.Fatalf("%s: half done: bind says %v, the link is answered with %d", point, bind, at.Status)
	}
	if bind != nil {
		if done := second.must(second.set(at, goodPassword)); done.Path != "/activate/done" {
			r.t.Fatalf("%s: the link that was not used ended on %s with %d", point, done.Path, done.Status)
		}
	}
	r.activatedOnce("portal "+point, p)
}

// activatedOnce is what an activation must end in.
func (r *rig) activatedOnce(point string, p someone) {
	r.t.Helper()
	e := r.entry(p)
	account, uid := e.GetAttributeValue("matriculaId"), e.GetAttributeValue("uid")
	if _, err := r.slapd.Whoami(r.slapd.Person(uid, goodPassword)); err != nil {
		r.t.Errorf("%s: cannot bind: %v", point, err)
	}
	r.letter(p, events.LetterActivated)
	for _, what := range []string{events.AuditCreated, events.AuditInvited, events.AuditActivated, events.AuditRules} {
		r.awaitFact(what, account, 1)
	}
	eventually(r.t, 60*time.Second, point+": no fact is left unsent", func() (bool, string) {
		return r.entry(p).GetAttributeValue("matriculaUnsent") == "", "unsent"
	})
	if got := len(r.letters(p, events.LetterActivated)); got != 1 {
		r.t.Errorf("%s: %d receipts, not one", point, got)
	}
}
