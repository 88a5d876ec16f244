package portal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"usn.no/matricula/account"
	"usn.no/matricula/portal"
)

func TestEveryFaultHasAPageInEveryLanguage(t *testing.T) {
	t.Parallel()
	words := map[int][3]string{
		400: {"Vi forstod ikke skjemaet", "Vi forstod ikkje skjemaet", "We did not understand the form"},
		403: {"Skjemaet kom fra et annet nettsted", "Skjemaet kom frå ein annan nettstad", "The form came from another site"},
		404: {"Siden finnes ikke", "Sida finst ikkje", "There is no such page"},
		405: {"Siden kan ikke brukes slik", "Sida kan ikkje brukast slik", "The page cannot be used like this"},
		410: {"Lenken er allerede brukt", "Lenkja er allereie brukt", "The link has already been used"},
		413: {"Skjemaet er for stort", "Skjemaet er for stort", "The form is too large"},
		422: {"Dette må rettes", "Dette må rettast", "Please correct this"},
		429: {"Vent litt", "Vent litt", "Please wait a little"},
		500: {"Noe gikk galt hos oss", "Noko gjekk gale hos oss", "Something went wrong on our side"},
		503: {"Tjenesten er utilgjengelig", "Tenesta er utilgjengeleg", "The service is unavailable"},
	}
	for status, want := range words {
		for i, lang := range languages() {
			h := open(t, func(p *portal.Portal) {
				if status == http.StatusTooManyRequests {
					p.Rate = portal.Rate{PerSecond: 0.001, Burst: 9}
				}
			})
			p := fault(t, h, status, lang)
			expect(t, p, status, want[i], "hjelp@example.org", "Universitetet i Prøven")
			if p.lang() != lang {
				t.Errorf("%d is answered in %q, not %q", status, p.lang(), lang)
			}
			if p.header.Get("Content-Security-Policy") == "" || p.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d lacks the guarding headers", status)
			}
		}
	}
}

// fault brings about one status in one language.
func fault(t *testing.T, h *house, status int, lang string) page {
	t.Helper()
	v := h.visitor(t)
	accept := []string{"Accept-Language", lang}
	ticket := h.life.invite("kari", func(i *invitation) { i.language = lang })
	if status != 404 {
		v.visit("/a/"+ticket, accept...)
	}
	form := func(body string) page {
		return v.do(http.MethodPost, "/activate", strings.NewReader(body), append(accept, "Content-Type", "application/x-www-form-urlencoded")...)
	}
	switch status {
	case 400:
		return form("number=1&number=2")
	case 403:
		return v.do(http.MethodPost, "/activate", nil, append(accept, "Sec-Fetch-Site", "cross-site")...)
	case 404:
		return v.get("/nowhere", accept...)
	case 405:
		return v.do(http.MethodDelete, "/activate", nil, accept...)
	case 413:
		return form("number=" + strings.Repeat("1", 20<<10))
	case 422:
		return form("")
	case 429:
		for range 10 {
			if p := v.get("/help", accept...); p.status == status {
				return p
			}
		}
	}
	h.life.change(func() {
		switch status {
		case 410:
			h.life.invitations[ticket].spent = true
		case 500:
			h.life.fault = errors.New("directory is upside down")
		case 503:
			h.life.fault = fmt.Errorf("ldap: %w", account.ErrUnavailable)
		}
	})
	return v.get("/activate", accept...)
}

func TestOutageAndCrowdSayWhenToTryAgain(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]error{
		"busy": account.ErrBusy, "outage": fmt.Errorf("ldap: %w", account.ErrUnavailable), "slow": context.DeadlineExceeded, "stale": account.ErrStale,
	} {
		h := open(t)
		v := h.visitor(t)
		p := v.prove(h.life.invite("kari", nil))
		h.life.change(func() { h.life.fault = fault })
		p = v.post("/activate/password", choice(p, good))
		expect(t, p, http.StatusServiceUnavailable, "lenken i brevet virker fortsatt", `href="/activate/password"`)
		if p.header.Get("Retry-After") == "" {
			t.Errorf("%s: 503 without Retry-After", name)
		}
		h.life.change(func() { h.life.fault = nil })
		expect(t, v.post("/activate/password", choice(v.get("/activate/password"), good)), http.StatusSeeOther)
	}
}

func TestUnexpectedFaultShowsAReferenceThatTheLogHas(t *testing.T) {
	t.Parallel()
	h := open(t)
	p := fault(t, h, 500, "en")
	id := first(p.body, `translate="no">([A-Z2-7]{12})<`)
	if id == "" || !strings.Contains(h.log.String(), `"request":"`+id+`"`) || !strings.Contains(h.log.String(), "directory is upside down") {
		t.Errorf("the page shows the reference %q and the log says:\n%s", id, h.log)
	}
	if strings.Contains(p.body, "upside down") {
		t.Error("the page shows the error")
	}
}

// panicky panics where the domain would answer.
type panicky struct{ *life }

func (panicky) Look(context.Context, string) (account.Visit, error) { panic("with 17912099997") }

func TestPanicIsAPageAndALogLineWithoutWhatItHeld(t *testing.T) {
	t.Parallel()
	h := open(t, func(p *portal.Portal) { p.Clicks = panicky{p.Clicks.(*life)} })
	p := h.visitor(t).visit("/a/"+ticketOf("kari"), "Accept-Language", "en")
	expect(t, p, http.StatusInternalServerError, "Something went wrong on our side")
	if text := h.log.String(); strings.Contains(text, number) || !strings.Contains(text, "panic") || !strings.Contains(text, "Look") {
		t.Errorf("the log says:\n%s", text)
	}
}

func TestMethodsThatAreNotThereAreNamed(t *testing.T) {
	t.Parallel()
	v := open(t).visitor(t)
	for path, allow := range map[string]string{"/": "GET, HEAD", "/activate": "GET, HEAD, POST", "/a/" + ticketOf("x"): "GET, HEAD"} {
		p := v.do(http.MethodPut, path, nil)
		if p.status != http.StatusMethodNotAllowed || p.header.Get("Allow") != allow {
			t.Errorf("PUT %s is answered %d, Allow: %q", path, p.status, p.header.Get("Allow"))
		}
	}
	if p := v.do(http.MethodHead, "/", nil); p.status != http.StatusOK || p.body != "" {
		t.Errorf("HEAD is answered %d with %d bytes", p.status, len(p.body))
	}
}

func TestInstitutionBringsItsOwnTexts(t *testing.T) {
	t.Parallel()
	dir, theme := t.TempDir(), t.TempDir()
	for _, lang := range languages() {
		write(t, filepath.Join(dir, lang+".md"), "version: 9\n# Own rules "+lang+"\n\nBe kind at {institution}, or ask {support}.\n\n## More\n\n- one\n- two\n  and on\n")
	}
	write(t, filepath.Join(theme, "theme.css"), "/* own theme */")
	write(t, filepath.Join(theme, "logo.svg"), `<svg xmlns="http://www.w3.org/2000/svg"/>`)
	h := open(t, func(p *portal.Portal) {
		p.Institution.RulesDir, p.Institution.PrivacyDir, p.Institution.ThemeDir = dir, dir, theme
		p.Institution.SupportURL, p.Institution.AccessibilityURL = "https://example.org/help", "https://uustatus.no/x"
	})
	v := h.visitor(t)
	expect(t, v.get("/rules?lang=en"), 200, "Own rules en", "Be kind at Universitetet i Prøven, or ask hjelp@example.org.", "<li>two and on</li>", "Version 9", "https://example.org/help")
	expect(t, v.get("/privacy"), 200, "Own rules en")
	expect(t, v.get("/accessibility"), 200, "https://uustatus.no/x")
	home := v.get("/")
	css := v.get(first(home.body, `href="(/static/style[^"]+)"`))
	if !strings.Contains(css.body, "own theme") || strings.Contains(css.body, "calm ink blue") {
		t.Error("the institution's theme does not take the place of ours")
	}
	if p := v.get(first(home.body, `src="(/static/logo[^"]+)"`)); p.status != 200 || p.header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("the logo is answered %d", p.status)
	}
	p := v.prove(h.life.invite("kari", nil))
	expect(t, p, 200, "Own rules en", "Version 9")
}

func TestEachLanguageHasItsOwnNameOfTheInstitution(t *testing.T) {
	t.Parallel()
	h := open(t, func(p *portal.Portal) {
		p.Institution.Names = map[string]string{"nn": "Universitetet i Prøva", "en": "University of Testing"}
	})
	for lang, name := range map[string]string{"nb": "Universitetet i Prøven", "nn": "Universitetet i Prøva", "en": "University of Testing"} {
		v := h.visitor(t)
		for _, path := range []string{"/", "/rules", "/privacy", "/help"} {
			p := v.visit(path + "?lang=" + lang)
			if !strings.HasSuffix(p.title(), name) || !strings.Contains(p.words(), name) {
				t.Errorf("%s in %s does not call the institution %q: %s", path, lang, name, p.title())
			}
			for _, other := range []string{"Prøven", "Prøva", "Testing"} {
				if !strings.HasSuffix(name, other) && strings.Contains(p.body, other) {
					t.Errorf("%s in %s calls the institution by the name of another language, %q", path, lang, other)
				}
			}
		}
		refused := v.post("/signin", url.Values{"username": {""}})
		if !strings.Contains(refused.body, name) {
			t.Errorf("a refused form in %s does not call the institution %q", lang, name)
		}
	}
}

func TestTextsThatDifferInVersionStopTheStart(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"another version": "version: 2\n# Title\n\nText", "no version": "# Title\n\nText", "no title": "version: 1\n\nText",
		"nothing": "version: 1\n# Title", "no UTF-8": "version: 1\n# Title\n\n\xff", "endless": "version: 1\n# Title\n\n" + strings.Repeat("x", 300<<10),
	} {
		dir := t.TempDir()
		for _, lang := range languages() {
			write(t, filepath.Join(dir, lang+".md"), "version: 1\n# Title\n\nText")
		}
		write(t, filepath.Join(dir, "en.md"), text)
		p := settings(newLife(july), "https://konto.example.org")
		p.Institution.RulesDir = dir
		if _, err := p.Handler(); err == nil || !strings.Contains(err.Error(), "en.md") {
			t.Errorf("%s: the start answers %v", name, err)
		}
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPagesSayWhatTheUniversityAsks(t *testing.T) {
	t.Parallel()
	v := open(t).visitor(t)
	all := ""
	for _, path := range []string{"/", "/activate", "/help", "/rules"} {
		all += v.get(path, "Accept-Language", "en").body
	}
	all = strings.NewReplacer("&#34;", `"`, "&#39;", "'", "&amp;", "&", "&lt;", "<", "&gt;", ">", "&#43;", "+").Replace(all)
	for _, statement := range []string{
		"All IT services at Universitetet i Prøven are linked to your user account",
		"Whether you are a student or an employee, you need to activate the account before you can use them",
		"For most students activation opens in August each year",
		"International students without a Norwegian national identity number also choose “student”",
		"Have your identity number ready", "SO-number",
		"receive a temporary 11-digit number (SO-number) by e-mail. You cannot activate the account until you have received it",
		"You receive a user account when you are registered as an employee",
		"All employees are required to accept the IT rules and regulations",
		"use the same username and password, except ESS",
		"Keep your password private", "If you suspect that others know it, it must be changed at once",
		"The IT department may require employees to change their password",
		"Passwords are case-sensitive", "At least 16 characters", "No character more than 3 times in a row", "No part of your name or username",
		"We recommend a passphrase", "at least 3 of 4 groups", "capital letters A–Z", "lowercase letters a–z", "numbers 0–9",
		`! " # $ % & ' ( ) * + , - . / : ; < = > ? @ [ \ ] ^ _ ` + "`" + ` { | } ~`,
		"on the keyboard may vary with its language setting",
		"two-factor authentication on all services where possible", "unique password for each website", "password manager",
		"Never give your password to anyone", "Make it a habit to check whether services you use have been breached",
	} {
		if !strings.Contains(all, statement) {
			t.Errorf("no page says: %s", statement)
		}
	}
}

func TestStaticFilesAreImmutableAndSmall(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	p := v.prove(h.life.invite("kari", nil))
	sum := len(p.body)
	for _, path := range []string{first(p.body, `href="(/static/style[^"]+)"`), first(p.body, `src="(/static/script[^"]+)"`)} {
		got := v.do(http.MethodGet, path, nil, "Accept-Encoding", "gzip")
		if got.status != 200 || got.header.Get("Content-Encoding") != "gzip" || got.header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s is answered %d %v", path, got.status, got.header)
		}
		sum += len(got.body)
		if strings.HasSuffix(path, ".js") && len(got.body) > 2<<10 {
			t.Errorf("the script is %d bytes compressed, more than 2 KB", len(got.body))
		}
		if plain := v.do(http.MethodGet, path, nil, "Accept-Encoding", "identity"); plain.header.Get("Content-Encoding") != "" || len(plain.body) <= len(got.body) {
			t.Errorf("%s is not answered plainly to those who ask", path)
		}
	}
	t.Logf("the password page with its style and script is %d bytes, the page itself uncompressed", sum)
	if sum > 40<<10 {
		t.Errorf("the password page is %d bytes, more than 40 KB", sum)
	}
	if p := v.get("/static/style.css"); p.status != 404 || p.header.Get("Cache-Control") != "no-store" {
		t.Errorf("a static file that is not there is answered %d", p.status)
	}
}

func TestReplicasShareCookies(t *testing.T) {
	t.Parallel()
	one, two := open(t), open(t)
	ticket := one.life.invite("kari", nil)
	v := one.visitor(t)
	p := v.prove(ticket)
	two.life.change(func() { two.life.invitations, two.life.proofs = one.life.invitations, one.life.proofs })
	w := two.visitor(t)
	for name, value := range v.cookies() {
		w.setCookie(name, value)
	}
	if got := w.post("/activate/password", choice(p, good)); got.location() != "/activate/done" {
		t.Errorf("another replica answers %d", got.status)
	}
}

func TestPlainHTTPInDevelopmentWorks(t *testing.T) {
	t.Parallel()
	h := start(t, false)
	v := h.visitor(t)
	p := v.prove(h.life.invite("kari", nil))
	if _, ok := v.cookies()["matricula-proof"]; !ok {
		t.Errorf("the cookies are %v", keysOf(v.cookies()))
	}
	p = v.post("/activate/password", choice(p, good))
	expect(t, v.get(p.location()), 200, "Kontoen er aktivert")
}

func TestVendoredStyleIsUnchanged(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("static", "designsystemet")
	b, err := os.ReadFile(filepath.Join(dir, "VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{"VERSION": true}
	for line := range bytes.Lines(b) {
		sum, name, ok := strings.Cut(strings.TrimSpace(string(line)), "  ")
		if !ok || len(sum) != 64 {
			continue
		}
		seen[name] = true
		if got := sha256sum(t, filepath.Join(dir, name)); got != sum {
			t.Errorf("%s is not the file VERSION names", name)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !seen[f.Name()] {
			t.Errorf("VERSION does not name %s", f.Name())
		}
	}
}
