package standalone

import (
	"html/template"
	"net/http"
	"net/url"
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

type previewGroup struct {
	Letter string
	Items  []previewItem
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
	for i, one := range all {
		if n := len(p.Groups); n == 0 || p.Groups[n-1].Letter != one.Letter {
			p.Groups = append(p.Groups, previewGroup{Letter: one.Letter})
		}
		g := &p.Groups[len(p.Groups)-1]
		g.Items = append(g.Items, previewItem{one, i})
	}
	page(w, t, "templates.html", p)
}
