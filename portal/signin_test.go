package portal_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/portal"
)

const fresh = "Green-teapot-hums-2"

// signIn signs karnor in and follows to the account.
func (v *visitor) signIn(username, word string) page {
	v.t.Helper()
	p := v.post("/signin", url.Values{"username": {username}, "password": {word}})
	if p.location() != "/account" {
		v.t.Fatalf("a right password is answered %d, leading to %q:\n%s", p.status, p.location(), p.words())
	}
	return v.get("/account")
}

func TestSignInShowsOnesOwnAccountAndSigningOutEndsIt(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	v := h.reader(t)
	if p := v.get("/account"); p.location() != "/signin" {
		t.Fatalf("without a session the account leads to %q", p.location())
	}
	p := v.signIn(" KarNor ", good)
	expect(t, p, http.StatusOK, "karnor", "Førsteamanuensis", "Drammen", "Systems Engineering",
		"åpner søndag 1. august 2027 kl. 00.00", "versjon 2027-01", "unntatt ESS")
	if p := v.get("/signin"); p.location() != "/account" {
		t.Errorf("signing in twice leads to %q", p.location())
	}
	if p := v.get("/signout/everywhere"); p.location() != "/account" || v.get("/account").status != http.StatusOK {
		t.Error("a GET signs out")
	}
	if p := v.post("/signout", nil); p.location() != "/signout" {
		t.Errorf("signing out leads to %q", p.location())
	}
	expect(t, v.get("/signout"), http.StatusOK, "Du er logget ut")
	if p := v.get("/account"); p.location() != "/signin" {
		t.Errorf("after signing out the account answers %d", p.status)
	}
}

func TestAccountSpeaksThreeLanguages(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	words := map[string][]string{
		"/signin":      {"Logg inn for å se kontoen din", "Logg inn for å sjå kontoen din", "Sign in to see your account"},
		"/account":     {"Rollene dine", "Du godtok versjon 2027-01", "You accepted version 2027-01"},
		"/password":    {"virker helt til det nye er lagret", "verkar heilt til det nye er lagra", "works until the new one is saved"},
		"/forgot":      {"Send meg et brev", "Send meg eit brev", "Send me a letter"},
		"/compromised": {"Sperr passordet nå", "Sperr passordet no", "Block the password now"},
	}
	in, out := h.reader(t), h.reader(t)
	in.signIn("karnor", good)
	for path, want := range words {
		v := in
		if path == "/signin" || path == "/forgot" {
			v = out
		}
		for i, lang := range languages() {
			if p := v.get(path + "?lang=" + lang); p.status != http.StatusOK || p.lang() != lang || !strings.Contains(p.words(), want[i]) {
				t.Errorf("%s in %s: %d, %q:\n%s", path, lang, p.status, p.lang(), p.words())
			}
		}
	}
}

func TestT7SessionHasANewIDAtEachStepUpAndAPlantedOneIsNone(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	v := h.reader(t)
	const name = "__Host-matricula-session"
	v.setCookie(name, "planted")
	if p := v.get("/account"); p.location() != "/signin" {
		t.Fatalf("a planted session is answered %d", p.status)
	}
	v.setCookie(name, "planted")
	v.signIn("karnor", good)
	first := v.cookies()[name]
	if first == "planted" || len(first) < 26 {
		t.Fatalf("the session is %q", first)
	}
	p := v.post("/password", url.Values{"username": {"karnor"}, "old": {good}, "password": {fresh}})
	if p.location() != "/password/done" {
		t.Fatalf("a new password is answered %d:\n%s", p.status, p.words())
	}
	second := v.cookies()[name]
	if second == first {
		t.Error("a new password keeps the session's ID")
	}
	thief := h.reader(t)
	thief.setCookie(name, first)
	if p := thief.get("/account"); p.location() != "/signin" {
		t.Errorf("the ID from before is answered %d", p.status)
	}
	cookie := fixed(v.post("/signin", url.Values{"username": {"karnor"}, "password": {fresh}}), name)
	for _, part := range []string{"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("the session's cookie lacks %s: %s", part, cookie)
		}
	}
}

// fixed is the Set-Cookie line of a cookie.
func fixed(p page, name string) string {
	for _, line := range p.header["Set-Cookie"] {
		if strings.HasPrefix(line, name+"=") && !strings.Contains(line, "Max-Age=0") {
			return line
		}
	}
	return ""
}

func TestWhoReadsTheBucketHasNoSession(t *testing.T) { // T31
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	v := h.reader(t)
	v.signIn("karnor", good)
	id := v.cookies()["__Host-matricula-session"]
	for key, state := range h.life.sessions.all() {
		for _, secret := range []string{id, "karnor", "id-karnor", "Nordmann", good} {
			if strings.Contains(key+state, secret) {
				t.Errorf("the bucket holds %q", secret)
			}
		}
		thief := h.reader(t)
		thief.setCookie("__Host-matricula-session", key)
		if p := thief.get("/account"); p.location() != "/signin" {
			t.Errorf("a key of the bucket is a session: %d", p.status)
		}
	}
	// What is kept for one session is none under another's key.
	other := h.reader(t)
	h.life.move("olanor", good)
	other.signIn("olanor", good)
	h.life.sessions.mu.Lock()
	keys := []string{}
	for k := range h.life.sessions.states {
		keys = append(keys, k)
	}
	h.life.sessions.states[keys[0]], h.life.sessions.states[keys[1]] = h.life.sessions.states[keys[1]], h.life.sessions.states[keys[0]]
	h.life.sessions.mu.Unlock()
	if p := v.get("/account"); p.location() != "/signin" {
		t.Errorf("a state that was moved in the bucket is answered %d:\n%s", p.status, p.words())
	}
}

func TestSessionEndsWhenIdleAndWhenOld(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	v := h.reader(t)
	pass := func(d time.Duration) { h.life.change(func() { h.life.now = h.life.now.Add(d) }) }
	v.signIn("karnor", good)
	pass(29 * time.Minute)
	expect(t, v.get("/account"), http.StatusOK)
	pass(29 * time.Minute)
	expect(t, v.get("/account"), http.StatusOK)
	pass(30 * time.Minute)
	if p := v.get("/account"); p.location() != "/signin" {
		t.Errorf("after half an hour without a page: %d", p.status)
	}
	v.signIn("karnor", good)
	for range 23 {
		pass(20 * time.Minute)
		expect(t, v.get("/account"), http.StatusOK)
	}
	pass(20 * time.Minute)
	if p := v.get("/account"); p.location() != "/signin" {
		t.Errorf("after eight hours: %d", p.status)
	}
}

func TestT29EveryOtherSessionEndsWithThePassword(t *testing.T) {
	t.Parallel()
	ends := map[string]func(*house, *visitor){
		"a new password": func(_ *house, v *visitor) {
			v.post("/password", url.Values{"old": {good}, "password": {fresh}})
		},
		"a new password without a session": func(h *house, _ *visitor) {
			h.reader(t).post("/password", url.Values{"username": {"karnor"}, "old": {good}, "password": {fresh}})
		},
		"signing out everywhere": func(_ *house, v *visitor) { v.post("/signout/everywhere", nil) },
		"a report":               func(_ *house, v *visitor) { v.post("/compromised", url.Values{"way": {"session"}}) },
		"a report by password": func(h *house, _ *visitor) {
			h.reader(t).post("/compromised", url.Values{"way": {"password"}, "username": {"karnor"}, "password": {good}})
		},
	}
	for name, end := range ends {
		h := open(t)
		h.life.move("karnor", good)
		other, v := h.reader(t), h.reader(t)
		other.signIn("karnor", good)
		v.signIn("karnor", good)
		end(h, v)
		if p := other.get("/account"); p.location() != "/signin" {
			t.Errorf("after %s another session is answered %d", name, p.status)
		}
	}
}

func TestT18SignInSaysTheSameOfEverybody(t *testing.T) {
	t.Parallel()
	h := open(t, func(p *portal.Portal) { p.Pace = 30 * time.Millisecond })
	h.life.move("karnor", good)
	h.life.move("blocke", good).blocked = true
	var pages []page
	for _, username := range []string{"karnor", "nobody", "blocke"} {
		began := time.Now()
		p := h.reader(t).post("/signin", url.Values{"username": {username}, "password": {"wrong-password-here"}}, "Accept-Language", "nb")
		if took := time.Since(began); took < 30*time.Millisecond {
			t.Errorf("%s is answered in %s, before the pace", username, took)
		}
		p.body = strings.ReplaceAll(p.body, username, "------")
		pages = append(pages, p)
	}
	same(t, pages)
}

// same compares words, status, size, headers and cookies.
func same(t *testing.T, pages []page) {
	t.Helper()
	sealed := regexp.MustCompile(`=[A-Za-z0-9_-]{20,}`)
	for i, p := range pages[1:] {
		if p.status != pages[0].status || p.body != pages[0].body {
			t.Errorf("answer %d differs from the first: %d and %d, %d and %d bytes", i+1, p.status, pages[0].status, len(p.body), len(pages[0].body))
		}
		for name, want := range pages[0].header {
			got := p.header[name]
			if name == "Date" {
				continue
			}
			if !slices.Equal(strings.Split(sealed.ReplaceAllString(strings.Join(got, "|"), "=…"), "|"), strings.Split(sealed.ReplaceAllString(strings.Join(want, "|"), "=…"), "|")) {
				t.Errorf("answer %d has %s: %q, the first %q", i+1, name, got, want)
			}
		}
		if len(p.header) != len(pages[0].header) {
			t.Errorf("answer %d has other headers", i+1)
		}
	}
}

func TestT4BlockedAccountGetsNoSession(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good).blocked = true
	v := h.reader(t)
	p := v.post("/signin", url.Values{"username": {"karnor"}, "password": {good}})
	if p.status != http.StatusUnprocessableEntity || v.cookies()["__Host-matricula-session"] != "" || len(h.life.sessions.all()) != 0 {
		t.Errorf("a blocked account is answered %d with the cookies %v", p.status, v.cookies())
	}
}

func TestT19TooManyTriesAreToldWhenToComeBack(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	own := h.reader(t)
	own.signIn("karnor", good) // this browser is known from now on
	own.post("/signout", nil)
	h.life.people.limit = 3
	stranger := h.reader(t)
	for _, username := range []string{"karnor", "nobody"} {
		form := url.Values{"username": {username}, "password": {"wrong-password-here"}}
		for range 3 {
			stranger.post("/signin", form)
		}
		p := stranger.post("/signin", form)
		expect(t, p, http.StatusTooManyRequests, "Vent et kvarter")
		if p.header.Get("Retry-After") != "900" {
			t.Errorf("%s is told to come back in %q s", username, p.header.Get("Retry-After"))
		}
	}
	own.signIn("karnor", good) // from the same address
	tries := h.life.tries()
	last := tries[len(tries)-1]
	if !last.Known || last.From == tries[len(tries)-2].From {
		t.Errorf("the person's own browser is counted as %+v", last)
	}
	// A browser known as one person is a stranger to another.
	own.post("/signout", nil)
	own.post("/signin", url.Values{"username": {"olanor"}, "password": {good}})
	tries = h.life.tries()
	if last := tries[len(tries)-1]; last.Known {
		t.Error("a browser known as karnor is known as olanor")
	}
}

func TestBreachedPasswordLeadsToANewOneAtOnce(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good).breached = true
	v := h.reader(t)
	p := v.post("/signin", url.Values{"username": {"karnor"}, "password": {good}})
	if p.location() != "/compromised/password" {
		t.Fatalf("a breached password is answered %d, leading to %q", p.status, p.location())
	}
	for _, path := range []string{"/account", "/password", "/signin", "/compromised"} {
		if p := v.get(path); p.location() != "/compromised/password" {
			t.Errorf("meanwhile %s answers %d, leading to %q", path, p.status, p.location())
		}
	}
	expect(t, v.get("/compromised/password"), http.StatusOK, "Passordet er sperret")
}

func TestStoreThatIsAwayIsAnOutageAndNotASignIn(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	v := h.reader(t)
	v.signIn("karnor", good)
	h.life.sessions.mu.Lock()
	h.life.sessions.fault = fmt.Errorf("bucket: %w", account.ErrUnavailable)
	h.life.sessions.mu.Unlock()
	if p := v.get("/account"); p.status != http.StatusServiceUnavailable {
		t.Errorf("without the store the account answers %d", p.status)
	}
	if p := h.reader(t).post("/signin", url.Values{"username": {"karnor"}, "password": {good}}); p.status != http.StatusServiceUnavailable {
		t.Errorf("without the store signing in answers %d", p.status)
	}
}

func TestSessionsWorkOverPlainHTTPInDevelopment(t *testing.T) {
	t.Parallel()
	h := start(t, false)
	h.life.move("karnor", good)
	v := h.reader(t)
	v.signIn("karnor", good)
	if v.cookies()["matricula-session"] == "" {
		t.Errorf("the cookies are %v", v.cookies())
	}
}

func TestT7SigningInAgainEndsTheSessionBefore(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	v := h.reader(t)
	v.signIn("karnor", good)
	first := v.cookies()["__Host-matricula-session"]
	v.signIn("karnor", good)
	thief := h.reader(t)
	thief.setCookie("__Host-matricula-session", first)
	if p := thief.get("/account"); p.location() != "/signin" {
		t.Errorf("the ID from before is answered %d", p.status)
	}
	if n := len(h.life.sessions.all()); n != 1 {
		t.Errorf("%d sessions are kept", n)
	}
}

func TestT1NewPasswordWithTheNumberNeedsTheReport(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	v := h.reader(t)
	v.signIn("karnor", good)
	if p := v.get("/compromised/password"); p.location() != "/compromised" {
		t.Errorf("before a report the page answers %d", p.status)
	}
	if p := v.post("/compromised/password", url.Values{"number": {number}, "password": {fresh}}); p.location() != "/compromised" {
		t.Errorf("before a report the form is answered %d", p.status)
	}
}
