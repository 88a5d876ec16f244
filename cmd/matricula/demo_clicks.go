package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
)

// tooEarly is the July click: the link shows the opening, and a complete and
// correct form is refused with it.
func (p *play) tooEarly(ctx context.Context, m *member) error {
	l, err := p.letter(ctx, m, events.LetterActivation)
	if err != nil {
		return err
	}
	v, at, err := p.open(ctx, m, linkOf(l))
	if err != nil {
		return err
	}
	number, err := p.number(ctx, m)
	if err != nil {
		return err
	}
	p.notYet()
	refused, err := p.prove(ctx, v, at, m, number)
	p.notYet()
	if err != nil {
		return err
	}
	p.note(m, stepEarly, refused)
	opens, _ := time.Parse(time.RFC3339, refused.Opens)
	switch {
	case refused.Status != http.StatusForbidden:
		p.fault("%s: a click before the window was answered with %d, not refused", m.name(), refused.Status)
	case !opens.Equal(m.opens(p.cfg.Windows())):
		p.fault("%s: the refusal says it opens %q", m.name(), refused.Opens)
	}
	p.say("%s clicks too early: refused, opens %s", m.name(), opens.In(osloZone()).Format("2 January 15:04"))
	return nil
}

// activate is the whole trip: letter, link, a wrong number, the right one,
// rules, password, receipt.
func (p *play) activate(ctx context.Context, m *member) error {
	l, err := p.letter(ctx, m, events.LetterActivation)
	if err != nil {
		return err
	}
	p.link[m] = linkOf(l)
	v, at, err := p.open(ctx, m, p.link[m])
	if err != nil {
		return err
	}
	number, err := p.number(ctx, m)
	if err != nil {
		return err
	}
	wrong, err := p.prove(ctx, v, at, m, "01010199999")
	if err != nil {
		return err
	}
	p.note(m, stepWrong, wrong)
	if wrong.Status != http.StatusUnprocessableEntity {
		p.fault("%s: a wrong number was answered with %d", m.name(), wrong.Status)
	}
	p.password[m] = fmt.Sprintf("Fjord-og-fjell-%d-sommer", len(p.password)+1)
	done, err := p.set(ctx, v, at, m, number, p.password[m], stepProve, stepSet)
	if err != nil {
		return err
	}
	p.username[m] = done.Strong
	if done.Path != "/activate/done" || done.Strong == "" {
		p.fault("%s: activation ended on %s with %d", m.name(), done.Path, done.Status)
		return nil
	}
	if err := p.people.Verify(ctx, done.Strong, p.password[m]); err != nil {
		p.fault("%s: activated but cannot sign in: %v", m.name(), err)
	}
	p.say("%s activates as %s and can sign in", m.name(), done.Strong)
	_, err = p.letter(ctx, m, events.LetterActivated)
	return err
}

// set proves and sets a password.
func (p *play) set(ctx context.Context, v *visitor, at page, m *member, number, password, prove, set string) (page, error) {
	form, err := p.prove(ctx, v, at, m, number)
	if err != nil {
		return form, err
	}
	p.note(m, prove, form)
	done, err := v.submit(ctx, form, p.cfg.Portal.BaseURL, "/activate/password", url.Values{"accept": {"yes"}, "password": {password}})
	if err == nil {
		p.note(m, set, done)
	}
	return done, err
}

// secondTime follows a used link: it must be refused, and the first password
// stands.
func (p *play) secondTime(ctx context.Context, m *member) error {
	if p.link[m] == "" || p.username[m] == "" {
		return nil
	}
	number, err := p.number(ctx, m)
	if err != nil {
		return err
	}
	v := newVisitor()
	at, err := v.get(ctx, p.link[m])
	if err != nil {
		return err
	}
	again, err := p.prove(ctx, v, at, m, number)
	if err != nil {
		return err
	}
	p.note(m, stepAgain, again)
	if again.Status != http.StatusGone {
		p.fault("%s: a used link was answered with %d", m.name(), again.Status)
	}
	if err := p.people.Verify(ctx, p.username[m], p.password[m]); err != nil {
		p.fault("%s: the first password does not stand: %v", m.name(), err)
	}
	p.say("%s follows the link once more: refused, it is used", m.name())
	return nil
}

// victim is whose password IT reports: the first employee.
func (p *play) victim() *member {
	for _, m := range p.members {
		if m.Employee {
			return m
		}
	}
	return nil
}

// compromise has IT report a password, and the person set another one.
func (p *play) compromise(ctx context.Context) error {
	m := p.victim()
	if m == nil || p.username[m] == "" {
		return nil
	}
	now := p.clock.Now()
	raw, err := events.EncodeStructured(events.Event{
		Meta: events.Meta{ID: "demo-compromise-1", Source: events.SourceIT, Subject: p.username[m], Time: now},
		Data: events.PasswordCompromised{Username: p.username[m], Reason: "seen in a leak", ReportedBy: "security team"},
	})
	if err != nil {
		return err
	}
	if err := publishAll(ctx, p.running, []line{{File: "demo", No: 1, Raw: raw}}); err != nil {
		return err
	}
	p.say("IT reports the password of %s as compromised", p.username[m])
	l, err := p.letter(ctx, m, events.LetterReset)
	if err != nil {
		return err
	}
	if err := p.people.Verify(ctx, p.username[m], p.password[m]); !errors.Is(err, account.ErrWrongPassword) {
		p.fault("%s: a compromised password still signs in: %v", m.name(), err)
	}
	number, err := p.number(ctx, m)
	if err != nil {
		return err
	}
	v, at, err := p.open(ctx, m, linkOf(l))
	if err != nil {
		return err
	}
	same, err := p.set(ctx, v, at, m, number, p.password[m], stepProve, stepOldPass)
	if err != nil {
		return err
	}
	if same.Status != http.StatusUnprocessableEntity {
		p.fault("%s: the compromised password was taken again: %d on %s", m.name(), same.Status, same.Path)
	}
	p.password[m] = "Nye-nokler-til-alle-dorer-7"
	done, err := p.set(ctx, v, at, m, number, p.password[m], stepProve, stepSet)
	if err != nil {
		return err
	}
	if done.Path != "/activate/done" {
		p.fault("%s: reset ended on %s with %d", m.name(), done.Path, done.Status)
	}
	if err := p.people.Verify(ctx, p.username[m], p.password[m]); err != nil {
		p.fault("%s: cannot sign in after the reset: %v", m.name(), err)
	}
	p.say("%s was locked out, sets a new password by the reset letter, and can sign in", p.username[m])
	_, err = p.letter(ctx, m, events.LetterPasswordChanged)
	return err
}
