package account

import (
	"context"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// LeavingRules say what happens to an account when nothing keeps it. Each step
// counts from the last day, also when that is long past; zero: never.
type LeavingRules struct {
	SuspendAfter   policy.Days // 30 days
	CloseAfter     policy.Days // 90 days; also after a cancellation or a death
	NeverActivated policy.Days // closes who has not activated since the opening; 365 days
	EraseAfter     policy.Days // erases what has been closed so long; 365 days
}

// DefaultLeavingRules are the university's.
func DefaultLeavingRules() LeavingRules {
	return LeavingRules{SuspendAfter: 30, CloseAfter: 90, NeverActivated: 365, EraseAfter: 365}
}

// LostByClosing is PasswordLost of an account that was closed: whoever comes
// back begins again.
const LostByClosing = "closed"

// verdict is where an account stands by the facts.
type verdict struct {
	state State
	why   Why    // Since zero: since now
	brake string // which brake must let it go there; "" for what no source's mistake can cause
	timed bool   // it is for the sweep: an event that is still on its way may say otherwise
	turn  time.Time
	// ended is the last day when all roles are over and its letter is due.
	ended string
}

// at has settle come back then.
func (v *verdict) at(t, now time.Time) {
	if t.After(now) && (v.turn.IsZero() || t.Before(v.turn)) {
		v.turn = t
	}
}

func (v *verdict) stands(s State, reason string, since time.Time, by string) {
	v.state, v.why = s, Why{Reason: reason, Since: since, By: by}
}

// judge derives where an account stands now: the first that applies. It is a
// function of the entry and the time and nothing else.
func (l *Lifecycle) judge(a Account, now time.Time) verdict {
	var v verdict
	base := a.base()
	switch {
	case !a.Erased.IsZero():
		v.stands(Closed, WhyErased, a.Erased, "worker")
	case a.Merged != "":
		v.stands(Closed, WhyMerged, time.Time{}, "it")
	case a.tombstone(now, &v), l.dead(a, now, &v), l.over(a, now, &v), l.neglected(a, base, now, &v):
	case a.Order(OrderLock).On:
		o := a.Order(OrderLock)
		v.stands(Suspended, WhyLocked, o.Time, "it")
	case base == WhyCompromised:
		v.stands(Suspended, WhyCompromised, time.Time{}, "it")
	case a.overdue(base, now, &v):
	case base == "":
		v.stands(Active, WhyActivated, a.PasswordSince, "person")
	default:
		v.stands(Pending, WhyRegistered, time.Time{}, "worker")
	}
	if v.state == Active {
		l.affiliationTurns(a, now, &v)
	}
	return v
}

// base is why an account has no password; "" when it has one.
func (a Account) base() string {
	switch {
	case a.PasswordSince.IsZero() || a.PasswordLost == LostByClosing:
		return WhyRegistered
	case a.PasswordLost != "":
		return WhyCompromised
	}
	return ""
}

// dead: bind stops at once, and nothing is ever sent.
func (l *Lifecycle) dead(a Account, now time.Time, v *verdict) bool {
	o := a.Order(OrderDeceased)
	if !o.On {
		return false
	}
	v.brake = BrakeSuspended
	v.stands(Suspended, WhyDeceased, o.Time, actorOf(o.Source).Kind)
	l.closes(o.Time, now, v)
	return true
}

// closes turns what is suspended into what is closed, a time later.
func (l *Lifecycle) closes(from, now time.Time, v *verdict) {
	if l.Leaving.CloseAfter == 0 {
		return
	}
	at := l.Leaving.CloseAfter.After(from)
	if v.at(at, now); !at.After(now) {
		v.stands(Closed, v.why.Reason, at, "worker")
		v.brake, v.timed = BrakeClosed, true
	}
}

// over: every role is over or was taken back. A planned end counts like any
// other once it is reached.
func (l *Lifecycle) over(a Account, now time.Time, v *verdict) bool {
	var end, taken Standing
	for _, s := range a.Standing() {
		switch {
		case !s.Cancelled.IsZero():
			if s.Cancelled.After(taken.Cancelled) {
				taken = s
			}
		case s.Over.IsZero():
			return false
		case s.Over.After(end.Over):
			end = s
		}
	}
	switch {
	case end.Over.IsZero() && taken.Cancelled.IsZero():
		return false // no role was ever told
	case end.Over.IsZero():
		v.brake = BrakeSuspended
		v.stands(Suspended, WhyCancelled, taken.Cancelled, actorOf(sourceOf(taken.Kind)).Kind)
		l.closes(taken.Cancelled, now, v)
		return true
	}
	v.at(end.Over, now)
	if l.Leaving.SuspendAfter == 0 || end.Over.After(now) {
		return false
	}
	v.ended = end.End
	at := l.Leaving.SuspendAfter.After(end.Over)
	if v.at(at, now); at.After(now) {
		return false
	}
	v.stands(Suspended, WhyLeft, at, "worker")
	v.brake, v.timed = BrakeSuspended, true
	l.closes(end.Over, now, v)
	return true
}

// tombstone: what is closed stays closed until a role counts again.
func (a Account) tombstone(now time.Time, v *verdict) bool {
	if a.State != Closed || len(a.counting(now)) > 0 {
		return false
	}
	v.stands(Closed, a.Why.Reason, a.Why.Since, a.Why.By)
	return true
}

// neglected: nobody activated it in a long time.
func (l *Lifecycle) neglected(a Account, base string, now time.Time, v *verdict) bool {
	if base != WhyRegistered || l.Leaving.NeverActivated == 0 {
		return false
	}
	var last time.Time
	for _, r := range a.counting(now) {
		if at := l.opensAt(r); at.After(last) {
			last = at
		}
	}
	for _, o := range a.Orders {
		if o.What == OrderOpen && o.On && o.Until.After(last) {
			last = o.Until
		}
	}
	if last.IsZero() {
		return false
	}
	at := l.Leaving.NeverActivated.After(last)
	if v.at(at, now); at.After(now) {
		return false
	}
	v.stands(Closed, WhyNeverActivated, at, "worker")
	v.brake, v.timed = BrakeClosed, true
	return true
}

// overdue: IT demanded a new password, and the deadline is past.
func (a Account) overdue(base string, now time.Time, v *verdict) bool {
	o := a.Order(OrderChange)
	if base != "" || !o.On || a.PasswordSince.After(o.Time) {
		return false
	}
	if v.at(o.Until, now); o.Until.After(now) {
		return false
	}
	v.stands(Suspended, WhyChangeRequired, o.Until, "it")
	return true
}

// affiliationTurns: each affiliation appears with its role's own opening and
// goes with its own end.
func (l *Lifecycle) affiliationTurns(a Account, now time.Time, v *verdict) {
	for _, s := range a.Standing() {
		if s.Counts(now) {
			v.at(s.Over, now)
			v.at(l.opensAt(s.Role), now)
		}
	}
}

// cause is what makes settle run: an event, or time alone.
type cause struct {
	events.Meta
	turn bool // it is the account's turn: what time does is done now
}

// settle makes an entry what its facts say. It runs on every copy before it is
// written, so that one Modify holds a word, everything that follows from it, and
// the facts to publish. What the brake holds stays as it is, and due.
func (l *Lifecycle) settle(ctx context.Context, a *Account, c cause) error {
	now := l.Now()
	a.OpenUntil = time.Time{}
	if o := a.Order(OrderOpen); o.On {
		a.OpenUntil = o.Until
	}
	v := l.judge(*a, now)
	a.Turn = v.turn
	if err := l.leave(ctx, a, v, c); err != nil {
		return err
	}
	switch {
	case !v.moves(*a):
		if !v.why.Since.IsZero() && v.state != Active {
			a.Why = v.why
		}
	case v.timed && !c.turn:
		a.Turn = v.why.Since // past: the sweep's next
	default:
		ok, err := true, error(nil)
		if v.brake != "" {
			ok, err = l.unbraked(ctx, v.brake, a.ID)
		}
		if err != nil {
			return err
		}
		if ok {
			l.become(a, v, c)
		} else {
			a.Turn = v.why.Since // the sweep asks again
		}
	}
	l.affiliate(a, now, c)
	l.eraseDue(a, now, c)
	return nil
}

// moves tells whether it is another state than the account's, or the same for
// another reason. Why somebody is active or pending has a history of its own.
func (v verdict) moves(a Account) bool {
	if a.State != v.state {
		return true
	}
	return a.Why.Reason != v.why.Reason && (v.state == Suspended || v.state == Closed)
}

// leave makes the letter of whoever leaves, once for each last day, the day
// after it.
func (l *Lifecycle) leave(ctx context.Context, a *Account, v verdict, c cause) error {
	going := v.state == Active || v.why.Reason == WhyLeft
	if v.ended == "" || v.ended == a.Leaving || a.State != Active || !going {
		return nil
	}
	over, _ := policy.EndOfDay(v.ended)
	ok, err := c.turn, error(nil)
	if ok {
		ok, err = l.unbraked(ctx, BrakeLeaving, a.ID)
	}
	if !ok || err != nil {
		a.Turn = over // past: the sweep's next
		return err
	}
	a.Leaving = v.ended
	until := l.Leaving.SuspendAfter.After(over)
	a.Unsent = append(a.Unsent, Fact{
		What: events.LetterLeaving, ID: a.ID + "-leaving-" + v.ended, At: l.Now(), Actor: "worker",
		Details: map[string]string{"deadline": until.Format(time.RFC3339)},
	})
	return nil
}

// become makes the transition.
func (l *Lifecycle) become(a *Account, v verdict, c cause) {
	from := a.Why.Reason
	was := a.State
	if v.why.Since.IsZero() {
		v.why.Since = l.Now()
	}
	a.State, a.Why = v.state, v.why
	if a.Revision == 0 {
		return // it is being made: nothing was before
	}
	what := events.AuditRestored
	details := map[string]string{"from": from}
	switch v.state {
	case Suspended:
		what, details = events.AuditSuspended, map[string]string{"reason": v.why.Reason}
	case Closed:
		what, details = events.AuditClosed, map[string]string{"reason": v.why.Reason}
		a.PasswordGone = a.base() == ""
		if !a.PasswordSince.IsZero() {
			a.PasswordLost = LostByClosing
		}
	}
	if v.state == Suspended || v.state == Closed {
		a.Invitations = nil
		if was == Active {
			a.SessionsFrom = l.after(a.SessionsFrom)
		}
	}
	a.Unsent = append(a.Unsent, l.did(a, what, c, details))
}

// did is the fact of something that settle did. It is named by the write, so
// that it is told once.
func (l *Lifecycle) did(a *Account, what string, c cause, details map[string]string) Fact {
	f := Fact{What: what, ID: a.writeID(factName(what)), At: l.Now(), Actor: "worker", Cause: c.ID, Details: details}
	if c.Source != "" {
		f.Actor = actorOf(c.Source).Kind
	}
	return f
}
