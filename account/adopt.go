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

// Import adopts an existing directory: entries that people sign in with already
// become accounts, with their passwords, and nobody is written to. Whatever
// happens to it, running it again goes on where it stopped.
//
// An entry that contradicts another, or a claim, is left as it is. Its name and
// numbers are reserved, so that a feed cannot make a second account of it:
// such an event becomes a dead letter until a human has decided.
type Import struct {
	Life   *Lifecycle // Claims, Identity, Directory, Synthetic, Now
	Estate Estate
	Ledger Ledger
	// Retired are usernames that nobody has any more and nobody may have again.
	Retired []string
	// Unknown adopts those, too, whom no event could find: guests, services.
	Unknown bool
	// Progress, where given, is told how many of how many are done.
	Progress func(done, of int)

	void map[string]Claim // reservations that nothing explains any more
}

// Adoption is what becomes of one existing entry.
type Adoption struct {
	Username string
	Account  string
	State    State
	Conflict string   // one of the Conflict constants; empty: adopted, or will be
	With     []string // usernames of the other entries it contradicts
	Notes    []string // what was left out, one of the Note constants each

	entry   Existing
	account Account
	handles []string // claim keys of numbers and sources
	names   []string // claim keys of usernames
	reserve Claim    // what holds its keys while it is in conflict
}

func (a *Adoption) conflict(reason string, with ...string) {
	if a.Conflict == "" {
		a.Conflict = reason
	}
	if a.Conflict == reason {
		for _, w := range with {
			if w != a.Username && !slices.Contains(a.With, w) {
				a.With = append(a.With, w)
			}
		}
		slices.Sort(a.With)
	}
}

// Plan reads the directory and the claims and says what would become of each
// entry, by username. It writes nothing.
func (i *Import) Plan(ctx context.Context) ([]*Adoption, error) {
	held, err := ledger(ctx, i.Ledger) // before the entries: a worker writes in this order
	if err != nil {
		return nil, err
	}
	var all []*Adoption
	err = i.Estate.Existing(ctx, func(e Existing) bool {
		all = append(all, i.plan(e))
		return true
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(x, y *Adoption) int {
		return cmp.Or(compare(x.Username, y.Username), compare(x.entry.NIN, y.entry.NIN))
	})
	shared(all)
	if err := i.stale(ctx, held, all); err != nil {
		return nil, err
	}
	for _, a := range all {
		a.compare(held)
	}
	return all, nil
}

// plan judges an entry by itself.
func (i *Import) plan(e Existing) *Adoption {
	a := &Adoption{Username: e.Username, entry: e}
	if e.Unfit != "" {
		a.conflict(e.Unfit)
	}
	id := i.Life.Identity
	a.reserve = Claim{Account: id.kept().AccountID(sourceImport, strings.ToLower(e.Username)), Username: e.Username}
	number, odd := e.number(policy.NumberOptions{Synthetic: i.Life.Synthetic, At: i.Life.Now()})
	if odd {
		a.Notes = append(a.Notes, NoteNumber)
	}
	if number.Type != "" {
		a.handles = id.NumberHandles(number.Type, number.Value)
		a.account.Numbers = []Number{number}
	}
	roles, odd := e.lins()
	if odd {
		a.Notes = append(a.Notes, NoteLIN)
	}
	a.account.ID = a.reserve.Account
	for n, r := range roles {
		if n == 0 {
			a.account.ID = id.kept().AccountID(sourceOf(r.Kind), r.Key)
		}
		a.handles = append(a.handles, id.SourceHandles(sourceOf(r.Kind), r.Key)...)
	}
	a.account.Roles = roles
	i.named(a)
	i.described(a)
	return a
}

// named sees to the usernames: a former one is never given to somebody else.
func (i *Import) named(a *Adoption) {
	for _, name := range append([]string{a.Username}, a.entry.Names...) {
		if name = strings.ToLower(name); possible(name) && !slices.Contains(a.names, UsernameHandle(name)) {
			a.names = append(a.names, UsernameHandle(name))
		}
	}
	switch name := strings.ToLower(a.Username); {
	case !possible(name):
		a.conflict(ConflictUsername)
	case policy.ReservedUsername(name):
		a.conflict(ConflictReserved)
	case slices.Contains(i.Retired, name):
		a.conflict(ConflictRetired)
	case len(a.handles) == 0 && !i.Unknown:
		a.conflict(ConflictUnknown)
	}
}

// described fills in the account. What the entry says of the person is older
// than anything that a feed tells; when it was recorded nobody knows.
func (i *Import) described(a *Adoption) {
	e, now := a.entry, i.Life.Now()
	state, reason, clear := e.state()
	if !clear {
		a.conflict(ConflictStatus)
	}
	acc := &a.account
	acc.Username, acc.Origin, acc.Adopted = e.Username, acc.ID+"-adopted", now
	acc.State, acc.Why = state, Why{Reason: reason, Since: now, By: "it"}
	acc.Name, acc.BirthDate, acc.Language = e.Name, e.BirthDate, e.language()
	acc.Told = []Told{{Source: sourceImport, Subject: e.Username, Name: e.Name, BirthDate: e.BirthDate, Language: acc.Language}}
	for _, v := range e.Affiliations {
		acc.Affiliations = append(acc.Affiliations, strings.ToLower(v))
	}
	acc.Handles = slices.Clone(a.handles)
	assume(acc.Roles, state, now)
	if e.HasPassword {
		// A time that is too early is safe: a compromise reported since then counts.
		acc.PasswordSince = e.PasswordSince
		if acc.PasswordSince.IsZero() {
			acc.PasswordSince = unknownTime
		}
		if state == Active {
			acc.Why.Since, acc.Why.By = acc.PasswordSince, "person"
		}
	} else {
		a.Notes = append(a.Notes, NotePassword)
	}
	switch {
	case state == Suspended && reason == WhyLocked:
		acc.Orders = []Order{{What: OrderLock, On: true, Reason: "import", Source: sourceImport, Subject: e.Username, Recency: Recency{Time: now}}}
	case state == Suspended:
		acc.PasswordLost = WhyCompromised
	}
	a.Account, a.State = acc.ID, state
	acc.Unsent = []Fact{adoptedFact(*acc, now)}
}

// assume fills in roles of which only the number is known, so that they mean
// what the entry is: open to those who are in, over for those who have left.
func assume(roles []Role, state State, now time.Time) {
	for i := range roles {
		r := &roles[i]
		if r.Since = unknownTime; state == Pending {
			r.Since = now
		}
		if state == Closed {
			r.End = unknownTime.Format(time.DateOnly)
		}
	}
}

// unknownTime stands where something happened before anybody wrote down when.
var unknownTime = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)

// Known answers t, and zero where nobody wrote down when it was, or what it was
// reckoned from: times that are shown to people go through it.
func Known(t time.Time) time.Time {
	if t.Before(unknownTime.AddDate(1, 0, 0)) {
		return time.Time{}
	}
	return t
}

func adoptedFact(a Account, at time.Time) Fact {
	return Fact{
		What: events.AuditAdopted, ID: a.ID + "-adopted", At: at, Actor: "it", Cause: a.ID + "-adopted",
		Details: map[string]string{"state": string(a.State)},
	}
}

// Adopt does what Plan answered: claims, then entries, several at a time. It
// changes the plan where the servers decided otherwise.
//
// Errors: ErrUnavailable; what is done by then stays done.
func (i *Import) Adopt(ctx context.Context, all []*Adoption) error {
	for key, was := range i.void {
		if err := i.Life.release(ctx, was, []string{key}); err != nil {
			return err
		}
	}
	if err := i.retire(ctx, all); err != nil {
		return err
	}
	var clear []*Adoption
	for _, a := range all { // in order: of two with one number the first reserves it, in every run
		if a.Conflict == "" {
			clear = append(clear, a)
		} else if err := i.keep(ctx, a); err != nil {
			return err
		}
	}
	return eachOf(ctx, clear, i.adopt, i.Progress)
}

// adopt is one entry's: whatever ends it in between, it is found again by its
// claims.
func (i *Import) adopt(ctx context.Context, a *Adoption) error {
	mine := Claim{Account: a.account.ID, Username: a.Username}
	ok, err := i.take(ctx, a, mine)
	if err != nil {
		return err
	}
	if !ok {
		a.conflict(ConflictClaimed)
		return i.keep(ctx, a)
	}
	switch err := i.Estate.Adopt(ctx, a.entry, a.account); {
	case errors.Is(err, ErrStale), errors.Is(err, ErrNotFound), errors.Is(err, ErrTaken):
		a.conflict(ConflictChanged)
	case errors.Is(err, ErrInvalid):
		a.conflict(ConflictRefused)
	default:
		return err
	}
	return nil
}
