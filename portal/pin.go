package portal

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"usn.no/matricula/account"
)

// PINs is the code for doors. Errors are those of package account.
type PINs interface {
	// PIN is how far it has come at each campus of a session's account.
	PIN(ctx context.Context, id string, from time.Time) (account.Own, []account.CampusPIN, error)
	// SetPIN takes a new one from whoever shows the password once more.
	SetPIN(ctx context.Context, c account.PINChoice) (account.Own, error)
}

// PINSettings say what a PIN is like, or where else people set it.
type PINSettings struct {
	Length int // digits
	// Elsewhere is a sentence by language, and ElsewhereURL a page (https);
	// both may be empty.
	Elsewhere    map[string]string
	ElsewhereURL string
}

// pinPage is what the template sees.
type pinPage struct {
	Here         bool // PINs are set here
	Elsewhere    string
	ElsewhereURL string

	Username string
	Campuses []pinCampus
	Open     bool // at least one of them takes a PIN now
	Underway bool // of at least one more is to be heard
	Done     bool // one has just been set
	Seen     time.Time

	Length int
	Rules  []ruleAnswer
}

// pinCampus is one campus in words: how far the PIN has come, or why it has
// not.
type pinCampus struct {
	Campus, Note string
	Steps        []step
}

func (s *site) pin(w http.ResponseWriter, r *http.Request) { s.pinWith(w, r, false) }

func (s *site) pinDone(w http.ResponseWriter, r *http.Request) { s.pinWith(w, r, true) }

func (s *site) pinWith(w http.ResponseWriter, r *http.Request, done bool) {
	if s.PINs == nil {
		s.pinElsewhere(w, r)
		return
	}
	b, own, ok := s.signedIn(r.Context(), w, r)
	if !ok {
		return
	}
	s.pinForm(w, r, b, own, pinPage{Done: done}, nil)
}

// pinElsewhere is for everybody: there is nothing to sign in for.
func (s *site) pinElsewhere(w http.ResponseWriter, r *http.Request) {
	lang := s.languageOf(w, r, "")
	page := pinPage{Elsewhere: s.PIN.Elsewhere[lang], ElsewhereURL: s.PIN.ElsewhereURL}
	s.form(w, r, "pin", "/pin", s.view(lang, "pin_title", page), nil)
}

func (s *site) pinForm(w http.ResponseWriter, r *http.Request, b session, own account.Own, page pinPage, problems []problem) {
	lang := s.languageOf(w, r, own.Language)
	_, campuses, err := s.PINs.PIN(r.Context(), b.Account, b.From)
	if errors.Is(err, account.ErrSignedOut) {
		seeOther(w, "/signin")
		return
	}
	if err != nil {
		s.fail(w, r, own.Language, err)
		return
	}
	page.Here, page.Username, page.Length, page.Seen = true, own.Username, s.PIN.Length, s.Now()
	for _, c := range campuses {
		at := s.campus(lang, c)
		page.Campuses = append(page.Campuses, at)
		page.Open = page.Open || c.State != account.PINEarly
		page.Underway = page.Underway || slices.ContainsFunc(at.Steps, func(one step) bool { return one.State == "underway" })
	}
	if page.Rules == nil {
		page.Rules = s.pinRules(lang, nil)
	}
	title, path := "pin_title", "/pin"
	if page.Done {
		path = "/pin/done"
	}
	if page.Done && page.Underway {
		title = "pin_done"
	}
	s.form(w, r, "pin", path, s.view(lang, title, page), problems)
}

// reaches are how far a PIN can come, with the words for it.
func reaches() [3][2]string {
	return [3][2]string{{"requested", "pin_requested"}, {"delivered", "pin_delivered"}, {"confirmed", "pin_confirmed"}}
}

// campus puts into words how far the PIN has come.
func (s *site) campus(lang string, c account.CampusPIN) pinCampus {
	out := pinCampus{Campus: c.Campus}
	switch c.State {
	case account.PINNone:
		out.Note = s.say(lang, "pin_none")
	case account.PINEarly:
		out.Note = s.say(lang, "pin_early", "day", s.day(lang, c.Opens), "clock", s.clock(lang, c.Opens))
	case account.PINExpired:
		out.Note = s.say(lang, "pin_expired")
	case account.PINFailed:
		out.Note = s.say(lang, "pin_failed")
	}
	next := "done"
	for _, at := range reaches() {
		if out.Note != "" {
			break
		}
		one := step{next, s.say(lang, at[1])}
		switch {
		case at[0] == c.State:
			one.Text = s.say(lang, "pin_when", "step", one.Text, "day", s.day(lang, c.At), "clock", s.clock(lang, c.At))
			next = "underway"
		case next == "underway":
			next = "later"
		}
		out.Steps = append(out.Steps, one)
	}
	return out
}

// pinRules are the rules in words, with the answers to a PIN that was refused.
// Two of the domain's are one here: that of nothing but digits, and their
// number.
func (s *site) pinRules(lang string, given []account.Answer) []ruleAnswer {
	var out []ruleAnswer
	for _, one := range []struct {
		key   string
		rules string
	}{
		{"pin_rule_length", "length characters"}, {"pin_rule_repeat", "repeat"}, {"pin_rule_run", "run"},
		{"pin_rule_birth", "birth_date"}, {"pin_rule_common", "common"},
	} {
		a := ruleAnswer{Rule: one.rules, Text: s.say(lang, one.key, "n", s.PIN.Length), State: "unknown"}
		for _, g := range given {
			if !slices.Contains(strings.Fields(one.rules), g.Rule) {
				continue
			}
			if a.State == "unknown" {
				a.State = "ok"
			}
			if !g.OK {
				a.State = "no"
			}
		}
		out = append(out, a)
	}
	return out
}

// pinSet takes the form.
func (s *site) pinSet(w http.ResponseWriter, r *http.Request, values url.Values) {
	if s.PINs == nil {
		s.refuse(w, r, pageNotFound)
		return
	}
	began, ctx := time.Now(), r.Context()
	b, own, ok := s.signedIn(ctx, w, r)
	if !ok {
		return
	}
	lang := s.languageOf(w, r, own.Language)
	var problems []problem
	if values.Get("old") == "" {
		problems = append(problems, problem{"old", s.say(lang, "old_missing")})
	}
	if values.Get("pin") == "" {
		problems = append(problems, problem{"pin", s.say(lang, "pin_missing")})
	}
	if problems != nil {
		s.pinForm(w, r, b, own, pinPage{}, problems)
		return
	}
	after, err := s.PINs.SetPIN(ctx, account.PINChoice{
		Account: b.Account, From: b.From, Try: s.try(r, own.Username, values.Get("old")), PIN: digits(values.Get("pin")),
	})
	s.steady(ctx, began)
	if err == nil {
		s.entered(ctx, w, r, after, "/pin/done")
		return
	}
	s.pinRefused(w, r, b, own, err)
}

// pinRefused answers what SetPIN refused.
func (s *site) pinRefused(w http.ResponseWriter, r *http.Request, b session, own account.Own, err error) {
	lang, page := s.languageOf(w, r, own.Language), pinPage{}
	broken, breaks := errors.AsType[*account.PINError](err)
	often, tired := errors.AsType[*account.OftenError](err)
	var p problem
	switch {
	case breaks:
		page.Rules = s.pinRules(lang, broken.Answers)
		p = problem{"pin", s.say(lang, "pin_breaks")}
	case tired:
		p = problem{"pin", s.say(lang, "pin_often", "clock", s.clock(lang, often.Until))}
	case errors.Is(err, account.ErrWrongPassword):
		p = problem{"old", s.say(lang, "old_wrong")}
	case errors.Is(err, account.ErrNoCampus), errors.Is(err, account.ErrSignedOut):
		seeOther(w, "/pin") // which says so
		return
	default:
		s.failTry(w, r, err)
		return
	}
	s.pinForm(w, r, b, own, page, []problem{p})
}
