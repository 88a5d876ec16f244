package breach

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// shortestUnit is the length from which a piece typed over and over has some
// worth of its own.
const shortestUnit = 8

// DefaultWords are words that everybody at a Norwegian university would try
// first: with a year and a mark behind them they meet every rule.
func DefaultWords() []string {
	return strings.Fields(`
		konto passord password passwd velkommen welcome hemmelig secret student studenter ansatt employee bruker
		universitet universitetet university campus skole hogskole høgskole høyskole eksamen semester norge norway
		norsk usn hsn drammen vestfold kongsberg ringerike notodden bø porsgrunn rauland hønefoss horten telemark
		sommer vinter høst vår summer winter autumn spring jul januar februar mars april mai juni juli august
		september oktober november desember january february march may june july october december mandag tirsdag
		onsdag torsdag fredag lørdag søndag monday tuesday wednesday thursday friday saturday sunday min mitt my`)
}

// years are what people put between words; they add next to nothing.
var years = regexp.MustCompile(`(?:19|20)[0-9]{2}`)

// weakBase answers why a password is weak as a whole, or "". Nothing is refused
// for a word inside it: a passphrase may hold any (NIST SP 800-63B asks for the
// whole password to be compared).
func weakBase(p string, words []string) string {
	s := strings.ToLower(p)
	if u := unit(s); len(u) < len(s) && utf8.RuneCountInString(u) < shortestUnit {
		return WhyRepeated
	}
	for _, b := range bases(s) {
		if utf8.RuneCountInString(b) >= 3 && (isCommon(b) || isCommon(b+b)) {
			return WhyCommon
		}
	}
	if inRow(trim(s)) {
		return WhySequence
	}
	known := folded(append(DefaultWords(), words...))
	s = years.ReplaceAllString(s, "")
	for _, r := range []string{s, leet(trim(s), "i"), leet(trim(s), "l")} {
		if l := letters(r); 2*len(l) >= len(s) && ofWords(l, known) {
			return WhyContext
		}
	}
	return ""
}

// bases are what is left of a password without its dressing: digits and marks
// around it, letters written as digits, repetition, marks between repetitions.
func bases(s string) (all []string) {
	keep := func(b string) {
		if b != "" && !slices.Contains(all, b) {
			all = append(all, b)
		}
	}
	readings := []string{s, unit(s), leet(trim(s), "i"), leet(trim(s), "l"), leet(trim(unit(s)), "i"), leet(trim(unit(s)), "l")}
	if l := letters(s); 2*len(l) >= len(s) {
		readings = append(readings, l)
	}
	for _, r := range readings {
		for {
			keep(r)
			next := unit(trim(r))
			if next == r {
				break
			}
			keep(trim(r))
			r = next
		}
	}
	for _, cut := range withoutTail(unit(s)) {
		keep(unit(cut))
	}
	return all
}

// withoutTail takes one by one off what is no letter at the end: "blink182" is
// common as it is, with its digits.
func withoutTail(s string) (all []string) {
	for rest := s; 3*len(rest) >= len(s); {
		r, size := utf8.DecodeLastRuneInString(rest)
		if size == 0 || unicode.IsLetter(r) {
			break
		}
		rest = rest[:len(rest)-size]
		all = append(all, rest)
	}
	return all
}

// trim takes off what is not a letter at both ends, unless that is most of the
// password: twelve digits behind a word are worth something.
func trim(s string) string {
	t := strings.TrimFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
	if 3*utf8.RuneCountInString(t) < utf8.RuneCountInString(s) {
		return s
	}
	return t
}

func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, s)
}

// unit is the piece that s repeats, the last time perhaps without its last
// character ("word word"); s itself when it repeats nothing.
func unit(s string) string {
	r := []rune(s)
	border := make([]int, len(r)+1) // longest border of each prefix
	for i, k := 1, 0; i < len(r); i++ {
		for k > 0 && r[i] != r[k] {
			k = border[k]
		}
		if r[i] == r[k] {
			k++
		}
		border[i+1] = k
	}
	p := len(r) - border[len(r)]
	if p < len(r) && len(r) >= 2*p-1 {
		return string(r[:p])
	}
	return s
}

var leetLetters = strings.NewReplacer("0", "o", "!", "1", "|", "l", "3", "e", "4", "a", "@", "a", "5", "s", "$", "s", "7", "t", "8", "b", "9", "g")

// leet reads digits and marks as the letters they stand for; 1 and ! are i or l.
func leet(s, one string) string {
	return strings.ReplaceAll(leetLetters.Replace(s), "1", one)
}

// rows are keys and letters in the order a finger or a child follows.
const rows = "abcdefghijklmnopqrstuvwxyzæøå 01234567890 qwertyuiopå asdfghjkløæ zxcvbnm 1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p"

// inRow tells whether all of s follows rows, forward or backward, at least four
// keys at a time.
func inRow(s string) bool {
	const shortest = 4
	back := []rune(rows)
	slices.Reverse(back)
	both := rows + " " + string(back)
	if strings.Contains(s, " ") || s == "" {
		return false
	}
	return pieces([]rune(s), func(piece string) bool {
		return utf8.RuneCountInString(piece) >= shortest && strings.Contains(both, piece)
	})
}

// folded is the set of the words' words, each of two letters or more.
func folded(words []string) map[string]bool {
	known := map[string]bool{}
	for _, w := range words {
		for _, part := range strings.FieldsFunc(strings.ToLower(norm.NFC.String(w)), func(r rune) bool { return !unicode.IsLetter(r) }) {
			if utf8.RuneCountInString(part) >= 2 {
				known[fold(part)] = true
			}
		}
	}
	return known
}

// ofWords tells whether letters are known words one after another.
func ofWords(letters string, known map[string]bool) bool {
	return pieces([]rune(fold(letters)), func(piece string) bool { return known[piece] })
}

// fold writes å as a, ø as o and æ as ae, and aa and oe the same way, so that
// every spelling meets.
func fold(s string) string { return norwegian.Replace(s) }

var norwegian = strings.NewReplacer("å", "a", "aa", "a", "ø", "o", "oe", "o", "æ", "ae")

// pieces tells whether s can be cut into pieces that all satisfy ok.
func pieces(s []rune, ok func(string) bool) bool {
	const longest = 32
	reached := make([]bool, len(s)+1)
	reached[0] = true
	for end := 1; end <= len(s); end++ {
		for start := max(0, end-longest); start < end && !reached[end]; start++ {
			reached[end] = reached[start] && ok(string(s[start:end]))
		}
	}
	return len(s) > 0 && reached[len(s)]
}
