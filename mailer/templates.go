package mailer

import (
	"embed"
	"errors"
	"fmt"
	html "html/template"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	text "text/template"
	"time"

	"usn.no/matricula/events"
)

//go:embed templates
var shipped embed.FS

// Forms of an SO-number in its letter.
const (
	NumberFull   = "full"   // all eleven digits, as the university's page says
	NumberMasked = "masked" // the last three
	NumberLink   = "link"   // none, and a link to the portal's help page
)

// Institution is what letters say about who sends them. URLs have no slash at
// the end. BaseURL is the portal's and the only source of every link in a
// letter but SupportURL.
type Institution struct {
	Name         string            // used where Names has none for the language
	Names        map[string]string // by language, optional
	SupportEmail string            // may be empty
	SupportURL   string            // may be empty
	BaseURL      string            // "https://konto.example.no"
}

func (i Institution) name(lang string) string {
	if n := i.Names[lang]; n != "" {
		return n
	}
	return i.Name
}

func (i Institution) check() error {
	if clean(i.Name, maxName) != i.Name || i.Name == "" {
		return errors.New("institution name: must be one line of at most 80 characters")
	}
	for lang, n := range i.Names {
		if clean(n, maxName) != n || !slices.Contains(languages, lang) {
			return fmt.Errorf("institution name in %q: must be one line of at most 80 characters in nb, nn or en", lang)
		}
	}
	for what, s := range map[string]string{"portal base_url": i.BaseURL, "institution support_url": i.SupportURL} {
		if s == "" && what != "portal base_url" {
			continue
		}
		u, err := url.Parse(s)
		if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || u.User != nil ||
			u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(s, "/") && s == i.BaseURL || !plainURL.MatchString(s) {
			return fmt.Errorf("%s: %q is not a plain http(s) address without a slash at its end", what, s)
		}
	}
	if i.SupportEmail != "" {
		if _, err := checkAddress(i.SupportEmail); err != nil {
			return errors.New("institution support_email: not a plain address")
		}
	}
	return nil
}

var plainURL = regexp.MustCompile(`^[A-Za-z0-9:/._~\[\]-]+$`)

// Templates are the letters an institution sends. They are checked when they
// are made: what NewTemplates gives renders every letter in every language.
type Templates struct {
	institution Institution
	numberForm  string
	words       map[string]words
	html        map[string]*html.Template
	text        map[string]*text.Template
	marked      map[string]*text.Template // of letters that have stencils: see markFills
	stencils    sync.Map                  // shape → *stencil
	oslo        *time.Location
}

// NewTemplates reads the shipped letters and lays override over them, file by
// file (nil: none), and words by sentence. numberForm is full, masked or link.
// Every letter is then parsed and executed for sample people with awkward
// names; the error names each file and sentence that does not hold.
func NewTemplates(i Institution, numberForm string, override fs.FS) (*Templates, error) {
	if err := i.check(); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{NumberFull, NumberMasked, NumberLink}, numberForm) {
		return nil, fmt.Errorf("letters so_number: %q is not full, masked or link", numberForm)
	}
	oslo, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		return nil, err
	}
	base, err := fs.Sub(shipped, "templates")
	if err != nil {
		return nil, err
	}
	t := &Templates{
		institution: i, numberForm: numberForm, oslo: oslo,
		words: map[string]words{}, html: map[string]*html.Template{}, text: map[string]*text.Template{},
		marked: map[string]*text.Template{},
	}
	if err := t.load(base, override); err != nil {
		return nil, fmt.Errorf("letter templates: %w", err)
	}
	if err := t.check(); err != nil {
		return nil, fmt.Errorf("letter templates: %w", err)
	}
	return t, nil
}

func (t *Templates) load(base, override fs.FS) error {
	if err := onlyKnown(base, override); err != nil {
		return err
	}
	for _, lang := range languages {
		w, err := loadWords(base, override, lang)
		if err != nil {
			return err
		}
		t.words[lang] = w
	}
	if err := checkWords(t.words); err != nil {
		return err
	}
	frame := map[string]string{}
	shippedFrame := true
	for _, name := range []string{"layout.html.tmpl", "parts.html.tmpl", "layout.text.tmpl", "parts.text.tmpl"} {
		s, own, err := readOver(base, override, name)
		if err != nil {
			return err
		}
		frame[name] = s
		shippedFrame = shippedFrame && !own
	}
	for _, letter := range events.Letters() {
		name := "letters/" + letter + ".tmpl"
		body, own, err := readOver(base, override, name)
		if err != nil {
			return err
		}
		if t.html[letter], err = html.New(letter).Parse(frame["layout.html.tmpl"] + frame["parts.html.tmpl"] + body); err != nil {
			return fmt.Errorf("%s (html): %w", name, err)
		}
		parts := text.New(letter).Funcs(text.FuncMap{"wrap": wrap, "item": item, "underline": underline})
		if t.text[letter], err = parts.Parse(frame["layout.text.tmpl"] + frame["parts.text.tmpl"] + body); err != nil {
			return fmt.Errorf("%s (text): %w", name, err)
		}
		if shippedFrame && !own {
			if t.marked[letter], err = markFills(t.text[letter]); err != nil {
				return fmt.Errorf("%s (text): %w", name, err)
			}
		}
	}
	return nil
}

// onlyKnown refuses a file in the override that replaces nothing: it is a
// letter that somebody believes he has changed.
func onlyKnown(base, override fs.FS) error {
	if override == nil {
		return nil
	}
	return fs.WalkDir(override, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if _, err := fs.Stat(base, path); err != nil {
			return fmt.Errorf("%s: replaces no shipped template", path)
		}
		return nil
	})
}

// readOver reads a file, and tells whether it is the override's.
func readOver(base, override fs.FS, name string) (content string, own bool, err error) {
	if override != nil {
		raw, err := fs.ReadFile(override, name)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return string(raw), true, err
		}
	}
	raw, err := fs.ReadFile(base, name)
	return string(raw), false, err
}

// Letter is a request with what only the mailer knows: the link sealed from
// its invitation and the opened SO-number.
type Letter struct {
	Request  events.MailRequest
	Link     string
	SONumber string
}

// Rendered is a letter in both its forms, which are equals.
type Rendered struct{ Language, Subject, Text, HTML string }

// Render writes the letter. The same letter gives the same bytes.
func (t *Templates) Render(l Letter) (Rendered, error) {
	name := l.Request.Template
	if t.html[name] == nil {
		return Rendered{}, fmt.Errorf("letter: no template %q", name)
	}
	p := t.page(l)
	subject, err := p.Subject()
	if err != nil {
		return Rendered{}, err
	}
	r := Rendered{Language: p.Language, Subject: subject}
	if s, ticket, ok := t.shapeOf(p); ok && t.marked[name] != nil {
		ready, err := t.stencil(s, p)
		if err != nil {
			return Rendered{}, err
		}
		r.HTML, r.Text = ready.fill(p, ticket)
		return r, nil
	}
	r.HTML, r.Text, err = t.execute(name, t.text[name], p)
	return r, err
}

// execute runs the templates of a letter, the given ones for its plain form.
func (t *Templates) execute(name string, plain *text.Template, p *page) (string, string, error) {
	var h, x strings.Builder
	if err := t.html[name].Execute(&h, p); err != nil {
		return "", "", fmt.Errorf("letter: %w", err)
	}
	if err := plain.Execute(&x, p); err != nil {
		return "", "", fmt.Errorf("letter: %w", err)
	}
	return squeeze(h.String()), tidy(x.String()), nil
}
