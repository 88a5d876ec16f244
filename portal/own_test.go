package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/portal"
)

func accept(p page) url.Values {
	return url.Values{"rules": {first(p.body, `name="rules" value="([0-9a-f]{64})"`)}, "accept": {"yes"}}
}

func TestChangedRulesAreAskedBeforeAnythingElse(t *testing.T) {
	t.Parallel()
	h := open(t)
	who := h.life.move("karnor", good)
	who.Rules = account.Acceptance{Version: "2026-11", Hash: strings.Repeat("a", 64), At: july.AddDate(-1, 0, 0)}
	v := h.reader(t)
	if p := v.post("/signin", url.Values{"username": {"karnor"}, "password": {good}}); p.location() != "/rules/accept" {
		t.Fatalf("signing in leads to %q", p.location())
	}
	for _, path := range []string{"/account", "/password", "/signin"} {
		if p := v.get(path); p.location() != "/rules/accept" {
			t.Errorf("meanwhile %s answers %d, leading to %q", path, p.status, p.location())
		}
	}
	if p := v.post("/password", url.Values{"old": {good}, "password": {fresh}}); p.location() != "/rules/accept" || who.password != good {
		t.Errorf("meanwhile a new password is answered %d, leading to %q", p.status, p.location())
	}
	p := v.get("/rules/accept")
	expect(t, p, http.StatusOK, "IT-reglementet er endret", "Du godtok versjon 2026-11", "20. juli 2026", "Versjon 2027-01", "Kontoen er personlig")
	expect(t, v.post("/rules/accept", nil), 422, "Du må godta IT-reglementet")
	old := accept(p)
	old.Set("rules", who.Rules.Hash)
	expect(t, v.post("/rules/accept", old), 422, "IT-reglementet er endret siden du åpnet siden")
	if who.acceptances != 0 {
		t.Fatal("something else than the text in force was accepted")
	}
	english := v.get("/rules/accept?lang=en")
	if p := v.post("/rules/accept?lang=nb", accept(english)); p.location() != "/account" {
		t.Fatalf("accepting is answered %d, leading to %q", p.status, p.location())
	}
	if r := who.Rules; who.acceptances != 1 || r.Language != "en" || r.Version != "2027-01" || r.Hash != accept(english).Get("rules") {
		t.Errorf("%d acceptances, the last is %+v", who.acceptances, r)
	}
	expect(t, v.get("/account"), http.StatusOK, "karnor")
	if p := v.post("/rules/accept", accept(english)); p.location() != "/account" || who.acceptances != 1 {
		t.Errorf("a second tab leads to %q and makes %d acceptances", p.location(), who.acceptances)
	}
}

func TestReportAndSignOutAreNotHeldUpByTheRules(t *testing.T) {
	t.Parallel()
	h := open(t)
	who := h.life.move("karnor", good)
	enter := func() *visitor {
		who.Rules, who.blocked, who.password = account.Acceptance{}, false, good
		v := h.reader(t)
		v.post("/signin", url.Values{"username": {"karnor"}, "password": {good}})
		expect(t, v.get("/rules/accept"), http.StatusOK, "Godta IT-reglementet", "uten å godta reglementet først")
		return v
	}
	v := enter()
	expect(t, v.get("/compromised"), http.StatusOK, "Sperr passordet nå")
	if p := v.post("/compromised", url.Values{"way": {"session"}}); p.location() != "/compromised/password" || !who.blocked {
		t.Errorf("a report is answered %d, leading to %q", p.status, p.location())
	}
	for _, path := range []string{"/signout", "/signout/everywhere"} {
		if p := enter().post(path, nil); p.location() != "/signout" {
			t.Errorf("%s is answered %d, leading to %q", path, p.status, p.location())
		}
	}
	expect(t, enter().get("/rules"), http.StatusOK, "Kontoen er personlig")
}

func TestStrangerIsAskedForNoRules(t *testing.T) {
	t.Parallel()
	h := open(t)
	who := h.life.move("karnor", good)
	v := h.reader(t)
	for _, p := range []page{v.get("/rules/accept"), v.post("/rules/accept", accept(v.get("/rules")))} {
		if p.location() != "/signin" {
			t.Errorf("without a session the rules answer %d, leading to %q", p.status, p.location())
		}
	}
	if who.acceptances != 0 {
		t.Error("a stranger accepted the rules")
	}
}

func TestRulesInForceAreThoseOfTheirFolder(t *testing.T) {
	t.Parallel()
	ours, err := portal.Rules(prøven())
	if err != nil || len(ours) != 3 {
		t.Fatalf("%d rules, %v", len(ours), err)
	}
	in := prøven()
	in.RulesDir = t.TempDir()
	for i, lang := range languages() {
		if r := ours[i]; r.Language != lang || r.Version != "2027-01" || len(r.Hash) != 64 {
			t.Errorf("the rules in %s are %+v", lang, r)
		}
		write(t, in.RulesDir+"/"+lang+".md", "version: 9\n# Rules "+lang+"\n\nBe kind.\n")
	}
	theirs, err := portal.Rules(in)
	if err != nil || theirs[0].Version != "9" || theirs[0].Hash == ours[0].Hash {
		t.Errorf("the rules of a folder are %+v, %v", theirs, err)
	}
	in.RulesDir = t.TempDir()
	if _, err := portal.Rules(in); err == nil {
		t.Error("an empty folder has rules")
	}
}

func TestReceiptSaysWhatIsDoneAndWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	h := open(t)
	who := h.life.move("karnor", good)
	who.Untold, who.Roles[0].Published = true, false
	v := h.visitor(t)
	ticket := h.life.invite("kari", nil)
	v.post("/activate/password", choice(v.prove(ticket), good))
	expect(t, v.get("/activate/done"), http.StatusOK, "Kvitteringen skrives nå", "De andre tjenestene får beskjed snart", "Slik var det kl. 12.00",
		"åpner søndag 1. august 2027 kl. 00.00", `href="/activate/done"`, `data-state="underway"`, `data-state="later"`)
	h.life.people.mu.Lock()
	who.Untold, who.Roles[0].Published = false, true
	h.life.people.mu.Unlock()
	p := v.get("/activate/done")
	expect(t, p, http.StatusOK, "lagt i køen for utsending", "de andre tjenestene kjenner rollen")
	if strings.Contains(p.body, `data-state="underway"`) || strings.Contains(p.body, "Se etter på nytt") {
		t.Errorf("something is on its way still:\n%s", p.words())
	}
	// Another password since: the receipt holds, without what is not ours to see.
	h.life.people.mu.Lock()
	who.after()
	h.life.people.mu.Unlock()
	p = v.get("/activate/done")
	expect(t, p, http.StatusOK, "karnor", "Passordet er lagret")
	if strings.Contains(p.body, "Førsteamanuensis") {
		t.Error("a receipt shows more than its own password does")
	}
}

func TestAccountTellsWhatHappenedNewestFirst(t *testing.T) {
	t.Parallel()
	h := open(t)
	who := h.life.move("karnor", good)
	who.Password, who.Rules.At = july.Add(-3*time.Hour), july.Add(-50*time.Hour)
	v := h.reader(t)
	words := v.signIn("karnor", good).words()
	at := -1
	for _, event := range []string{"Du logget ut overalt", "Passordet ble valgt", "Du godtok IT-reglementet", "Kontoen ble aktiv", "Du ble registrert hos oss"} {
		i := strings.Index(words, event)
		if i <= at {
			t.Errorf("%q stands at %d, the one before at %d:\n%s", event, i, at, words)
		}
		at = i
	}
	who.From, who.Active = who.Password.Add(time.Millisecond), time.Time{}
	v.post("/signin", url.Values{"username": {"karnor"}, "password": {good}})
	words = v.signIn("karnor", good).words()
	if strings.Contains(words, "Du logget ut overalt") {
		t.Error("the account tells of signing out everywhere, which nobody did")
	}
	for lang, says := range map[string]string{
		"nb": "Datoen er ikke kjent Kontoen ble aktiv", "nn": "Datoen er ikkje kjend Kontoen vart aktiv", "en": "The date is not known The account became active",
	} {
		if words := v.get("/account?lang=" + lang).words(); !strings.Contains(words, says) || strings.Contains(words, " 1970") || strings.Contains(words, " 0001") {
			t.Errorf("of what happened at an unknown time the account does not say %q:\n%s", says, words)
		}
	}
}

func TestLiveNamesAreThoseTheServerLooksFor(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.life.move("karnor", good)
	name := func(i *invitation) {
		i.name = account.Name{Given: "Kari Ann", Family: "Nordmann-Øye", Preferred: "Kaisa"}
	}
	names := func(p page) string { return first(p.body, `data-names="([^"]*)"`) }
	v := h.visitor(t)
	if got := names(v.prove(h.life.invite("kari", name))); got != "Kari Ann Nordmann-Øye Kaisa karnor" {
		t.Errorf("activation looks for %q", got)
	}
	v = h.reader(t)
	if got := names(v.get("/password")); got != "" {
		t.Errorf("a stranger is told %q", got)
	}
	v.signIn("karnor", good)
	if got := names(v.get("/password")); got != "Kari Nordmann karnor" {
		t.Errorf("a change looks for %q", got)
	}
	v.post("/compromised", url.Values{"way": {"session"}})
	if got := names(v.get("/compromised/password")); got != "Kari Nordmann karnor" {
		t.Errorf("a new password after a report looks for %q", got)
	}
}

func TestLinkToAnEarlierAddressSaysSoAndOffersANewLetter(t *testing.T) {
	t.Parallel()
	h := open(t)
	ticket := h.life.invite("kari", func(i *invitation) { i.lookFault = account.ErrReplaced })
	v := h.reader(t)
	expect(t, v.visit("/a/"+ticket), http.StatusGone, "Lenken gjelder ikke lenger", "ble endret etter at dette brevet", `action="/activate/again"`)
	expect(t, v.post("/activate", url.Values{"role": {"student"}, "number": {number}}), http.StatusGone, "Lenken gjelder ikke lenger")
	expect(t, v.post("/activate/again", nil), http.StatusOK, "Takk, det er notert")
	if h.life.at(ticket).asked != 1 {
		t.Error("the new letter was not asked for")
	}
	p := v.prove(h.life.invite("ola", func(i *invitation) { i.activateFault = account.ErrReplaced }))
	expect(t, v.post("/activate/password", choice(p, good)), http.StatusGone, "Lenken gjelder ikke lenger")
}

func TestDemandForANewPasswordLeadsToItWithTheDeadline(t *testing.T) {
	t.Parallel()
	h := open(t)
	who := h.life.move("karnor", good)
	who.ChangeBy = time.Date(2027, 7, 26, 22, 0, 0, 0, time.UTC)
	v := h.reader(t)
	if p := v.post("/signin", url.Values{"username": {"karnor"}, "password": {good}}); p.location() != "/password" {
		t.Fatalf("signing in leads to %q", p.location())
	}
	expect(t, v.get("/password"), http.StatusOK, "innen tirsdag 27. juli 2027 kl. 00.00", `href="/account"`)
	expect(t, v.get("/account"), http.StatusOK, "IT-avdelingen krever at du endrer passordet innen", `href="/password"`)
	if p := v.post("/password", url.Values{"old": {good}, "password": {fresh}}); p.location() != "/password/done" {
		t.Fatalf("a new password is answered %d:\n%s", p.status, p.words())
	}
	if p := v.get("/account"); p.status != http.StatusOK || strings.Contains(p.body, "krever") {
		t.Errorf("after it the account answers %d:\n%s", p.status, p.words())
	}
}

func TestAfterTheDeadlineTheOldPasswordSetsANewOneAndDoesNothingElse(t *testing.T) {
	t.Parallel()
	h := open(t)
	who := h.life.move("karnor", good)
	who.due = true
	v := h.reader(t)
	p := v.post("/signin", url.Values{"username": {"karnor"}, "password": {good}})
	expect(t, p, http.StatusOK, "Fristen for å endre passordet er ute", `value="karnor"`, `action="/password"`, `name="old"`)
	if strings.Contains(p.body, good) || len(h.life.sessions.all()) != 0 {
		t.Errorf("a password whose time is over makes %d sessions", len(h.life.sessions.all()))
	}
	if p := v.get("/account"); p.location() != "/signin" {
		t.Errorf("the account answers %d", p.status)
	}
	expect(t, v.post("/signin", url.Values{"username": {"karnor"}, "password": {"wrong"}}), 422, "Brukernavnet og passordet stemmer ikke")
	form := url.Values{"username": {"karnor"}, "old": {good}, "password": {"kort"}}
	expect(t, v.post("/password", form), 422, "oppfyller ikke alle kravene", `value="karnor"`)
	form.Set("password", fresh)
	if p := v.post("/password", form); p.location() != "/password/done" || who.password != fresh {
		t.Fatalf("the new password is answered %d:\n%s", p.status, p.words())
	}
	expect(t, v.visit("/account"), http.StatusOK, "karnor")
}

func TestExpiredSessionStrandsNobody(t *testing.T) {
	t.Parallel()
	h := open(t)
	who := h.life.move("karnor", good)
	stale := func() *visitor {
		who.password, who.blocked, who.Rules = good, false, ownOf("karnor", h.life.clock()).Rules
		v := h.reader(t)
		v.signIn("karnor", good)
		h.life.change(func() { h.life.now = h.life.now.Add(31 * time.Minute) })
		return v
	}
	for path, leads := range map[string]string{
		"/account": "/signin", "/rules/accept": "/signin", "/password/done": "/signin", "/compromised/password": "/compromised",
	} {
		if p := stale().get(path); p.location() != leads {
			t.Errorf("%s answers %d, leading to %q", path, p.status, p.location())
		}
	}
	for path, words := range map[string]string{"/signin": "Logg inn for å se kontoen din", "/password": "Endre passord", "/compromised": "Sperr passordet nå"} {
		expect(t, stale().get(path), http.StatusOK, words)
	}
	for path, leads := range map[string]string{
		"/signout": "/signout", "/signout/everywhere": "/signin", "/rules/accept": "/signin", "/compromised/password": "/compromised",
	} {
		v := stale()
		if p := v.post(path, nil); p.location() != leads {
			t.Errorf("sending %s is answered %d, leading to %q", path, p.status, p.location())
		}
		if p := v.visit(leads); p.status != http.StatusOK {
			t.Errorf("%s leads to a page that answers %d", path, p.status)
		}
	}
	if p := stale().post("/compromised", url.Values{"way": {"session"}}); p.location() != "/compromised" || who.blocked {
		t.Errorf("a report is answered %d, leading to %q", p.status, p.location())
	}
	// The form of a new password says who it is for: it needs no session.
	p := stale().post("/password", url.Values{"username": {"karnor"}, "old": {good}, "password": {fresh}})
	if p.location() != "/password/done" || who.password != fresh {
		t.Errorf("a new password is answered %d, leading to %q", p.status, p.location())
	}
}

func TestUsedLinkLeadsToSigningInAndToALetter(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.reader(t)
	ways := []string{`href="/signin"`, `href="/forgot"`, `href="/compromised"`, `href="/help"`}
	expect(t, v.visit("/a/"+h.life.invite("kari", func(i *invitation) { i.spent = true })), http.StatusGone, ways...)
	p := v.prove(h.life.invite("ola", func(i *invitation) { i.activateFault = account.ErrSpent }))
	expect(t, v.post("/activate/password", choice(p, good)), http.StatusGone, append(ways, "karnor")...)
}
