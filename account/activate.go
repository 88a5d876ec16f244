package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

const (
	proofValid    = 30 * time.Minute
	wrongNumbers  = 5 // then the invitation, and nothing else, is frozen
	bestEffort    = time.Second
	deniedWindow  = "window_closed"
	deniedNumber  = "wrong_number"
	deniedSpent   = "spent"
	deniedExpired = "expired"
)

// Look says what a ticket opens. It changes nothing, however often it is
// called. A window that opens later is no error: Visit.Opens says when.
//
// Errors: ErrTicket, ErrSpent, ErrExpired, ErrFrozen, *SuspendedError,
// ErrUnavailable.
func (l *Lifecycle) Look(ctx context.Context, ticket string) (Visit, error) {
	if err := l.clock(ctx); err != nil {
		return Visit{}, err
	}
	a, inv, err := l.redeem(ctx, ticket)
	if err != nil {
		return Visit{Purpose: inv.Purpose, Language: a.Language}, err
	}
	v := Visit{Purpose: inv.Purpose, Language: a.Language, Expires: inv.Expires}
	var closed *NotOpenError
	if errors.As(l.open(a, inv), &closed) {
		v.Opens = closed.Opens
	}
	return v, nil
}

// clock refuses while the time cannot be relied on.
func (l *Lifecycle) clock(ctx context.Context) error {
	if l.Clock == nil {
		return nil
	}
	return l.Clock(ctx)
}

// redeem opens a ticket and finds its invitation, without using it.
func (l *Lifecycle) redeem(ctx context.Context, ticket string) (Account, Invitation, error) {
	id, purpose, err := l.Tickets.Open(ticket)
	if err != nil {
		return Account{}, Invitation{}, err
	}
	return l.invitation(ctx, id, purpose)
}

// invitation finds the account of an invitation and holds every check that
// does not need the person: each of them is made again at the last moment.
func (l *Lifecycle) invitation(ctx context.Context, id, purpose string) (Account, Invitation, error) {
	inv := Invitation{ID: id, Purpose: purpose}
	a, err := l.Directory.Find(ctx, Key{ByInvitation, id})
	if errors.Is(err, ErrNotFound) {
		return Account{}, inv, ErrSpent
	}
	if err != nil {
		return Account{}, inv, err
	}
	held, ok := a.Invitation(id)
	switch {
	case ok && held.Purpose == purposeReplaced:
		return a, inv, ErrReplaced
	case !ok || held.Purpose != purpose:
		return a, inv, ErrSpent
	}
	if a.State == Closed || a.State == Suspended && (purpose != PurposeReset || !a.resettable()) {
		return a, held, &SuspendedError{State: a.State, Reason: a.Why.Reason}
	}
	if purpose == PurposeActivate && a.State != Pending {
		return a, held, ErrSpent
	}
	n, err := l.Attempts.Count(ctx, attemptsKey(id))
	if err != nil {
		return a, held, err
	}
	if !l.Now().Before(held.Expires) { // after the last wait: a stopped process goes on much later
		return a, held, ErrExpired
	}
	if n >= wrongNumbers {
		return a, held, ErrFrozen
	}
	return a, held, nil
}

// purposeReplaced is what remains of an invitation that went to an address
// which is no longer the person's: its link opens nothing and can say why.
const purposeReplaced = "replaced"

// replace ends every invitation: the next goes to another address.
func (a *Account) replace() {
	a.withdraw(purposeReplaced)
	for i := range a.Invitations {
		a.Invitations[i].Purpose = purposeReplaced
	}
}

func attemptsKey(invitation string) string { return "number." + invitation }

// open says whether the window lets this purpose through now. A reset is for
// an account that was open already.
func (l *Lifecycle) open(a Account, inv Invitation) error {
	if inv.Purpose == PurposeReset || l.Now().Before(a.OpenUntil) {
		return nil
	}
	o, ok := l.opening(a)
	if !ok {
		return &SuspendedError{State: a.State, Reason: WhyLeft}
	}
	if l.Now().Before(o.At) {
		return &NotOpenError{Opens: o.At}
	}
	if !o.Closes.IsZero() && !l.Now().Before(o.Closes) {
		return ErrExpired
	}
	return nil
}

func (l *Lifecycle) proved(ctx context.Context, proof string) (Account, Invitation, error) {
	id, purpose, err := l.Tickets.openProof(proof, l.Now())
	if err != nil {
		return Account{}, Invitation{}, err
	}
	return l.invitation(ctx, id, purpose)
}

// Judge answers every password rule, for whoever has proved to be the person.
//
// Errors: ErrProof and those of Look.
func (l *Lifecycle) Judge(ctx context.Context, proof, password string) ([]Answer, error) {
	a, _, err := l.proved(ctx, proof)
	if err != nil {
		return nil, err
	}
	return l.answers(a, password), nil
}

func (l *Lifecycle) answers(a Account, password string) []Answer {
	return l.PasswordRules.Check(password, a.subject())
}

// Activate sets the password and makes the account active, in one Modify that
// also deletes the invitation. The server refuses the second click: the first
// password stands. What follows from it rides in the same Modify.
//
// Errors: ErrProof, those of Look, *NotOpenError, ErrRules, *PasswordError,
// ErrSamePassword, ErrBusy.
func (l *Lifecycle) Activate(ctx context.Context, c Choice) (Receipt, error) {
	for range writes {
		if err := l.clock(ctx); err != nil {
			return Receipt{}, err
		}
		was, inv, err := l.proved(ctx, c.Proof)
		if err == nil {
			err = l.open(was, inv)
		}
		if err != nil {
			return Receipt{Purpose: inv.Purpose, Language: was.Language}, l.denied(ctx, was, inv, err)
		}
		if !c.Rules.complete() {
			return Receipt{}, ErrRules
		}
		skipped, err := l.acceptable(ctx, was, c.Password)
		if err != nil {
			return Receipt{}, err
		}
		now := l.activated(was, inv, c.Rules, skipped)
		if err := l.clock(ctx); err != nil { // once more: the times in it were taken before
			return Receipt{}, err
		}
		if err := l.settle(ctx, &now, cause{}); err != nil {
			return Receipt{}, err
		}
		err = l.Passwords.SetPassword(ctx, was, now, c.Password)
		if errors.Is(err, ErrStale) {
			continue // somebody was faster: the next look says what that means
		}
		if err != nil {
			return Receipt{}, err
		}
		l.hurry(ctx, was.ID)
		return Receipt{
			Purpose: inv.Purpose, Username: was.Username, Name: was.Name.Full(), Language: was.Language, At: l.Now(),
			Account: was.ID, From: now.SessionsFrom,
		}, nil
	}
	return Receipt{}, fmt.Errorf("account: %w", ErrStale)
}

// acceptable holds the password against every rule before any hashing.
func (l *Lifecycle) acceptable(ctx context.Context, a Account, password string) (skipped bool, err error) {
	answers := l.answers(a, password)
	if !policy.OK(answers) {
		return false, &PasswordError{Answers: answers}
	}
	if l.Breached == nil {
		return true, nil
	}
	found, skipped, err := l.Breached(ctx, password, a)
	if err != nil {
		return false, err
	}
	if found {
		return false, &PasswordError{Answers: append(answers, Answer{Rule: "breached"})}
	}
	return skipped, nil
}

// activated is the account as the click makes it, with the facts to publish.
func (l *Lifecycle) activated(was Account, inv Invitation, rules Acceptance, skipped bool) Account {
	now, at := was.Clone(), l.Now()
	rules.At = at
	what := events.AuditActivated
	if inv.Purpose == PurposeReset {
		what = events.AuditPasswordChanged
	}
	now.activate(at)
	now.Invitations = nil
	now.PasswordSince, now.SessionsFrom, now.PasswordLost = at, l.after(was.SessionsFrom), ""
	now.Rules = rules
	details := map[string]string{"purpose": inv.Purpose}
	if skipped {
		details["breach_check"] = "skipped"
	}
	now.Unsent = append(now.Unsent,
		Fact{What: what, ID: was.ID + "-" + factName(what) + "-" + inv.ID, At: at, Invitation: inv.ID, Details: details},
		Fact{What: events.AuditRules, ID: was.ID + "-rules-" + inv.ID, At: at, Invitation: inv.ID, Details: rules.details()})
	if was.State == Suspended {
		now.Unsent = append(now.Unsent, Fact{
			What: events.AuditRestored, ID: was.ID + "-restored-" + inv.ID, At: at, Invitation: inv.ID,
			Details: map[string]string{"from": was.Why.Reason},
		})
	}
	return now
}

// activate makes the account active. Of one that is, it stays known since when.
func (a *Account) activate(at time.Time) {
	if a.State != Active || a.Why.Reason != WhyActivated {
		a.Why = Why{Reason: WhyActivated, Since: at, By: "person"}
	}
	a.State = Active
}

// factName is what a fact's ID says of it: "activated", "password-changed".
func factName(what string) string {
	return strings.TrimPrefix(strings.ReplaceAll(what, ".", "-"), "account-")
}

// hurry tells a worker that there are facts. Without it they are found a
// little later, so that nobody waits for the broker to have stored it.
func (l *Lifecycle) hurry(ctx context.Context, id string) {
	at := l.Now()
	if err := l.clock(ctx); err != nil {
		return // a time that is hours ahead would be refused
	}
	e := events.Event{
		Meta: events.Meta{ID: letterID("acted", id, at.Format(time.RFC3339Nano)), Source: events.SourcePortal, Subject: id, Time: at},
		Data: events.AccountActed{Account: id},
	}
	say := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bestEffort)
		defer cancel()
		if err := l.Publisher.Publish(ctx, e); err != nil {
			l.report("hurry", err)
		}
	}
	if l.Behind == nil {
		say()
		return
	}
	l.Behind(say)
}

func (l *Lifecycle) report(what string, err error) {
	if l.Report != nil {
		l.Report(what, err)
	}
}
