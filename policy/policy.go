// Package policy is the university's rules as pure functions: opening windows,
// password rules, username candidates, identity numbers. Facts come in as
// arguments and answers go out as values. It does no I/O, reads no clock and
// knows no account.
package policy

// Answer is one password or PIN rule and what the typed secret says to it.
type Answer struct {
	Rule string // length | repeat | name | groups | characters | too_long; for a PIN see CheckPIN
	OK   bool
	// Detail names what decided, for the person who types: the repeated
	// character, the name part that was found, or the groups counted
	// ("lower digit"). Never the password.
	Detail string
}

// OK tells whether every answer is OK. No answers at all is not OK: nothing was
// checked.
func OK(answers []Answer) bool {
	for _, a := range answers {
		if !a.OK {
			return false
		}
	}
	return len(answers) > 0
}
