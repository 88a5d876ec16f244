package mailer

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

const textWidth = 72

// wrap breaks a paragraph into lines. A word is never cut, so that an address
// stays whole.
func wrap(s string) string { return fill(s, "") }

func item(s string) string { return "- " + fill(s, "  ") }

func fill(s, indent string) string {
	var b strings.Builder
	b.Grow(len(s) + 8)
	width, i := 0, -1
	for w := range strings.FieldsSeq(s) {
		i++
		n := utf8.RuneCountInString(w)
		switch {
		case i == 0:
		case width+1+n > textWidth-len(indent):
			b.WriteString("\n" + indent)
			width = 0
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(w)
		width += n
	}
	return b.String()
}

func underline(s string) string { return strings.Repeat("-", utf8.RuneCountInString(s)) }

var blankLines = regexp.MustCompile(`\n{3,}`)

func tidy(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " \t")
	}
	return strings.Trim(blankLines.ReplaceAllString(strings.Join(lines, "\n"), "\n\n"), "\n") + "\n"
}

// squeeze drops the empty lines that template actions leave.
func squeeze(s string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(s, "\n") {
		if strings.TrimSpace(line) != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
