package policy

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mozillazg/go-unidecode"
	"golang.org/x/text/unicode/norm"
)

// shortestPart is the length, in letters, from which a part of a name counts
// (as in Active Directory): shorter ones are inside too many ordinary words.
const shortestPart = 3

// longestPart bounds the work: what is longer is no name, and in no password.
const longestPart = 256

// letter is one typed letter as people without it on their keyboard write it;
// the second spelling may be empty.
type letter [2]string

// spell reads both sides, so that Åse is found in "aase" and Aase in "åse".
func spell(r rune) letter {
	switch r {
	case 'å':
		return letter{"a", "aa"}
	case 'ø', 'ö':
		return letter{"o", "oe"}
	case 'æ':
		return letter{"ae"}
	case 'ä':
		return letter{"a", "ae"}
	case 'ü':
		return letter{"u", "ue"}
	case 'ß':
		return letter{"ss"}
	case 'œ':
		return letter{"oe"}
	case 'đ', 'ð':
		return letter{"d"}
	case 'ł':
		return letter{"l"}
	case 'ı':
		return letter{"i"}
	case 'þ':
		return letter{"th"}
	}
	if r < utf8.RuneSelf {
		return letter{string(r)}
	}
	return letter{plain(string(r))}
}

// plain takes off accents and characters that cannot be seen: é is e.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Mn, unicode.Cf) {
			return -1
		}
		return r
	}, norm.NFD.String(s))
}

func lower(s string) string { return norm.NFC.String(strings.ToLower(norm.NFC.String(s))) }

// namePart answers the first part of the person's name or username that is in
// the password, as the person writes it.
func namePart(password string, s Subject) string {
	var letters []letter
	for _, r := range lower(password) {
		letters = append(letters, spell(r))
	}
	for _, name := range []string{s.Given, s.Family, s.Preferred, s.Username} {
		for _, part := range nameParts(name) {
			if slices.ContainsFunc(readings(part), func(word string) bool { return contains(letters, word) }) {
				return part
			}
		}
	}
	return ""
}

// nameParts splits a name at everything that is neither letter, mark nor digit:
// space, hyphen, apostrophe, dot.
func nameParts(name string) []string {
	return strings.FieldsFunc(norm.NFC.String(name), func(r rune) bool {
		return !unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Cf)
	})
}

// readings are the words a part of a name is looked for by: every spelling, and
// in the Latin alphabet where it is written in another. None for a short part.
func readings(part string) (words []string) {
	n := 0
	latin := true
	for _, r := range part {
		if unicode.In(r, unicode.L, unicode.Nd) {
			n++
		}
		if unicode.IsLetter(r) && !unicode.Is(unicode.Latin, r) {
			latin = false
		}
	}
	if n > longestPart {
		return nil
	}
	if n >= shortestPart {
		words = spellings(lower(part))
	}
	if !latin {
		for _, w := range strings.Fields(unidecode.Unidecode(part)) {
			if w = onlyLetters(w); len(w) >= shortestPart {
				words = append(words, w)
			}
		}
	}
	return words
}

// spellings multiplies out the letters of a word that have two; beyond 64
// spellings the later letters keep their first.
func spellings(word string) []string {
	all := []string{""}
	for _, r := range word {
		l := spell(r)
		longer := make([]string, 0, 2*len(all))
		for _, w := range all {
			longer = append(longer, w+l[0])
			if l[1] != "" && len(all) <= 32 {
				longer = append(longer, w+l[1])
			}
		}
		all = longer
	}
	return all
}

// contains tells whether some spelling of the letters holds word. It follows
// all of them at once: at[i] says that word[:i] has just been read.
func contains(letters []letter, word string) bool {
	if word == "" {
		return false
	}
	at, next := make([]bool, len(word)+1), make([]bool, len(word)+1)
	for _, l := range letters {
		at[0] = true
		clear(next)
		for i := range word {
			if !at[i] {
				continue
			}
			if strings.HasPrefix(word[i:], l[0]) {
				next[i+len(l[0])] = true
			}
			if l[1] != "" && strings.HasPrefix(word[i:], l[1]) {
				next[i+len(l[1])] = true
			}
		}
		if next[len(word)] {
			return true
		}
		at, next = next, at
	}
	return false
}

// ascii writes a name in a-z: Norwegian letters as Norway does, any other
// script by its transliteration. It may come out empty.
func ascii(name string) string {
	name = strings.NewReplacer("æ", "ae", "ø", "o", "å", "a", "þ", "th").Replace(lower(name))
	return onlyLetters(unidecode.Unidecode(name))
}

func onlyLetters(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// SameName tells whether two names are spelled alike, whatever the case, the
// accents, the script and the signs between their parts. Two names of which
// nothing is left are not the same.
func SameName(a, b string) bool {
	a, b = ascii(a), ascii(b)
	return a != "" && a == b
}
