// Package policy is the university's rules as pure functions: opening windows,
// password rules, username candidates, identity numbers. Facts come in as
// arguments and answers go out as values. It does no I/O, reads no clock and
// knows no account.
package policy

// Answer is one password rule and what a password says to it.
type Answer struct {
	Rule string // length | repeat | name | groups | characters | too_long
	OK   bool
	// Detail names what decided, for the person who types: the repeated
	// character, the name part that was found, or the groups counted
	// ("lower digit"). Never the password.
	Detail string
}
