package portal_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/portal"
)

// doors is the part of the double behind the page of the PIN. A username that
// begins like one of the words in campuses has those.
type doors struct {
	*life
	mu       sync.Mutex
	campuses map[string][]account.CampusPIN
	fault    error
	chosen   []account.PINChoice
}

// someDoors are campuses in each state there is.
func someDoors(l *life) *doors {
	at := time.Date(2027, 7, 20, 8, 12, 0, 0, time.UTC)
	early := account.CampusPIN{Campus: "Bø", State: account.PINEarly, Opens: time.Date(2027, 7, 31, 22, 0, 0, 0, time.UTC)}
	return &doors{life: l, campuses: map[string][]account.CampusPIN{
		"": {{Campus: "Drammen"}, {Campus: "Kongsberg", State: "requested", At: at}, early},
		"pin-all": {
			{Campus: "Drammen", State: "delivered", At: at}, {Campus: "Kongsberg", State: "confirmed", At: at}, {Campus: "Notodden", State: account.PINExpired},
			{Campus: "Porsgrunn", State: "failed", At: at}, early,
		},
		"pin-early": {early}, "pin-nowhere": {},
	}}
}

func (d *doors) set(p *portal.Portal) { p.PINs, p.PIN = d, portal.PINSettings{Length: 4} }

func (d *doors) PIN(ctx context.Context, id string, from time.Time) (account.Own, []account.CampusPIN, error) {
	own, err := d.Own(ctx, id, from)
	d.mu.Lock()
	defer d.mu.Unlock()
	best := ""
	for name := range d.campuses {
		if strings.HasPrefix(own.Username, name) && len(name) > len(best) {
			best = name
		}
	}
	return own, d.campuses[best], err
}

func (d *doors) SetPIN(ctx context.Context, c account.PINChoice) (account.Own, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.chosen = append(d.chosen, c)
	d.people.mu.Lock()
	p, err := d.of(c.Account, c.From)
	if err == nil && p.password != c.Try.Password {
		err = account.ErrWrongPassword
	}
	d.people.mu.Unlock()
	switch {
	case err != nil:
	case d.fault != nil:
		err = d.fault
	case c.PIN != "8361":
		err = &account.PINError{Answers: []account.Answer{
			{Rule: "length", OK: true}, {Rule: "characters", OK: true}, {Rule: "repeat", OK: true}, {Rule: "run"}, {Rule: "birth_date", OK: true}, {Rule: "common", OK: true},
		}}
	}
	if err != nil {
		return account.Own{}, err
	}
	return p.Own, nil
}

// withDoors is a house in which PINs are set, and karnor signed in.
func withDoors(t *testing.T) (*house, *doors, *visitor) {
	t.Helper()
	var d *doors
	h := open(t, func(p *portal.Portal) {
		l, _ := p.Clicks.(*life)
		d = someDoors(l)
		d.set(p)
	})
	h.life.move("karnor", good)
	v := h.reader(t)
	v.signIn("karnor", good)
	return h, d, v
}

func TestPINIsSetWithThePasswordOnceMoreAndThePageSaysHowFarItHasCome(t *testing.T) {
	t.Parallel()
	_, d, v := withDoors(t)
	p := v.get("/pin?lang=nb")
	expect(t, p, http.StatusOK, "PIN-kode til dører", "Drammen", "ikke valgt noen PIN-kode", "Bestilt, tirsdag 20. juli 2027 kl. 10.12", "– på vei", "søndag 1. august 2027",
		`inputmode="numeric"`, `autocomplete="current-password"`, "Nøyaktig 4 sifre")
	if strings.Contains(p.body, `name="pin" value`) || len(d.chosen) != 0 {
		t.Error("looking does something")
	}
	before := v.cookies()["__Host-matricula-session"]
	p = v.post("/pin", url.Values{"username": {"olanor"}, "old": {good}, "pin": {"83 61"}})
	if p.location() != "/pin/done" || len(d.chosen) != 1 {
		t.Fatalf("answered %d:\n%s", p.status, p.words())
	}
	c := d.chosen[0]
	if c.PIN != "8361" || c.Account != "id-karnor" || c.Try.Username != "karnor" || !c.Try.Known {
		t.Errorf("passed on for %s as %s, known %t", c.Account, c.Try.Username, c.Try.Known)
	}
	if v.cookies()["__Host-matricula-session"] == before {
		t.Error("the step up keeps the session's ID")
	}
	expect(t, v.get("/pin/done"), http.StatusOK, "PIN-koden er på vei", "bare adgangssystemet", "Drammen", "Velg en annen PIN-kode")
	v = v.house.reader(t)
	for _, path := range []string{"/pin", "/pin/done"} {
		if p := v.get(path); p.location() != "/signin" {
			t.Errorf("without a session %s answers %d", path, p.status)
		}
	}
	if p := v.post("/pin", url.Values{"old": {good}, "pin": {"8361"}}); p.location() != "/signin" || len(d.chosen) != 1 {
		t.Errorf("without a session a PIN is answered %d", p.status)
	}
}

func TestRefusedPINSaysWhatToMendAndShowsNeitherPINNorPassword(t *testing.T) {
	t.Parallel()
	h, d, v := withDoors(t)
	set := func(old, pin string) page {
		return v.post("/pin", url.Values{"old": {old}, "pin": {pin}}, "Accept-Language", "nb")
	}
	expect(t, set("", ""), 422, "Skriv passordet du har nå", "Skriv en PIN-kode")
	expect(t, set("wrong-password", "8361"), 422, "Dette er ikke passordet du har nå")
	p := set(good, "4567")
	expect(t, p, 422, "PIN-koden oppfyller ikke alle kravene", `data-rule="run" data-state="no"`, `data-rule="birth_date" data-state="ok"`)
	if strings.Contains(p.body, "4567") || strings.Contains(p.body, good) {
		t.Error("the page holds the PIN or the password")
	}
	d.fault = &account.OftenError{Until: july.Add(time.Hour)}
	expect(t, set(good, "8361"), 422, "flere ganger på en time", "kl. 13.00")
	d.fault = account.ErrNoCampus
	if p := set(good, "8361"); p.location() != "/pin" {
		t.Errorf("without a campus it leads to %q with %d", p.location(), p.status)
	}
	d.fault = &account.TooManyError{Until: july.Add(time.Minute)}
	if p := set(good, "8361"); p.status != http.StatusTooManyRequests || p.header.Get("Retry-After") == "" {
		t.Errorf("too many tries are answered %d", p.status)
	}
	d.fault = account.ErrUnavailable
	if p := set(good, "8361"); p.status != http.StatusServiceUnavailable {
		t.Errorf("an outage is answered %d", p.status)
	}
	d.fault = errors.New("something else")
	expect(t, set(good, "8361"), 500)
	if log := h.log.String(); strings.Contains(log, "8361") || strings.Contains(log, good) || strings.Contains(log, "karnor") {
		t.Error("the log holds a PIN, a password or a person")
	}
	for _, form := range []url.Values{
		{"old": {good}, "pin": {"8361"}, "campus": {"Oslo"}}, {"old": {good}, "pin": {"8361", "8361"}}, {"old": {good}, "pin[]": {"8361"}}, {"old": {good}, "pin": {"8361"}, "account": {"id-olanor"}},
	} {
		if p := v.post("/pin", form); p.status != http.StatusBadRequest {
			t.Errorf("%v is answered %d", form, p.status)
		}
	}
}

func TestEachStateOfAPINHasItsWordsInEveryLanguage(t *testing.T) {
	t.Parallel()
	h, _, _ := withDoors(t)
	words := map[string][][]string{
		"pin-all": {
			{"Levert til adgangssystemet, tirsdag", "virker ved dørene, tirsdag", "hentet ikke PIN-koden i tide", "kunne ikke lese"},
			{"Levert til tilgangssystemet, tysdag", "verkar ved dørene, tysdag", "henta ikkje PIN-koden i tide", "kunne ikkje lese"},
			{"Delivered to the access system, Tuesday", "works at the doors, Tuesday", "did not fetch", "could not read"},
		},
		"pin-early":   {{"når rollen din der åpner"}, {"når rolla di der opnar"}, {"when your role there opens"}},
		"pin-nowhere": {{"ingen dører"}, {"ingen dører"}, {"there are no doors"}},
	}
	for name, want := range words {
		h.life.move(name, good)
		v := h.reader(t)
		v.signIn(name, good)
		for i, lang := range languages() {
			p := v.get("/pin?lang=" + lang)
			expect(t, p, http.StatusOK, want[i]...)
			if form := strings.Contains(p.body, `name="pin"`); form != (name == "pin-all") {
				t.Errorf("%s in %s shows a form: %t", name, lang, form)
			}
			if name == "pin-early" && strings.Contains(p.words(), words["pin-nowhere"][i][0]) {
				t.Errorf("whoever has a campus that opens is told in %s that there is none", lang)
			}
		}
	}
}

func TestWithoutAKeyThePageSaysWhereElse(t *testing.T) {
	t.Parallel()
	h := open(t, func(p *portal.Portal) {
		p.PIN = portal.PINSettings{Elsewhere: map[string]string{"nb": "Du velger den på kortkontoret.", "nn": "Du vel han på kortkontoret."}, ElsewhereURL: "https://kort.example.org/pin"}
	})
	v := h.reader(t)
	expect(t, v.get("/pin"), http.StatusOK, "ikke på dette nettstedet", "kortkontoret", `href="https://kort.example.org/pin"`)
	p := v.get("/pin?lang=en")
	expect(t, p, http.StatusOK, "not set on this site", `href="https://kort.example.org/pin"`)
	if strings.Contains(p.words(), "Support can tell") {
		t.Error("it sends people to support although there is a page")
	}
	expect(t, open(t).reader(t).get("/pin?lang=en"), http.StatusOK, "Support can tell you where")
	if p := v.post("/pin", url.Values{"old": {good}, "pin": {"8361"}}); p.status != http.StatusNotFound {
		t.Errorf("a PIN is answered %d", p.status)
	}
	broken := settings(newLife(july), "https://konto.example.org")
	broken.PIN.ElsewhereURL = "javascript:alert(1)"
	if _, err := broken.Handler(); err == nil {
		t.Error("a script was taken for a link")
	}
}
