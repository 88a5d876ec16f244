package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/events"
)

// ends says whether a person's account lets nobody in at the end of a round.
func (p *person) ends() bool { return p.Fate == left || p.Fate == gone || p.Fate == taken }

// returns says whether somebody was let go on the way and is back at its end.
func (p *person) returns() bool { return p.Fate == prolonged || p.Fate == back }

// Days that a role has been over: longer than an account is kept open, and
// longer than it is kept at all.
const (
	longOver  = 40
	yearsOver = 400
)

// leave has a source end what keeps a person here, and some of them return.
func (h *house) leave(ctx context.Context, p *person, random *rand.Rand) {
	uid, password := h.signsIn(ctx, p)
	if ctx.Err() != nil {
		return
	}
	switch p.Fate {
	case left:
		h.tell(ctx, p, p.end(longOver), random)
	case gone:
		h.tell(ctx, p, p.end(yearsOver), random)
	case planned:
		h.tell(ctx, p, p.end(-longOver), random)
	case taken, back:
		h.tell(ctx, p, p.cancelled(), random)
	case prolonged:
		if random.IntN(2) == 0 { // first it was far away
			h.tell(ctx, p, p.end(-longOver), random)
		}
		h.tell(ctx, p, p.end(longOver), random)
	}
	if !p.returns() {
		return
	}
	if random.IntN(3) > 0 { // most find out when they cannot sign in
		for ctx.Err() == nil {
			_, err := h.slapd.Whoami(h.slapd.Person(uid, password))
			if ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
				break
			}
			pause(ctx, 100*time.Millisecond)
		}
	}
	p.Names = append(p.Names, p.Names[len(p.Names)-1])
	p.words++
	n := len(p.Names)
	p.announced = append(p.announced, h.tell(ctx, p, p.announcement(n, time.Now()), random))
}

// signsIn waits until it is known with which password a person signs in.
func (h *house) signsIn(ctx context.Context, p *person) (uid, password string) {
	for ctx.Err() == nil && password == "" {
		var err error
		if uid, password, err = h.binds(p); err != nil {
			password = ""
		}
		pause(ctx, 200*time.Millisecond)
	}
	return uid, password
}

// tell publishes a word, and sometimes once more, beyond what the broker
// remembers.
func (h *house) tell(ctx context.Context, p *person, e events.Event, random *rand.Rand) string {
	id := h.publish(ctx, e)
	if random.IntN(4) > 0 {
		return id
	}
	if raw, err := events.EncodeStructured(e); err == nil {
		if r, err := events.RouteOf(raw); err == nil {
			h.send(ctx, r.Subject, r.MsgID+"-again", raw)
		}
	}
	return id
}

// said is what a word of the person's source about their role is told with. It
// stands between the announcements before and after it.
func (p *person) said(what string) events.Meta {
	p.words++
	source := events.SourceAdmissions
	if p.Role == "employee" {
		source = events.SourceHR
	}
	return events.Meta{
		ID: fmt.Sprintf("%s-%s-%d", what, p.No, p.words), Source: source, Subject: p.No, Time: time.Now(), Sequence: p.sequence(len(p.Names)),
	}
}

// sequence is that of the n-th announcement, or of what was said since.
func (p *person) sequence(n int) uint64 { return uint64(n + p.words) }

// end is that the role's last day was so many days ago, or is to be.
func (p *person) end(days int) events.Event {
	m, day := p.said("end"), time.Now().AddDate(0, 0, -days).Format(time.DateOnly)
	if p.Role == "employee" {
		return events.Event{Meta: m, Data: events.EmployeeEnded{EmployeeNo: p.No, Employment: "1", End: day, Reason: "resigned"}}
	}
	return events.Event{Meta: m, Data: events.StudentEnded{StudentNo: p.No, End: day, Reason: "withdrawn"}}
}

// cancelled is that the employment never began.
func (p *person) cancelled() events.Event {
	return events.Event{Meta: p.said("cancelled"), Data: events.EmployeeCancelled{EmployeeNo: p.No, Reason: "withdrawn"}}
}

// departed is what must have become of somebody who left, and of somebody who
// did not (I1, I4, I6).
func (h *house) departed(v *view, p *person, e *ldap.Entry, say func(string, ...any)) {
	account := e.GetAttributeValue("matriculaId")
	suspended, closed := v.count(account, events.AuditSuspended), v.count(account, events.AuditClosed)
	restored, letter := v.count(account, events.AuditRestored), v.mailed(p.Email, events.LetterLeaving)
	switch p.Fate {
	case left, taken:
		if suspended != 1 || state(e) != "suspended" {
			say("has left, is %s and was suspended %d times", state(e), suspended)
		}
	case gone:
		if closed != 1 || state(e) != "closed" {
			say("left long ago, is %s and was closed %d times", state(e), closed)
		}
	case prolonged, back:
		if state(e) != "active" || suspended != restored {
			say("is back, is %s, was suspended %d times and restored %d times", state(e), suspended, restored)
		}
	}
	if (p.Fate == left || p.Fate == gone) && !letter {
		say("has left without a letter that says so")
	}
}

// stayed holds that nobody is let go whom no word let go (I6).
func (h *house) stayed(v *view, p *person, account string) {
	suspended, closed := v.count(account, events.AuditSuspended), v.count(account, events.AuditClosed)
	switch p.Fate {
	case atOnce, atNoon, waiting, silent, unknown, planned:
		if suspended+closed > 0 {
			h.violation("I6", "%s (%s) was suspended %d times and closed %d times, and nobody asked for it", p.No, p.Fate, suspended, closed)
		}
	case left, taken, prolonged, back, locked:
		if closed > 0 {
			h.violation("I6", "%s (%s) was closed, and nobody asked for it", p.No, p.Fate)
		}
	}
	if v.mailed(p.Email, events.LetterLeaving) && p.Fate != left && p.Fate != gone && p.Fate != prolonged {
		h.violation("I4", "%s (%s) had a letter that says they leave", p.No, p.Fate)
	}
}
