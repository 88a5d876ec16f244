package policy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Password rules, in the order Check answers them.
const (
	RuleLength     = "length"     // at least MinLength code points
	RuleTooLong    = "too_long"   // at most MaxLength code points
	RuleCharacters = "characters" // no control characters
	RuleRepeat     = "repeat"     // no character more than MaxRepeat times in a row
	RuleName       = "name"       // no part of name or username
	RuleGroups     = "groups"     // Groups of the four groups
)

// Groups of characters, as Detail of RuleGroups counts them.
const (
	GroupUpper   = "upper"   // A-Z
	GroupLower   = "lower"   // a-z
	GroupDigit   = "digit"   // 0-9
	GroupSpecial = "special" // the 32 ASCII punctuation marks, ” and ’
)

// specials are the marks on the university's page: all 32 of ASCII, and the two
// quotation marks as the page prints them. Space and letters outside A-Z are
// welcome and count for no group.
const specials = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~”’"

// PasswordRules are the limits. A zero limit switches its rule off: its answer
// is always OK.
type PasswordRules struct {
	MinLength int // code points after NFC
	MaxLength int
	MaxRepeat int // times in a row
	Groups    int // of four
}

// DefaultPasswordRules are the university's: 16 to 128 characters, none more
// than 3 times in a row, 3 of 4 groups.
func DefaultPasswordRules() PasswordRules {
	return PasswordRules{MinLength: 16, MaxLength: 128, MaxRepeat: 3, Groups: 3}
}

// Validate refuses limits that the university's page or NIST SP 800-63B does
// not allow; the error names the key and what to write.
func (r PasswordRules) Validate() error {
	var errs []error
	fault := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("password.%s: "+format, append([]any{key}, args...)...))
	}
	if r.MinLength < 16 {
		fault("min_length", "%d is below the university's 16", r.MinLength)
	}
	if r.MaxLength < 64 || r.MaxLength > 128 || r.MaxLength < r.MinLength {
		fault("max_length", "%d is not between 64 (passphrases) and 128, or below min_length", r.MaxLength)
	}
	if r.MaxRepeat < 0 {
		fault("max_repeat", "%d is negative: write 3, or 0 for no such rule", r.MaxRepeat)
	}
	if r.Groups < 0 || r.Groups > 4 {
		fault("groups", "%d is not 0 to 4: there are four groups", r.Groups)
	}
	return errors.Join(errs...)
}

// Subject is what a password must not contain parts of.
type Subject struct{ Given, Family, Preferred, Username string }

// NormalizePassword is the form in which a password is checked, hashed and
// verified: NFC, so that å typed as one character or as two is the same.
func NormalizePassword(password string) string { return norm.NFC.String(password) }

// Check answers every rule, always all six and in the same order. Detail, also
// where the answer is OK:
//
//	length, too_long  the number of characters
//	characters        the first one refused, "U+0009", or "invalid" where the text is not UTF-8
//	repeat            the first character repeated too often
//	name              the part of name or username that was found, as the person writes it
//	groups            the groups found, in order: "upper lower digit special"
func (r PasswordRules) Check(password string, s Subject) []Answer {
	p := NormalizePassword(password)
	n := utf8.RuneCountInString(p)
	bad := badCharacter(p)
	repeated := repeated(p, r.MaxRepeat)
	part := namePart(p, s)
	groups := groupsIn(p)
	return []Answer{
		{RuleLength, n >= r.MinLength, strconv.Itoa(n)},
		{RuleTooLong, r.MaxLength <= 0 || n <= r.MaxLength, strconv.Itoa(n)},
		{RuleCharacters, bad == "", bad},
		{RuleRepeat, repeated == "", repeated},
		{RuleName, part == "", part},
		{RuleGroups, len(groups) >= r.Groups, strings.Join(groups, " ")},
	}
}

func badCharacter(p string) string {
	if !utf8.ValidString(p) {
		return "invalid"
	}
	for _, c := range p {
		if unicode.IsControl(c) {
			return fmt.Sprintf("U+%04X", c)
		}
	}
	return ""
}

func repeated(p string, most int) string {
	if most <= 0 {
		return ""
	}
	var last rune
	run := 0
	for _, c := range p {
		if c != last {
			last, run = c, 0
		}
		if run++; run > most {
			return string(c)
		}
	}
	return ""
}

func groupsIn(p string) (found []string) {
	for _, g := range []struct {
		name string
		has  func(rune) bool
	}{
		{GroupUpper, func(c rune) bool { return c >= 'A' && c <= 'Z' }},
		{GroupLower, func(c rune) bool { return c >= 'a' && c <= 'z' }},
		{GroupDigit, func(c rune) bool { return c >= '0' && c <= '9' }},
		{GroupSpecial, func(c rune) bool { return strings.ContainsRune(specials, c) }},
	} {
		if strings.ContainsFunc(p, g.has) {
			found = append(found, g.name)
		}
	}
	return found
}
