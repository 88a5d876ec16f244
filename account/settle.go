package account

import (
	"context"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// LeavingRules say what happens to an account when nothing keeps it. The steps
// follow each other from the last day on, also when that is long past; zero:
// never.
type LeavingRules struct {
	SuspendAfter   policy.Days // 30 days after the last day
	CloseAfter     policy.Days // 90 days after that, a cancellation or a death
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
	var failed error
	j := &judgement{Lifecycle: l, a: *a, now: now, may: func(v verdict) bool {
		if !v.moves(*a) {
			return true
		}
		if v.timed && !c.turn || failed != nil {
			return false
		}
		var ok bool
		ok, failed = l.unbraked(ctx, v.brake, a.ID)
		return ok && failed == nil
	}}
	v := j.verdict()
	if failed != nil {
		return failed
	}
	a.Turn = j.turn
	if a.State == Active || v.state == Active {
		if err := l.leave(ctx, a, v, j.ended, c); err != nil {
			return err
		}
	}
	switch {
	case v.moves(*a):
		l.become(a, v, c)
	case !v.why.Since.IsZero() && v.state != Active:
		v.why.Done = a.Why.Done
		a.Why = v.why
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
func (l *Lifecycle) leave(ctx context.Context, a *Account, v verdict, ended string, c cause) error {
	going := v.state == Active || v.why.Reason == WhyLeft
	if ended == "" || ended == a.Leaving || !going {
		return nil
	}
	over, _ := policy.EndOfDay(ended)
	ok, err := c.turn, error(nil)
	if ok {
		ok, err = l.unbraked(ctx, BrakeLeaving, a.ID)
	}
	if !ok || err != nil {
		a.Turn = over // past: the sweep's next
		return err
	}
	a.Leaving = ended
	until := l.Leaving.SuspendAfter.After(over)
	a.Unsent = append(a.Unsent, Fact{
		What: events.LetterLeaving, ID: a.ID + "-leaving-" + ended, At: l.Now(), Actor: "worker",
		Details: map[string]string{"deadline": until.Format(time.RFC3339)},
	})
	return nil
}

// become makes the transition.
func (l *Lifecycle) become(a *Account, v verdict, c cause) {
	from, was, had := a.Why.Reason, a.State, a.base() == ""
	if v.why.Since.IsZero() {
		v.why.Since = l.Now()
	}
	if now := l.Now(); v.state == Closed && now.After(v.why.Since) {
		v.why.Done = now
	}
	a.State, a.Why = v.state, v.why
	if a.Revision == 0 {
		return // it is being made: nothing was before
	}
	what := events.AuditRestored
	details := map[string]string{"from": from}
	if v.state == Suspended {
		what, details = events.AuditSuspended, map[string]string{"reason": v.why.Reason}
	}
	if v.state == Closed {
		what, details = events.AuditClosed, map[string]string{"reason": v.why.Reason}
		a.PasswordGone = had
	}
	if (was == Closed || v.state == Closed) && !a.PasswordSince.IsZero() && a.PasswordLost != LostByClosing {
		a.PasswordGone, a.PasswordLost = true, LostByClosing // also of one who was closed before us
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
