package mailer

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"usn.no/matricula/events"
)

// page is the dot of a letter's template. Every method that gives words fails
// where the words need something the letter does not have, so that a letter
// with a hole in it is never sent.
type page struct {
	Language    string
	Institution string
	SupportEmail,
	SupportURL string
	Role, Username           string
	Opens, Expires, Deadline string // spelled out, or empty
	NumberForm               string // full | masked | link
	Locked                   bool   // a leaving letter to somebody who is locked already

	letter, base string
	name         string
	link         string
	number       string // in the form the institution chose
	words        words
}

// username is what a username can be here; anything else is not shown.
var username = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Fact is a label with its value.
type Fact struct{ Label, Value string }

// Link is a label with its address, and what to do where it cannot be pressed.
type Link struct{ Label, URL, Hint string }

// List is a label with its items.
type List struct {
	Label string
	Items []string
}

func (t *Templates) page(l Letter) *page {
	r := l.Request
	lang := r.Language
	if _, ok := t.words[lang]; !ok {
		lang = fallback
	}
	when := func(at *time.Time) string {
		if at == nil || at.IsZero() {
			return ""
		}
		return spell(*at, t.oslo, lang)
	}
	p := &page{
		Language: lang, Institution: t.institution.name(lang),
		SupportEmail: t.institution.SupportEmail, SupportURL: t.institution.SupportURL,
		Opens: when(r.Opens), Expires: when(r.Expires), Deadline: when(r.Deadline),
		NumberForm: t.numberForm, Locked: r.Locked && r.Template == events.LetterLeaving,
		letter: r.Template, base: t.institution.BaseURL, name: cleanName(r.Name),
		link: l.Link, number: l.SONumber, words: t.words[lang],
	}
	if t.numberForm == NumberMasked && p.number != "" {
		p.number = strings.Repeat("•", 8) + p.number[max(0, len(p.number)-3):]
	}
	if username.MatchString(r.Username) {
		p.Username = r.Username
	}
	if r.Role == "student" || r.Role == "employee" {
		p.Role = r.Role
	}
	return p
}

// Say is the sentence of a key with its placeholders filled in, in one pass:
// what a name holds is never read as a placeholder.
func (p *page) Say(key string) (string, error) {
	rest, ok := p.words[key]
	if !ok {
		return "", fmt.Errorf("words: no sentence %q", key)
	}
	var b strings.Builder
	for {
		at := placeholder.FindStringIndex(rest)
		if at == nil {
			b.WriteString(rest)
			return b.String(), nil
		}
		v := p.value(rest[at[0]:at[1]])
		if v == "" {
			return "", fmt.Errorf("words: %q needs %s, which this letter does not have", key, rest[at[0]:at[1]])
		}
		b.WriteString(rest[:at[0]])
		b.WriteString(v)
		rest = rest[at[1]:]
	}
}

func (p *page) value(placeholder string) string {
	switch placeholder {
	case "{name}":
		return p.name
	case "{institution}":
		return p.Institution
	case "{opens}":
		return p.Opens
	case "{expires}":
		return p.Expires
	case "{deadline}":
		return p.Deadline
	}
	return ""
}

// Hello greets by name where there is one.
func (p *page) Hello() (string, error) {
	if p.name == "" {
		return p.Say("hello.nameless")
	}
	return p.Say("hello")
}

// Subject, Preview and Why are the letter's own.
func (p *page) Subject() (string, error) { return p.Say(p.now("subject")) }
func (p *page) Preview() (string, error) { return p.Say(p.now("preview")) }
func (p *page) Why() (string, error)     { return p.Say(p.letter + ".why") }

// now is the key of the letter's own sentence that is true now.
func (p *page) now(sentence string) string {
	if p.Locked {
		sentence = "locked." + sentence
	}
	return p.letter + "." + sentence
}

// Fact puts a label before a value.
func (p *page) Fact(key, value string) (Fact, error) {
	if value == "" {
		return Fact{}, fmt.Errorf("letter: no value for %q", key)
	}
	label, err := p.Say(key)
	return Fact{label, value}, err
}

// List is the sentence of key followed by those of key.1, key.2 and so on.
func (p *page) List(key string) (List, error) {
	label, err := p.Say(key)
	l := List{Label: label}
	for i := 1; err == nil; i++ {
		k := fmt.Sprintf("%s.%d", key, i)
		if _, ok := p.words[k]; !ok {
			break
		}
		var s string
		s, err = p.Say(k)
		l.Items = append(l.Items, s)
	}
	return l, err
}

// HasTicket tells whether the letter brings an invitation.
func (p *page) HasTicket() bool { return p.link != "" }

// Ticket is the button that opens the invitation.
func (p *page) Ticket(key string) (Link, error) {
	if p.link == "" {
		return Link{}, fmt.Errorf("letter: %q needs an invitation", key)
	}
	return p.to(key, p.link)
}

// Portal is a link to one of the portal's own pages, by what it is for.
func (p *page) Portal(key, page string) (Link, error) {
	path, ok := portalPages[page]
	if !ok {
		return Link{}, fmt.Errorf("letter: %q is no page of the portal that letters link to", page)
	}
	return p.to(key, p.base+path)
}

// portalPages are the portal's pages that letters link to. A test asks the
// portal for each, so that no letter leads to a page that is not there.
var portalPages = map[string]string{
	"help":        "/help",
	"compromised": "/compromised", // tell that somebody else may have the password
	"password":    "/password",    // change it
	"forgot":      "/forgot",      // ask for a link to set a new one
}

func (p *page) to(key, url string) (Link, error) {
	label, err := p.Say(key)
	if err != nil {
		return Link{}, err
	}
	hint, err := p.Say("button.hint")
	return Link{Label: label, URL: url, Hint: hint}, err
}

// Number is the SO-number in the form the institution chose.
func (p *page) Number() (string, error) {
	if p.number == "" {
		return "", errors.New("letter: no SO-number")
	}
	return p.number, nil
}

// needs tells what a letter of template cannot do without.
func needs(r events.MailRequest) (field, text string) {
	switch {
	case r.Letter == "":
		return "data.letter", "a letter needs an ID"
	case r.Template == events.LetterSONumber && r.SONumber == "":
		return "data.so_number", "this letter brings an SO-number, sealed"
	case r.Invitation == "" && (r.Template == events.LetterActivation || r.Template == events.LetterReminder || r.Template == events.LetterReset):
		return "data.invitation", "this letter brings an invitation"
	}
	return "", ""
}
