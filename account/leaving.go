package account

import (
	"context"
	"fmt"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

const deceased = "deceased" // the reason of an end, in both sources

// EmployeeEnded ends one employment, or all.
func (l *Lifecycle) EmployeeEnded(ctx context.Context, m events.Meta, e events.EmployeeEnded) error {
	return l.ended(ctx, m, Ending{ID: e.Employment, End: e.End, Reason: e.Reason})
}

// EmployeeCancelled takes back an employment that never began, or all.
func (l *Lifecycle) EmployeeCancelled(ctx context.Context, m events.Meta, e events.EmployeeCancelled) error {
	return l.ended(ctx, m, Ending{ID: e.Employment, Reason: e.Reason, Cancelled: true})
}

// StudentEnded ends one programme, or all.
func (l *Lifecycle) StudentEnded(ctx context.Context, m events.Meta, e events.StudentEnded) error {
	return l.ended(ctx, m, Ending{ID: e.Programme, End: e.End, Reason: e.Reason})
}

// ended joins a word about the end of a role. Nobody dies in one role only: a
// death stands beside the roles, and only IT takes it back.
func (l *Lifecycle) ended(ctx context.Context, m events.Meta, e Ending) error {
	claim, err := l.known(ctx, m, m.Source, m.Subject)
	if err != nil {
		return err
	}
	e.Source, e.Subject, e.Recency = m.Source, m.Subject, recency(m)
	return l.change(ctx, Key{ByID, claim.Account}, m, func(a *Account) bool {
		news := a.end(e)
		if e.Reason == deceased {
			news = a.order(Order{What: OrderDeceased, On: true, Source: e.Source, Subject: e.Subject, Recency: e.Recency}) || news
		}
		return news
	})
}

// EmployeeIDChanged replaces an identity number by another.
func (l *Lifecycle) EmployeeIDChanged(ctx context.Context, m events.Meta, e events.EmployeeIDChanged) error {
	return l.renumber(ctx, m, e.IDChange)
}

// StudentIDChanged replaces an identity number by another.
func (l *Lifecycle) StudentIDChanged(ctx context.Context, m events.Meta, e events.StudentIDChanged) error {
	return l.renumber(ctx, m, e.IDChange)
}

// renumber puts a number into another's place: a higher one while somebody
// studies, or one of the same kind where a register was wrong or the person's
// legal gender changed. Account, username and password stay. The old number
// proves as before and is shown nowhere.
func (l *Lifecycle) renumber(ctx context.Context, m events.Meta, e events.IDChange) error {
	if policy.NumberRank(e.New.Type) < policy.NumberRank(e.Old.Type) {
		return events.Refuse(events.ReasonInvalid, "data.new.type",
			fmt.Sprintf("%s is below %s: a number is replaced by a higher one, or corrected within its type", e.New.Type, e.Old.Type))
	}
	ns, err := l.numbers(m, []events.Identifier{e.New})
	if err != nil {
		r, _ := events.Rejected(err)
		return events.Refuse(r.Reason, "data.new.value", r.Text)
	}
	claim, err := l.known(ctx, m, m.Source, m.Subject)
	if err != nil {
		return err
	}
	// What is wrong with the old one may be why it is replaced.
	if old, err := l.numbers(m, []events.Identifier{e.Old}); err == nil {
		ns = append(ns, old...)
	}
	var handles []string
	for _, n := range ns {
		handles = append(handles, l.Identity.NumberHandles(n.Type, n.Value)...)
	}
	if err := l.join(ctx, claim, handles, nil); err != nil {
		return parked(m, err, "data.new.value")
	}
	return l.change(ctx, Key{ByID, claim.Account}, m, func(a *Account) bool {
		news := addNumbers(a, ns)
		news = addHandles(a, handles) || news
		return a.renumber(e, m) || news
	})
}

// renumber joins the word that one number replaced another.
func (a *Account) renumber(e events.IDChange, m events.Meta) bool {
	if e.Old == e.New {
		return false
	}
	news, at := false, m.Time.UTC()
	for i := range a.Numbers {
		n := &a.Numbers[i]
		switch (events.Identifier{Type: n.Type, Value: n.Value}) {
		case e.Old:
			if at.After(n.Replaced) {
				n.Replaced, news = at, true
			}
		case e.New:
			if at.After(n.Renewed) {
				n.Renewed, news = at, true
			}
		}
	}
	return news
}
