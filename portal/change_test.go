package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestPasswordIsChangedWithTheOldOneWithAndWithoutASession(t *testing.T) {
	t.Parallel()
	for name, signedIn := range map[string]bool{"with a session": true, "without": false} {
		h := open(t)
		who := h.life.move("karnor", good)
		v := h.reader(t)
		if signedIn {
			v.signIn("karnor", good)
		}
		expect(t, v.get("/password"), http.StatusOK, "Endre passord", "Minst 16 tegn", `autocomplete="new-password"`, `autocomplete="current-password"`)
		p := v.post("/password", url.Values{"username": {"karnor"}, "old": {good}, "password": {fresh}})
		if p.location() != "/password/done" || who.password != fresh {
			t.Fatalf("%s: answered %d, the password is %q:\n%s", name, p.status, who.password, p.words())
		}
		expect(t, v.get("/password/done"), http.StatusOK, "Passordet er endret", "unntatt ESS")
		expect(t, v.get("/account"), http.StatusOK, "karnor")
	}
}

func TestRefusedChangeSaysWhatToMendAndKeepsTheOldPassword(t *testing.T) {
	t.Parallel()
	h := open(t)
	who := h.life.move("karnor", good)
	v := h.reader(t)
	form := func(username, old, next string) page {
		return v.post("/password", url.Values{"username": {username}, "old": {old}, "password": {next}}, "Accept-Language", "nb")
	}
	expect(t, form("", "", ""), 422, "Skriv brukernavnet ditt", "Skriv passordet du har nå", "Skriv et passord")
	expect(t, form("karnor", "wrong", fresh), 422, "Brukernavnet og passordet stemmer ikke")
	expect(t, form("karnor", good, "kort"), 422, "oppfyller ikke alle kravene", `data-rule="length" data-state="no"`)
	expect(t, form("karnor", good, good), 422, "har vært på avveie eller i bruk før")
	v.signIn("karnor", good)
	expect(t, form("", "wrong", fresh), 422, "Dette er ikke passordet du har nå")
	if who.password != good {
		t.Errorf("the password is %q", who.password)
	}
	if p := form("karnor", good, "Passord-som-ikke-skal-vises"); strings.Contains(p.body, "ikke-skal") || strings.Contains(p.body, `value="`+good) {
		t.Error("a page holds a password")
	}
}

func TestT26SessionDecidesWhosePasswordIsChanged(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	other := h.life.move("olanor", good)
	v := h.reader(t)
	v.signIn("karnor", good)
	v.post("/password", url.Values{"username": {"olanor"}, "old": {good}, "password": {fresh}})
	if other.password != good {
		t.Error("a username in the form changed somebody else's password")
	}
	for _, form := range []url.Values{
		{"old": {good}, "password": {fresh}, "state": {"active"}}, {"old": {good}, "password": {fresh}, "account": {"id-olanor"}},
		{"old": {good, good}, "password": {fresh}}, {"old[]": {good}, "password": {fresh}}, {"old": {good}, "password": {fresh}, "mail": {"x@example.org"}},
	} {
		if p := v.post("/password", form); p.status != http.StatusBadRequest {
			t.Errorf("a form with %v is answered %d", form, p.status)
		}
	}
	for path, form := range map[string]url.Values{
		"/signin":  {"username": {"olanor"}, "password": {good}, "role": {"admin"}},
		"/forgot":  {"number": {number}, "family": {"Li"}, "mail": {"x@example.org"}},
		"/signout": {"everywhere": {"no"}}, "/compromised": {"way": {"session"}, "account": {"id-olanor"}},
		"/compromised/password": {"number": {number}, "password": {fresh}, "username": {"olanor"}},
	} {
		if p := v.post(path, form); p.status != http.StatusBadRequest {
			t.Errorf("%s with a field too many is answered %d", path, p.status)
		}
	}
	if len(h.life.requests()) != 0 {
		t.Error("a form with a field too many was passed on")
	}
}

func TestT18ForgottenIsAnsweredTheSameWhoeverAsks(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	expect(t, h.reader(t).get("/forgot"), http.StatusOK)
	var posts, pages []page
	for _, form := range []url.Values{
		{"number": {"179120 99997"}, "family": {"Nordmann"}}, {"number": {"05840399895"}, "family": {"Ukjent"}},
	} {
		v := h.reader(t)
		posts = append(posts, v.post("/forgot", form, "Accept-Language", "nb"))
		pages = append(pages, v.get("/forgot/asked", "Accept-Language", "nb"))
	}
	same(t, posts)
	same(t, pages)
	expect(t, pages[0], http.StatusOK, "Hvis opplysningene stemmer")
	asked := h.life.requests()
	if posts[0].location() != "/forgot/asked" || len(asked) != 2 || asked[0].Number != number || asked[0].Family != "Nordmann" || asked[0].From == "" {
		t.Errorf("answered %d; passed on: %d", posts[0].status, len(asked))
	}
}

func TestIncompleteRequestIsPassedOnToNobody(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.reader(t)
	for _, c := range []struct{ number, family, says string }{
		{"", "", "Skriv etternavnet ditt"}, {"123", "Li", "du har skrevet 3"}, {number, " ", "Skriv etternavnet ditt"},
		{number, strings.Repeat("x", 101), "høyst 100 tegn"}, {"abcdefghijk", "Li", "bare av siffer"},
	} {
		expect(t, v.post("/forgot", url.Values{"number": {c.number}, "family": {c.family}}, "Accept-Language", "nb"), 422, c.says)
	}
	if n := len(h.life.requests()); n != 0 {
		t.Errorf("%d requests were passed on", n)
	}
}

func TestReportBlocksAtOnceAndANewPasswordIsChosenThere(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"session", "password"} {
		h := open(t)
		who := h.life.move("karnor", good)
		v := h.reader(t)
		form := url.Values{"way": {way}}
		if way == "session" {
			v.signIn("karnor", good)
		} else {
			form.Set("username", "karnor")
			form.Set("password", good)
		}
		expect(t, v.get("/compromised"), http.StatusOK, "Sperr passordet nå")
		if who.blocked {
			t.Fatal("looking blocks")
		}
		if p := v.post("/compromised", form); p.location() != "/compromised/password" || !who.blocked {
			t.Fatalf("by %s: answered %d, blocked %t:\n%s", way, p.status, who.blocked, p.words())
		}
		renew := func(n, word string) page {
			return v.post("/compromised/password", url.Values{"number": {n}, "password": {word}}, "Accept-Language", "nb")
		}
		expect(t, renew("", ""), 422, "Skriv identitetsnummeret ditt", "Skriv et passord")
		expect(t, renew("05840399895", fresh), 422, "Du har 4 forsøk igjen")
		expect(t, renew(number, good), 422, "har vært på avveie")
		expect(t, renew(number, "kort"), 422, "oppfyller ikke alle kravene")
		if p := renew(number, fresh); p.location() != "/password/done" || who.password != fresh || who.blocked {
			t.Fatalf("a new password is answered %d:\n%s", p.status, p.words())
		}
		expect(t, v.get("/account"), http.StatusOK, "karnor")
	}
}

func TestT6NobodyReportsSomebodyElse(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	other := h.life.move("olanor", good)
	v := h.reader(t)
	v.signIn("karnor", good)
	v.post("/compromised", url.Values{"way": {"session"}, "username": {"olanor"}})
	stranger := h.reader(t)
	for _, form := range []url.Values{
		{"way": {"session"}, "username": {"olanor"}}, {"way": {"password"}, "username": {"olanor"}, "password": {"wrong"}},
		{"way": {"password"}, "username": {"olanor"}}, {"way": {"letter"}, "username": {"olanor"}}, {"username": {"olanor"}}, {"way": {"admin"}},
	} {
		if p := stranger.post("/compromised", form); p.location() == "/compromised/password" {
			t.Errorf("%v blocked somebody", form)
		}
	}
	if other.blocked {
		t.Error("a stranger blocked olanor")
	}
	if p := stranger.get("/compromised/password"); p.location() != "/compromised" {
		t.Errorf("without a report a new password answers %d", p.status)
	}
	if p := stranger.post("/compromised/password", url.Values{"number": {number}, "password": {fresh}}); p.location() != "/compromised" {
		t.Errorf("without a report a new password is answered %d", p.status)
	}
}

func TestLetterReportsAndItsLinkIsForgotten(t *testing.T) {
	t.Parallel()
	h := open(t)
	who := h.life.move("karnor", good)
	v := h.reader(t)
	v.visit("/a/" + h.life.invite("kari", nil))
	expect(t, v.get("/compromised"), http.StatusOK, "Du har åpnet lenken i et brev")
	expect(t, v.post("/compromised", url.Values{"way": {"letter"}}), http.StatusOK, "Passordet er sperret")
	if !who.blocked || v.cookies()["__Host-matricula-ticket"] != "" {
		t.Errorf("blocked: %t, cookies: %v", who.blocked, v.cookies())
	}
}

func TestFiveWrongNumbersLeadToTheLetter(t *testing.T) { // T19
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	v := h.reader(t)
	v.post("/compromised", url.Values{"way": {"password"}, "username": {"karnor"}, "password": {good}})
	var p page
	for range 5 {
		p = v.post("/compromised/password", url.Values{"number": {"05840399895"}, "password": {fresh}}, "Accept-Language", "nb")
	}
	expect(t, p, http.StatusOK, "Et brev med lenken")
	if p := v.get("/compromised/password"); p.location() != "/compromised" {
		t.Errorf("after five wrong numbers the way is open: %d", p.status)
	}
}

func TestActivationEndsTheSessionThatWasThere(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("olanor", good)
	v := h.reader(t)
	v.signIn("olanor", good)
	p := v.prove(h.life.invite("kari", nil))
	v.post("/activate/password", choice(p, good))
	if p := v.get("/account"); p.location() != "/signin" {
		t.Errorf("after somebody else's activation the session is answered %d", p.status)
	}
}

func TestLogNamesNobodyWhoSignsInOrAsks(t *testing.T) { // T31
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	v := h.reader(t)
	v.signIn("karnor", good)
	v.post("/password", url.Values{"old": {good}, "password": {"kort-ord"}})
	v.post("/forgot", url.Values{"number": {number}, "family": {"Nordmann"}})
	v.post("/compromised", url.Values{"way": {"session"}})
	v.post("/compromised/password", url.Values{"number": {number}, "password": {fresh}})
	text := h.log.String()
	secrets := []string{"karnor", good, fresh, "kort-ord", number, "Nordmann", "127.0.0.1"}
	for _, c := range v.cookies() {
		secrets = append(secrets, c)
	}
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("the log holds %q", s)
		}
	}
	if !strings.Contains(text, `"route":"/compromised/password"`) {
		t.Errorf("the log lacks the routes:\n%s", text)
	}
}
