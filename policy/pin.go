package policy

import (
	"slices"
	"strconv"
	"strings"
)

// PIN rules beside RuleLength, RuleCharacters and RuleRepeat.
const (
	RuleRun   = "run"        // not 1234, 4321, 8642
	RuleBirth = "birth_date" // not made of the person's birth date
	RuleList  = "common"     // not one of the first that anybody tries
)

// DefaultPINLength is the university's door code.
const DefaultPINLength = 4

// commonPINs are what people take most and no other rule refuses.
const commonPINs = `
0007 0852 0911 1004 1102 1122 11223 112233 1123 1221 12321 123321 123654 1342 13579 142536 147258 147852 159357
159753 1937 1973 1979 1980 1984 2000 2001 2002 2112 2123 2211 24680 2512 2580 25800 258456 3141 4200 456789
5150 5683 654321 7007 789456 8008`

// CheckPIN answers every rule for a door code of length digits (zero:
// DefaultPINLength). BirthDate is "2005-05-17" or empty. Rules: length,
// characters (0-9 only), repeat (a piece of it over and over: 1111, 1212), run,
// birth_date, common. Detail holds the length and nothing else: anything more
// would be the code.
func CheckPIN(pin, birthDate string, length int) []Answer {
	if length <= 0 {
		length = DefaultPINLength
	}
	onlyDigits := pin != "" && strings.Trim(pin, "0123456789") == ""
	return []Answer{
		{RuleLength, len([]rune(pin)) == length, strconv.Itoa(len([]rune(pin)))},
		{RuleCharacters, onlyDigits, ""},
		{RuleRepeat, !onlyDigits || !periodic(pin), ""},
		{RuleRun, !onlyDigits || !slices.ContainsFunc([]int{1, -1, 2, -2}, func(d int) bool { return stepsBy(pin, d) }), ""},
		{RuleBirth, !fromBirthDate(pin, birthDate), ""},
		{RuleList, !slices.Contains(strings.Fields(commonPINs), pin), ""},
	}
}

// periodic tells whether pin is a shorter piece over and over.
func periodic(pin string) bool {
	return len(pin) > 1 && strings.Contains((pin + pin)[1:2*len(pin)-1], pin)
}

// stepsBy tells whether each digit is d more than the one before; 0 follows 9.
func stepsBy(pin string, d int) bool {
	for i := 1; i < len(pin); i++ {
		if (int(pin[i])-int(pin[i-1])-d+20)%10 != 0 {
			return false
		}
	}
	return len(pin) > 1
}

// fromBirthDate tells whether pin is day, month and year of the birth date, or
// some of them, in any order, the year in two digits or four.
func fromBirthDate(pin, birthDate string) bool {
	d, ok := parseDate(birthDate)
	if !ok {
		return false
	}
	s := d.String() // 2005-05-17
	for _, year := range []string{s[:4], s[2:4]} {
		if assembled(pin, []string{s[8:], s[5:7], year}) {
			return true
		}
	}
	return false
}

func assembled(pin string, from []string) bool {
	for i, part := range from {
		rest, ok := strings.CutPrefix(pin, part)
		if ok && (rest == "" || assembled(rest, slices.Delete(slices.Clone(from), i, i+1))) {
			return true
		}
	}
	return false
}
