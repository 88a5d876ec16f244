package account

import (
	"context"
	"time"

	"usn.no/matricula/events"
)

// OrderInvite is the matter of a new letter: an older wish for one does not end
// the link that a newer one made.
const OrderInvite = "invite"

// Why an order of IT's was not done, as its audit fact says.
const (
	DeniedAlready    = "already"     // it is so already
	DeniedOlder      = "older"       // a newer order about the same matter stands
	DeniedClosed     = "closed"      // nothing raises a closed account but a new role
	DeniedMerged     = "merged"      // one of two accounts was merged into a third before
	DeniedSuspended  = "suspended"   // for another reason than this order could mend
	DeniedNoPassword = "no_password" // there is none to change
	DeniedNoRole     = "no_role"     // nothing to be invited to
	DeniedNoNumber   = "no_number"   // nothing to prove with
	DeniedNoAddress  = "no_address"  // nowhere to write to
	DeniedNoWay      = "inside"      // the only address lies behind the account itself
)

// Denials lists why an order may not be done.
func Denials() []string {
	return []string{
		DeniedAlready, DeniedOlder, DeniedClosed, DeniedMerged, DeniedSuspended, DeniedNoPassword,
		DeniedNoRole, DeniedNoNumber, DeniedNoAddress, DeniedNoWay,
	}
}

// command is a word of IT's about one account.
type command struct {
	username, by string
	what         string  // the audit fact that answers it
	registers    []Order // what it joins
	// effect makes what is beside the registers, in the same Modify, and says
	// why the order led to nothing; "" when it led to something. Facts that it
	// adds are named and attributed by obey.
	effect func(was Account, now *Account) (denied string)
}

// AccountSuspended locks an account at IT's word, until IT restores it.
func (l *Lifecycle) AccountSuspended(ctx context.Context, m events.Meta, e events.AccountSuspended) error {
	return l.obey(ctx, m, command{
		username: e.Username, by: e.Actor, what: events.AuditSuspended,
		registers: []Order{{What: OrderLock, On: true, Reason: e.Reason}},
		effect:    func(was Account, now *Account) string { return now.unmoved(was, DeniedAlready) },
	})
}

// AccountRestored lifts IT's lock, and a report of death that was wrong. What
// else keeps the person out stays; of a compromised password there is a new
// letter with the way back.
func (l *Lifecycle) AccountRestored(ctx context.Context, m events.Meta, e events.AccountRestored) error {
	return l.obey(ctx, m, command{
		username: e.Username, by: e.Actor, what: events.AuditRestored,
		registers: []Order{{What: OrderLock, Reason: e.Reason}, {What: OrderDeceased, Reason: e.Reason}},
		effect: func(was Account, now *Account) string {
			if now.State != Suspended {
				return now.unmoved(was, DeniedAlready)
			}
			denied := now.unmoved(was, DeniedSuspended)
			if denied == "" && l.reachable(*now, PurposeReset) {
				now.invite(newInvitation(PurposeReset, l.Now(), l.Now().Add(l.Letters.ResetValid)))
			}
			return denied
		},
	})
}

// unmoved answers denied where an order found the state it wanted, or could
// not change.
func (a Account) unmoved(was Account, denied string) string {
	switch {
	case a.State != was.State || a.Why.Reason != was.Why.Reason:
		return ""
	case a.State == Closed:
		return DeniedClosed
	}
	return denied
}

// ChangeRequired demands a new password. Until the deadline the old one signs
// in; then it serves in the portal only, to set another.
func (l *Lifecycle) ChangeRequired(ctx context.Context, m events.Meta, e events.ChangeRequired) error {
	return l.obey(ctx, m, command{
		username: e.Username, by: e.Actor, what: events.AuditChangeRequired,
		registers: []Order{{What: OrderChange, On: true, Until: e.Deadline.UTC(), Reason: e.Reason}},
		effect: func(_ Account, now *Account) string {
			switch {
			case now.State == Closed:
				return DeniedClosed
			case now.base() != "":
				return DeniedNoPassword
			case now.changeBy().IsZero():
				return DeniedAlready // the password is newer than the demand
			}
			now.Unsent = append(now.Unsent, Fact{
				What: events.AuditChangeRequired, At: l.Now(), Details: map[string]string{"deadline": e.Deadline.UTC().Format(time.RFC3339)},
			})
			return ""
		},
	})
}

// changeBy is the deadline for a new password; zero when none is demanded, or
// there has been one since.
func (a Account) changeBy() time.Time {
	o := a.Order(OrderChange)
	if !o.On || a.base() != "" || a.PasswordSince.After(o.Time) {
		return time.Time{}
	}
	return o.Until
}

// mustChange: the password signs nobody in any more, and still shows who may
// set another.
func (a Account) mustChange() bool { return a.State == Suspended && a.Why.Reason == WhyChangeRequired }

// AccountOpened counts the window as open until a time.
func (l *Lifecycle) AccountOpened(ctx context.Context, m events.Meta, e events.AccountOpened) error {
	until := e.Until.UTC()
	return l.obey(ctx, m, command{
		username: e.Username, by: e.Actor, what: events.AuditUpdated,
		registers: []Order{{What: OrderOpen, On: true, Until: until, Reason: e.Reason}},
		effect: func(was Account, now *Account) string {
			switch {
			case now.State == Closed:
				return DeniedClosed
			case was.OpenUntil.Equal(until):
				return DeniedAlready
			}
			now.Unsent = append(now.Unsent, Fact{
				What: events.AuditUpdated, At: l.Now(), Details: map[string]string{"open_until": until.Format(time.RFC3339)},
			})
			return ""
		},
	})
}

// AccountInvited makes a new link in place of those that went out, and sends
// it: to activate, also ahead of the letter's own day, or to a new password.
func (l *Lifecycle) AccountInvited(ctx context.Context, m events.Meta, e events.AccountInvited) error {
	return l.obey(ctx, m, command{
		username: e.Username, by: e.Actor, what: events.AuditInvited,
		registers: []Order{{What: OrderInvite, On: true, Reason: e.Reason}},
		effect: func(_ Account, now *Account) string {
			purpose, expires := PurposeReset, l.Now().Add(l.Letters.ResetValid)
			if now.State == Pending {
				o, _ := l.opening(*now)
				purpose, expires = PurposeActivate, l.Letters.Valid.Expires(now.studyStart(l.Now()), o.At, l.Now())
			}
			if denied := l.uninvitable(*now, purpose); denied != "" {
				return denied
			}
			now.invite(newInvitation(purpose, l.Now(), expires))
			return ""
		},
	})
}

// invite puts a new invitation in place of those of its purpose. The letter is
// made of the fact, for as long as the invitation holds.
func (a *Account) invite(inv Invitation) {
	a.withdraw(inv.Purpose)
	a.Invitations = append(a.Invitations, inv)
	a.Unsent = append(a.Unsent, Fact{
		What: events.AuditInvited, At: inv.Created, Invitation: inv.ID, Details: map[string]string{"purpose": inv.Purpose},
	})
}

// resettable: a link to a new password leads somewhere.
func (a Account) resettable() bool {
	return a.State == Active || a.State == Suspended && (a.Why.Reason == WhyCompromised || a.mustChange())
}

// uninvitable says why no link can go to this person.
func (l *Lifecycle) uninvitable(a Account, purpose string) string {
	if l.reachable(a, purpose) {
		return ""
	}
	switch _, proves := a.current(); {
	case a.State == Closed:
		return DeniedClosed
	case a.State == Suspended && !a.resettable():
		return DeniedSuspended
	case a.State == Pending && len(a.counting(l.Now())) == 0:
		return DeniedNoRole
	case a.State == Pending && !proves:
		return DeniedNoNumber
	case a.Address == "":
		return DeniedNoAddress
	}
	return DeniedNoWay
}

// orderLetter is the letter that an order leads to. A link that was used,
// withdrawn or outlived meanwhile is not sent.
func (l *Lifecycle) orderLetter(a Account, f Fact) []events.Event {
	switch f.What {
	case events.AuditChangeRequired:
		id := letterID(events.LetterChangeRequired, a.ID, f.ID)
		r := l.letter(a, events.LetterChangeRequired, id)
		if at, err := time.Parse(time.RFC3339, f.Details["deadline"]); err == nil {
			r.Deadline = &at
		}
		return []events.Event{events.Once(id, f.At, r)}
	case events.AuditInvited:
		inv, ok := a.Invitation(f.Invitation)
		switch {
		case !ok || !inv.Expires.After(l.Now()):
		case inv.Purpose == PurposeReset:
			return []events.Event{l.resetLetter(a, inv, "")}
		default:
			return l.invited(events.Meta{}, a, inv)[:1]
		}
	}
	return nil
}

// obey takes an order of IT's: registers, effect, and the fact that answers it,
// in one Modify. Whatever comes of it, one audit fact has the order's ID as its
// cause: whoever gave it can wait for that.
func (l *Lifecycle) obey(ctx context.Context, m events.Meta, o command) error {
	a, err := l.heir(ctx, Key{ByUsername, o.username})
	if err != nil {
		return l.orWait(m, err)
	}
	older := false
	a, err = l.updateHeir(ctx, a.ID, func(now *Account) (bool, error) {
		was, news, again := now.Clone(), false, false
		for _, r := range o.registers {
			r.By, r.Source, r.Subject, r.Recency = o.by, m.Source, m.Subject, recency(m)
			again = again || now.Order(r.What).same(r)
			news = now.order(r) || news
		}
		if older = !news && !again; !news {
			return false, nil
		}
		if err := l.settle(ctx, now, cause{Meta: m}); err != nil {
			return false, err
		}
		if denied := o.effect(was, now); denied != "" {
			now.Unsent = append(now.Unsent, Fact{What: o.what, At: l.Now(), Outcome: "denied", Details: map[string]string{"reason": denied}})
		}
		now.attribute(m, o.by, len(was.Unsent))
		return true, nil
	})
	if err != nil {
		return l.orWait(m, err)
	}
	if err := l.follow(ctx, m, step{account: a, again: true, carried: true}); err != nil || !older {
		return err
	}
	f := Fact{What: o.what, At: l.Now(), Outcome: "denied", Details: map[string]string{"reason": DeniedOlder}}
	f.attribute(m, o.by, a.ID)
	return l.Publisher.Publish(ctx, l.factEvents(a, f)...)
}

func (o Order) same(as Order) bool {
	return o.Source == as.Source && o.Subject == as.Subject && o.compare(as.Recency) == 0
}

// attribute says of the facts from the n-th on that m caused them, and who is
// behind it. Named by their cause, they are told once.
func (a *Account) attribute(m events.Meta, by string, n int) {
	for i := range a.Unsent[n:] {
		a.Unsent[n+i].attribute(m, by, a.ID)
	}
}

func (f *Fact) attribute(m events.Meta, by, account string) {
	f.ID = m.Causes(events.Audit{What: f.What}, account).ID
	if f.Invitation != "" {
		f.ID = account + "-invited-" + f.Invitation // one fact for each, whoever asked
	}
	f.Actor, f.By, f.Cause = actorOf(m.Source).Kind, by, m.ID
}
