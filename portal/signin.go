package portal

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"usn.no/matricula/account"
)

// People is who may look after an account: whoever knows its password. Errors
// are those of package account.
type People interface {
	// SignIn checks a password; with ErrBreached the account is blocked now, with
	// ErrChangeDue the password does nothing any more but set another.
	SignIn(ctx context.Context, t account.Try) (account.Own, error)
	// Own is the account of a session, or ErrSignedOut.
	Own(ctx context.Context, id string, from time.Time) (account.Own, error)
	// SignOut ends every session of the account.
	SignOut(ctx context.Context, id string, from time.Time) error
	// AcceptRules records that the person of a session accepts the IT rules.
	AcceptRules(ctx context.Context, id string, from time.Time, rules account.Acceptance) (account.Own, error)
}

// signInForm is the page on which somebody signs in.
type signInForm struct{ Username string }

func (s *site) signIn(w http.ResponseWriter, r *http.Request) {
	if _, own, ok := s.someone(w, r); ok && own.ID != "" {
		seeOther(w, s.onward(own))
	} else if ok {
		s.signInPage(w, r, signInForm{}, nil)
	}
}

func (s *site) signInPage(w http.ResponseWriter, r *http.Request, form signInForm, problems []problem) {
	s.form(w, r, "signin", "/signin", s.view(s.languageOf(w, r, ""), "signin_title", form), problems)
}

// form shows a page with a form, and what there is to mend.
func (s *site) form(w http.ResponseWriter, r *http.Request, page, path string, v view, problems []problem) {
	status := http.StatusOK
	if v.Problems = problems; len(problems) > 0 {
		status = http.StatusUnprocessableEntity
	}
	v.Path = path
	s.show(w, r, status, page, v)
}

// enter takes the form. Every refusal is one answer, given at one pace.
func (s *site) enter(w http.ResponseWriter, r *http.Request, values url.Values) {
	began := time.Now()
	username, password := values.Get("username"), values.Get("password")
	lang := s.languageOf(w, r, "")
	if problems := s.unnamed(lang, values); problems != nil {
		s.signInPage(w, r, signInForm{username}, problems)
		return
	}
	ctx := r.Context()
	own, err := s.People.SignIn(ctx, s.try(r, username, password))
	s.steady(ctx, began)
	switch {
	case err == nil:
		s.entered(ctx, w, r, own, s.onward(own))
	case errors.Is(err, account.ErrBreached):
		s.blockedNow(ctx, w, r, own)
	case errors.Is(err, account.ErrChangeDue):
		s.changeDue(w, r, own)
	case errors.Is(err, account.ErrWrongPassword):
		s.signInPage(w, r, signInForm{username}, []problem{{"username", s.say(lang, "signin_wrong")}})
	default:
		s.failTry(w, r, err)
	}
}

// unnamed finds what lacks in a username with its password.
func (s *site) unnamed(lang string, values url.Values) []problem {
	var problems []problem
	if values.Get("username") == "" {
		problems = append(problems, problem{"username", s.say(lang, "username_missing")})
	}
	if values.Get("password") == "" {
		problems = append(problems, problem{"password", s.say(lang, "old_missing")})
	}
	return problems
}

// entered gives a session to whoever has just shown a password, and leads on.
func (s *site) entered(ctx context.Context, w http.ResponseWriter, r *http.Request, own account.Own, path string) {
	s.languageOf(w, r, own.Language)
	err := s.begin(ctx, w, r, own, false)
	if err == nil {
		err = s.remember(w, r, own.Username)
	}
	if err != nil {
		s.fail(w, r, own.Language, err)
		return
	}
	seeOther(w, path)
}

// failTry answers what no form can mend.
func (s *site) failTry(w http.ResponseWriter, r *http.Request, err error) {
	if many, ok := errors.AsType[*account.TooManyError](err); ok {
		n := *tooManyTries
		n.retry = max(time.Second, many.Until.Sub(s.Now()))
		s.refuse(w, r, &n)
		return
	}
	n := *s.found(r, err)
	n.body, n.action = []string{n.body[0]}, toSignIn()
	s.refuse(w, r, &n)
}
