package portal

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"usn.no/matricula/account"
)

// Changes are what a person does about a password. Errors are those of package
// account.
type Changes interface {
	// ChangePassword sets a new password for whoever knows the old one.
	ChangePassword(ctx context.Context, t account.Try, password string) (account.Own, error)
	// Compromised blocks the account at once.
	Compromised(ctx context.Context, r account.Report) (account.Own, error)
	// Renew sets a password in place of one that was reported.
	Renew(ctx context.Context, r account.Renewal) (account.Own, error)
}

// changeForm is the page on which a new password is set, with the old one or
// with the identity number.
type changeForm struct {
	Username string
	SignedIn bool   // the username is known
	Number   string // of somebody who renews
	// ChangeBy is until when IT demands a new password; Due: that is over.
	ChangeBy time.Time
	Due      bool
	Limits   PasswordRules
	Answers  []ruleAnswer
	Names    string
}

func (s *site) change(w http.ResponseWriter, r *http.Request) {
	if own, ok := s.changing(w, r); ok {
		s.changePage(w, r, own, changeForm{}, nil)
	}
}

// changing is who changes a password: nobody yet, or somebody who is signed in
// and has accepted the rules.
func (s *site) changing(w http.ResponseWriter, r *http.Request) (account.Own, bool) {
	_, own, ok := s.someone(w, r)
	if ok && own.ID != "" && !s.accepted(own) {
		seeOther(w, "/rules/accept")
		return account.Own{}, false
	}
	return own, ok
}

func (s *site) changePage(w http.ResponseWriter, r *http.Request, own account.Own, form changeForm, problems []problem) {
	lang := s.languageOf(w, r, own.Language)
	if own.ID != "" {
		form.Username, form.SignedIn, form.ChangeBy = own.Username, true, own.ChangeBy
	}
	form.Names = strings.Join(own.Names, " ")
	s.complete(lang, &form)
	s.form(w, r, "change", "/password", s.view(lang, "change_title", form), problems)
}

// changeDue leads somebody whose password has had its time to another one. There
// is no session: the old password is asked for once more, with the new one.
func (s *site) changeDue(w http.ResponseWriter, r *http.Request, own account.Own) {
	if err := s.remember(w, r, own.Username); err != nil {
		s.fail(w, r, own.Language, err)
		return
	}
	s.changePage(w, r, account.Own{Language: own.Language}, changeForm{Username: own.Username, Due: true}, nil)
}

func (s *site) complete(lang string, form *changeForm) {
	form.Limits = s.Password
	if form.Answers == nil {
		form.Answers = s.answers(lang, nil)
	}
}

// changed takes the form.
func (s *site) changed(w http.ResponseWriter, r *http.Request, values url.Values) {
	began, ctx := time.Now(), r.Context()
	own, ok := s.changing(w, r)
	if !ok {
		return
	}
	form := changeForm{Username: values.Get("username")}
	if own.ID != "" {
		form.Username = own.Username // who signed in decides, not the form
	}
	lang := s.languageOf(w, r, own.Language)
	if problems := s.lacking(lang, values, own.ID != ""); problems != nil {
		s.changePage(w, r, own, form, problems)
		return
	}
	after, err := s.Changes.ChangePassword(ctx, s.try(r, form.Username, values.Get("old")), values.Get("password"))
	s.steady(ctx, began)
	if err == nil {
		s.entered(ctx, w, r, after, "/password/done")
		return
	}
	problems := s.unfit(lang, err, &form)
	if errors.Is(err, account.ErrWrongPassword) {
		problems = []problem{{"username", s.say(lang, "signin_wrong")}}
		if own.ID != "" {
			problems = []problem{{"old", s.say(lang, "old_wrong")}}
		}
	}
	if problems == nil {
		s.failTry(w, r, err)
		return
	}
	s.changePage(w, r, own, form, problems)
}

// lacking finds the fields that are empty, in the order of the page.
func (s *site) lacking(lang string, values url.Values, signedIn bool) []problem {
	var problems []problem
	if values.Get("username") == "" && !signedIn {
		problems = append(problems, problem{"username", s.say(lang, "username_missing")})
	}
	if values.Get("old") == "" {
		problems = append(problems, problem{"old", s.say(lang, "old_missing")})
	}
	if values.Get("password") == "" {
		problems = append(problems, problem{"password", s.say(lang, "password_missing")})
	}
	return problems
}

// unfit is what is wrong with the new password; nil when something else is.
func (s *site) unfit(lang string, err error, form *changeForm) []problem {
	if broken, ok := errors.AsType[*account.PasswordError](err); ok {
		form.Answers = s.answers(lang, broken.Answers)
		return []problem{{"password", s.say(lang, "password_breaks")}}
	}
	if errors.Is(err, account.ErrSamePassword) {
		return []problem{{"password", s.say(lang, "password_same")}}
	}
	return nil
}

// changeDone says what follows from the new password.
func (s *site) changeDone(w http.ResponseWriter, r *http.Request) {
	_, own, ok := s.someone(w, r)
	switch {
	case !ok:
	case own.ID == "":
		seeOther(w, "/signin")
	default:
		s.donePageOf(w, r, "done_reset_title", "/password/done", s.languageOf(w, r, own.Language), own.Username, own)
	}
}
