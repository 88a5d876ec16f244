package standalone

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

//go:embed mailbox
var pages embed.FS

// mailPolicy lets a letter show itself and do nothing else: no script, nothing
// fetched, no form. It covers the frame that the letter stands in.
const mailPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// Handler is the mailbox's web page: the list, one page a message, its source,
// /messages.json, and /templates where there are previews. It answers only to loopback names, so that no page from
// elsewhere can read the letters by a name that it points here.
func (b *Mailbox) Handler() http.Handler {
	t := template.Must(template.ParseFS(pages, "mailbox/*.html"))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { b.showList(w, r, t) })
	mux.HandleFunc("GET /mail/{id}", func(w http.ResponseWriter, r *http.Request) { b.showMail(w, r, t) })
	mux.HandleFunc("GET /mail/{id}/source.eml", b.showSource)
	mux.HandleFunc("GET /templates", func(w http.ResponseWriter, r *http.Request) { b.showTemplates(w, r, t) })
	mux.HandleFunc("GET /messages.json", b.showJSON)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopbackName(r.Host) {
			http.Error(w, "this mailbox is only for this machine", http.StatusMisdirectedRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", mailPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

func isLoopbackName(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	ip := net.ParseIP(strings.Trim(name, "[]"))
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

// page writes a whole page or an error, never half of one.
func page(w http.ResponseWriter, t *template.Template, name string, data any) {
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, name, data); err != nil {
		http.Error(w, "page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = out.WriteTo(w)
}

type listPage struct {
	To       string
	Previews bool // there is a page of templates
	Follow   bool // looks again by itself: only when asked to, because it moves the reader
	Total    int
	Mails    []Message // newest first
}

func (b *Mailbox) showList(w http.ResponseWriter, r *http.Request, t *template.Template) {
	q := r.URL.Query()
	p := listPage{To: q.Get("to"), Follow: q.Get("follow") != "", Previews: b.Previews != nil, Mails: b.Messages()}
	p.Total = len(p.Mails)
	p.Mails = slices.DeleteFunc(p.Mails, func(m Message) bool { return !strings.Contains(m.To, p.To) })
	slices.Reverse(p.Mails)
	page(w, t, "list.html", p)
}

type mailPage struct {
	Message
	View, Scheme string
	Width        int
	Frame        string
	Source       string
	Newer, Older int // numbers of the neighbours, 0 for none
}

// With is the address of this page with one choice changed.
func (p mailPage) With(key, value string) string {
	q := url.Values{"view": {p.View}, "scheme": {p.Scheme}, "width": {strconv.Itoa(p.Width)}}
	q.Set(key, value)
	return "/mail/" + strconv.Itoa(p.ID) + "?" + q.Encode()
}

func (b *Mailbox) showMail(w http.ResponseWriter, r *http.Request, t *template.Template) {
	m, ok := b.requested(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	q := r.URL.Query()
	p := mailPage{
		Message: m, View: choice(q.Get("view"), "html", "text", "headers", "source"),
		Scheme: choice(q.Get("scheme"), "light", "dark"), Width: 600,
		Source: strings.ToValidUTF8(string(m.Raw), "�"),
	}
	if q.Get("width") == "320" {
		p.Width = 320
	}
	p.Frame = frame(m.HTML, p.Scheme)
	if _, ok := b.Message(m.ID + 1); ok {
		p.Newer = m.ID + 1
	}
	if _, ok := b.Message(m.ID - 1); ok {
		p.Older = m.ID - 1
	}
	page(w, t, "mail.html", p)
}

// choice is v if it is one of the words, else the first of them.
func choice(v string, words ...string) string {
	if slices.Contains(words, v) {
		return v
	}
	return words[0]
}

// frame prepares a letter to be shown in one colour scheme whatever the
// browser's is: its media queries are answered here. Links open a tab.
func frame(html, scheme string) string {
	answer := map[string][2]string{ // to dark, to light
		"dark":  {"(min-width:0)", "(max-width:0)"},
		"light": {"(max-width:0)", "(min-width:0)"},
	}[scheme]
	html = strings.NewReplacer(
		"(prefers-color-scheme: dark)", answer[0], "(prefers-color-scheme:dark)", answer[0],
		"(prefers-color-scheme: light)", answer[1], "(prefers-color-scheme:light)", answer[1],
	).Replace(html)
	head := `<base target="_blank"><style>:root{color-scheme:` + scheme + ` !important}</style>`
	if before, after, ok := strings.Cut(html, "<head>"); ok {
		return before + "<head>" + head + after
	}
	return head + html
}

func (b *Mailbox) requested(r *http.Request) (Message, bool) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return Message{}, false
	}
	return b.Message(id)
}

func (b *Mailbox) showSource(w http.ResponseWriter, r *http.Request) {
	m, ok := b.requested(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "message/rfc822")
	w.Header().Set("Content-Disposition", `attachment; filename="`+strconv.Itoa(m.ID)+`.eml"`)
	_, _ = w.Write(m.Raw)
}

func (b *Mailbox) showJSON(w http.ResponseWriter, _ *http.Request) {
	out, err := json.Marshal(b.Messages())
	if err != nil {
		http.Error(w, "messages cannot be listed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(out)
}
