package portal

import (
	"net/http"
	"net/url"

	"usn.no/matricula/account"
)

// Rules are the IT rules in force, as people accept them: one in each language.
// It fails on texts that Handler refuses too.
func Rules(in Institution) ([]account.Acceptance, error) {
	texts, err := loadDocuments("rules", in.RulesDir, in)
	if err != nil {
		return nil, err
	}
	var all []account.Acceptance
	for _, lang := range offered() {
		all = append(all, account.Acceptance{Version: texts[lang].Version, Hash: texts[lang].Hash, Language: lang})
	}
	return all, nil
}

// accepted says whether somebody has accepted the rules as they are now, in any
// language.
func (s *site) accepted(own account.Own) bool { return s.shown(own.Rules.Hash) }

// acceptForm is the page on which changed rules are read and accepted.
type acceptForm struct {
	Rules    document
	Accepted bool
	Before   account.Acceptance // what was accepted last; empty Version: nothing
}

// onward is where somebody who is signed in goes on to.
func (s *site) onward(own account.Own) string {
	switch {
	case !s.accepted(own):
		return "/rules/accept"
	case !own.ChangeBy.IsZero():
		return "/password"
	}
	return "/account"
}

func (s *site) asksRules(w http.ResponseWriter, r *http.Request) {
	if own, ok := s.undecidedAbout(w, r); ok {
		s.acceptPage(w, r, own, acceptForm{}, nil)
	}
}

// undecidedAbout is who has still to accept the rules; anybody else is led on.
func (s *site) undecidedAbout(w http.ResponseWriter, r *http.Request) (account.Own, bool) {
	_, own, ok := s.someone(w, r)
	switch {
	case !ok:
	case own.ID == "":
		seeOther(w, "/signin")
	case s.accepted(own):
		seeOther(w, s.onward(own))
	default:
		return own, true
	}
	return account.Own{}, false
}

func (s *site) acceptPage(w http.ResponseWriter, r *http.Request, own account.Own, form acceptForm, problems []problem) {
	lang := s.languageOf(w, r, own.Language)
	form.Rules, form.Before = s.rules[lang], own.Rules
	title := "accept_title"
	if form.Before.Version != "" {
		title = "accept_changed_title"
	}
	s.form(w, r, "accept", "/rules/accept", s.view(lang, title, form), problems)
}

// accepts takes the form.
func (s *site) accepts(w http.ResponseWriter, r *http.Request, values url.Values) {
	own, ok := s.undecidedAbout(w, r)
	if !ok {
		return
	}
	form := acceptForm{Accepted: values.Get("accept") == "yes"}
	text, problems := s.agreed(s.languageOf(w, r, own.Language), values.Get("rules"), &form.Accepted)
	if problems != nil {
		s.acceptPage(w, r, own, form, problems)
		return
	}
	own, err := s.People.AcceptRules(r.Context(), own.ID, own.From, text)
	if err != nil {
		s.failTry(w, r, err)
		return
	}
	seeOther(w, s.onward(own))
}

// agreed is what somebody accepted who ticked the box beside the text with this
// hash: it may be in another language than the one that is read now.
func (s *site) agreed(lang, hash string, ticked *bool) (account.Acceptance, []problem) {
	text := account.Acceptance{Version: s.rules[lang].Version, Hash: s.rules[lang].Hash, Language: lang, At: s.Now()}
	for code, d := range s.rules {
		if d.Hash == hash {
			text.Hash, text.Language = d.Hash, code
		}
	}
	switch {
	case !*ticked:
		return text, []problem{{"accept", s.say(lang, "accept_missing")}}
	case !s.shown(hash):
		*ticked = false
		return text, []problem{{"accept", s.say(lang, "rules_changed")}}
	}
	return text, nil
}

// shown says whether hash is of the rules as they are now, in any language.
func (s *site) shown(hash string) bool {
	for _, d := range s.rules {
		if d.Hash == hash {
			return true
		}
	}
	return false
}
