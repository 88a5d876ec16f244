package portal

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html"
	"html/template"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"
)

//go:embed templates/*.html
var templateFiles embed.FS

// pages is every template of the site, in one set for each language, which holds
// the words that are the same for everybody: a page is mostly such, and they are
// looked up and escaped once. A page stands between "top" and "bottom".
type pages struct {
	sets   map[string]*template.Template
	frames sync.Map // frame → []byte; as many as there are pages in all languages
}

// frame is all that the top or the bottom of a page depends on: constants of
// this package, nothing that a request brings.
type frame struct {
	part, lang, title, path string
	problems                bool
}

func (s *site) loadPages() error {
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return err
	}
	s.pages.sets = map[string]*template.Template{}
	for _, lang := range offered() {
		set := template.New("pages").Option("missingkey=error")
		for _, name := range files {
			text, err := templateFiles.ReadFile(name)
			if err == nil {
				text, err = s.worded(lang, text)
			}
			if err == nil {
				_, err = set.Parse(string(text))
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		s.pages.sets[lang] = set
	}
	return nil
}

// worded is a template with the words of a language in it, where nothing is filled
// into them but the institution's name. They are escaped for every place where
// one stands: between tags and in quoted attributes that hold plain text.
func (s *site) worded(lang string, text []byte) ([]byte, error) {
	var missing error
	word := regexp.MustCompile(`\{\{\$?\.T "([a-z0-9_]+)"\}\}`)
	v := view{Lang: lang, Institution: s.Institution.in(lang), site: s}
	return word.ReplaceAllFunc(text, func(found []byte) []byte {
		t, err := v.T(string(word.FindSubmatch(found)[1]))
		missing = errors.Join(missing, err)
		return []byte(strings.ReplaceAll(html.EscapeString(t), "{", "&#123;")) // a brace could begin an action
	}), missing
}

// render writes a page into b.
func (p *pages) render(b *bytes.Buffer, page string, v view) error {
	if err := p.framed(b, frame{"top", v.Lang, v.Title, v.Path, len(v.Problems) > 0}, v); err != nil {
		return err
	}
	if err := p.sets[v.Lang].ExecuteTemplate(b, page, &v); err != nil {
		return err
	}
	return p.framed(b, frame{part: "bottom", lang: v.Lang}, v)
}

// framed writes a top or a bottom, which a template has written once.
func (p *pages) framed(b *bytes.Buffer, f frame, v view) error {
	kept, ok := p.frames.Load(f)
	if !ok {
		var first bytes.Buffer
		if err := p.sets[f.lang].ExecuteTemplate(&first, f.part, &v); err != nil {
			return err
		}
		kept, _ = p.frames.LoadOrStore(f, first.Bytes())
	}
	_, _ = b.Write(kept.([]byte))
	return nil
}

// written is a document as pages show it: as one of its own, and as a part of
// another, where its headings stand lower.
func (p *pages) written(lang string, d document) (document, error) {
	var own, part bytes.Buffer
	set := p.sets[lang]
	err := errors.Join(set.ExecuteTemplate(&own, "blocks", blocks{d.blocks, false}), set.ExecuteTemplate(&part, "blocks", blocks{d.blocks, true}))
	d.blocks, d.Body, d.Part = nil, template.HTML(own.String()), template.HTML(part.String()) //nolint:gosec // a template has escaped both
	return d, err
}

// view is what a template sees. Its methods hold the words, so that a template
// holds none.
type view struct {
	Lang        string
	Title       string // key
	Path        string // of the page, for the language links; empty: where we are
	Institution Institution
	Style       string
	Script      string
	Logo        string
	Problems    []problem
	Data        any

	site *site
}

// problem is one thing to mend, with the field it belongs to.
type problem struct {
	Field string // ID of the field
	Text  string
}

// T is one text in the page's language.
func (v *view) T(key string, pairs ...any) (string, error) {
	return v.site.languages.text(v.Lang, key, append(pairs, "institution", v.Institution.Name)...)
}

// Problem is the text of the problem with a field, or "".
func (v *view) Problem(field string) string {
	for _, p := range v.Problems {
		if p.Field == field {
			return p.Text
		}
	}
	return ""
}

// Day and Clock are a moment as Norwegian clocks show it.
func (v *view) Day(t time.Time) string   { return v.site.day(v.Lang, t) }
func (v *view) Clock(t time.Time) string { return v.site.clock(v.Lang, t) }

// Languages are the language links, each in its own language.
func (v *view) Languages() []languageLink {
	var links []languageLink
	for _, code := range offered() {
		links = append(links, languageLink{Code: code, Href: v.Path + "?lang=" + code, Current: code == v.Lang,
			Name: v.site.languages.texts[code]["language_name"]})
	}
	return links
}

type languageLink struct {
	Code, Name, Href string
	Current          bool
}

// in is the institution as a language calls it.
func (in Institution) in(lang string) Institution {
	if name := in.Names[lang]; name != "" {
		in.Name = name
	}
	return in
}

func (s *site) view(lang, title string, data any) view {
	return view{Lang: lang, Title: title, Institution: s.Institution.in(lang), Data: data, site: s,
		Style: s.assets.Style.URL, Script: s.assets.Script.URL, Logo: s.assets.Logo.URL}
}

// sheets are what pages are written on, used again and again: the largest page
// would otherwise grow a new one in steps.
type sheets struct{ pool sync.Pool }

func (s *sheets) take() *bytes.Buffer {
	if b, ok := s.pool.Get().(*bytes.Buffer); ok {
		return b
	}
	return new(bytes.Buffer)
}

func (s *sheets) give(b *bytes.Buffer) {
	b.Reset()
	s.pool.Put(b)
}

// show writes a page, whole or not at all.
func (s *site) show(w http.ResponseWriter, r *http.Request, status int, page string, v view) {
	b := s.sheets.take()
	defer s.sheets.give(b)
	if err := s.pages.render(b, page, v); err != nil {
		requestOf(r).err = err
		http.Error(w, "500", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

func (s *site) start(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, http.StatusOK, "start", s.view(s.languageOf(w, r, ""), "start_title", nil))
}

func (s *site) help(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, http.StatusOK, "help", s.view(s.languageOf(w, r, ""), "help_title", s.Password))
}

func (s *site) document(path string, all documents) http.HandlerFunc {
	titles := map[string]string{"/rules": "nav_rules", "/privacy": "nav_privacy", "/accessibility": "nav_accessibility"}
	return func(w http.ResponseWriter, r *http.Request) {
		lang := s.languageOf(w, r, "")
		s.show(w, r, http.StatusOK, "document", s.view(lang, titles[path], all[lang]))
	}
}
