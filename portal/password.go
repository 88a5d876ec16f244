package portal

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"usn.no/matricula/account"
)

// passwordForm is the page on which the rules are accepted and a password is
// set.
type passwordForm struct {
	account.Proof
	Reset    bool
	Rules    document
	Accepted bool
	Limits   PasswordRules
	Answers  []ruleAnswer
	Judged   bool   // Answers hold what the server found
	Names    string // parts that the script looks for, separated by blanks
}

// ruleAnswer is one password rule as the page shows it.
type ruleAnswer struct {
	Rule   string
	Text   string
	Detail string
	State  string // ok | no | unknown
}

// choose shows the form. Without a proof it leads to where one is given.
func (s *site) choose(w http.ResponseWriter, r *http.Request) {
	proof, ok := s.proof(r)
	if !ok {
		seeOther(w, "/activate")
		return
	}
	s.passwordPage(w, r, proof, passwordForm{}, nil)
}

func (s *site) passwordPage(w http.ResponseWriter, r *http.Request, proof account.Proof, form passwordForm, problems []problem) {
	lang := s.languageOf(w, r, proof.Language)
	form.Proof, form.Rules, form.Limits = proof, s.rules[lang], s.Password
	form.Reset = proof.Purpose == account.PurposeReset
	form.Names = strings.Join(proof.Names, " ")
	if form.Answers == nil {
		form.Answers = s.answers(lang, nil)
	}
	title := "password_title"
	if form.Reset {
		title = "password_reset_title"
	}
	s.form(w, r, "password", "/activate/password", s.view(lang, title, form), problems)
}

// activate takes the complete form. Everything that is wrong with it is said
// at once; only a form without fault reaches the domain's Activate.
func (s *site) activate(w http.ResponseWriter, r *http.Request, values url.Values) {
	// The browser's password manager wants the username in the form; who it is
	// says the proof alone.
	proof, ok := s.proof(r)
	if !ok {
		s.unproven(w, r)
		return
	}
	form := passwordForm{Accepted: values.Get("accept") == "yes"}
	text, problems := s.agreed(s.languageOf(w, r, proof.Language), values.Get("rules"), &form.Accepted)
	choice := account.Choice{Proof: proof.Token, Password: values.Get("password"), Rules: text}
	s.decide(r.Context(), w, r, proof, choice, form, problems)
}

func (s *site) decide(ctx context.Context, w http.ResponseWriter, r *http.Request, proof account.Proof, choice account.Choice, form passwordForm, problems []problem) {
	lang := s.languageOf(w, r, proof.Language)
	var answers []account.Answer
	var err error
	var receipt account.Receipt
	if len(problems) > 0 || choice.Password == "" {
		answers, err = s.Clicks.Judge(ctx, proof.Token, choice.Password)
	} else if receipt, err = s.press(ctx, proof, choice); err == nil {
		s.finish(w, r, receipt)
		return
	}
	broken, isBroken := errors.AsType[*account.PasswordError](err)
	switch {
	case isBroken:
		answers = broken.Answers
	case errors.Is(err, account.ErrSamePassword):
		problems = append(problems, problem{"password", s.say(lang, "password_same")})
		answers, err = s.Clicks.Judge(ctx, proof.Token, choice.Password)
	case errors.Is(err, account.ErrRules):
		form.Accepted = false
		problems = append(problems, problem{"accept", s.say(lang, "rules_changed")})
		answers, err = s.Clicks.Judge(ctx, proof.Token, choice.Password)
	}
	if err != nil && !isBroken {
		s.undecided(w, r, proof, err)
		return
	}
	if choice.Password == "" {
		problems = append(problems, problem{"password", s.say(lang, "password_missing")})
	} else if slices.ContainsFunc(answers, func(a account.Answer) bool { return !a.OK }) {
		problems = append(problems, problem{"password", s.say(lang, "password_breaks")})
	}
	form.Answers, form.Judged = s.answers(lang, answers), true
	s.passwordPage(w, r, proof, form, problems)
}

// press is the button, one press of a person at a time.
func (s *site) press(ctx context.Context, proof account.Proof, choice account.Choice) (account.Receipt, error) {
	done, err := s.presses.turn(ctx, proof.Username, choice)
	if err != nil {
		return account.Receipt{}, err
	}
	worked := false
	defer func() { done(worked) }() // also where it panics
	receipt, err := s.Clicks.Activate(ctx, choice)
	worked = err == nil
	return receipt, err
}

// undecided answers what cannot be mended on the page.
func (s *site) undecided(w http.ResponseWriter, r *http.Request, proof account.Proof, err error) {
	if later, ok := errors.AsType[*account.NotOpenError](err); ok {
		s.closed(w, r, http.StatusForbidden, proof.Language, later.Opens)
		return
	}
	if errors.Is(err, account.ErrProof) {
		s.forget(w, r, proofCookie)
	}
	if errors.Is(err, account.ErrSpent) && !errors.Is(err, account.ErrReplaced) {
		// Most likely this is the second of two clicks; whoever holds a proof may
		// be told the username.
		s.tell(w, r, s.languageOf(w, r, proof.Language), spentNow, proof.Username)
		return
	}
	n := *s.found(r, err)
	if n.status >= http.StatusInternalServerError {
		n.action = onceMore() // the proof still holds
	}
	s.tell(w, r, s.languageOf(w, r, proof.Language), &n, "")
}

// unproven answers a password from somebody who holds no proof: the second
// click after the receipt, a proof whose time is over, or a step left out.
func (s *site) unproven(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.receipt(r); ok && s.ticket(r) == "" {
		seeOther(w, "/activate/done")
		return
	}
	if s.ticket(r) == "" {
		s.refuse(w, r, linkGone)
		return
	}
	s.refuse(w, r, proofGone)
}

// finish takes ticket and proof away and leaves a receipt, so that reloading
// shows the receipt again and sends nothing.
func (s *site) finish(w http.ResponseWriter, r *http.Request, receipt account.Receipt) {
	receipt.At = s.Now()
	if err := s.keep(w, receiptCookie, receipt, receiptAge); err != nil {
		s.fail(w, r, receipt.Language, err)
		return
	}
	if err := s.remember(w, r, receipt.Username); err != nil {
		s.fail(w, r, receipt.Language, err)
		return
	}
	// A session from before is over, whoever's it was.
	if err := s.end(r.Context(), w, r); err != nil {
		s.fail(w, r, receipt.Language, err)
		return
	}
	s.forget(w, r, ticketCookie, proofCookie)
	seeOther(w, "/activate/done")
}

func (s *site) done(w http.ResponseWriter, r *http.Request) {
	receipt, ok := s.receipt(r)
	if !ok {
		seeOther(w, "/activate")
		return
	}
	title := "done_title"
	if receipt.Purpose == account.PurposeReset {
		title = "done_reset_title"
	}
	own, err := s.People.Own(r.Context(), receipt.Account, receipt.From)
	if err != nil && !errors.Is(err, account.ErrSignedOut) {
		requestOf(r).err = err // the receipt holds all the same
	}
	s.donePageOf(w, r, title, "/activate/done", s.languageOf(w, r, receipt.Language), receipt.Username, own)
}
