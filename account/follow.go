package account

import (
	"context"
	"slices"
	"strings"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// step is what one event did to an account, as far as something follows from
// it: audit events and letters. again says that the event had been applied
// before, so that everything that may be missing is published again; all of it
// has the same ID as the first time.
type step struct {
	account     Account
	created     bool
	changed     bool
	renumbered  bool
	readdressed bool
	again       bool
	carried     bool
}

// follow publishes what follows from a step, all together.
func (l *Lifecycle) follow(ctx context.Context, m events.Meta, s step) error {
	var out effects
	switch {
	case s.created:
		out.add(l.fact(m, s.account, events.AuditCreated, s.account.ID+"-created", l.Now()))
	case s.changed && !s.carried:
		updated := m.Causes(events.Audit{
			What: events.AuditUpdated, Account: s.account.ID, Actor: actorOf(m.Source), Outcome: "done", Cause: m.ID,
		}, s.account.ID)
		updated.Time = l.Now() // when it was done; the source recorded it earlier
		out.add(updated)
	}
	if s.created || s.renumbered || s.readdressed || s.again {
		if err := l.soLetter(&out, m, s.account); err != nil {
			return err
		}
	}
	if s.created || s.changed || s.again {
		if err := l.activationLetter(ctx, &out, m, s.account, s.again); err != nil {
			return err
		}
	}
	if err := l.publish(ctx, out); err != nil {
		return err
	}
	return l.publishFacts(ctx, s.account)
}

func (l *Lifecycle) fact(m events.Meta, a Account, what, name string, at time.Time) events.Event {
	return events.Once(name, at, events.Audit{
		What: what, Account: a.ID, Actor: actorOf(m.Source), Outcome: "done", Cause: m.ID,
	})
}

// soLetter mails the temporary number: at once when it is the number in force,
// once per number, only while it is needed, which is before activation.
func (l *Lifecycle) soLetter(out *effects, m events.Meta, a Account) error {
	n, ok := a.current()
	if !ok || n.Type != "so" || a.State != Pending || a.Address == "" {
		return nil
	}
	id := letterID(events.LetterSONumber, a.ID, l.Identity.kept().NumberHandle(n.Type, n.Value), a.Address)
	sealed, err := l.Seal(id, n.Value)
	if err != nil {
		return err
	}
	r := l.letter(a, events.LetterSONumber, id)
	r.SONumber = sealed
	if o, ok := l.opening(a); ok && o.At.After(l.Now()) {
		r.Opens = &o.At
	}
	out.add(events.Once(id, m.Time, r))
	return nil
}

// letter fills in what every letter has. Protected persons get no more than
// everybody does: no unit, campus or programme stands in any letter.
func (l *Lifecycle) letter(a Account, template, id string) events.MailRequest {
	lang := a.Language
	if lang == "" {
		lang = "nb"
	}
	return events.MailRequest{
		Template: template, Letter: id, Account: a.ID, Language: lang, Address: a.Address,
		Name: a.Name.Full(), Role: a.leadingRole(l.Now()), Username: a.Username,
	}
}

func (a Account) leadingRole(now time.Time) string {
	roles := a.counting(now)
	if len(roles) == 0 {
		roles = a.Roles
	}
	for _, r := range roles {
		if r.Kind == Employee {
			return Employee
		}
	}
	return Student
}

// letterID names a letter by what it tells whom: the same cause makes the same
// letter, which is sent once.
func letterID(parts ...string) string {
	m := events.Meta{Source: "letter", ID: strings.Join(parts, "|")}
	return m.Causes(events.WaitingLetter{}, "").ID
}

func (l *Lifecycle) openingOf(r Role) policy.Opening {
	return l.Windows.Opening(policy.Admission{Population: r.Kind, Intake: r.Intake, Start: r.Start, Recorded: r.Since})
}

// opening is the earliest opening of any role that counts, under the windows in
// force now, or since when IT has opened it for this person alone. ok is false
// when the person has none.
func (l *Lifecycle) opening(a Account) (policy.Opening, bool) {
	var best policy.Opening
	found := false
	for _, r := range a.counting(l.Now()) {
		o := l.openingOf(r)
		if !found || o.At.Before(best.At) {
			best, found = o, true
		}
	}
	if early := a.Order(OrderOpen); found && early.Time.Before(best.At) && l.Now().Before(a.OpenUntil) {
		best = policy.Opening{At: early.Time, Closes: a.OpenUntil}
	}
	return best, found
}

// activationLetter sees that the letter with the link goes out: now when it is
// due, else it waits for its window. It needs a number that proves and an
// address; without them the account is pending and cannot activate. An event
// that comes again brings no new link where one has expired meanwhile: its
// holder asks for one.
func (l *Lifecycle) activationLetter(ctx context.Context, out *effects, m events.Meta, a Account, again bool) error {
	o, ok := l.opening(a)
	if !ok || !l.invitable(a) {
		return nil
	}
	inv, invited := a.invitationFor(PurposeActivate, l.Now())
	if !invited && again && slices.ContainsFunc(a.Invitations, func(i Invitation) bool { return i.Purpose == PurposeActivate }) {
		return nil
	}
	if due := policy.LetterDue(o, recorded(a), l.Letters.InviteBefore); !invited && !l.reached(due) {
		out.wait(m, events.WaitingLetter{Account: a.ID, Kind: events.LetterActivation, Group: o.Group}, due)
		return nil
	}
	if !invited {
		after, err := l.invite(ctx, a.ID)
		if err != nil {
			return err
		}
		if inv, invited = after.invitationFor(PurposeActivate, l.Now()); !invited {
			return nil // it changed meanwhile: whoever changed it sees to it
		}
		a = after
	}
	out.add(l.invited(m, a, inv)...)
	if remind := o.At.Add(l.Letters.Reminder); l.Letters.Reminder > 0 && o.Group != "" && remind.After(l.Now()) {
		out.wait(m, events.WaitingLetter{Account: a.ID, Kind: events.LetterReminder, Group: o.Group}, remind)
	}
	return nil
}

// invitable: pending, with a number that proves and an address.
func (l *Lifecycle) invitable(a Account) bool {
	_, proves := a.current()
	return a.State == Pending && proves && a.Address != ""
}

func recorded(a Account) time.Time {
	var first time.Time
	for _, r := range a.Roles {
		if first.IsZero() || r.Since.Before(first) {
			first = r.Since
		}
	}
	return first
}

func (a Account) invitationFor(purpose string, now time.Time) (Invitation, bool) {
	for _, i := range a.Invitations {
		if i.Purpose == purpose && i.Expires.After(now) {
			return i, true
		}
	}
	return Invitation{}, false
}

// inviteIfDue adds the invitation to an account that is about to be created or
// updated, where its letter is due.
func (l *Lifecycle) inviteIfDue(a *Account) bool {
	o, ok := l.opening(*a)
	if !ok || !l.invitable(*a) || !l.reached(policy.LetterDue(o, recorded(*a), l.Letters.InviteBefore)) {
		return false
	}
	if _, ok := a.invitationFor(PurposeActivate, l.Now()); ok {
		return false
	}
	a.withdraw(PurposeActivate)
	a.Invitations = append(a.Invitations, newInvitation(PurposeActivate, l.Now(), l.Letters.Valid.Expires(a.studyStart(l.Now()), o.At, l.Now())))
	return true
}

// studyStart is the latest start date of a role, which the invitation must
// outlast; empty when none is known.
func (a Account) studyStart(now time.Time) string {
	last := ""
	for _, r := range a.counting(now) {
		if r.Start > last {
			last = r.Start
		}
	}
	return last
}

func (a *Account) withdraw(purpose string) {
	var keep []Invitation
	for _, i := range a.Invitations {
		if i.Purpose != purpose {
			keep = append(keep, i)
		}
	}
	a.Invitations = keep
}

// invite adds an invitation to an entry that has none in force.
func (l *Lifecycle) invite(ctx context.Context, id string) (Account, error) {
	return l.update(ctx, Key{ByID, id}, func(now *Account) (bool, error) { return l.inviteIfDue(now), nil })
}

// invited are the events of an invitation: the letter and the audit fact.
func (l *Lifecycle) invited(m events.Meta, a Account, inv Invitation) []events.Event {
	id := letterID(events.LetterActivation, inv.ID)
	r := l.letter(a, events.LetterActivation, id)
	r.Invitation, r.Purpose, r.Expires = inv.ID, inv.Purpose, &inv.Expires
	if o, ok := l.opening(a); ok && o.At.After(l.Now()) {
		r.Opens = &o.At
	}
	return []events.Event{
		events.Once(id, inv.Created, r),
		l.fact(m, a, events.AuditInvited, a.ID+"-invited-"+inv.ID, inv.Created),
	}
}

// Opens says when an account opens under the windows in force; zero means at
// once, and ok is false when the person has no role.
func (l *Lifecycle) Opens(a Account) (at time.Time, ok bool) {
	if a.OpenUntil.After(l.Now()) {
		return time.Time{}, true
	}
	o, ok := l.opening(a)
	return o.At, ok
}

// Lacks names what keeps a pending account from ever being invited: "number",
// "address" or "role"; "" when nothing does.
func (l *Lifecycle) Lacks(a Account) string {
	_, proves := a.current()
	switch {
	case a.State != Pending:
		return ""
	case len(a.counting(l.Now())) == 0:
		return "role"
	case !proves:
		return "number"
	case a.Address == "":
		return "address"
	}
	return ""
}
