package policy

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Types of identity number, as events declare them.
const (
	NumberFnr      = "fnr"      // fødselsnummer, Skatteetaten
	NumberDnr      = "dnr"      // D-number, Skatteetaten: day + 40
	NumberSO       = "so"       // SO-number, Samordna opptak: month + 50
	NumberFS       = "fs"       // fictive number of the student registry: month + 50
	NumberPassport = "passport" // never claims, never activates
)

// Codes of a NumberError.
const (
	CodeUnknownType = "unknown_type" // the declared type is none of ours
	CodeLength      = "length"       // not eleven characters
	CodeDigits      = "digits"       // something other than 0-9
	CodePlaceholder = "placeholder"  // what payroll writes for "no number yet"
	CodeDate        = "date"         // day, month or individual number that cannot be
	CodeCheckDigit  = "check_digit"  // mistyped
	CodeType        = "type"         // the marks say another type than the declared one
	CodeSynthetic   = "synthetic"    // Tenor or NHN test number where none is allowed
	CodeTest        = "test"         // H-number or NAV test number
	CodeFH          = "fh"           // FH-number, health services only
)

// NumberError says what is wrong with an identity number. It never holds the
// number or any part of it.
type NumberError struct {
	Code string
	Text string // one sentence, names what to do
}

func (e *NumberError) Error() string { return e.Text }

// IsPlaceholder tells whether err, from CheckNumber, means that the source has
// no number for the person yet. Take it as an absent number, not as a fault.
func IsPlaceholder(err error) bool {
	var n *NumberError
	return errors.As(err, &n) && n.Code == CodePlaceholder
}

// NumberOptions are the facts a number is judged by.
type NumberOptions struct {
	Synthetic bool // allow Tenor and NHN test numbers (allow_synthetic)
	// At is when the number is judged. From 2032 on any individual number can
	// be issued for any birth year, so that range is no longer checked. Zero
	// means before 2032.
	At time.Time
}

// NumberRank orders types: a number is replaced by one of a higher type, never
// by one of a lower. fnr 4, dnr 3, so 2, fs 1, all others 0.
func NumberRank(typ string) int {
	switch typ {
	case NumberFnr:
		return 4
	case NumberDnr:
		return 3
	case NumberSO:
		return 2
	case NumberFS:
		return 1
	}
	return 0
}

// Proves tells whether a number of this type proves the person at activation
// and claims an account. A passport does neither.
func Proves(typ string) bool { return NumberRank(typ) > 0 }

// NormalizeNumber removes what people type between the digits of a number:
// spaces of every kind, hyphens and dots. For numbers typed in a form; numbers
// in events are taken as they are.
func NormalizeNumber(typed string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '.' || r == '‐' || r == '‑' || r == '–' || unicode.IsSpace(r) || r == '\u200b' {
			return -1
		}
		return r
	}, typed)
}

// CheckNumber confirms that value can be a number of the declared type: its
// marks, its date, its individual number and both check digits, by the rule in
// force and by the one of 2032 (Skatteetaten, nyttfnr2032). It never guesses
// the type: months 51 and 52 are SO-numbers and NAV test numbers alike.
//
// It answers nil or a *NumberError. Code placeholder means that the source has
// no number.
func CheckNumber(typ, value string, o NumberOptions) error {
	switch typ {
	case NumberPassport:
		return checkPassport(value)
	case NumberFnr, NumberDnr, NumberSO, NumberFS:
	default:
		return refuse(CodeUnknownType, "number type is none of fnr, dnr, so, fs, passport")
	}
	d, err := digits(value)
	if err != nil {
		return err
	}
	if d[6] == 0 && d[7] == 0 && d[8] <= 2 && d[9] == 0 && d[10] == 0 {
		return refuse(CodePlaceholder, "%s number is a placeholder: the person has no number yet", typ)
	}
	p, err := unmark(typ, d, o.Synthetic)
	if err != nil {
		return err
	}
	k1 := weigh(d[:], 3, 7, 6, 1, 8, 9, 4, 5, 2, 1) % 11
	if err := p.checkDate(typ, k1 == 0 && o.At.Year() < 2032); err != nil {
		return err
	}
	// From 2032 Skatteetaten also issues numbers whose first remainder is 1-3.
	// Other issuers have announced no such thing.
	most := 0
	if typ == NumberFnr || typ == NumberDnr {
		most = 3
	}
	if k1 > most || weigh(d[:], 5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)%11 != 0 {
		return refuse(CodeCheckDigit, "%s number has a wrong check digit: it is mistyped at its source", typ)
	}
	return nil
}

// UnusualTail tells whether the last five digits lie outside the range that the
// issuer of an so (10000-14000) or fs (90000 and up) number usually takes. It
// is worth a warning, not a refusal. False for every other type and for values
// that are not eleven digits.
func UnusualTail(typ, value string) bool {
	if _, err := digits(value); err != nil {
		return false
	}
	tail := value[6:]
	switch typ {
	case NumberSO:
		return tail < "10000" || tail > "14000"
	case NumberFS:
		return tail < "90000"
	}
	return false
}

func refuse(code, format string, args ...any) error {
	return &NumberError{Code: code, Text: fmt.Sprintf(format, args...)}
}

func checkPassport(value string) error {
	if value == "" || len(value) > 64 {
		return refuse(CodeLength, "passport number must have 1 to 64 characters")
	}
	for _, r := range value {
		if r != ' ' && r != '-' && !(r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r))) {
			return refuse(CodeDigits, "passport number may hold A-Z, a-z, 0-9, space and hyphen only")
		}
	}
	return nil
}

// digits reads eleven ASCII digits.
func digits(value string) (d [11]int, err error) {
	for _, r := range value {
		if r < '0' || r > '9' {
			return d, refuse(CodeDigits, "number may hold the digits 0-9 only")
		}
	}
	if len(value) != len(d) {
		return d, refuse(CodeLength, "number must have 11 digits, it has %d", len(value))
	}
	for i := range d {
		d[i] = int(value[i] - '0')
	}
	return d, nil
}

func weigh(d []int, weights ...int) (sum int) {
	for i, w := range weights {
		sum += w * d[i]
	}
	return sum
}
