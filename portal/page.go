package portal

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strings"
	"time"
)

//go:embed templates/*.html
var templateFiles embed.FS

// pages is one template set per page, each on top of the layout.
type pages map[string]*template.Template

func loadPages() (pages, error) {
	all := pages{}
	entries, err := templateFiles.ReadDir("templates")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name, _ := strings.CutSuffix(e.Name(), ".html")
		if name == "layout" {
			continue
		}
		t, err := template.New("layout.html").Option("missingkey=error").
			ParseFS(templateFiles, "templates/layout.html", "templates/"+e.Name())
		if err != nil {
			return nil, err
		}
		all[name] = t
	}
	return all, nil
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
func (v view) T(key string, pairs ...any) (string, error) {
	return v.site.languages.text(v.Lang, key, append(pairs, "institution", v.Institution.Name)...)
}

// Problem is the text of the problem with a field, or "".
func (v view) Problem(field string) string {
	for _, p := range v.Problems {
		if p.Field == field {
			return p.Text
		}
	}
	return ""
}

// Day and Clock are a moment as Norwegian clocks show it.
func (v view) Day(t time.Time) string   { return v.site.day(v.Lang, t) }
func (v view) Clock(t time.Time) string { return v.site.clock(v.Lang, t) }

// Languages are the language links, each in its own language.
func (v view) Languages() []languageLink {
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

func (s *site) view(lang, title string, data any) view {
	return view{Lang: lang, Title: title, Institution: s.Institution, Data: data, site: s,
		Style: s.assets.Style.URL, Script: s.assets.Script.URL, Logo: s.assets.Logo.URL}
}

// show writes a page, whole or not at all.
func (s *site) show(w http.ResponseWriter, r *http.Request, status int, page string, v view) {
	var b bytes.Buffer
	if err := s.pages[page].Execute(&b, v); err != nil {
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
