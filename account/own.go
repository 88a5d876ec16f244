package account

import (
	"context"
	"errors"
	"slices"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// Own is an account as its owner sees it.
type Own struct {
	ID, Username, Name, Language string
	// Names are the parts that a password must not hold: see Proof.Names.
	Names []string

	State State
	Roles []OwnRole
	Rules Acceptance
	// Registered is when the first role was recorded, Active since when the
	// account is active, Password when it was last set; zero: not known.
	Registered, Active, Password time.Time
	// ChangeBy is the deadline of a new password that IT demands; zero: none is.
	ChangeBy time.Time
	// Untold: something was done of which no worker has told anybody yet; the
	// letter about it is still to be made.
	Untold bool
	// From is what a session is bound to: with a new password, a compromise or
	// "sign out everywhere" it is another.
	From time.Time
}

// OwnRole is one role with its opening; zero Opens: open already. Published:
// other services are told that the person has it.
type OwnRole struct {
	Kind, Title, Unit, Campus, Start, End string
	Opens                                 time.Time
	Published                             bool
}

// Own is the account of a session.
//
// Errors: ErrSignedOut when the session is over, ErrUnavailable.
func (l *Lifecycle) Own(ctx context.Context, id string, from time.Time) (Own, error) {
	a, err := l.session(ctx, id, from)
	if err != nil {
		return Own{}, err
	}
	return l.own(a), nil
}

func (l *Lifecycle) session(ctx context.Context, id string, from time.Time) (Account, error) {
	a, err := l.Directory.Find(ctx, Key{ByID, id})
	if errors.Is(err, ErrNotFound) || err == nil && !a.holds(from) {
		return Account{}, ErrSignedOut
	}
	return a, err
}

// holds tells whether a session that began under from still does.
func (a Account) holds(from time.Time) bool { return a.State == Active && a.SessionsFrom.Equal(from) }

// SignOut ends every session of the account.
//
// Errors: ErrSignedOut when this one is over already, ErrUnavailable.
func (l *Lifecycle) SignOut(ctx context.Context, id string, from time.Time) error {
	_, err := l.inSession(ctx, id, from, func(now *Account) bool {
		now.SessionsFrom = l.after(now.SessionsFrom)
		now.Unsent = append(now.Unsent, Fact{What: events.AuditSessionsEnded, ID: now.writeID("sessions-ended"), At: l.Now()})
		return true
	})
	return err
}

// AcceptRules records that the person of a session has read and accepted the
// IT rules as shown. Accepting the same text again changes nothing.
//
// Errors: ErrSignedOut, ErrRules when it is not said what was accepted,
// ErrUnavailable.
func (l *Lifecycle) AcceptRules(ctx context.Context, id string, from time.Time, rules Acceptance) (Own, error) {
	if !rules.complete() {
		return Own{}, ErrRules
	}
	a, err := l.inSession(ctx, id, from, func(now *Account) bool {
		if now.Rules.Version == rules.Version && now.Rules.Hash == rules.Hash {
			return false // in another tab
		}
		rules.At = l.Now()
		now.Rules = rules
		now.Unsent = append(now.Unsent, Fact{What: events.AuditRules, ID: now.writeID("rules"), At: rules.At, Details: rules.details()})
		return true
	})
	if err != nil {
		return Own{}, err
	}
	return l.own(a), nil
}

// inSession is update for the person of a session, whose facts a worker is
// told of at once.
func (l *Lifecycle) inSession(ctx context.Context, id string, from time.Time, change func(*Account) bool) (Account, error) {
	changed := false
	a, err := l.update(ctx, Key{ByID, id}, func(now *Account) (bool, error) {
		if !now.holds(from) {
			return false, ErrSignedOut
		}
		changed = change(now)
		return changed, nil
	})
	if errors.Is(err, ErrNotFound) {
		err = ErrSignedOut
	}
	if err == nil && changed {
		l.hurry(ctx, id)
	}
	return a, err
}

func (r Acceptance) complete() bool { return r.Version != "" && r.Hash != "" && r.Language != "" }

func (r Acceptance) details() map[string]string {
	return map[string]string{"version": r.Version, "hash": r.Hash, "language": r.Language}
}

// after is now, and always later than t: sessions are told apart by it.
func (l *Lifecycle) after(t time.Time) time.Time {
	if now := l.Now(); now.After(t) {
		return now
	}
	return t.Add(time.Millisecond)
}

func (l *Lifecycle) own(a Account) Own {
	o := Own{
		ID: a.ID, Username: a.Username, Name: a.Name.Full(), Names: a.names(), Language: a.Language, State: a.State,
		Rules: a.Rules, Registered: Known(recorded(a)), Password: Known(a.PasswordSince), ChangeBy: a.changeBy(), Untold: len(a.Unsent) > 0, From: a.SessionsFrom,
	}
	if a.State == Active && a.Why.Reason == WhyActivated {
		o.Active = Known(a.Why.Since)
	}
	for _, s := range a.Standing() {
		if !s.Cancelled.IsZero() {
			continue
		}
		r := s.Role
		own := OwnRole{
			Kind: r.Kind, Title: r.Title, Unit: r.Unit, Campus: r.Campus, Start: r.Start, End: r.End,
			Published: slices.Contains(a.Affiliations, r.Kind),
		}
		op := l.Windows.Opening(policy.Admission{Population: r.Kind, Intake: r.Intake, Start: r.Start, Recorded: r.Since})
		if op.At.After(l.Now()) {
			own.Opens = op.At
		}
		o.Roles = append(o.Roles, own)
	}
	return o
}

// subject is what a password of this account must not hold parts of.
func (a Account) subject() policy.Subject {
	return policy.Subject{Given: a.Name.Given, Family: a.Name.Family, Preferred: a.Name.Preferred, Username: a.Username}
}

func (a Account) names() []string {
	s := a.subject()
	return slices.DeleteFunc([]string{s.Given, s.Family, s.Preferred, s.Username}, func(name string) bool { return name == "" })
}
