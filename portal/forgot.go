package portal

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"usn.no/matricula/account"
)

// longestName is more than anybody's family name.
const longestName = 100

// forgotForm is the page for whoever has no letter or no password.
type forgotForm struct{ Number, Family string }

func (s *site) forgot(w http.ResponseWriter, r *http.Request) { s.forgotPage(w, r, forgotForm{}, nil) }

func (s *site) forgotPage(w http.ResponseWriter, r *http.Request, form forgotForm, problems []problem) {
	s.form(w, r, "forgot", "/forgot", s.view(s.languageOf(w, r, ""), "forgot_title", form), problems)
}

// ask passes the request on. Nothing is looked up, so that nothing can show.
func (s *site) ask(w http.ResponseWriter, r *http.Request, values url.Values) {
	form := forgotForm{Number: values.Get("number"), Family: strings.TrimSpace(values.Get("family"))}
	lang := s.languageOf(w, r, "")
	problems := s.unusable(lang, form.Number)
	switch {
	case form.Family == "":
		problems = append(problems, problem{"family", s.say(lang, "family_missing")})
	case utf8.RuneCountInString(form.Family) > longestName:
		problems = append(problems, problem{"family", s.say(lang, "family_long", "n", longestName)})
	}
	if len(problems) > 0 {
		s.forgotPage(w, r, form, problems)
		return
	}
	err := s.Letters.RequestLetter(r.Context(), account.LetterRequest{Number: digits(form.Number), Family: form.Family, From: s.sender(r).String()})
	if err != nil {
		s.failTry(w, r, err)
		return
	}
	seeOther(w, "/forgot/asked")
}

// unusable says why a text cannot be an identity number.
func (s *site) unusable(lang, number string) []problem {
	return s.incomplete(lang, account.PurposeReset, identity{Number: number})
}

func (s *site) askedFor(w http.ResponseWriter, r *http.Request) { s.refuse(w, r, letterAsked) }
