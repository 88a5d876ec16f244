package portal_test

import (
	"bytes"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"usn.no/matricula/portal"
)

// Before the majority's opening, 1 August 2027 00:00 in Oslo.
var july = time.Date(2027, 7, 20, 10, 0, 0, 0, time.UTC)

const (
	good   = "Blue-kettle-sings"
	number = "17912099997" // synthetic
)

// house is a portal on a real listener with the double behind it.
type house struct {
	*httptest.Server
	life *life
	log  *lines
}

// lines collects the log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func prøven() portal.Institution {
	return portal.Institution{Name: "Universitetet i Prøven", SupportEmail: "hjelp@example.org"}
}

func settings(l *life, base string) *portal.Portal {
	return &portal.Portal{
		Clicks: l, Letters: l, People: l, Changes: l, Sessions: &l.sessions, BaseURL: base, Secrets: [][]byte{bytes.Repeat([]byte{7}, 32)},
		Institution: prøven(),
		Password:    portal.PasswordRules{MinLength: 16, MaxLength: 128, MaxRepeat: 3, Groups: 3},
		Log:         zerolog.Nop(), Now: l.clock,
	}
}

// open starts a house over TLS; change may alter its settings first.
func open(t *testing.T, change ...func(*portal.Portal)) *house {
	t.Helper()
	return start(t, true, change...)
}

func start(t testing.TB, tls bool, change ...func(*portal.Portal)) *house {
	t.Helper()
	h := &house{life: newLife(july), log: &lines{}}
	h.Server = httptest.NewUnstartedServer(nil)
	scheme := "http://"
	if tls {
		scheme = "https://"
	}
	p := settings(h.life, scheme+h.Listener.Addr().String())
	p.Log = zerolog.New(h.log)
	for _, c := range change {
		c(p)
	}
	handler, err := p.Handler()
	if err != nil {
		t.Fatalf("the portal does not start: %v", err)
	}
	h.Config = portal.NewServer("", handler)
	if tls {
		h.StartTLS()
	} else {
		h.Start()
	}
	t.Cleanup(h.Close)
	return h
}

// visitor is a browser: it keeps cookies and follows our redirects.
type visitor struct {
	t      testing.TB
	house  *house
	client *http.Client
}

func (h *house) visitor(t testing.TB) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := *h.Client()
	client.Jar = jar
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &visitor{t: t, house: h, client: &client}
}

// page is an answer.
type page struct {
	status int
	header http.Header
	body   string
}

func (p page) location() string { return p.header.Get("Location") }

// title is the text between <title> and </title>.
func (p page) title() string {
	_, rest, _ := strings.Cut(p.body, "<title>")
	title, _, _ := strings.Cut(rest, "</title>")
	return html.UnescapeString(title)
}

// words are what a person reads of the page.
func (p page) words() string {
	_, main, _ := strings.Cut(p.body, "<main")
	main, _, _ = strings.Cut(main, "</main>")
	return html.UnescapeString(strings.Join(strings.Fields(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(main, " ")), " "))
}

func (p page) lang() string {
	return first(p.body, `<html lang="([a-z]+)"`)
}

func first(s, pattern string) string {
	m := regexp.MustCompile(pattern).FindStringSubmatch(s)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

func (v *visitor) do(method, path string, body io.Reader, header ...string) page {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.house.URL+path, body)
	if err != nil {
		v.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
			continue
		}
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := v.client.Do(req)
	if err != nil {
		v.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	// Where a long word may be parted is nothing that a person reads.
	return page{resp.StatusCode, resp.Header, strings.ReplaceAll(string(b), "\u00ad", "")}
}

func (v *visitor) get(path string, header ...string) page {
	v.t.Helper()
	return v.do(http.MethodGet, path, nil, header...)
}

// visit follows redirects, which must lead to our own paths.
func (v *visitor) visit(path string, header ...string) page {
	v.t.Helper()
	p := v.get(path, header...)
	for n := 0; p.status == http.StatusSeeOther; n++ {
		if n == 5 {
			v.t.Fatalf("%s leads in a circle", path)
		}
		p = v.get(p.location(), header...)
	}
	return p
}

func (v *visitor) post(path string, form url.Values, header ...string) page {
	v.t.Helper()
	header = append([]string{"Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin"}, header...)
	return v.do(http.MethodPost, path, strings.NewReader(form.Encode()), header...)
}

// prove goes from the link to the password page.
func (v *visitor) prove(ticket string) page {
	v.t.Helper()
	v.visit("/a/" + ticket)
	p := v.post("/activate", url.Values{"role": {"student"}, "number": {number}})
	if p.location() != "/activate/password" {
		v.t.Fatalf("a right number leads to %d %q, not to the password page:\n%s", p.status, p.location(), p.body)
	}
	return v.get("/activate/password")
}

// choice is a complete second form, with the rules that p shows.
func choice(p page, password string) url.Values {
	return url.Values{"username": {"karnor"}, "rules": {first(p.body, `name="rules" value="([0-9a-f]{64})"`)},
		"accept": {"yes"}, "password": {password}}
}

func (v *visitor) cookies() map[string]string {
	u, err := url.Parse(v.house.URL)
	if err != nil {
		v.t.Fatal(err)
	}
	all := map[string]string{}
	for _, c := range v.client.Jar.Cookies(u) {
		all[c.Name] = c.Value
	}
	return all
}

func (v *visitor) setCookie(name, value string) {
	u, _ := url.Parse(v.house.URL)
	v.client.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: u.Scheme == "https"}})
}

func expect(t testing.TB, p page, status int, words ...string) {
	t.Helper()
	text := html.UnescapeString(p.body)
	if p.status != status {
		t.Errorf("the answer is %d, not %d:\n%s", p.status, status, p.words())
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("the page does not say %q:\n%s", w, p.words())
		}
	}
}

func TestPortalRefusesSettingsThatWouldMakeAPageWrong(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*portal.Portal){
		"no secret":        func(p *portal.Portal) { p.Secrets = nil },
		"short secret":     func(p *portal.Portal) { p.Secrets = [][]byte{[]byte("short")} },
		"no base url":      func(p *portal.Portal) { p.BaseURL = "" },
		"base url of ftp":  func(p *portal.Portal) { p.BaseURL = "ftp://example.org" },
		"no clicks":        func(p *portal.Portal) { p.Clicks = nil },
		"no name":          func(p *portal.Portal) { p.Institution.Name = "" },
		"no support":       func(p *portal.Portal) { p.Institution.SupportEmail = "" },
		"script for link":  func(p *portal.Portal) { p.Institution.SupportURL = "javascript:alert(1)" },
		"no rules there":   func(p *portal.Portal) { p.Institution.RulesDir = t.TempDir() },
		"no length":        func(p *portal.Portal) { p.Password.MinLength = 0 },
		"five groups of 4": func(p *portal.Portal) { p.Password.Groups = 5 },
	} {
		p := settings(newLife(july), "https://konto.example.org")
		change(p)
		if _, err := p.Handler(); err == nil {
			t.Errorf("%s: the portal starts", name)
		}
	}
}

func TestEveryPageCarriesTheGuardingHeaders(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	for _, path := range []string{"/", "/activate", "/a/" + ticketOf("x"), "/help", "/nowhere", "/activate/done"} {
		p := v.get(path)
		for name, want := range map[string]string{
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
			"Strict-Transport-Security": "max-age=31536000",
		} {
			if got := p.header.Get(name); got != want {
				t.Errorf("%s answers %s: %q, not %q", path, name, got, want)
			}
		}
		csp := p.header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "form-action 'self'", "base-uri 'none'",
			"frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(csp, part) {
				t.Errorf("%s: the policy lacks %s", path, part)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("%s: the policy allows something unsafe: %s", path, csp)
		}
	}
	plain := start(t, false).visitor(t).get("/")
	if plain.header.Get("Strict-Transport-Security") != "" {
		t.Error("plain http promises https for a year")
	}
}

func TestPagesReferToNothingButOurselves(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	bodies := []string{v.visit("/").body, v.visit("/help").body, v.prove(h.life.invite("kari", nil)).body}
	refer := regexp.MustCompile(`(?:href|src|action)="([^"]*)"`)
	for _, b := range bodies {
		for _, m := range refer.FindAllStringSubmatch(b, -1) {
			own := strings.HasPrefix(m[1], "/") && !strings.HasPrefix(m[1], "//") || strings.HasPrefix(m[1], "#") || strings.HasPrefix(m[1], "?lang=")
			if !own && m[1] != "data:," && m[1] != "mailto:hjelp@example.org" {
				t.Errorf("a page refers to %q", m[1])
			}
		}
		if strings.Contains(b, "<style") || regexp.MustCompile(`\s(style|on[a-z]+)="`).MatchString(b) {
			t.Error("a page holds style or script that the policy refuses")
		}
	}
}

func TestLogHoldsNothingThatARequestBroughtAlong(t *testing.T) { // T31
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	ticket := h.life.invite("kari", nil)
	p := v.prove(ticket)
	v.post("/activate", url.Values{"role": {"student"}, "number": {"05840399895"}})
	v.post("/activate/password", choice(p, "too-short"))
	held := v.cookies()
	v.post("/activate/password", choice(p, good))
	v.get("/secret-path-17912099997?q=17912099997", "User-Agent", "agent-17912099997")
	text := h.log.String()
	secrets := []string{ticket, number, "05840399895", good, "too-short", "karnor", "Nordmann", "127.0.0.1", "secret-path", "agent-"}
	for _, c := range held {
		secrets = append(secrets, c)
	}
	for _, s := range secrets {
		if s != "" && strings.Contains(text, s) {
			t.Errorf("the log holds %q", s)
		}
	}
	for _, route := range []string{`"route":"/a/{ticket}"`, `"route":"/activate/password"`, `"route":"other"`, `"status":422`, `"request":"`, `"took":`} {
		if !strings.Contains(text, route) {
			t.Errorf("the log lacks %s:\n%s", route, text)
		}
	}
}

func TestSlowRequestsMeetTimeouts(t *testing.T) {
	t.Parallel()
	s := portal.NewServer("127.0.0.1:0", http.NotFoundHandler())
	for name, d := range map[string]time.Duration{"header": s.ReadHeaderTimeout, "read": s.ReadTimeout, "write": s.WriteTimeout, "idle": s.IdleTimeout} {
		if d <= 0 || d > time.Minute {
			t.Errorf("the %s timeout is %s", name, d)
		}
	}
	if s.MaxHeaderBytes <= 0 || s.MaxHeaderBytes > 64<<10 {
		t.Errorf("headers of %d bytes are read", s.MaxHeaderBytes)
	}
}

// languages are all three.
func languages() []string { return []string{"nb", "nn", "en"} }

func keysOf[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
