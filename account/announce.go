package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// announcement is one person's full state as a source tells it.
type announcement struct {
	events.Meta
	kind       string // student | employee
	name       Name
	birthDate  string
	address    string
	mobile     string
	language   string
	protection string
	reserved   bool
	numbers    []Number
	roles      []Role
	usernames  func(func(string) bool)
}

func (a announcement) told() Told {
	return Told{
		Source: a.Source, Subject: a.Subject, Recency: recency(a.Meta), Name: a.name, BirthDate: a.birthDate, Address: a.address,
		Mobile: a.mobile, Language: a.language, Protection: a.protection, Reserved: a.reserved,
	}
}

// EmployeeRegistered makes or updates the account of a person HR announces.
func (l *Lifecycle) EmployeeRegistered(ctx context.Context, m events.Meta, e events.EmployeeRegistered) error {
	return l.employee(ctx, m, e.Employee)
}

// EmployeeUpdated is full state too: for an unknown person it is a
// registration.
func (l *Lifecycle) EmployeeUpdated(ctx context.Context, m events.Meta, e events.EmployeeUpdated) error {
	return l.employee(ctx, m, e.Employee)
}

// StudentRegistered makes or updates the account of a person admissions
// announces.
func (l *Lifecycle) StudentRegistered(ctx context.Context, m events.Meta, e events.StudentRegistered) error {
	return l.student(ctx, m, e.Student)
}

// StudentUpdated is full state too: for an unknown person it is a
// registration.
func (l *Lifecycle) StudentUpdated(ctx context.Context, m events.Meta, e events.StudentUpdated) error {
	return l.student(ctx, m, e.Student)
}

func (l *Lifecycle) employee(ctx context.Context, m events.Meta, e events.Employee) error {
	a := announcement{
		Meta: m, kind: Employee, name: Name(e.Name), birthDate: e.BirthDate,
		address: e.Contact.Email, mobile: e.Contact.Mobile, language: e.Language,
		protection: e.Protection, reserved: e.PublishReservation,
	}
	for _, p := range e.Employments {
		a.roles = append(a.roles, Role{
			Kind: Employee, Key: m.Subject, ID: p.ID, Start: p.Start, End: p.End,
			Unit: p.Unit, Campus: p.Campus, Title: p.Title, Since: m.Time,
		})
	}
	return l.announce(ctx, a, e.Identifiers)
}

func (l *Lifecycle) student(ctx context.Context, m events.Meta, e events.Student) error {
	a := announcement{
		Meta: m, kind: Student, name: Name(e.Name), birthDate: e.BirthDate,
		address: e.Contact.Email, mobile: e.Contact.Mobile, language: e.Language, protection: e.Protection,
	}
	for _, p := range e.Programmes {
		a.roles = append(a.roles, Role{
			Kind: Student, Key: m.Subject, ID: p.ID, Start: p.Start, End: p.End,
			Campus: p.Campus, Intake: p.Intake, Term: p.Term, Title: called(p, e.Language), Since: m.Time,
		})
	}
	return l.announce(ctx, a, e.Identifiers)
}

// called is what a programme is called in the person's language, or in the next
// one there is; where it has no name, its code.
func called(p events.Programme, language string) string {
	return cmp.Or(p.Name[language], p.Name["nb"], p.Name["nn"], p.Name["en"], p.Code)
}

// announce is the trip of a registration: numbers, claim, entry, effects. All
// of it may happen again at any point and must not matter.
func (l *Lifecycle) announce(ctx context.Context, a announcement, ids []events.Identifier) error {
	var err error
	if a.numbers, err = l.numbers(a.Meta, ids); err != nil {
		return err
	}
	id := l.Identity.AccountID(a.Source, a.Subject)
	a.usernames = l.candidates(a, id)
	claim, made, err := l.claim(ctx, id, l.handles(a), a.usernames, a.kind == Employee)
	if err != nil {
		return parked(a.Meta, err, "data.identifiers")
	}
	if made { // nobody has been here: the directory is asked only if it refuses
		created, err := l.create(ctx, a, claim)
		if err == nil {
			return l.follow(ctx, a.Meta, step{account: created, created: true, changed: true})
		}
		if !errors.Is(err, ErrTaken) && !errors.Is(err, ErrInvalid) {
			return err
		}
	}
	acc, found, err := l.findClaimed(ctx, claim)
	if err != nil {
		return err
	}
	if !found {
		created, err := l.create(ctx, a, claim)
		if err == nil {
			return l.follow(ctx, a.Meta, step{account: created, created: true, changed: true})
		}
		if !errors.Is(err, ErrTaken) {
			return err
		}
		// Another event of this person was faster; or the name belongs to
		// somebody who is not ours.
		if acc, err = l.Directory.Find(ctx, Key{ByUsername, claim.Username}); errors.Is(err, ErrNotFound) {
			return events.Refuse(events.ReasonParked, "data",
				"the directory has an entry under the claimed username that is no account yet: matricula import says what is wrong with it; mend that, import, then replay")
		}
		if err != nil {
			return err
		}
		if acc.ID != claim.Account {
			return events.Refuse(events.ReasonParked, "data",
				"the directory has an entry under the claimed username that is not account "+claim.Account)
		}
	}
	if acc.ID != claim.Account { // merged meanwhile: what this event has claimed is the heir's
		if _, err := l.moveClaims(ctx, l.handles(a), nil, claim, Claim{acc.ID, acc.Username}); err != nil {
			return err
		}
	}
	return l.applyFullState(ctx, a, acc)
}

// numbers checks each identity number as its declared type and drops what is
// none: placeholders, and passports, which never claim or prove.
func (l *Lifecycle) numbers(m events.Meta, ids []events.Identifier) ([]Number, error) {
	var out []Number
	for i, n := range ids {
		field := fmt.Sprintf("data.identifiers[%d].value", i)
		if !policy.Proves(n.Type) {
			continue
		}
		err := policy.CheckNumber(n.Type, n.Value, policy.NumberOptions{Synthetic: l.Synthetic, At: l.Now()})
		var ne *policy.NumberError
		switch {
		case errors.As(err, &ne) && ne.Code == policy.CodePlaceholder:
			continue
		case err != nil:
			return nil, events.Refuse(events.ReasonInvalid, field, err.Error())
		}
		out = append(out, Number{Type: n.Type, Value: n.Value, Since: m.Time})
	}
	return out, nil
}

// handles are the claim keys of an announcement: numbers by rank, then the
// source's subject.
func (l *Lifecycle) handles(a announcement) []string {
	var out []string
	for rank := 4; rank > 0; rank-- {
		for _, n := range a.numbers {
			if policy.NumberRank(n.Type) == rank {
				out = append(out, l.Identity.NumberHandles(n.Type, n.Value)...)
			}
		}
	}
	return append(out, l.Identity.SourceHandles(a.Source, a.Subject)...)
}

// candidates yields usernames: the student number for students, from the name
// for employees, from neither for who is protected or reserved against
// publishing.
func (l *Lifecycle) candidates(a announcement, id string) func(func(string) bool) {
	return func(yield func(string) bool) {
		if hidden(a.protection) || a.reserved {
			policy.OpaqueUsernames(id)(yield)
			return
		}
		if a.kind == Student {
			if name, ok := policy.StudentUsername(a.Subject); ok && !yield(name) {
				return
			}
		}
		policy.Usernames(a.name.Given, a.name.Family)(yield)
	}
}

func hidden(protection string) bool {
	return strings.EqualFold(protection, "confidential") || strings.EqualFold(protection, "strictly_confidential")
}

func (l *Lifecycle) findClaimed(ctx context.Context, c Claim) (Account, bool, error) {
	acc, err := l.heir(ctx, Key{ByID, c.Account})
	if errors.Is(err, ErrNotFound) {
		return Account{}, false, nil
	}
	return acc, err == nil, err
}

// create writes the pending entry: no password, so it cannot bind. When the
// activation letter is due at once its invitation is part of the same Add.
func (l *Lifecycle) create(ctx context.Context, a announcement, c Claim) (Account, error) {
	acc := Account{
		ID: c.Account, Username: c.Username, Origin: originOf(a.Meta), State: Pending,
		Why: Why{Reason: WhyRegistered, Since: a.Time, By: actorOf(a.Source).Kind}, Revision: 0,
	}
	l.register(&acc, a)
	acc.marked(a.Meta, true)
	if err := l.settle(ctx, &acc, cause{Meta: a.Meta}); err != nil {
		return Account{}, err
	}
	l.inviteIfDue(&acc)
	if err := l.Directory.Create(ctx, acc); err != nil {
		return Account{}, fmt.Errorf("account %s: %w", acc.ID, err)
	}
	acc.Revision = 1
	return acc, nil
}

func originOf(m events.Meta) string { return m.Causes(events.Audit{What: events.AuditCreated}, "").ID }
