package account

import (
	"time"

	"usn.no/matricula/policy"
)

// Answer is one password rule with its answer.
type Answer = policy.Answer

// Visit is what a link opens, as far as it may be shown to whoever holds it.
// Looking changes nothing.
type Visit struct {
	Purpose  string // activate | reset
	Language string
	Opens    time.Time // zero when open now
	Expires  time.Time
}

// Proof shows that the holder of a ticket has also typed the person's own
// identity number. Token is sealed, short-lived and bound to the invitation.
type Proof struct {
	Token    string
	Purpose  string
	Language string
	Username string
	Name     string
	// Names are given, family and preferred name and the username: what a
	// password must not hold parts of. Empty ones are left out.
	Names   []string
	Expires time.Time
}

// Choice is a complete form: a proof, the rules as shown, and a password.
type Choice struct {
	Proof    string // Proof.Token
	Rules    Acceptance
	Password string
}

// Receipt is what an activation or reset ended in.
type Receipt struct {
	Purpose  string
	Username string
	Name     string
	Language string
	At       time.Time
	// Account and From are what Lifecycle.Own is asked with: how it goes on.
	Account string
	From    time.Time
}
