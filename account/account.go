// Package account is what an account is and how it lives: its four states, what
// each event and each click does to it, and the sealed ticket that lets a
// person act. It decides everything and touches nothing: the directory, the
// claims and the streams are small interfaces that others fill. It must not
// know LDAP, NATS, SMTP or HTTP.
package account

import (
	"slices"
	"time"
)

// State is where an account stands in its life.
type State string

// The four states. Closed is a tombstone: no late event raises it and its
// username is never given again.
const (
	Pending   State = "pending"
	Active    State = "active"
	Suspended State = "suspended"
	Closed    State = "closed"
)

// Why an account is in its state, beside the state.
const (
	WhyRegistered     = "registered"
	WhyActivated      = "activated"
	WhyCompromised    = "compromised"
	WhyLeft           = "left"
	WhyCancelled      = "cancelled" // no role ever began
	WhyDeceased       = "deceased"
	WhyNeverActivated = "never_activated"
	WhyLocked         = "locked" // by IT
	WhyChangeRequired = "change_required"
	WhyMerged         = "merged" // into another account
	WhyErased         = "erased"
)

// Why says the reason for the state, since when, and who caused it.
type Why struct {
	Reason string
	Since  time.Time
	By     string // "hr", "admissions", "it", "person", "worker"; never a name
	// Done is when a closing was carried out: Since counts from what the source
	// said, which may be years back. Zero: then, too.
	Done time.Time
}

// Name is a person's name. Family may be empty.
type Name struct{ Given, Family, Preferred string }

// Full is the name a letter or a page greets with.
func (n Name) Full() string {
	if n.Preferred != "" {
		return n.Preferred
	}
	switch {
	case n.Given == "":
		return n.Family
	case n.Family == "":
		return n.Given
	}
	return n.Given + " " + n.Family
}

// Number is an identity number the person has or had. Type is fnr, dnr, so or
// fs. Any of them proves at activation; Current is the one in force.
type Number struct {
	Type  string
	Value string
	Since time.Time // when it was first recorded

	// When a change of number last named it as the old one, and as the new one.
	// While Replaced is later it is not in force, but proves as before.
	Replaced, Renewed time.Time
}

// String hides the value wherever a Number would be printed.
func (n Number) String() string { return n.Type + " ***********" }

// GoString hides the value.
func (n Number) GoString() string { return n.String() }

// Kinds of role.
const (
	Student  = "student"
	Employee = "employee"
)

// Role is one employment or one programme. Dates are "2006-01-02" or empty.
type Role struct {
	Kind   string // student | employee
	Key    string // the source's key of the person: student or employee number
	ID     string // the source's ID of the employment or programme
	Start  string
	End    string
	Unit   string
	Campus string
	Intake string
	Term   string
	Title  string
	Since  time.Time // when the source recorded it first: the next 1 August counts from here
	Listed Recency   // of a role that the newest full state lacks: the last one that had it
}

// Facets of an account that have their own recency.
const (
	FacetProfile = "profile"
	FacetRoles   = "roles"
	FacetNumbers = "numbers"
	FacetState   = "state"
	FacetListing = "listing" // full states before the newest, see roles.go
)

// Mark is how recent one facet of one (source, subject) is: Sequence decides
// where both sides have one, else Time, else Position (the stream sequence).
// It is written in the same Modify as the effect, so that an event that comes
// again is known. Changed says whether that event changed anything but marks:
// only then it has an audit event, also when it is handled again.
type Mark struct {
	Source, Subject, Facet string
	Time                   time.Time
	Sequence               uint64
	Position               uint64
	Changed                bool
}

// Purposes an invitation can be bound to.
const (
	PurposeActivate = "activate"
	PurposeReset    = "reset"
)

// Invitation is the right to set a password once. Its presence in the entry is
// the lock: the Modify that sets the password deletes it, and the server
// refuses the second one.
type Invitation struct {
	ID      string // 26 lower-case base32 characters, 16 random bytes
	Purpose string
	Created time.Time
	Expires time.Time
}

// Fact is something that was done to the account, carried in the same Modify as
// its effect and published from there by a worker: audit event and letter.
// Actor and Cause are empty for a click: a person, and the invitation.
type Fact struct {
	What       string            `json:"what"` // one of the events.Audit constants
	ID         string            `json:"id"`   // names the fact: "<account>-activated-<invitation>"
	At         time.Time         `json:"at"`
	Invitation string            `json:"invitation,omitempty"`
	Actor      string            `json:"actor,omitempty"`
	By         string            `json:"by,omitempty"`      // who of them, as an order names its giver
	Outcome    string            `json:"outcome,omitempty"` // empty: done
	Cause      string            `json:"cause,omitempty"`
	Details    map[string]string `json:"details,omitempty"`
	PINs       []SealedPIN       `json:"pins,omitempty"` // of "pin.set": what a worker hands on
}

// Acceptance is the IT rules as a person accepted them.
type Acceptance struct {
	Version  string
	Hash     string // hex SHA-256 of the text shown
	Language string
	At       time.Time
}

// Account is one person's account. It is a value: change a copy and hand both
// to Directory.Update, which writes the difference under the revision.
type Account struct {
	ID       string // opaque: derived from the first event, never from a number
	Origin   string // names the event that created it
	Username string
	State    State
	Why      Why

	Name       Name
	BirthDate  string // "2006-01-02" or empty
	Address    string // where letters go; may be empty, may be shared
	Mobile     string
	Language   string // nb | nn | en
	Protection string // none | confidential | strictly_confidential
	Reserved   bool   // reservation against publishing

	Numbers      []Number
	Roles        []Role   // as told; Standing says which of them count
	Told         []Told   // what each source says of the person
	Endings      []Ending // what was told of a role's end apart from full state
	Orders       []Order
	Affiliations []string // published ones: student, employee, member
	Handles      []string // keys of the claims that point here, "num.…" and "src.…"
	Marks        []Mark

	Invitations   []Invitation
	Unsent        []Fact
	Rules         Acceptance
	PasswordSince time.Time // last time a password was set; zero: never
	PasswordGone  bool      // write only: the same Modify deletes the password
	PasswordLost  string    // why there is none any more: WhyCompromised or "closed"; "" since one was set
	SessionsFrom  time.Time // sessions older than this are dead
	OpenUntil     time.Time // IT's override of the window

	Turn    time.Time // when time alone makes settle answer otherwise; zero: never
	Leaving string    // end date that the leaving letter was made for
	Merged  string    // ID of the account that this one was merged into
	Erased  time.Time // when the personal data was removed
	Adopted time.Time // when an existing directory's account was taken over

	Revision uint64 // compare-and-set; 0 before Create
}

// Clone copies a so that the copy can be changed.
func (a Account) Clone() Account {
	a.Numbers = slices.Clone(a.Numbers)
	a.Roles = slices.Clone(a.Roles)
	a.Told = slices.Clone(a.Told)
	a.Endings = slices.Clone(a.Endings)
	a.Orders = slices.Clone(a.Orders)
	a.Affiliations = slices.Clone(a.Affiliations)
	a.Handles = slices.Clone(a.Handles)
	a.Marks = slices.Clone(a.Marks)
	a.Invitations = slices.Clone(a.Invitations)
	a.Unsent = slices.Clone(a.Unsent)
	return a
}

// Invitation finds an invitation by its ID.
func (a Account) Invitation(id string) (Invitation, bool) {
	for _, i := range a.Invitations {
		if i.ID == id {
			return i, true
		}
	}
	return Invitation{}, false
}
