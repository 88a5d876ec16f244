package account_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/policy"
	"usn.no/matricula/stream"
)

// told are an account's audit facts: "account.closed done", "account.suspended
// denied already".
func (w *world) told(id string) []string {
	w.t.Helper()
	var out []string
	w.must(stream.Tail(w.t.Context(), w.js, stream.TailOptions{}, func(e events.Event) error {
		if a, ok := e.Data.(events.Audit); ok && a.Account == id {
			line := a.What + " " + a.Outcome
			if a.Outcome == "denied" {
				line += " " + a.Reason
			}
			out = append(out, line)
		}
		return nil
	}))
	return out
}

// mailed are the templates of the letters to an address that are due.
func (w *world) mailed(address string) []string {
	w.t.Helper()
	var out []string
	for _, r := range w.requests(address) {
		out = append(out, r.Template)
	}
	slices.Sort(out)
	return out
}

// requests are the letters to an address, as the mailer is asked for them.
func (w *world) requests(address string) (out []events.MailRequest) {
	w.t.Helper()
	for _, s := range w.subjects(stream.Mail, "mail.>") {
		st, err := w.js.Stream(w.t.Context(), stream.Mail)
		w.must(err)
		m, err := st.GetLastMsgForSubject(w.t.Context(), s)
		w.must(err)
		e, err := events.Decode(s, m.Header, m.Data, w.clock().AddDate(9, 0, 0))
		w.must(err)
		if r, ok := e.Data.(events.MailRequest); ok && r.Address == address {
			out = append(out, r)
		}
	}
	return out
}

// tenor is the n-th of many synthetic identity numbers.
func tenor(t *testing.T, n int) string {
	t.Helper()
	for i := 0; ; i++ {
		number := fmt.Sprintf("%02d8285%05d", i/100%28+1, i*97%50000)
		if policy.CheckNumber("fnr", number, policy.NumberOptions{Synthetic: true}) != nil {
			continue
		}
		if n--; n < 0 {
			return number
		}
	}
}

// it is a word of IT's about somebody.
func (w *world) it(username string, at time.Time) events.Meta {
	return w.meta(events.SourceIT, username, at)
}

func words(username string) events.Command {
	return events.Command{Username: username, Reason: "case 4711", Actor: "csirt"}
}

func (w *world) suspend(m events.Meta) {
	w.t.Helper()
	w.must(w.AccountSuspended(w.t.Context(), m, events.AccountSuspended{Command: words(m.Subject)}))
}

func (w *world) restore(m events.Meta) {
	w.t.Helper()
	w.must(w.AccountRestored(w.t.Context(), m, events.AccountRestored{Command: words(m.Subject)}))
}

func (w *world) demand(m events.Meta, deadline time.Time) {
	w.t.Helper()
	w.must(w.ChangeRequired(w.t.Context(), m, events.ChangeRequired{Username: m.Subject, Deadline: deadline, Reason: "case 4711", Actor: "csirt"}))
}

func (w *world) compromised(m events.Meta) {
	w.t.Helper()
	w.must(w.PasswordCompromised(w.t.Context(), m, events.PasswordCompromised{Username: m.Subject, Reason: "leak", ReportedBy: "soc"}))
}

func (w *world) turns() {
	w.t.Helper()
	_, err := w.TakeTurns(w.t.Context())
	w.must(err)
}

// stands tells where an account stands: "suspended locked".
func (w *world) stands(username string) string {
	w.t.Helper()
	a := w.find(account.ByUsername, username)
	return string(a.State) + " " + a.Why.Reason
}

func (w *world) must2(got, want, what string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: %s, not %s", what, got, want)
	}
}

// binds tells whether the password signs in anywhere.
func (w *world) binds(username, word string) bool {
	w.t.Helper()
	err := w.Passwords.Verify(w.t.Context(), username, word)
	if err != nil && !errors.Is(err, account.ErrWrongPassword) {
		w.t.Fatal(err)
	}
	return err == nil
}

// someone is a person of one row, who has nothing to do with the others.
type someone struct {
	*world
	no, number string
}

func (p someone) address() string { return p.no + "@example.org" }

// active has activated with password.
func (p someone) active() account.Account {
	p.t.Helper()
	p.at(august.Add(-time.Hour))
	return p.activeStudent(p.no, p.number)
}

// facts compares what was told of the person.
func (p someone) facts(want ...string) {
	p.t.Helper()
	p.publishUnsent()
	got := p.told(p.find(account.ByUsername, p.no).ID)
	got = slices.DeleteFunc(got, func(s string) bool {
		return s == "account.created done" || s == "account.activated done" || s == "rules.accepted done"
	})
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		p.t.Errorf("told of it: %q, not %q", got, want)
	}
}

var orders = []struct {
	sentence string
	run      func(p someone)
}{
	{"a locked account signs in nowhere, its session is over, and restored the old password lets in again", func(p someone) {
		a := p.active()
		p.suspend(p.it(p.no, p.clock()))
		p.must2(p.stands(p.no), "suspended locked", "locked")
		if p.binds(p.no, password) {
			p.t.Error("the password binds although the account is locked")
		}
		if _, err := p.portal().SignIn(p.t.Context(), try(p.no, password, "here")); !onlyWrong(err) {
			p.t.Errorf("signing in to a locked account: %v", err)
		}
		if _, err := p.portal().ChangePassword(p.t.Context(), try(p.no, password, "here"), password+"-ny"); !onlyWrong(err) {
			p.t.Errorf("changing the password of a locked account: %v", err)
		}
		if _, err := p.portal().Own(p.t.Context(), a.ID, a.SessionsFrom); !errors.Is(err, account.ErrSignedOut) {
			p.t.Errorf("the session of a locked account: %v", err)
		}
		p.restore(p.it(p.no, p.clock().Add(time.Minute)))
		p.must2(p.stands(p.no), "active activated", "restored")
		if !p.binds(p.no, password) {
			p.t.Error("restored, the password does not bind")
		}
		if a := p.find(account.ByUsername, p.no); !slices.Contains(a.Affiliations, account.Student) {
			p.t.Errorf("restored with affiliations %v", a.Affiliations)
		}
		p.facts("account.invited done", "account.suspended done", "account.restored done")
	}},
	{"an older lock after a newer restore does nothing and says so, in whatever order and however often they come", func(p someone) {
		p.active()
		at := p.clock()
		restored, locked := p.it(p.no, at.Add(time.Minute)), p.it(p.no, at)
		p.restore(restored)
		for range 2 {
			p.suspend(locked)
			p.restore(restored)
		}
		p.must2(p.stands(p.no), "active activated", "after all of it")
		p.facts("account.invited done", "account.restored denied already", "account.suspended denied older")
	}},
	{"a lock is told once however often it is delivered, and a second one finds the account locked", func(p someone) {
		p.active()
		first := p.it(p.no, p.clock())
		for range 3 {
			p.suspend(first)
		}
		since := p.find(account.ByUsername, p.no).Why.Since
		p.suspend(p.it(p.no, p.clock().Add(time.Minute)))
		p.suspend(first)
		p.facts("account.invited done", "account.suspended done", "account.suspended denied already")
		if a := p.find(account.ByUsername, p.no); a.Order(account.OrderLock).By != "csirt" || a.Why.Since.Before(since) {
			p.t.Errorf("locked by %q since %s", a.Order(account.OrderLock).By, a.Why.Since)
		}
	}},
	{"a lock on a pending account ends its link, and restored there is a new one", func(p someone) {
		p.at(august.Add(-time.Hour))
		old := p.invitedStudent(p.no, p.number)
		p.suspend(p.it(p.no, p.clock()))
		p.at(august.Add(time.Hour))
		if _, err := p.portal().Look(p.t.Context(), old); !errors.Is(err, account.ErrSpent) {
			p.t.Errorf("the link of a locked account: %v", err)
		}
		p.restore(p.it(p.no, p.clock()))
		p.must2(p.stands(p.no), "pending registered", "restored")
		if _, err := p.portal().Prove(p.t.Context(), p.ticket(p.no, account.PurposeActivate), account.Student, p.number); err != nil {
			p.t.Errorf("the new link: %v", err)
		}
		p.facts("account.invited done", "account.suspended done", "account.restored done", "account.invited done")
		if got := p.mailed(p.address()); !slices.Equal(got, []string{"activation", "activation"}) {
			p.t.Errorf("letters: %v", got)
		}
	}},
	{"of an account that is compromised and locked a restore lifts the lock, and a letter leads back", func(p someone) {
		p.active()
		at := p.clock()
		p.suspend(p.it(p.no, at))
		p.compromised(p.it(p.no, at.Add(time.Minute)))
		p.must2(p.stands(p.no), "suspended locked", "locked and compromised")
		if got := p.mailed(p.address()); slices.Contains(got, "reset") {
			p.t.Errorf("a way back into a locked account was mailed: %v", got)
		}
		p.restore(p.it(p.no, at.Add(2*time.Minute)))
		p.must2(p.stands(p.no), "suspended compromised", "restored")
		if p.binds(p.no, password) {
			p.t.Error("the compromised password binds")
		}
		ticket := p.ticket(p.no, account.PurposeReset)
		if _, err := p.portal().Activate(p.t.Context(), account.Choice{Proof: p.proof(ticket, p.number), Rules: rules, Password: password}); !errors.Is(err, account.ErrSamePassword) {
			p.t.Errorf("the compromised password is chosen again: %v", err)
		}
		if _, err := p.portal().Activate(p.t.Context(), account.Choice{Proof: p.proof(ticket, p.number), Rules: rules, Password: password + "-ny"}); err != nil {
			p.t.Fatalf("the way back: %v", err)
		}
		if p.must2(p.stands(p.no), "active activated", "with a new password"); !p.binds(p.no, password+"-ny") {
			p.t.Error("the new password does not bind")
		}
		p.publishUnsent()
		if got := p.mailed(p.address()); !slices.Contains(got, "reset") {
			p.t.Errorf("letters: %v", got)
		}
	}},
	{"of an account that was compromised before it was locked the same holds", func(p someone) {
		p.active()
		at := p.clock()
		p.compromised(p.it(p.no, at))
		old := p.ticket(p.no, account.PurposeReset)
		p.suspend(p.it(p.no, at.Add(time.Minute)))
		p.must2(p.stands(p.no), "suspended locked", "compromised and locked")
		if _, err := p.portal().Look(p.t.Context(), old); !errors.Is(err, account.ErrSpent) {
			p.t.Errorf("the way back into a locked account: %v", err)
		}
		p.restore(p.it(p.no, at.Add(2*time.Minute)))
		p.must2(p.stands(p.no), "suspended compromised", "restored")
		p.proof(p.ticket(p.no, account.PurposeReset), p.number)
	}},
	{"a wrong report of death is mended by a restore, and an older report that comes later changes nothing", func(p someone) {
		p.active()
		at := p.clock()
		dead := p.meta(events.SourceAdmissions, p.no, at)
		died := events.StudentEnded{StudentNo: p.no, Programme: "2", End: "2027-08-01", Reason: "deceased"}
		p.must(p.StudentEnded(p.t.Context(), dead, died))
		p.must2(p.stands(p.no), "suspended deceased", "reported dead")
		p.restore(p.it(p.no, at.Add(time.Minute)))
		p.must(p.StudentEnded(p.t.Context(), dead, died))
		if p.must2(p.stands(p.no), "active activated", "restored"); !p.binds(p.no, password) {
			p.t.Error("restored, the password does not bind")
		}
	}},
	{"until the deadline a password that must be changed signs in, and its owner is told", func(p someone) {
		a := p.active()
		deadline := p.clock().Add(24 * time.Hour)
		m := p.it(p.no, p.clock())
		for range 2 {
			p.demand(m, deadline)
		}
		own, err := p.portal().SignIn(p.t.Context(), try(p.no, password, "here"))
		if err != nil || !own.ChangeBy.Equal(deadline) || !own.From.Equal(a.SessionsFrom) {
			p.t.Errorf("signed in: %+v, %v", own, err)
		}
		p.facts("account.invited done", "password.change-required done")
		if got := p.mailed(p.address()); !slices.Contains(got, "change-required") {
			p.t.Errorf("letters: %v", got)
		}
		p.at(p.clock().Add(time.Minute))
		if _, err := p.portal().ChangePassword(p.t.Context(), try(p.no, password, "here"), password+"-ny"); err != nil {
			p.t.Fatal(err)
		}
		p.at(deadline.Add(time.Hour))
		p.turns()
		if p.must2(p.stands(p.no), "active activated", "changed in time"); !p.binds(p.no, password+"-ny") {
			p.t.Error("changed in time, the new password does not bind")
		}
	}},
	{"at the deadline it signs in nowhere, and in the portal it sets another and does nothing else", func(p someone) {
		a := p.active()
		deadline := p.clock().Add(24 * time.Hour)
		p.demand(p.it(p.no, p.clock()), deadline)
		p.at(deadline)
		if _, err := p.portal().SignIn(p.t.Context(), try(p.no, password, "here")); !errors.Is(err, account.ErrChangeDue) {
			p.t.Errorf("at the deadline, before any worker saw it: %v", err)
		}
		p.turns()
		p.must2(p.stands(p.no), "suspended change_required", "at the deadline")
		if p.binds(p.no, password) {
			p.t.Error("after the deadline the password binds")
		}
		own, err := p.portal().SignIn(p.t.Context(), try(p.no, password, "here"))
		if !errors.Is(err, account.ErrChangeDue) || own.ID != "" || own.Username != p.no {
			p.t.Errorf("signing in after the deadline: %+v, %v", own, err)
		}
		if _, err := p.portal().Own(p.t.Context(), a.ID, a.SessionsFrom); !errors.Is(err, account.ErrSignedOut) {
			p.t.Errorf("a session from before the deadline: %v", err)
		}
		for name, in := range map[string]account.Try{"wrong": try(p.no, password+"x", "here"), "empty": try(p.no, "", "here")} {
			if _, err := p.portal().SignIn(p.t.Context(), in); !onlyWrong(err) {
				p.t.Errorf("%s password after the deadline: %v", name, err)
			}
			if _, err := p.portal().ChangePassword(p.t.Context(), in, password+"-ny"); !onlyWrong(err) {
				p.t.Errorf("%s password sets another: %v", name, err)
			}
		}
		if _, err := p.portal().ChangePassword(p.t.Context(), try(p.no, password, "here"), password); !errors.Is(err, account.ErrSamePassword) {
			p.t.Errorf("the old password as the new one: %v", err)
		}
		if _, err := p.portal().ChangePassword(p.t.Context(), try(p.no, password, "here"), password+"-ny"); err != nil {
			p.t.Fatalf("the old password does not set another: %v", err)
		}
		if p.must2(p.stands(p.no), "active activated", "changed"); !p.binds(p.no, password+"-ny") || p.binds(p.no, password) {
			p.t.Error("changed, not the new password alone binds")
		}
		p.facts("account.invited done", "password.change-required done", "account.suspended done", "account.restored done", "password.changed done")
	}},
	{"whose password is due may report it, and a letter leads back", func(p someone) {
		p.active()
		p.demand(p.it(p.no, p.clock()), p.clock())
		p.must2(p.stands(p.no), "suspended change_required", "due at once")
		if _, err := p.portal().Compromised(p.t.Context(), account.Report{Try: try(p.no, password, "here")}); err != nil {
			p.t.Fatal(err)
		}
		p.publishUnsent()
		p.must2(p.stands(p.no), "suspended compromised", "reported")
		if _, err := p.portal().ChangePassword(p.t.Context(), try(p.no, password, "here"), password+"-ny"); !onlyWrong(err) {
			p.t.Errorf("a reported password sets another: %v", err)
		}
		p.proof(p.ticket(p.no, account.PurposeReset), p.number)
	}},
	{"a later deadline counts in place of the first, and lets the password in again", func(p someone) {
		p.active()
		at := p.clock()
		first, second := p.it(p.no, at), p.it(p.no, at.Add(time.Minute))
		p.demand(first, at)
		p.must2(p.stands(p.no), "suspended change_required", "due at once")
		p.demand(second, at.Add(48*time.Hour))
		p.demand(first, at)
		if p.must2(p.stands(p.no), "active activated", "with a later deadline"); !p.binds(p.no, password) {
			p.t.Error("with a later deadline the password does not bind")
		}
	}},
	{"nobody owes a new password who has none, or set one after the demand", func(p someone) {
		p.at(august.Add(-time.Hour))
		p.invitedStudent(p.no, p.number)
		p.demand(p.it(p.no, p.clock()), p.clock().Add(-time.Hour))
		p.must2(p.stands(p.no), "pending registered", "pending")
		p.active()
		p.turns()
		p.must2(p.stands(p.no), "active activated", "activated after the demand")
		p.demand(p.it(p.no, p.clock().Add(-time.Minute)), p.clock())
		p.must2(p.stands(p.no), "active activated", "with a demand older than the password")
		p.facts("account.invited done", "password.change-required denied no_password", "password.change-required denied already")
	}},
	{"a link sent anew ends the one before, and an older wish for one does not end the newer", func(p someone) {
		p.at(august.Add(time.Hour))
		old := p.invitedStudent(p.no, p.number)
		resend := func(at time.Time) {
			p.t.Helper()
			m := p.it(p.no, at)
			for range 2 {
				p.must(p.AccountInvited(p.t.Context(), m, events.AccountInvited{Command: words(p.no)}))
			}
		}
		resend(p.clock())
		if _, err := p.portal().Look(p.t.Context(), old); !errors.Is(err, account.ErrSpent) {
			p.t.Errorf("the link before: %v", err)
		}
		link := p.ticket(p.no, account.PurposeActivate)
		resend(p.clock().Add(-time.Minute))
		if _, err := p.portal().Look(p.t.Context(), link); err != nil {
			p.t.Errorf("an older wish ended the newer link: %v", err)
		}
		p.facts("account.invited done", "account.invited done", "account.invited denied older")
		if got := p.mailed(p.address()); !slices.Equal(got, []string{"activation", "activation"}) {
			p.t.Errorf("letters: %v", got)
		}
	}},
	{"somebody active is sent a link to a new password, and somebody locked none", func(p someone) {
		p.active()
		p.must(p.AccountInvited(p.t.Context(), p.it(p.no, p.clock()), events.AccountInvited{Command: words(p.no)}))
		p.proof(p.ticket(p.no, account.PurposeReset), p.number)
		p.suspend(p.it(p.no, p.clock()))
		p.must(p.AccountInvited(p.t.Context(), p.it(p.no, p.clock().Add(time.Minute)), events.AccountInvited{Command: words(p.no)}))
		if a := p.find(account.ByUsername, p.no); len(a.Invitations) != 0 {
			p.t.Errorf("a locked account has %d invitations", len(a.Invitations))
		}
		p.facts("account.invited done", "account.invited done", "account.suspended done", "account.invited denied suspended")
	}},
	{"an order about nobody waits for the person for a day, and is then an orphan", func(p someone) {
		p.at(june)
		m := p.it(p.no, june)
		order := func() error {
			return p.AccountSuspended(p.t.Context(), m, events.AccountSuspended{Command: words(p.no)})
		}
		if at, later := events.Postponed(order()); !later || !at.After(june) {
			p.t.Errorf("an order about nobody is not put off")
		}
		p.at(june.Add(time.Hour))
		p.must(p.StudentRegistered(p.t.Context(), p.meta(events.SourceAdmissions, p.no, june.Add(time.Hour)),
			events.StudentRegistered{Student: student(p.no, "Sigrid", "Li", "", fnr(p.number))}))
		p.must(order())
		p.must2(p.stands(p.no), "suspended locked", "once the person is there")
		p.at(june.Add(25 * time.Hour))
		m.Subject = "nobody" + p.no
		if r, ok := events.Rejected(p.AccountSuspended(p.t.Context(), m, events.AccountSuspended{Command: words(m.Subject)})); !ok || r.Reason != events.ReasonOrphan {
			p.t.Errorf("after a day it is %+v", r)
		}
	}},
	{"a window that IT opens lets in at once, sends the letter, and ends again", func(p someone) {
		p.at(june.Add(time.Hour)) // two months before, also before the letter's day
		p.must(p.StudentRegistered(p.t.Context(), p.meta(events.SourceAdmissions, p.no, june),
			events.StudentRegistered{Student: student(p.no, "Sigrid", "Li", p.address(), fnr(p.number))}))
		if got := p.mailed(p.address()); len(got) != 0 {
			p.t.Errorf("letters two months before the window: %v", got)
		}
		opened := func(at, until time.Time) {
			p.t.Helper()
			m := p.it(p.no, at)
			for range 2 {
				p.must(p.AccountOpened(p.t.Context(), m, events.AccountOpened{Command: words(p.no), Until: until}))
			}
		}
		until := june.AddDate(0, 0, 7)
		opened(june, until)
		if got := p.mailed(p.address()); !slices.Equal(got, []string{"activation"}) {
			p.t.Errorf("letters once IT has opened it: %v", got)
		}
		ticket := p.ticket(p.no, account.PurposeActivate)
		p.proof(ticket, p.number)
		opened(june.Add(-time.Minute), june) // older
		if _, err := p.portal().Activate(p.t.Context(), account.Choice{Proof: p.proof(ticket, p.number), Rules: rules, Password: password}); err != nil {
			p.t.Fatalf("in IT's window: %v", err)
		}
		publishes := func(want bool, when string) {
			p.t.Helper()
			p.turns()
			if got := slices.Contains(p.find(account.ByUsername, p.no).Affiliations, account.Student); got != want {
				p.t.Errorf("%s: published as a student: %v", when, got)
			}
		}
		publishes(true, "in IT's window")
		p.at(until)
		publishes(false, "when IT's window is over")
		p.at(august)
		publishes(true, "at the student's own opening")
		p.facts("account.updated done", "account.invited done", "account.updated denied older", "account.updated done", "account.updated done")
	}},
	{"when a window that IT opened is over, who has not activated waits for the own one", func(p someone) {
		p.at(june.Add(time.Hour))
		p.must(p.StudentRegistered(p.t.Context(), p.meta(events.SourceAdmissions, p.no, june),
			events.StudentRegistered{Student: student(p.no, "Sigrid", "Li", p.address(), fnr(p.number))}))
		until := june.AddDate(0, 0, 7)
		p.must(p.AccountOpened(p.t.Context(), p.it(p.no, june), events.AccountOpened{Command: words(p.no), Until: until}))
		p.at(until)
		var closed *account.NotOpenError
		if _, err := p.portal().Prove(p.t.Context(), p.ticket(p.no, account.PurposeActivate), account.Student, p.number); !errors.As(err, &closed) || !closed.Opens.Equal(august) {
			p.t.Errorf("when IT's window is over: %v", err)
		}
	}},
}

func TestOrdersOfIT(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		for i, row := range orders {
			t.Run(row.sentence, func(t *testing.T) {
				mine := *w.Lifecycle
				p := someone{&world{Lifecycle: &mine, t: t, js: w.js}, fmt.Sprint(257000 + i), tenor(t, i)}
				mine.Now = p.clock // each has a clock, and all have one directory
				row.run(p)
			})
		}
	})
}
