package portal_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"usn.no/matricula/account"
)

func TestLinkLeadsThroughNumberRulesAndPasswordToAReceipt(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	ticket := h.life.invite("kari", nil)

	p := v.get("/a/" + ticket)
	expect(t, p, http.StatusSeeOther)
	if p.location() != "/activate" {
		t.Errorf("the link leads to %q", p.location())
	}
	if got := p.header.Get("Set-Cookie"); !strings.HasPrefix(got, "__Host-matricula-ticket=") ||
		!strings.Contains(got, "HttpOnly") || !strings.Contains(got, "Secure") || !strings.Contains(got, "SameSite=Lax") {
		t.Errorf("the ticket's cookie is %q", got)
	}
	expect(t, v.get("/activate"), http.StatusOK, "Bekreft hvem du er", "Er du student eller ansatt?",
		"internasjonal student uten norsk fødselsnummer", "fødselsnummer", "D-nummer", "SO-nummer")
	p = v.post("/activate", url.Values{"role": {"student"}, "number": {" 179120 99997 "}})
	expect(t, p, http.StatusSeeOther)
	p = v.get("/activate/password")
	expect(t, p, http.StatusOK, "karnor", "IT-reglement ved Universitetet i Prøven", "Versjon 2027-01", "Minst 16 tegn",
		`autocomplete="new-password"`, `autocomplete="username"`, "variere med språket", "passordfrase")
	p = v.post("/activate/password", choice(p, good))
	expect(t, p, http.StatusSeeOther)
	p = v.get(p.location())
	expect(t, p, http.StatusOK, "Kontoen er aktivert", "karnor", "unntatt ESS", "tofaktor", "passordhåndterer")

	inv := h.life.at(ticket)
	if inv.password != good || !inv.spent {
		t.Error("the account has not got the password")
	}
	if inv.rules.Version != "2027-01" || len(inv.rules.Hash) != 64 || inv.rules.Language != "nb" || !inv.rules.At.Equal(july) {
		t.Errorf("the rules were accepted as %+v", inv.rules)
	}
}

func TestResetLeavesOutTheRole(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	ticket := h.life.invite("kari", func(i *invitation) { i.purpose, i.language, i.roles = account.PurposeReset, "en", nil })
	p := v.visit("/a/" + ticket)
	expect(t, p, http.StatusOK, "New password: confirm who you are")
	if strings.Contains(p.body, `name="role"`) {
		t.Error("a reset asks for the role")
	}
	p = v.post("/activate", url.Values{"number": {number}, "role": {"employee"}})
	p = v.get(p.location())
	expect(t, p, http.StatusOK, "Choose a new password", "Save the new password")
	p = v.post("/activate/password", choice(p, good))
	expect(t, v.get(p.location()), http.StatusOK, "The password is changed")
}

func TestLookingChangesNothing(t *testing.T) {
	t.Parallel()
	h := open(t)
	ticket := h.life.invite("kari", nil)
	for range 10 {
		v := h.visitor(t)
		for range 5 {
			v.visit("/a/" + ticket)
		}
		v.post("/activate", nil)
		v.do(http.MethodPost, "/activate", nil)
		v.post("/activate/password", nil)
		v.get("/activate/again")
	}
	for _, call := range []string{"prove", "activate", "again", "judge"} {
		if n := h.life.called(call); n != 0 {
			t.Errorf("opening links and sending empty forms called %s %d times", call, n)
		}
	}
	if got := h.life.at(ticket); got.spent || got.wrong != 0 {
		t.Errorf("the invitation is changed: %+v", got)
	}
}

func TestClosedWindowSaysWhenItOpensInOslo(t *testing.T) {
	t.Parallel()
	oslo, err := time.LoadLocation("Europe/Oslo")
	if err != nil {
		t.Fatal(err)
	}
	h := open(t)
	for _, row := range []struct {
		lang  string
		opens time.Time
		words string
	}{
		{"nb", time.Date(2027, 8, 1, 0, 0, 0, 0, oslo), "søndag 1. august 2027 kl. 00.00"},
		{"nn", time.Date(2027, 8, 2, 8, 30, 0, 0, oslo), "måndag 2. august 2027 kl. 08.30"},
		{"en", time.Date(2027, 8, 1, 0, 0, 0, 0, oslo), "Sunday 1 August 2027 at 00:00"},
		{"en", time.Date(2027, 12, 31, 23, 0, 0, 0, time.UTC), "Saturday 1 January 2028 at 00:00"},
	} {
		ticket := h.life.invite(row.words+row.lang, func(i *invitation) { i.language, i.opens = row.lang, row.opens })
		v := h.visitor(t)
		expect(t, v.visit("/a/"+ticket), http.StatusOK, row.words, row.opens.UTC().Format(time.RFC3339))
		expect(t, v.post("/activate", url.Values{"role": {"student"}, "number": {number}}), http.StatusForbidden, row.words)
		expect(t, v.post("/activate", nil), http.StatusForbidden, row.words)
		if h.life.at(ticket).wrong != 0 {
			t.Error("a try before the opening counts as an attempt")
		}
	}
}

func TestEachEndOfALinkHasItsPageWithAWayOn(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		change func(*invitation)
		status int
		words  []string
		button bool
	}{
		"spent":     {func(i *invitation) { i.spent = true }, 410, []string{"Lenken er allerede brukt", "logger inn", "Kontakt brukerstøtte"}, false},
		"expired":   {func(i *invitation) { i.expires = july }, 410, []string{"Lenken er utløpt", "Send meg en ny lenke"}, true},
		"frozen":    {func(i *invitation) { i.wrong = wrongNumbers }, 403, []string{"Lenken er sperret", "Kontoen din er ikke berørt", "brukerstøtte"}, true},
		"suspended": {func(i *invitation) { i.suspended = &account.SuspendedError{State: account.Suspended} }, 403, []string{"Kontoen kan ikke brukes nå", "hjelp@example.org"}, false},
	} {
		h := open(t)
		v := h.visitor(t)
		ticket := h.life.invite(name, row.change)
		p := v.visit("/a/"+ticket, "Accept-Language", "nb")
		expect(t, p, row.status, row.words...)
		if got := strings.Contains(p.body, `action="/activate/again"`); got != row.button {
			t.Errorf("%s: a new link is offered: %t", name, got)
		}
		expect(t, v.post("/activate", url.Values{"role": {"student"}, "number": {number}}, "Accept-Language", "nb"), row.status, row.words[0])
	}
}

func TestNewLetterIsAskedForWithOneAnswerWhateverComesOfIt(t *testing.T) { // T18
	t.Parallel()
	h := open(t)
	expired := h.life.invite("expired", func(i *invitation) { i.expires = july })
	spent := h.life.invite("spent", func(i *invitation) { i.spent = true })
	var bodies []string
	for _, ticket := range []string{expired, spent} {
		v := h.visitor(t)
		v.visit("/a/"+ticket, "Accept-Language", "nb")
		p := v.post("/activate/again", nil, "Accept-Language", "nb")
		expect(t, p, http.StatusOK, "Takk, det er notert")
		bodies = append(bodies, p.body)
	}
	if bodies[0] != bodies[1] {
		t.Error("the answer tells whether the link could be renewed")
	}
	if h.life.at(expired).asked != 1 {
		t.Error("the new letter was not asked for")
	}
	v := h.visitor(t)
	v.visit("/a/" + expired)
	if p := v.get("/activate/again"); p.location() != "/activate" || h.life.at(expired).asked != 1 {
		t.Error("a GET asks for a letter")
	}
}

func TestWithoutALinkThePageSaysWhereItIs(t *testing.T) {
	t.Parallel()
	v := open(t).visitor(t)
	expect(t, v.get("/activate", "Accept-Language", "nb"), http.StatusOK, "Åpne lenken i brevet ditt", "søppelpost", "SO-nummeret", "august")
	expect(t, v.post("/activate", url.Values{"role": {"student"}, "number": {number}}, "Accept-Language", "nb"), http.StatusForbidden,
		"Åpne lenken i brevet på nytt", "informasjonskapsler")
}

func TestWrongNumberSaysHowManyAttemptsAreLeftAndFreezesTheLinkOnly(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	ticket, other := h.life.invite("kari", nil), h.life.invite("other", nil)
	v.visit("/a/" + ticket)
	form := url.Values{"role": {"student"}, "number": {"05840399895"}}
	for _, words := range []string{"Du har 4 forsøk igjen", "Du har 3 forsøk igjen", "Du har 2 forsøk igjen", "Du har ett forsøk igjen"} {
		p := v.post("/activate", form)
		expect(t, p, http.StatusUnprocessableEntity, words, `aria-invalid="true"`, `id="problems"`)
		if !strings.HasPrefix(p.title(), "Feil: ") {
			t.Errorf("the title is %q", p.title())
		}
	}
	expect(t, v.post("/activate", form), http.StatusForbidden, "Lenken er sperret")
	expect(t, v.post("/activate", url.Values{"role": {"student"}, "number": {number}}), http.StatusForbidden, "Lenken er sperret")
	v.prove(other)
}

func TestIncompleteFormCostsNoAttemptAndNamesEveryFault(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	ticket := h.life.invite("kari", nil)
	v.visit("/a/" + ticket)
	for _, row := range []struct {
		role, number string
		words        []string
	}{
		{"", "", []string{"Velg student eller ansatt", "Skriv identitetsnummeret ditt"}},
		{"student", "1791209999", []string{"11 siffer, du har skrevet 10"}},
		{"student", "179120999970", []string{"du har skrevet 12"}},
		{"student", "1791209999x", []string{"består bare av siffer"}},
		{"dean", number, []string{"Velg student eller ansatt"}},
	} {
		p := v.post("/activate", url.Values{"role": {row.role}, "number": {row.number}})
		expect(t, p, http.StatusUnprocessableEntity, row.words...)
	}
	if n := h.life.called("prove"); n != 0 {
		t.Errorf("incomplete forms reached the domain %d times", n)
	}
	expect(t, v.post("/activate", url.Values{"role": {"employee"}, "number": {number}}), http.StatusUnprocessableEntity, "Vi finner deg ikke som ansatt")
	if h.life.at(ticket).wrong != 0 {
		t.Error("a wrong choice of role burnt an attempt")
	}
}

func TestFailedPasswordIsAnsweredRuleByRuleAndKeepsTheAcceptance(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	ticket := h.life.invite("kari", nil)
	p := v.prove(ticket)
	p = v.post("/activate/password", choice(p, "nordmannnnn"))
	expect(t, p, http.StatusUnprocessableEntity, "Feil:", "Passordet oppfyller ikke alle kravene",
		"11 tegn nå", "«n» står for mange ganger på rad", "inneholder «Nordmann»", "1 av 3: små bokstaver")
	for _, rule := range []string{"length", "groups", "repeat", "name"} {
		if !strings.Contains(p.body, `data-rule="`+rule+`" data-state="no"`) {
			t.Errorf("the rule %s is not answered", rule)
		}
	}
	if !strings.Contains(p.body, `value="yes" checked`) {
		t.Error("the acceptance is lost")
	}
	if strings.Contains(p.body, "nordmannnnn") {
		t.Error("the page repeats the password")
	}
	p = v.post("/activate/password", choice(p, "Blue-kettle\tsings"))
	expect(t, p, http.StatusUnprocessableEntity, "Ingen kontrolltegn")
	p = v.post("/activate/password", choice(p, strings.Repeat("Ab1-", 40)))
	expect(t, p, http.StatusUnprocessableEntity, "Høyst 128 tegn")
	p = v.post("/activate/password", choice(p, ""))
	expect(t, p, http.StatusUnprocessableEntity, "Skriv et passord")
	p = v.post("/activate/password", choice(p, good))
	expect(t, p, http.StatusSeeOther)
}

func TestPasswordNeedsTheRulesAsTheyAre(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	ticket := h.life.invite("kari", nil)
	p := v.prove(ticket)
	form := choice(p, good)
	form.Del("accept")
	expect(t, v.post("/activate/password", form), http.StatusUnprocessableEntity, "Du må godta IT-reglementet", "oppfylt")
	form = choice(p, good)
	form.Set("rules", strings.Repeat("0", 64))
	p = v.post("/activate/password", form)
	expect(t, p, http.StatusUnprocessableEntity, "IT-reglementet er endret")
	if strings.Contains(p.body, `value="yes" checked`) {
		t.Error("the acceptance of other rules is kept")
	}
	if h.life.called("activate") != 0 || h.life.at(ticket).spent {
		t.Error("a password was set without the rules")
	}
}

func TestRulesAreAcceptedInTheLanguageTheyWereReadIn(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	ticket := h.life.invite("kari", nil)
	v.prove(ticket)
	p := v.get("/activate/password?lang=en")
	form := choice(p, good)
	v.get("/help?lang=nn") // another tab
	v.post("/activate/password", form)
	if got := h.life.at(ticket).rules; got.Language != "en" || got.Hash != form.Get("rules") {
		t.Errorf("the rules were accepted as %+v", got)
	}
}

func TestCompromisedPasswordIsNotChosenAgain(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	ticket := h.life.invite("kari", func(i *invitation) { i.old = good })
	p := v.prove(ticket)
	expect(t, v.post("/activate/password", choice(p, good)), http.StatusUnprocessableEntity, "Velg et annet")
	expect(t, v.post("/activate/password", choice(p, good+"2")), http.StatusSeeOther)
}

func TestSecondOfTwoClicksIsToldThatAllIsWell(t *testing.T) { // T3
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	ticket := h.life.invite("kari", nil)
	p := v.prove(ticket)
	held := v.cookies()
	var wg sync.WaitGroup
	answers := make([]page, 64)
	for i := range answers {
		wg.Go(func() {
			tab := h.visitor(t)
			for name, value := range held {
				tab.setCookie(name, value)
			}
			answers[i] = tab.post("/activate/password", choice(p, good+string(rune('A'+i%26))))
		})
	}
	wg.Wait()
	done := 0
	for _, a := range answers {
		switch a.status {
		case http.StatusSeeOther:
			done++
		case http.StatusGone:
			expect(t, a, http.StatusGone, "det første passordet gjelder", "karnor")
		default:
			t.Errorf("a click is answered %d", a.status)
		}
	}
	if done != 1 {
		t.Errorf("%d of 64 clicks set a password, not one", done)
	}
}

func TestBackButtonAfterTheReceiptLeadsBackToIt(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	p := v.prove(h.life.invite("kari", nil))
	form := choice(p, good)
	v.post("/activate/password", form)
	for _, path := range []string{"/activate/done", "/activate", "/activate/password"} {
		expect(t, v.visit(path), http.StatusOK, "Kontoen er aktivert")
	}
	if p := v.post("/activate/password", form); p.location() != "/activate/done" {
		t.Errorf("sending the form again leads to %d %q", p.status, p.location())
	}
	h.life.change(func() { h.life.now = july.Add(time.Hour) })
	expect(t, v.visit("/activate/done", "Accept-Language", "nb"), http.StatusOK, "Åpne lenken i brevet ditt")
}

func TestNewLinkForgetsThePersonBefore(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	p := v.prove(h.life.invite("kari", nil))
	v.post("/activate/password", choice(p, good))
	v.visit("/a/" + h.life.invite("ola", func(i *invitation) { i.username = "olanor" }))
	if p := v.visit("/activate/done"); strings.Contains(p.body, "karnor") {
		t.Error("the receipt of the person before is shown to the next")
	}
}

func TestProofRunsOutWithoutStrandingAnybody(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	ticket := h.life.invite("kari", nil)
	p := v.prove(ticket)
	h.life.change(func() { h.life.now = july.Add(31 * time.Minute) })
	expect(t, v.post("/activate/password", choice(p, good)), http.StatusForbidden, "Skriv identitetsnummeret på nytt", `href="/activate"`)
	if h.life.at(ticket).spent {
		t.Error("a proof whose time is over set a password")
	}
	expect(t, v.visit("/activate/password"), http.StatusOK, "Bekreft hvem du er")
	p = v.prove(ticket)
	expect(t, v.post("/activate/password", choice(p, good)), http.StatusSeeOther)
}

func TestLinkInAnotherTabDoesNotInheritTheProof(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	mine := h.life.invite("kari", nil)
	theirs := h.life.invite("ola", func(i *invitation) { i.username, i.numbers = "olanor", []string{"05840399895"} })
	p := v.prove(mine)
	proof := v.cookies()["__Host-matricula-proof"]
	v.get("/a/" + theirs)
	v.setCookie("__Host-matricula-proof", proof)
	expect(t, v.post("/activate/password", choice(p, good)), http.StatusForbidden, "Skriv identitetsnummeret på nytt")
	if h.life.at(mine).spent || h.life.at(theirs).spent {
		t.Error("a proof was used with another link")
	}
}

func TestSameLinkInASecondTabKeepsWhatTheFirstHasProved(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	ticket := h.life.invite("kari", nil)
	p := v.prove(ticket)
	expect(t, v.visit("/a/"+ticket), http.StatusOK, "Bekreft hvem du er")
	expect(t, v.post("/activate/password", choice(p, good)), http.StatusSeeOther)
	if !h.life.at(ticket).spent {
		t.Error("opening the letter once more in a second tab cost the first its form")
	}
}

func TestClickIsCarriedToItsEndWhenTheBrowserHasGone(t *testing.T) {
	t.Parallel()
	h := open(t)
	v := h.visitor(t)
	ticket := h.life.invite("kari", nil)
	p := v.prove(ticket)
	h.life.slow, h.life.entered = make(chan struct{}), make(chan struct{})
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL+"/activate/password", strings.NewReader(choice(p, good).Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	gone := make(chan error, 1)
	go func() {
		resp, err := v.client.Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		gone <- err
	}()
	select {
	case <-h.life.entered:
	case <-time.After(2 * time.Minute):
		t.Fatal("the click does not reach the domain")
	}
	leave()
	if err := <-gone; err == nil {
		t.Fatal("the browser got an answer though it had gone")
	}
	close(h.life.slow)
	for deadline := time.Now().Add(2 * time.Minute); h.life.at(ticket).password != good; {
		if time.Now().After(deadline) {
			t.Fatal("the password was not set")
		}
		<-time.After(5 * time.Millisecond)
	}
}
