package account

import (
	"time"
)

// verdict is where an account may stand by the facts.
type verdict struct {
	state State
	why   Why    // Since zero: since now
	brake string // which brake must let it go there; "" for what no source's mistake can cause
	timed bool   // for the sweep alone: an event that is still on its way may say otherwise
}

func stands(s State, reason string, since time.Time, by string) verdict {
	return verdict{state: s, why: Why{Reason: reason, Since: since, By: by}}
}

// judgement derives where an account stands: a function of the entry, the time,
// and of what may not happen now.
type judgement struct {
	*Lifecycle
	a   Account
	now time.Time
	// may tells whether a verdict that needs leave has it. What has not is
	// passed over, and due.
	may   func(verdict) bool
	turn  time.Time // when it would be another; past: something is due
	ended string    // the last day when all roles are over
}

// at has the account's turn come then; later, if that is still to come.
func (j *judgement) at(t time.Time) {
	if !t.IsZero() && (j.turn.IsZero() || t.Before(j.turn)) {
		j.turn = t
	}
}

func (j *judgement) later(t time.Time) {
	if t.After(j.now) {
		j.at(t)
	}
}

// either answers the first of these that may be.
func (j *judgement) either(vs ...verdict) (verdict, bool) {
	for _, v := range vs {
		if v.state == "" {
			continue
		}
		if j.may(v) {
			return v, true
		}
		j.at(v.why.Since)
	}
	return verdict{}, false
}

// verdict is the first that applies.
func (j *judgement) verdict() verdict {
	if !j.a.Erased.IsZero() {
		return stands(Closed, WhyErased, j.a.Erased, "worker")
	}
	v := j.living()
	if v.state == Active {
		j.affiliationTurns()
	}
	if v.state == Closed {
		j.at(j.erasure(j.a, v.why.Since))
	}
	return v
}

func (j *judgement) living() verdict {
	a, base := j.a, j.a.base()
	if a.Merged != "" {
		return stands(Closed, WhyMerged, time.Time{}, "it")
	}
	for _, rule := range []func() (verdict, bool){j.tombstone, j.dead, j.over, j.neglected} {
		if v, ok := rule(); ok {
			return v
		}
	}
	if o := a.Order(OrderLock); o.On {
		return stands(Suspended, WhyLocked, o.Time, "it")
	}
	if base == WhyCompromised {
		return stands(Suspended, WhyCompromised, time.Time{}, "it")
	}
	if v, ok := j.overdue(); ok {
		return v
	}
	if base != "" {
		return stands(Pending, WhyRegistered, time.Time{}, "worker")
	}
	return stands(Active, WhyActivated, a.PasswordSince, "person")
}

// base is why an account has no password; "" when it has one. What was taken
// over and is in use has one somewhere, even where nothing of it is seen here.
func (a Account) base() string {
	used := !a.Adopted.IsZero() && a.State != Pending
	switch {
	case a.State == Closed || a.PasswordLost == LostByClosing:
		return WhyRegistered
	case a.PasswordLost != "":
		return WhyCompromised
	case a.PasswordSince.IsZero() && !used:
		return WhyRegistered
	}
	return ""
}

// tombstone: what is closed stays closed until a role counts again.
func (j *judgement) tombstone() (verdict, bool) {
	a := j.a
	if a.State != Closed || len(a.counting(j.now)) > 0 {
		return verdict{}, false
	}
	return stands(Closed, a.Why.Reason, a.Why.Since, a.Why.By), true
}

// dead: bind stops at once, and nothing is ever sent.
func (j *judgement) dead() (verdict, bool) {
	o := j.a.Order(OrderDeceased)
	if !o.On {
		return verdict{}, false
	}
	v := stands(Suspended, WhyDeceased, o.Time, actorOf(o.Source).Kind)
	v.brake = BrakeSuspended
	return j.either(j.closes(v, o.Time), v)
}

// closes is what becomes in the end of a suspension from then on; no verdict
// before.
func (j *judgement) closes(v verdict, from time.Time) verdict {
	if j.Leaving.CloseAfter == 0 {
		return verdict{}
	}
	at := j.Leaving.CloseAfter.After(from)
	if j.later(at); at.After(j.now) {
		return verdict{}
	}
	v = stands(Closed, v.why.Reason, at, "worker")
	v.brake, v.timed = BrakeClosed, true
	return v
}

// over: every role is over or was taken back. A planned end counts like any
// other once it is reached.
func (j *judgement) over() (verdict, bool) {
	var end, taken Standing
	for _, s := range j.a.Standing() {
		switch {
		case !s.Cancelled.IsZero():
			if s.Cancelled.After(taken.Cancelled) {
				taken = s
			}
		case s.Over.IsZero():
			return verdict{}, false
		case s.Over.After(end.Over):
			end = s
		}
	}
	switch {
	case end.Over.IsZero() && taken.Cancelled.IsZero():
		return verdict{}, false // no role was ever told
	case end.Over.IsZero():
		v := stands(Suspended, WhyCancelled, taken.Cancelled, actorOf(sourceOf(taken.Kind)).Kind)
		v.brake = BrakeSuspended
		return j.either(j.closes(v, taken.Cancelled), v)
	}
	j.later(end.Over)
	if j.Leaving.SuspendAfter == 0 || end.Over.After(j.now) {
		return verdict{}, false
	}
	j.ended = end.End
	at := j.Leaving.SuspendAfter.After(end.Over)
	if j.later(at); at.After(j.now) {
		return verdict{}, false
	}
	v := stands(Suspended, WhyLeft, at, "worker")
	v.brake, v.timed = BrakeSuspended, true
	return j.either(j.closes(v, at), v)
}

// neglected: nobody activated it in a long time. Who has had a password before
// is somebody who came back, and has the roles' time to choose another.
func (j *judgement) neglected() (verdict, bool) {
	if j.a.base() != WhyRegistered || !j.a.PasswordSince.IsZero() || j.Leaving.NeverActivated == 0 {
		return verdict{}, false
	}
	var last time.Time
	for _, r := range j.a.counting(j.now) {
		last = later(last, later(j.opensAt(r), r.Since)) // nobody can activate before being announced
	}
	if o := j.a.Order(OrderOpen); o.On && o.Until.After(last) && !last.IsZero() {
		last = o.Until
	}
	if last.IsZero() {
		return verdict{}, false
	}
	if j.a.Adopted.After(last) {
		last = j.a.Adopted
	}
	at := j.Leaving.NeverActivated.After(last)
	if j.later(at); at.After(j.now) {
		return verdict{}, false
	}
	v := stands(Closed, WhyNeverActivated, at, "worker")
	v.brake, v.timed = BrakeClosed, true
	return j.either(v)
}

// overdue: IT demanded a new password, and the deadline is past.
func (j *judgement) overdue() (verdict, bool) {
	o := j.a.Order(OrderChange)
	if j.a.base() != "" || !o.On || j.a.PasswordSince.After(o.Time) {
		return verdict{}, false
	}
	if j.later(o.Until); o.Until.After(j.now) {
		return verdict{}, false
	}
	return stands(Suspended, WhyChangeRequired, o.Until, "it"), true
}

// affiliationTurns: each affiliation appears with its role's own opening and
// goes with its own end; one that IT has opened goes with that.
func (j *judgement) affiliationTurns() {
	j.later(j.a.OpenUntil)
	for _, s := range j.a.Standing() {
		if s.Counts(j.now) {
			j.later(s.Over)
			j.later(j.opensAt(s.Role))
		}
	}
}
