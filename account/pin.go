package account

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// PINs carries sealed PINs to the access system, and knows what became of them.
//
// Errors: ErrUnavailable.
type PINs interface {
	// Offer puts one where the access system fetches it, in place of an older
	// one of the same account and campus. It may be called again, and does
	// nothing where a newer one has been offered.
	Offer(ctx context.Context, e events.Event) error
	// Mark answers how far the newest PIN of an account at a campus has come;
	// sequence 0: none is known.
	Mark(ctx context.Context, account, campus string) (events.PINMark, error)
}

// PINRules are those of the door code.
type PINRules struct {
	Length int           // digits; 0: the university's four
	Valid  time.Duration // how long one waits for the access system
}

// SealedPIN is a PIN as the fact carries it, closed to the access system's key:
// whoever reads the directory reads none.
type SealedPIN struct {
	Campus   string `json:"campus"`
	Sequence uint64 `json:"sequence"`
	Key      string `json:"key"`
	Sealed   string `json:"sealed"`
}

// Where a PIN stands beside what the access system says of it.
const (
	PINNone    = ""        // none was set here, or so long ago that nobody knows
	PINExpired = "expired" // the access system did not fetch it in time
	PINEarly   = "early"   // the role at this campus is not open yet
	PINFailed  = events.PINFailed
)

// pinsAnHour is how often a person may set a PIN.
const pinsAnHour = 3

// ErrNoCampus: none of the person's roles that are open names a campus.
var ErrNoCampus = errors.New("no open role has a campus")

// PINError says which rules a PIN breaks.
type PINError struct{ Answers []Answer }

func (e *PINError) Error() string { return "pin does not meet the rules" }

// OftenError: the person has set a PIN several times within the hour.
type OftenError struct{ Until time.Time }

func (e *OftenError) Error() string { return "pin was set several times within the hour" }

// CampusPIN is one campus of a person, and how far the PIN has come there.
type CampusPIN struct {
	Campus string
	State  string    // one of the PIN constants here and in package events
	At     time.Time // since when
	Opens  time.Time // of PINEarly
}

// PINChoice is a complete form. Account and From are of the session, which
// alone is not enough: Try shows the password once more.
type PINChoice struct {
	Account string
	From    time.Time
	Try     Try
	PIN     string
}

// PIN answers how far the PIN of a session's account has come, campus by
// campus.
//
// Errors: ErrSignedOut, ErrUnavailable.
func (l *Lifecycle) PIN(ctx context.Context, id string, from time.Time) (Own, []CampusPIN, error) {
	a, err := l.session(ctx, id, from)
	if err != nil {
		return Own{}, nil, err
	}
	all := l.campuses(a)
	for i := range all {
		if all[i].State == PINEarly {
			continue
		}
		if err := l.follows(ctx, a, &all[i]); err != nil {
			return Own{}, nil, err
		}
	}
	return l.own(a), all, nil
}

// follows fills in how far the newest PIN has come: one that no worker has
// taken out of the entry yet is requested, too.
func (l *Lifecycle) follows(ctx context.Context, a Account, c *CampusPIN) error {
	mark, err := l.PINs.Mark(ctx, a.ID, c.Campus)
	if err != nil {
		return err
	}
	c.State, c.At = mark.State, mark.At
	if p, at, ok := a.carried(c.Campus); ok && p.Sequence > mark.Sequence {
		c.State, c.At = events.PINRequested, at
	}
	if c.State == events.PINRequested && l.PINRules.Valid > 0 && !l.Now().Before(c.At.Add(l.PINRules.Valid)) {
		c.State = PINExpired
	}
	return nil
}

// SetPIN closes a new PIN to the access system's key, once for each campus
// where the person has an open role, and leaves it in the entry, from where a
// worker offers it. It is written down nowhere readable.
//
// Errors: ErrSignedOut, those of SignIn but ErrBreached, *PINError,
// ErrNoCampus, *OftenError.
func (l *Lifecycle) SetPIN(ctx context.Context, c PINChoice) (Own, error) {
	a, err := l.session(ctx, c.Account, c.From)
	if err != nil {
		return Own{}, err
	}
	c.Try.Username = a.Username // who signed in decides, not the form
	knew, err := l.verified(ctx, c.Try)
	if err != nil {
		return Own{}, err
	}
	if answers := policy.CheckPIN(c.PIN, knew.BirthDate, l.PINRules.Length); !policy.OK(answers) {
		return Own{}, &PINError{Answers: answers}
	}
	places := l.doors(knew)
	if len(places) == 0 {
		return Own{}, ErrNoCampus
	}
	if err := l.allowPIN(ctx, a.ID); err != nil {
		return Own{}, err
	}
	a, err = l.update(ctx, Key{ByID, a.ID}, func(now *Account) (bool, error) {
		if !now.holds(c.From) || !now.PasswordSince.Equal(knew.PasswordSince) {
			return false, ErrSignedOut // the password was right for the account as it was then only
		}
		return true, l.carryPIN(ctx, now, places, c.PIN)
	})
	if errors.Is(err, ErrNotFound) {
		err = ErrSignedOut
	}
	if err != nil {
		return Own{}, err
	}
	l.hurry(ctx, a.ID)
	return l.own(a), nil
}

// allowPIN counts one PIN of a person.
func (l *Lifecycle) allowPIN(ctx context.Context, id string) error {
	begins := l.Now().UTC().Truncate(time.Hour)
	n, err := l.Attempts.Add(ctx, l.limit("pin", begins, id))
	if err == nil && n > pinsAnHour {
		err = &OftenError{Until: begins.Add(time.Hour)}
	}
	return err
}

// carryPIN adds the fact with the sealed PINs. Each is newer than every other
// of its campus: those that still are in the entry, and those that are not,
// which have been offered. A clock alone would not do; there are many portals.
func (l *Lifecycle) carryPIN(ctx context.Context, now *Account, places []door, pin string) error {
	f := Fact{What: events.AuditPIN, ID: now.writeID("pin-set"), At: l.Now()}
	var campuses []string
	for _, p := range places {
		mark, err := l.PINs.Mark(ctx, now.ID, p.campus)
		if err != nil {
			return err
		}
		held, _, _ := now.carried(p.campus)
		one := SealedPIN{Campus: p.campus, Sequence: max(uint64(f.At.UnixMilli()), mark.Sequence+1, held.Sequence+1)}
		one.Sealed, one.Key, err = l.SealPIN(now.ID, p.campus, one.Sequence, events.PINHolder{PIN: pin, Username: now.Username, Numbers: p.numbers})
		if err != nil {
			return err
		}
		f.PINs, campuses = append(f.PINs, one), append(campuses, p.campus)
	}
	f.Details = map[string]string{"campus": strings.Join(campuses, ", ")}
	now.Unsent = append(now.Unsent, f)
	return nil
}

// carried is the newest PIN for a campus that rides in the entry, and when it
// was set.
func (a Account) carried(campus string) (newest SealedPIN, at time.Time, ok bool) {
	for _, f := range a.Unsent {
		for _, p := range f.PINs {
			if events.CampusKey(p.Campus) == events.CampusKey(campus) && p.Sequence > newest.Sequence {
				newest, at, ok = p, f.At, true
			}
		}
	}
	return newest, at, ok
}

// offerPINs hands the newest PIN of each campus that rides in the entry to the
// access system; an older one beside it is never worth fetching.
func (l *Lifecycle) offerPINs(ctx context.Context, a Account) error {
	for _, f := range a.Unsent {
		for _, p := range f.PINs {
			if newest, _, _ := a.carried(p.Campus); newest.Sequence != p.Sequence {
				continue
			}
			e := events.Once(f.ID+"-"+events.CampusKey(p.Campus), f.At, events.PINSet{Account: a.ID, Campus: p.Campus, Key: p.Key, Sealed: p.Sealed})
			e.Meta.Subject, e.Sequence = a.ID, p.Sequence
			if err := l.PINs.Offer(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}

// door is a campus where a person has an open role, and the person's numbers
// in the roles there.
type door struct {
	campus  string
	numbers []string
}

// doors are the campuses that a PIN set now is for.
func (l *Lifecycle) doors(a Account) []door {
	var out []door
	for _, r := range a.counting(l.Now()) {
		if r.Campus == "" || l.early(a, r) {
			continue
		}
		i := slices.IndexFunc(out, func(d door) bool { return events.CampusKey(d.campus) == events.CampusKey(r.Campus) })
		if i < 0 {
			i, out = len(out), append(out, door{campus: r.Campus})
		}
		if number := r.Kind + ":" + r.Key; r.Key != "" && !slices.Contains(out[i].numbers, number) {
			out[i].numbers = append(out[i].numbers, number)
		}
	}
	slices.SortFunc(out, func(x, y door) int { return cmp.Compare(x.campus, y.campus) })
	return out
}

// campuses are all a person has or will have, those of roles that open later
// last.
func (l *Lifecycle) campuses(a Account) []CampusPIN {
	var out []CampusPIN
	for _, d := range l.doors(a) {
		out = append(out, CampusPIN{Campus: d.campus})
	}
	open := len(out)
	for _, r := range a.counting(l.Now()) {
		if r.Campus == "" || !l.early(a, r) {
			continue
		}
		opens := l.opensAt(r)
		i := slices.IndexFunc(out, func(c CampusPIN) bool { return events.CampusKey(c.Campus) == events.CampusKey(r.Campus) })
		switch {
		case i < 0:
			out = append(out, CampusPIN{Campus: r.Campus, State: PINEarly, Opens: opens})
		case i >= open && opens.Before(out[i].Opens):
			out[i].Opens = opens
		}
	}
	return out
}

// early: the role is not open yet, and IT has not opened the account either.
func (l *Lifecycle) early(a Account, r Role) bool {
	return l.opensAt(r).After(l.Now()) && !l.Now().Before(a.OpenUntil)
}

func (l *Lifecycle) opensAt(r Role) time.Time { return l.openingOf(r).At }
