package events

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Lengths in characters. Real names stay far below; what is longer is a field
// in the wrong place.
const (
	maxText = 256
	maxNote = 1000
	maxKey  = 254
)

// checks holds the first thing wrong with a payload, and mends what may be
// mended without a question: spaces, Unicode form, invisible characters.
type checks struct{ bad error }

// checked is a payload that can be checked and mended in place.
type checked interface{ check(c *checks) }

func (c *checks) refuse(reason, path, text string) {
	if c.bad == nil {
		c.bad = Refuse(reason, "data."+path, text)
	}
}

// text tidies what people wrote: canonical composition (NFC), single spaces,
// no invisible characters. What could steer a terminal, a mail header or the
// direction of a line is refused: no name holds it, so the source is broken.
func (c *checks) text(s *string, path string) { c.atMost(s, path, maxText) }

func (c *checks) atMost(s *string, path string, limit int) {
	*s = strings.Map(func(r rune) rune {
		switch {
		case ordinary(r):
		case r == utf8.RuneError:
			c.refuse(ReasonMalformed, path, "holds a replacement character; the text was damaged before it was sent")
		case unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp):
			c.refuse(ReasonInvalid, path, "holds a control character or a line break; send one line of text")
		case r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			c.refuse(ReasonInvalid, path, "holds a character that turns the direction of text; send the text without it")
		case unicode.In(r, unicode.Co, unicode.Noncharacter_Code_Point):
			c.refuse(ReasonInvalid, path, "holds a character without a public meaning; send Unicode text")
		case unicode.Is(unicode.Cf, r) && r != 0x200c && r != 0x200d:
			return -1 // invisible; the two joiners spell Persian and Indic names
		}
		return r
	}, *s)
	*s = strings.Join(strings.Fields(norm.NFC.String(*s)), " ")
	if utf8.RuneCountInString(*s) > limit {
		c.refuse(ReasonInvalid, path, "is too long; is it the right field?")
	}
}

// ordinary are the visible characters up to the end of extended Latin: most of
// what a name holds, in none of the classes that are refused or left out.
func ordinary(r rune) bool {
	return r >= ' ' && r <= '~' || r > 0xa0 && r < 0x300 && r != 0xad // the soft hyphen is invisible
}

// note is text that a machine or a person wrote freely: line breaks become
// spaces.
func (c *checks) note(s *string, path string) {
	*s = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, *s)
	c.atMost(s, path, maxNote)
}

// key is an opaque name of something, which must be there.
func (c *checks) key(s, path string) {
	if s == "" {
		c.refuse(ReasonMalformed, path, "is missing; it is required")
		return
	}
	if problem := keyProblem(s); problem != "" {
		c.refuse(ReasonMalformed, path, problem)
	}
}

// optionalKey is key that may be empty.
func (c *checks) optionalKey(s, path string) {
	if s != "" {
		c.key(s, path)
	}
}

func keyProblem(s string) string {
	if utf8.RuneCountInString(s) > maxKey {
		return "is too long; is it the right field?"
	}
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsGraphic(r) || unicode.IsSpace(r) || unicode.Is(unicode.Noncharacter_Code_Point, r) {
			return "holds a space or an invisible character; send the bare key"
		}
	}
	return ""
}

// word is one of a list; empty is allowed where the list holds "".
func (c *checks) word(s, path string, allowed ...string) {
	if !slices.Contains(allowed, s) {
		names := slices.DeleteFunc(slices.Clone(allowed), func(a string) bool { return a == "" })
		c.refuse(ReasonMalformed, path, "is not one of "+strings.Join(names, ", "))
	}
}

// reason is a short lower-case word of an open list, such as "graduated". It
// travels on into audit events, so it can hold no sentence about a person.
func (c *checks) reason(s, path string) {
	ok := len(s) <= 32
	for i := 0; i < len(s); i++ {
		ok = ok && (s[i] >= 'a' && s[i] <= 'z' || s[i] == '_' || s[i] == '-')
	}
	if !ok {
		c.refuse(ReasonMalformed, path, "is not a single lower-case word; send one such as resigned, expired, deceased")
	}
}

// date is a day, "2006-01-02". Empty is allowed.
func (c *checks) date(s, path string) {
	if s == "" {
		return
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1850 || t.Year() >= 9999 {
		c.refuse(ReasonMalformed, path, `is not a date; send one like "2027-08-16", or leave it empty`)
	}
}

// day is a date that must be there.
func (c *checks) day(s, path string) {
	if s == "" {
		c.refuse(ReasonMalformed, path, `is missing; send a date like "2027-08-16"`)
	}
	c.date(s, path)
}

func (c *checks) moment(t time.Time, path string) {
	if t.IsZero() {
		c.refuse(ReasonMalformed, path, `is missing; send a time like "2027-08-01T00:00:00+02:00"`)
	}
}

// address is one plain e-mail address or nothing. The shape only: whether mail
// arrives is the mailer's to find out.
func (c *checks) address(s *string, path string) {
	*s = strings.Trim(*s, " ")
	if *s != "" && !plainAddress(*s) {
		c.refuse(ReasonInvalid, path, "is not one plain address; send one such as name@example.org, or leave it empty")
	}
}

// plainAddress refuses what RFC 5321 allows and mail programs disagree about:
// quoted local parts, comments, lists, address literals.
func plainAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || len(s) > 254 || len(local) > 64 || !plainDots(local) || !plainDots(domain) || !strings.Contains(domain, ".") {
		return false
	}
	for _, r := range s {
		if r == utf8.RuneError || r <= ' ' || !unicode.IsPrint(r) || strings.ContainsRune(`<>()[],;:\"`, r) {
			return false
		}
	}
	for label := range strings.SplitSeq(domain, ".") {
		if len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsAny(label, "@!#$%&'*+/=?^_`{|}~") {
			return false
		}
	}
	return true
}

func plainDots(s string) bool {
	return s != "" && s[0] != '.' && s[len(s)-1] != '.' && !strings.Contains(s, "..")
}
