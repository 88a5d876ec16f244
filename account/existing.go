package account

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"usn.no/matricula/policy"
)

// Existing is an entry that was in the directory before us, as an import reads
// it. Nothing in it has been judged yet. It says whether there is a password
// and never what it is.
type Existing struct {
	Username      string
	Names         []string // further names it goes by or went by: principal names of this institution
	Name          Name
	BirthDate     string // "2006-01-02" or empty
	Language      string
	NIN           string   // norEduPersonNIN
	LINs          []string // norEduPersonLIN of this institution, "employee:104711"
	OtherLINs     bool     // there are others, too
	Affiliations  []string
	Status        string // its own state: what follows "account:" in schacUserStatus
	Locked        bool   // by an administrator, until somebody unlocks it
	HasPassword   bool
	PasswordSince time.Time // zero: the directory does not say
	Unfit         string    // why it cannot become an account as it stands: one of the Conflict constants
}

// Estate is the part of a directory that an import needs: what was there
// before us.
//
// Errors: those of Directory.
type Estate interface {
	// Existing calls f for every person who is no account of ours, in no order,
	// until f answers false.
	Existing(ctx context.Context, f func(Existing) bool) error
	// Adopt makes e the account a, in one Modify that adds what is missing and
	// leaves passwords and names as they are. ErrStale: the entry is not what e
	// says any more. ErrTaken: it is another account meanwhile. Adopting again
	// changes nothing.
	Adopt(ctx context.Context, e Existing, a Account) error
}

// Why an entry is not adopted. Each is for a human: the entry is left alone.
const (
	ConflictNumber   = "shared_number"     // another entry has the same identity number
	ConflictLIN      = "shared_lin"        // another entry has the same student or employee number
	ConflictName     = "shared_name"       // another entry goes by this username
	ConflictClaimed  = "claimed"           // number, LIN or username is another account's
	ConflictUnknown  = "unknown_person"    // nothing that an event could find this person by
	ConflictReserved = "reserved_username" // the name of a service
	ConflictRetired  = "retired_username"  // in the list of names that nobody may have again
	ConflictUsername = "impossible_name"   // characters that no username here has
	ConflictNames    = "several_names"     // more than one uid
	ConflictPlace    = "misplaced"         // not directly below ou=people, or not named by its uid
	ConflictClass    = "not_a_person"      // no inetOrgPerson
	ConflictBirth    = "birth_date"        // a date that cannot be read
	ConflictStatus   = "unclear_status"    // several states, one nobody knows, or pending with a password
	ConflictRefused  = "refused"           // the directory refuses the values
	ConflictChanged  = "changed_meanwhile" // somebody else writes: run again
)

// What was left out of an account; it comes with the feed.
const (
	NoteNumber   = "number_left_out" // neither a fødselsnummer nor a D-number
	NoteLIN      = "lin_left_out"    // neither a student's nor an employee's
	NotePassword = "no_password"     // pending: the feed will invite this person
)

// sourceImport is the source of what an existing entry says. It is older than
// anything a feed tells.
const sourceImport = "urn:usn:import"

// lins are the roles that an entry's own numbers tell of, employee first: that
// number names the account. They keep the person from counting as somebody who
// left, until the source tells of the real ones.
func (e Existing) lins() (roles []Role, odd bool) {
	odd = e.OtherLINs
	for _, l := range e.LINs {
		kind, key, ok := strings.Cut(l, ":")
		if kind = strings.ToLower(kind); !ok || key == "" || kind != Student && kind != Employee {
			odd = true
			continue
		}
		roles = append(roles, Role{Kind: kind, Key: key})
	}
	slices.SortFunc(roles, func(x, y Role) int { return cmp.Or(compare(x.Kind, y.Kind), compare(x.Key, y.Key)) })
	return slices.Compact(roles), odd
}

// number reads norEduPersonNIN. Events say which kind a number is, and nobody
// guesses; a directory says nothing, so here the digits decide. That is safe
// because only two kinds belong in this attribute and their marks exclude each
// other: a D-number has 40 added to the day, a fødselsnummer has not. What has
// another mark (an SO-number has the month of a test number) or a wrong check
// digit is left out, and comes with its kind from the feed.
func (e Existing) number(o policy.NumberOptions) (n Number, odd bool) {
	if e.NIN == "" {
		return Number{}, false
	}
	for _, typ := range []string{policy.NumberFnr, policy.NumberDnr} {
		switch err := policy.CheckNumber(typ, e.NIN, o); {
		case err == nil:
			return Number{Type: typ, Value: e.NIN}, false
		case policy.IsPlaceholder(err):
			return Number{}, false
		}
	}
	return Number{}, true
}

// state is the account's, from what the entry says of itself. ok is false where
// that is unclear.
func (e Existing) state() (s State, reason string, ok bool) {
	switch strings.ToLower(e.Status) {
	case "closed", "deleted":
		return Closed, WhyLeft, true
	case "locked", "suspended", "blocked", "disabled":
		return Suspended, WhyLocked, true
	case "compromised":
		return Suspended, WhyCompromised, true
	case "pending":
		return Pending, WhyRegistered, !e.HasPassword
	case "", "active":
	default:
		return "", "", false
	}
	switch {
	case e.Locked:
		return Suspended, WhyLocked, true
	case !e.HasPassword:
		return Pending, WhyRegistered, true
	}
	return Active, WhyActivated, true
}

// language is the nearest of the three that letters and pages have.
func (e Existing) language() string {
	switch l := strings.ToLower(e.Language); {
	case l == "":
		return ""
	case strings.HasPrefix(l, "nn"):
		return "nn"
	case strings.HasPrefix(l, "nb"), strings.HasPrefix(l, "no"):
		return "nb"
	}
	return "en"
}

// Unheard tells whether the account was taken over and no source has told of
// the person since.
func (a Account) Unheard() bool {
	return !a.Adopted.IsZero() && !slices.ContainsFunc(a.Marks, func(m Mark) bool {
		return m.Facet == FacetProfile || m.Facet == FacetRoles || m.Facet == FacetNumbers
	})
}
