package portal_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/portal"
)

// The names begin with the attack's number in the project's list.

func TestT1PasswordWithoutProofIsRefused(t *testing.T) {
	t.Parallel()
	h := open(t)
	ticket := h.life.invite("kari", nil)
	form := choice(h.visitor(t).prove(h.life.invite("other", nil)), good)
	steps := map[string]func(*visitor){
		"nothing":           func(*visitor) {},
		"the link":          func(v *visitor) { v.visit("/a/" + ticket) },
		"the password page": func(v *visitor) { v.visit("/a/" + ticket); v.visit("/activate/password") },
		"a wrong number": func(v *visitor) {
			v.visit("/a/" + ticket)
			v.post("/activate", url.Values{"role": {"student"}, "number": {"05840399895"}})
		},
		"a wrong role": func(v *visitor) {
			v.visit("/a/" + ticket)
			v.post("/activate", url.Values{"role": {"employee"}, "number": {number}})
		},
		"asking again":       func(v *visitor) { v.visit("/a/" + ticket); v.post("/activate/again", nil) },
		"the receipt":        func(v *visitor) { v.visit("/a/" + ticket); v.get("/activate/done") },
		"a proof in a query": func(v *visitor) { v.visit("/a/" + ticket); v.get("/activate/password?proof=proof-0-" + ticket) },
	}
	for name, before := range steps {
		v := h.visitor(t)
		before(v)
		if p := v.post("/activate/password", form); p.status != http.StatusForbidden {
			t.Errorf("after %s a password is answered %d", name, p.status)
		}
	}
	if h.life.called("activate") != 0 || h.life.at(ticket).spent {
		t.Error("a password reached the domain without a proof")
	}
}

// TestT1NoOtherOrderOfStepsSetsAPassword goes every pair of steps, each with a
// browser that has come as far as the right number and one that has not.
func TestT1NoOtherOrderOfStepsSetsAPassword(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	ticket := h.life.invite("kari", nil)
	rules := choice(h.visitor(t).prove(h.life.invite("other", nil)), fresh)
	wrong := url.Values{"role": {"student"}, "number": {"05840399895"}}
	steps := []struct {
		name string
		do   func(*visitor)
	}{
		{"open the link", func(v *visitor) { v.visit("/a/" + ticket) }},
		{"open the page of the password", func(v *visitor) { v.get("/activate/password") }},
		{"type an empty number", func(v *visitor) { v.post("/activate", nil) }},
		{"type a wrong role", func(v *visitor) { v.post("/activate", url.Values{"role": {"employee"}, "number": {number}}) }},
		{"send the password", func(v *visitor) { v.post("/activate/password", rules) }},
		{"ask for another link", func(v *visitor) { v.post("/activate/again", nil) }},
		{"open the receipt", func(v *visitor) { v.get("/activate/done") }},
		{"change a password", func(v *visitor) {
			v.post("/password", url.Values{"username": {"karnor"}, "old": {"wrong"}, "password": {fresh}})
		}},
		{"renew a password", func(v *visitor) {
			v.post("/compromised/password", url.Values{"number": {number}, "password": {fresh}})
		}},
		{"report by a session", func(v *visitor) { v.post("/compromised", url.Values{"way": {"session"}}) }},
		{"accept the rules", func(v *visitor) { v.post("/rules/accept", url.Values{"rules": rules["rules"], "accept": {"yes"}}) }},
		{"sign in wrongly", func(v *visitor) { v.post("/signin", url.Values{"username": {"karnor"}, "password": {"wrong"}}) }},
	}
	for _, one := range steps {
		for _, two := range steps {
			v := h.visitor(t)
			one.do(v)
			two.do(v)
			v.post("/activate/password", rules)
			if h.life.at(ticket).spent || h.life.called("activate") != 0 {
				t.Fatalf("to %s, then to %s, sets a password", one.name, two.name)
			}
		}
	}
	v := h.visitor(t)
	v.visit("/a/" + ticket)
	v.post("/activate", wrong)
	v.post("/activate/password", rules)
	if who := h.life.people.persons["karnor"]; h.life.at(ticket).spent || who.password != good || who.acceptances != 0 || who.blocked {
		t.Errorf("the steps left karnor with %q, %d acceptances, blocked %t", who.password, who.acceptances, who.blocked)
	}
}

// TestT9SealOpensAsWhatItIsOnly hands what each cookie holds in as each other.
func TestT9SealOpensAsWhatItIsOnly(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	v := h.reader(t)
	v.signIn("karnor", good)
	ticket := h.life.invite("kari", nil)
	v.prove(ticket)
	held := v.cookies()
	w := h.reader(t)
	w.post("/activate/password", choice(w.prove(h.life.invite("ola", func(i *invitation) { i.username = "olanor" })), good))
	held["__Host-matricula-receipt"] = w.cookies()["__Host-matricula-receipt"]
	for _, state := range h.life.sessions.all() {
		held["the state of a session"] = state
	}
	if len(held) < 6 {
		t.Fatalf("only %v are held", keysOf(held))
	}
	doors := map[string]func(*visitor) bool{
		"session": func(v *visitor) bool { return v.get("/account").location() != "/signin" },
		"proof":   func(v *visitor) bool { return v.get("/activate/password").location() != "/activate" },
		"receipt": func(v *visitor) bool { return v.get("/activate/done").location() != "/activate" },
		"ticket": func(v *visitor) bool {
			return v.post("/activate", url.Values{"role": {"student"}, "number": {number}}).location() == "/activate/password"
		},
		"known": func(v *visitor) bool {
			v.post("/signin", url.Values{"username": {"karnor"}, "password": {"wrong"}})
			tries := h.life.tries()
			return tries[len(tries)-1].Known
		},
	}
	for door, opens := range doors {
		for name, value := range held {
			key := "__Host-matricula-" + door
			v := h.reader(t)
			if door == "proof" {
				v.visit("/a/" + ticket)
			}
			v.setCookie(key, value)
			if got := opens(v); got != (name == key) {
				t.Errorf("%s as %s opens: %t", name, door, got)
			}
		}
	}
}

func TestT15NoFieldNamesAnAccountOrAnAddress(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	h.life.move("olanor", good)
	v := h.reader(t)
	v.signIn("karnor", good)
	v.visit("/a/" + h.life.invite("kari", nil))
	forms := map[string]url.Values{
		"/activate": {"role": {"student"}, "number": {number}}, "/activate/password": {"password": {fresh}, "accept": {"yes"}}, "/activate/again": {},
		"/signin": {"username": {"karnor"}, "password": {good}}, "/signout/everywhere": {}, "/rules/accept": {"accept": {"yes"}},
		"/password": {"old": {good}, "password": {fresh}}, "/forgot": {"number": {number}, "family": {"Li"}},
		"/compromised": {"way": {"session"}}, "/compromised/password": {"number": {number}, "password": {fresh}},
	}
	for path, form := range forms {
		for _, field := range []string{"id", "account", "ID", "uid", "to", "mail", "email", "address", "invitation", "ticket", "proof", "from", "dn"} {
			more := url.Values{field: {"id-olanor"}}
			for name, values := range form {
				more[name] = values
			}
			if p := v.post(path, more); p.status != http.StatusBadRequest {
				t.Errorf("%s with the field %s is answered %d", path, field, p.status)
			}
		}
		if p := v.post(path+"?account=id-olanor&mail=evil@example.org", url.Values{"unknown": {"x"}}); p.status != http.StatusBadRequest {
			t.Errorf("%s with a field of no form is answered %d", path, p.status)
		}
	}
	if olanor := h.life.people.persons["olanor"]; olanor.password != good || olanor.blocked || len(h.life.requests()) != 0 {
		t.Error("a field reached somebody else")
	}
}

func TestT5ChangedSealIsNoSeal(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	ticket := h.life.invite("kari", nil)
	p := v.prove(ticket)
	sealed := v.cookies()["__Host-matricula-proof"]
	for i := range len(sealed) {
		if i%7 != 0 { // every seventh byte, and the last
			continue
		}
		changed := sealed[:i] + string(other(sealed[i])) + sealed[i+1:]
		v.setCookie("__Host-matricula-proof", changed)
		if got := v.post("/activate/password", choice(p, good)); got.status != http.StatusForbidden {
			t.Errorf("a proof with byte %d changed is answered %d", i, got.status)
		}
	}
	// A proof is no receipt: the name of the cookie is sealed in.
	v.setCookie("__Host-matricula-receipt", sealed)
	if p := v.get("/activate/done"); p.status != http.StatusSeeOther {
		t.Errorf("a proof opens the receipt: %d", p.status)
	}
	if h.life.called("activate") != 0 {
		t.Error("a changed proof reached the domain")
	}
}

func other(c byte) byte {
	if c == 'A' {
		return 'B'
	}
	return 'A'
}

func TestT5SealOfAnotherSecretIsNoSeal(t *testing.T) {
	t.Parallel()
	mine, theirs := open(t), open(t, func(p *portal.Portal) { p.Secrets = [][]byte{[]byte(strings.Repeat("x", 32))} })
	p := theirs.visitor(t)
	p.prove(theirs.life.invite("kari", nil))
	v := mine.visitor(t)
	v.visit("/a/" + mine.life.invite("kari", nil))
	v.setCookie("__Host-matricula-proof", p.cookies()["__Host-matricula-proof"])
	if got := v.get("/activate/password"); got.location() != "/activate" {
		t.Errorf("a foreign seal is answered %d", got.status)
	}
	// An old secret still opens while letters are under way.
	both := open(t, func(p *portal.Portal) {
		p.Secrets = [][]byte{[]byte(strings.Repeat("n", 32)), []byte(strings.Repeat("x", 32))}
	})
	w := both.visitor(t)
	w.visit("/a/" + both.life.invite("kari", nil))
	w.setCookie("__Host-matricula-proof", p.cookies()["__Host-matricula-proof"])
	if got := w.get("/activate/password"); got.status != http.StatusOK {
		t.Errorf("the seal of the old secret is answered %d", got.status)
	}
}

func TestT7PlantedCookiesAreRefused(t *testing.T) {
	t.Parallel()
	h := open(t)
	ticket := h.life.invite("kari", nil)
	v := h.visitor(t)
	for _, planted := range []string{"planted", "proof-0-" + ticket, `{Token:proof-0}`, strings.Repeat("A", 400)} {
		v.visit("/a/" + ticket)
		v.setCookie("__Host-matricula-proof", planted)
		if p := v.get("/activate/password"); p.location() != "/activate" {
			t.Errorf("the planted proof %q is answered %d", planted, p.status)
		}
	}
	v.setCookie("__Host-matricula-proof", "planted")
	v.prove(ticket)
	one := v.cookies()["__Host-matricula-proof"]
	v.prove(ticket)
	if two := v.cookies()["__Host-matricula-proof"]; one == "planted" || one == two {
		t.Error("the proof is not new after each step up")
	}
	// Two cookies of one name: somebody planted one, neither counts.
	p := h.visitor(t).get("/activate", "Cookie", "__Host-matricula-ticket="+ticket+"; __Host-matricula-ticket="+ticketOf("x"), "Accept-Language", "nb")
	expect(t, p, http.StatusOK, "Åpne lenken i brevet ditt")
	// The name without the prefix can be planted by a neighbour and is not read.
	p = h.visitor(t).get("/activate", "Cookie", "matricula-ticket="+ticket, "Accept-Language", "nb")
	expect(t, p, http.StatusOK, "Åpne lenken i brevet ditt")
}

func TestT12CutAndChangedLinksAreRefused(t *testing.T) {
	t.Parallel()
	h := open(t)
	ticket := h.life.invite("kari", nil)
	for _, path := range []string{
		"/a/", "/a/x", "/a/" + ticket[:42], "/a/" + ticket[:20], "/a/" + ticket + "A", "/a/" + ticket + "=", "/a/" + ticket + "%00",
		"/a/" + ticket + ".", "/a/" + ticket + "/", "/a/%20" + ticket, "/a/" + strings.ToUpper(ticket), "/a/" + strings.Repeat("A", 4000),
		"/a/" + strings.ReplaceAll(url.QueryEscape(ticket[:1]), ticket[:1], fmt.Sprintf("%%25%02X", ticket[0])) + ticket[1:],
		"/a/../a/" + ticket, "//a/" + ticket, "/A/" + ticket,
	} {
		v := h.visitor(t)
		p := v.visit(path, "Accept-Language", "en")
		if p.status != http.StatusNotFound {
			t.Errorf("%q is answered %d", path, p.status)
		}
	}
	expect(t, h.visitor(t).visit("/a/"+ticket[:42], "Accept-Language", "en"), http.StatusNotFound, "The link is not complete", "copy the whole link")
}

func TestT13StrangeFormsReachNobody(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	ticket := h.life.invite("kari", nil)
	v.visit("/a/" + ticket)
	const kind = "application/x-www-form-urlencoded"
	for name, row := range map[string]struct {
		kind, body string
		status     int
	}{
		"twice":        {kind, "role=student&number=" + number + "&number=05840399895", 400},
		"array":        {kind, "role=student&number[]=" + number, 400},
		"json":         {"application/json", `{"role":"student","number":"` + number + `"}`, 400},
		"text":         {"text/plain", "role=student&number=" + number, 400},
		"multipart":    {"multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"number\"\r\n\r\n" + number + "\r\n--x--\r\n", 400},
		"broken UTF-8": {kind, "role=student&number=%ff%fe", 400},
		"semicolon":    {kind, "role=student;number=" + number, 400},
		"bad escape":   {kind, "role=%zz", 400},
		"unasked":      {kind, "role=student&number=" + number + "&state=active", 400},
		"no type":      {"", "role=student&number=" + number, 400},
		"huge":         {kind, "role=student&number=" + strings.Repeat("1", 20<<10), 413},
	} {
		if p := v.do(http.MethodPost, "/activate", strings.NewReader(row.body), "Content-Type", row.kind); p.status != row.status {
			t.Errorf("%s: the form is answered %d, not %d", name, p.status, row.status)
		}
	}
	if p := v.post("/activate?role=student&number="+number, nil); p.status != http.StatusUnprocessableEntity {
		t.Errorf("fields in the query are answered %d", p.status)
	}
	if n := h.life.called("prove"); n != 0 {
		t.Errorf("strange forms reached the domain %d times", n)
	}
	p := v.prove(ticket)
	form := choice(p, good)
	form.Add("password", good+"2")
	if p := v.post("/activate/password", form); p.status != http.StatusBadRequest {
		t.Errorf("two passwords are answered %d", p.status)
	}
	if p := v.get("/?lang=nb&lang=en"); p.status != http.StatusBadRequest {
		t.Errorf("two languages are answered %d", p.status)
	}
	if h.life.called("activate") != 0 {
		t.Error("a strange form set a password")
	}
}

func TestT16HostHeadersNeverReachAPage(t *testing.T) {
	t.Parallel()
	h := open(t)
	ticket := h.life.invite("kari", nil)
	for _, header := range [][]string{
		{"Host", "evil.example"}, {"X-Forwarded-Host", "evil.example"}, {"Forwarded", "host=evil.example;proto=http"},
		{"X-Forwarded-Proto", "http"}, {"X-Original-URL", "/evil.example"}, {"X-Rewrite-URL", "/evil.example"}, {"Referer", "https://evil.example/"},
		{"Origin", "https://evil.example"}, {"X-Forwarded-Prefix", "/evil.example"},
	} {
		for _, path := range []string{"/", "/a/" + ticket, "/help", "/nowhere"} {
			p := h.visitor(t).get(path, header...)
			all := p.body + fmt.Sprint(p.header)
			if strings.Contains(all, "evil.example") {
				t.Errorf("%s: %s shows up in the answer", header[0], path)
			}
			if to := p.location(); to != "" && to != "/activate" {
				t.Errorf("%s: %s leads to %q", header[0], path, to)
			}
			if c := p.header.Get("Set-Cookie"); c != "" && !strings.Contains(c, "Secure") {
				t.Errorf("%s: the cookie is %q", header[0], c)
			}
		}
	}
}

func TestT17SpoofedForwardedForNeverChangesTheLimit(t *testing.T) {
	t.Parallel()
	tight := func(p *portal.Portal) { p.Rate = portal.Rate{PerSecond: 0.001, Burst: 5} }
	h := open(t, tight)
	v := h.visitor(t)
	refused := 0
	for i := range 20 {
		if p := v.get("/", "X-Forwarded-For", fmt.Sprintf("203.0.113.%d", i), "Forwarded", "for=198.51.100.1"); p.status == http.StatusTooManyRequests {
			refused++
			if p.header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
		}
	}
	if refused != 15 {
		t.Errorf("%d of 20 requests with another X-Forwarded-For each are refused, not 15", refused)
	}
	// Behind our own proxy the last hop that is not ours counts, whatever the
	// sender wrote before it.
	h = open(t, tight, func(p *portal.Portal) { p.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	v = h.visitor(t)
	refused = 0
	for i := range 20 {
		if p := v.get("/", "X-Forwarded-For", fmt.Sprintf("203.0.113.%d, 198.51.100.7", i)); p.status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused != 15 {
		t.Errorf("behind a proxy %d of 20 are refused, not 15", refused)
	}
	if p := v.get("/", "X-Forwarded-For", "198.51.100.8"); p.status != http.StatusOK {
		t.Errorf("a neighbour behind the same proxy is answered %d", p.status)
	}
}

func TestT26UsernameInTheFormDecidesNothing(t *testing.T) {
	t.Parallel()
	h := open(t)
	mine := h.life.invite("kari", nil)
	theirs := h.life.invite("ola", func(i *invitation) { i.username = "olanor" })
	v := h.visitor(t)
	form := choice(v.prove(mine), good)
	form.Set("username", "olanor")
	p := v.post("/activate/password", form)
	expect(t, v.get(p.location()), http.StatusOK, "karnor")
	if h.life.at(theirs).spent || !h.life.at(mine).spent {
		t.Error("the username in the form decided whose password was set")
	}
}

func TestT27NoRequestComposesARedirect(t *testing.T) {
	t.Parallel()
	h := open(t)
	ours := map[string]bool{"": true, "/activate": true, "/activate/password": true, "/activate/done": true}
	for _, path := range []string{
		"//evil.example", "//evil.example/..", "/%2fevil.example", "/%5cevil.example", `/\evil.example`, "///evil.example", "/./evil", "/help/", "/help//",
		"/?return=//evil.example", "/activate?next=https://evil.example", "/help?lang=//evil.example", "/help?lang=nb%0d%0aLocation:%20//evil.example",
		"/.//evil.example", "/activate/../..//evil.example", "/?url=https:evil.example", "/a/..%2f..%2fevil.example", "/a//evil.example",
	} {
		to, status := raw(t, h, path)
		if !ours[to] {
			t.Errorf("%s is answered %d and leads to %q", path, status, to)
		}
	}
	if to, _ := raw(t, h, "https://evil.example/activate/again"); !ours[to] {
		t.Errorf("an absolute request leads to %q", to)
	}
}

// raw sends a request line that no client would write.
func raw(t *testing.T, h *house, target string) (location string, status int) {
	t.Helper()
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: time.Minute}, Config: &tls.Config{InsecureSkipVerify: true}}
	c, err := d.DialContext(t.Context(), "tcp", h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", target)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%s: %v", target, err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.Header.Get("Location"), resp.StatusCode
}

func TestT28FormsOfOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	ticket := h.life.invite("kari", nil)
	v.visit("/a/" + ticket)
	form := url.Values{"role": {"student"}, "number": {number}}.Encode()
	send := func(header ...string) page {
		return v.do(http.MethodPost, "/activate", strings.NewReader(form), append(header, "Content-Type", "application/x-www-form-urlencoded", "Accept-Language", "nb")...)
	}
	for name, header := range map[string][]string{
		"cross-site":          {"Sec-Fetch-Site", "cross-site"},
		"a neighbour's":       {"Sec-Fetch-Site", "same-site"},
		"another origin":      {"Origin", "https://evil.example"},
		"no origin told":      {"Origin", "null"},
		"ours over http":      {"Origin", strings.Replace(h.URL, "https://", "http://", 1) + ".evil.example"},
		"cross-site, no type": {"Sec-Fetch-Site", "cross-site", "Origin", "null"},
	} {
		if p := send(header...); p.status != http.StatusForbidden {
			t.Errorf("%s: the form is answered %d", name, p.status)
		} else {
			expect(t, p, http.StatusForbidden, "Skjemaet kom fra et annet nettsted")
		}
	}
	if n := h.life.called("prove"); n != 0 {
		t.Errorf("forms of other sites reached the domain %d times", n)
	}
	for name, header := range map[string][]string{
		"same origin": {"Sec-Fetch-Site", "same-origin"}, "our origin": {"Origin", h.URL}, "no header": {},
	} {
		if p := send(header...); p.status != http.StatusSeeOther {
			t.Errorf("%s: our own form is answered %d", name, p.status)
		}
	}
}

func TestT30WhatPeopleTypeAndAreCalledIsText(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script><a href="javascript:alert(1)">{{.Lang}}`
	h := open(t, func(p *portal.Portal) { p.Institution.Name = evil })
	v := h.visitor(t)
	ticket := h.life.invite("kari", func(i *invitation) { i.username, i.name.Given, i.name.Preferred = evil, evil, evil })
	pages := []page{v.get("/"), v.visit("/a/" + ticket), v.post("/activate", url.Values{"role": {evil}, "number": {evil}})}
	p := v.prove(ticket)
	pages = append(pages, p, v.post("/activate/password", choice(p, evil)))
	p = v.post("/activate/password", choice(p, good))
	pages = append(pages, v.get(p.location()), v.get("/help?lang="+url.QueryEscape(evil)), v.get("/"+url.PathEscape(evil)))
	for _, p := range pages {
		if strings.Contains(p.body, "<script>") || strings.Contains(p.body, `href="javascript:`) {
			t.Errorf("a page holds what somebody typed as markup:\n%s", p.body)
		}
	}
}
