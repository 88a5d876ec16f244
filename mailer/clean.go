package mailer

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxName is how many code points of a name a letter shows.
const maxName = 80

// linkMakers are what mail programs take for a part of a link or an address.
var linkMakers = strings.NewReplacer("://", " ", "/", " ", "\\", " ", "@", " ")

// cleanName makes a name that a person may have typed about himself inert in
// plain text and in markup that a mail program makes up by itself: besides
// what clean does there is nothing left in it that would be shown as a link or
// an address. Markup stays as it is and is escaped where it is written.
func cleanName(s string) string {
	s = linkMakers.Replace(s)
	var b strings.Builder
	after := false
	for _, r := range clean(s, maxName) {
		// "evil.example" becomes a link in most programs, "evil. example" in
		// none; "J.R.R. Tolkien" reads the same.
		if after && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			b.WriteByte(' ')
		}
		after = r == '.'
		b.WriteRune(r)
	}
	return b.String()
}

// clean brings s to NFC and to one line: control characters, line and
// paragraph separators become spaces, marks that turn the direction of text
// and all other invisible format characters vanish (except the two joiners
// that Persian and Indic spelling needs), spaces are single, and at most limit
// code points are kept.
func clean(s string, limit int) string {
	var b strings.Builder
	space, n := false, 0
	for _, r := range norm.NFC.String(strings.ToValidUTF8(s, "")) {
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp):
			space = true
			continue
		case r == '\u200c' || r == '\u200d':
			if n == 0 {
				continue
			}
		case unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs), r == unicode.ReplacementChar:
			continue
		}
		if n >= limit {
			return strings.TrimRight(b.String(), " ") + "…"
		}
		if space && n > 0 {
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(r)
		n++
	}
	return b.String()
}
