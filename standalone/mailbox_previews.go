package standalone

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// Preview is a letter as it would look to somebody who does not exist.
type Preview struct {
	Letter   string // its template
	Language string
	About    string // what is awkward about this person
	Subject  string
	Text     string
	HTML     string
}

// previewPage is the list of previews, or one of them.
type previewPage struct {
	Groups       []previewGroup // where none is picked
	Broken       string         // why there are none
	One          Preview
	Number       int // of One
	View, Scheme string
	Width        int
	Frame        string
}

// previewGroup is a letter, with the people it is shown to.
type previewGroup struct {
	Letter string
	People []previewPerson
}

type previewPerson struct {
	About string
	Items []previewItem // one a language
}

type previewItem struct {
	Preview
	Number int
}

// With is the address of this page with one choice changed.
func (p previewPage) With(key, value string) string {
	q := url.Values{"n": {strconv.Itoa(p.Number)}, "view": {p.View}, "scheme": {p.Scheme}, "width": {strconv.Itoa(p.Width)}}
	q.Set(key, value)
	return "/templates?" + q.Encode()
}

// showTemplates shows every letter to every sample person. The letters are
// made anew each time, so that whoever edits templates reloads the page.
func (b *Mailbox) showTemplates(w http.ResponseWriter, r *http.Request, t *template.Template) {
	if b.Previews == nil {
		http.NotFound(w, r)
		return
	}
	var p previewPage
	all, err := b.Previews()
	if err != nil {
		p.Broken = err.Error()
		page(w, t, "templates.html", p)
		return
	}
	q := r.URL.Query()
	if n, err := strconv.Atoi(q.Get("n")); err == nil && n >= 0 && n < len(all) {
		p.One, p.Number = all[n], n
		p.View, p.Scheme, p.Width = choice(q.Get("view"), "html", "text"), choice(q.Get("scheme"), "light", "dark"), 600
		if q.Get("width") == "320" {
			p.Width = 320
		}
		p.Frame = frame(p.One.HTML, p.Scheme)
		page(w, t, "templates.html", p)
		return
	}
	p.Groups = grouped(all)
	page(w, t, "templates.html", p)
}

// grouped puts the languages of a person side by side.
func grouped(all []Preview) []previewGroup {
	var out []previewGroup
	for i, one := range all {
		if n := len(out); n == 0 || out[n-1].Letter != one.Letter {
			out = append(out, previewGroup{Letter: one.Letter})
		}
		g := &out[len(out)-1]
		at := slices.IndexFunc(g.People, func(p previewPerson) bool { return p.About == one.About })
		if at < 0 {
			at = len(g.People)
			g.People = append(g.People, previewPerson{About: one.About})
		}
		g.People[at].Items = append(g.People[at].Items, previewItem{one, i})
	}
	return out
}
