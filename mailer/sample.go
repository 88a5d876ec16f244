package mailer

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"usn.no/matricula/events"
)

const maxLetter = 20 << 10 // bytes of HTML or text: programs clip long letters

// Sample is a letter to somebody who does not exist, for previews and checks.
type Sample struct {
	About string // what is awkward, in English
	Letter
}

// sampleNumber is a synthetic SO-number.
const sampleNumber = "01512510074"

// Samples are the letters of one template in one language to people whose
// names have broken templates before, with and without what may be left out.
// base is the portal's address.
func Samples(template, language, base string) []Sample {
	names := []struct{ about, name string }{
		{"plain", "Kari Nordmann"},
		{"no name", ""},
		{"one name with æøå", "Åsbjørg"},
		{"right to left", "محمد عبد الله"},
		{"markup", `<b>Ola</b> & "Per" <a href="https://evil.example/">x</a>`},
		{"line breaks and a header", "Ola\r\nBcc: x@evil.example\r\n\r\n.\r\n"},
		{"direction marks", "Ola\u202egnp.exe\u2066 \u200f"},
		{"a link", "https://evil.example/ www.evil.example"},
		{"braces", "{{.Number}} {expires} {name}"},
		{"an apostrophe and a plus", "Conan O'Brien +1"},
		{"very long", strings.Repeat("Wolfeschlegelsteinhausenbergerdorff ", 9)},
	}
	at := time.Date(2027, 8, 1, 0, 0, 0, 0, time.FixedZone("", 2*3600))
	end := time.Date(2027, 8, 30, 23, 59, 0, 0, time.FixedZone("", 2*3600))
	var out []Sample
	for i, n := range names {
		r := events.MailRequest{
			Template: template, Letter: fmt.Sprintf("sample-%s-%d", template, i), Account: "sample",
			Language: language, Address: "ola@example.org", Name: n.name, Role: "student", Username: "256789",
			Expires: &end, Opens: &at, Deadline: &end,
		}
		if i%2 == 1 {
			r.Role, r.Username = "employee", ""
			r.Opens, r.Deadline, r.Expires = nil, nil, nil
			r.Locked = i%4 == 3
		}
		l := Letter{Request: r}
		switch template {
		case events.LetterSONumber:
			l.SONumber = sampleNumber
		case events.LetterActivation, events.LetterReminder, events.LetterReset:
			l.Link = base + "/a/" + strings.Repeat("sample-", 6) + "0"
		}
		out = append(out, Sample{About: n.about, Letter: l})
	}
	return out
}

// check executes every letter in every language for the sample people.
func (t *Templates) check() error {
	var errs []error
	for _, letter := range events.Letters() {
		for _, lang := range languages {
			for _, s := range Samples(letter, lang, t.institution.BaseURL) {
				if err := t.checkOne(s); err != nil {
					errs = append(errs, fmt.Errorf("%s in %s (%s): %w", letter, lang, s.About, err))
					break // one of a kind is enough to act on
				}
			}
		}
	}
	return errors.Join(errs...)
}

func (t *Templates) checkOne(s Sample) error {
	r, err := t.Render(s.Letter)
	if err != nil {
		return err
	}
	if r, err = t.checkStencil(s, r); err != nil {
		return err
	}
	if len(r.HTML) > maxLetter || len(r.Text) > maxLetter {
		return fmt.Errorf("letter is %d bytes of HTML and %d of text, at most %d are allowed", len(r.HTML), len(r.Text), maxLetter)
	}
	inHTML, inText := Links(r.HTML), Links(r.Text)
	if !slices.Equal(inHTML, inText) {
		return fmt.Errorf("HTML links to %v, text to %v: both must hold the same links", inHTML, inText)
	}
	for _, l := range inHTML {
		if l != t.institution.SupportURL && l != t.institution.BaseURL && !strings.HasPrefix(l, t.institution.BaseURL+"/") {
			return fmt.Errorf("letter links to %q, which is not the portal", l)
		}
	}
	if s.Link != "" && !slices.Contains(inHTML, s.Link) {
		return errors.New("letter lacks the link it is sent for")
	}
	if found := active.FindString(r.HTML); found != "" {
		return fmt.Errorf("letter holds %q: a letter neither loads nor runs anything", found)
	}
	for _, part := range []string{r.HTML, r.Text} {
		if s.SONumber != "" && strings.Contains(part, s.SONumber) != (t.numberForm == NumberFull) {
			return fmt.Errorf("letter shows the whole SO-number although so_number is not %q, or hides it although it is", NumberFull)
		}
	}
	if i := strings.IndexFunc(r.HTML+r.Text, func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f }); i >= 0 {
		return errors.New("letter holds a control character")
	}
	return nil
}

// checkStencil takes a letter's stencils away where one gives another letter
// than the templates do, and answers what the templates give.
func (t *Templates) checkStencil(s Sample, r Rendered) (Rendered, error) {
	name := s.Request.Template
	if t.marked[name] == nil {
		return r, nil
	}
	h, x, err := t.execute(name, t.text[name], t.page(s.Letter))
	if h != r.HTML || x != r.Text {
		delete(t.marked, name)
		r.HTML, r.Text = h, x
	}
	return r, err
}

// active is what would fetch something when a letter is opened, which tells
// that it was, or run in it.
var active = regexp.MustCompile(`(?i)<(?:img|image|script|link|iframe|frame|object|embed|form|audio|video|source|svg|base)\b` +
	`|<[^>]*\s(?:src|srcset|background|poster|http-equiv|on[a-z]+)\s*=|@import|@font-face|url\(`)

var linkPattern = regexp.MustCompile(`https?://[^\s"'<>]+`)

// Links are the http and https addresses in s, sorted, each once.
func Links(s string) []string {
	found := linkPattern.FindAllString(s, -1)
	slices.Sort(found)
	return slices.Compact(found)
}
