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

// Ways to show that one may report a password.
const (
	bySession  = "session"
	byPassword = "password"
	byLetter   = "letter"
)

// reportForm is the page on which a password is reported.
type reportForm struct {
	Username string
	SignedIn bool
	Letter   bool // this browser has opened the link of a letter
}

func (s *site) compromised(w http.ResponseWriter, r *http.Request) {
	if _, own, ok := s.someone(w, r); ok {
		s.reportPage(w, r, own, reportForm{}, nil)
	}
}

func (s *site) reportPage(w http.ResponseWriter, r *http.Request, own account.Own, form reportForm, problems []problem) {
	form.SignedIn, form.Letter = own.ID != "", s.ticket(r) != ""
	if form.SignedIn {
		form.Username = own.Username
	}
	s.form(w, r, "compromised", "/compromised", s.view(s.languageOf(w, r, own.Language), "compromised_title", form), problems)
}

// report takes the form: it blocks the account of whoever can show to be its
// owner, and nobody else's.
func (s *site) report(w http.ResponseWriter, r *http.Request, values url.Values) {
	began, ctx := time.Now(), r.Context()
	b, own, ok := s.someone(w, r)
	if !ok {
		return
	}
	form := reportForm{Username: values.Get("username")}
	lang := s.languageOf(w, r, own.Language)
	say := account.Report{Account: b.Account, From: b.From}
	switch way := values.Get("way"); {
	case way == bySession && own.ID != "":
	case way == bySession:
		seeOther(w, "/compromised")
		return
	case way == byLetter:
		s.reportByLetter(ctx, w, r)
		return
	case way == byPassword:
		if problems := s.unnamed(lang, values); problems != nil {
			s.reportPage(w, r, own, form, problems)
			return
		}
		say = account.Report{Try: s.try(r, form.Username, values.Get("password"))}
	default:
		s.refuse(w, r, badRequest)
		return
	}
	s.block(ctx, w, r, own, say, form, began)
}

// block passes the report on and answers it at one pace.
func (s *site) block(ctx context.Context, w http.ResponseWriter, r *http.Request, own account.Own, say account.Report, form reportForm, began time.Time) {
	after, err := s.Changes.Compromised(ctx, say)
	s.steady(ctx, began)
	switch {
	case err == nil:
		s.blockedNow(ctx, w, r, after)
	case errors.Is(err, account.ErrSignedOut):
		seeOther(w, "/compromised")
	case errors.Is(err, account.ErrWrongPassword):
		s.reportPage(w, r, own, form, []problem{{"username", s.say(s.languageOf(w, r, own.Language), "signin_wrong")}})
	default:
		s.failTry(w, r, err)
	}
}

// reportByLetter blocks the account of a letter. A new letter leads back, since
// the link that reported may be in the wrong hands too.
func (s *site) reportByLetter(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	ticket := s.ticket(r)
	if ticket == "" {
		s.refuse(w, r, linkGone)
		return
	}
	if _, err := s.Changes.Compromised(ctx, account.Report{Ticket: ticket}); err != nil {
		s.fail(w, r, "", err)
		return
	}
	s.forget(w, r, ticketCookie, proofCookie)
	s.refuse(w, r, reported)
}

// blockedNow gives a session that can do one thing: choose another password.
func (s *site) blockedNow(ctx context.Context, w http.ResponseWriter, r *http.Request, own account.Own) {
	s.languageOf(w, r, own.Language)
	if err := s.begin(ctx, w, r, own, true); err != nil {
		s.fail(w, r, own.Language, err)
		return
	}
	s.forget(w, r, ticketCookie, proofCookie)
	seeOther(w, "/compromised/password")
}

func (s *site) renewPage(w http.ResponseWriter, r *http.Request, b session, form changeForm, problems []problem) {
	lang := s.languageOf(w, r, b.Language)
	form.Names = strings.Join(b.Names, " ")
	s.complete(lang, &form)
	s.form(w, r, "renew", "/compromised/password", s.view(lang, "renew_title", form), problems)
}

// blocked is the session of somebody who is to choose another password; without
// one it has answered.
func (s *site) blocked(ctx context.Context, w http.ResponseWriter, r *http.Request) (session, bool) {
	b, ok, err := s.held(ctx, r)
	switch {
	case err != nil:
		s.fail(w, r, "", err)
	case !ok || !b.Blocked:
		seeOther(w, "/compromised")
	default:
		return b, true
	}
	return session{}, false
}

func (s *site) renew(w http.ResponseWriter, r *http.Request) {
	if b, ok := s.blocked(r.Context(), w, r); ok {
		s.renewPage(w, r, b, changeForm{}, nil)
	}
}

// renewed takes the form.
func (s *site) renewed(w http.ResponseWriter, r *http.Request, values url.Values) {
	ctx := r.Context()
	b, ok := s.blocked(ctx, w, r)
	if !ok {
		return
	}
	lang := s.languageOf(w, r, b.Language)
	form := changeForm{Number: values.Get("number")}
	problems := s.unusable(lang, form.Number)
	if values.Get("password") == "" {
		problems = append(problems, problem{"password", s.say(lang, "password_missing")})
	}
	if len(problems) > 0 {
		s.renewPage(w, r, b, form, problems)
		return
	}
	own, err := s.Changes.Renew(ctx, account.Renewal{Account: b.Account, From: b.From, Number: digits(form.Number), Password: values.Get("password")})
	if err == nil {
		s.entered(ctx, w, r, own, "/password/done")
		return
	}
	s.unrenewed(ctx, w, r, b, form, err)
}

// unrenewed answers what Renew refused.
func (s *site) unrenewed(ctx context.Context, w http.ResponseWriter, r *http.Request, b session, form changeForm, err error) {
	lang := s.languageOf(w, r, b.Language)
	problems := s.unfit(lang, err, &form)
	if wrong, ok := errors.AsType[*account.WrongNumberError](err); ok {
		key := "number_wrong_left"
		if wrong.Left == 1 {
			key = "number_wrong_last"
		}
		problems = []problem{{"number", s.say(lang, key, "n", wrong.Left)}}
	}
	switch {
	case problems != nil:
		s.renewPage(w, r, b, form, problems)
	case !errors.Is(err, account.ErrFrozen) && !errors.Is(err, account.ErrSignedOut):
		s.failTry(w, r, err)
	default:
		// This way is over; the letter is the other.
		if err := s.end(ctx, w, r); err != nil {
			s.fail(w, r, b.Language, err)
			return
		}
		s.tell(w, r, lang, reported, "")
	}
}
