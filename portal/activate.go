package portal

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"usn.no/matricula/account"
)

// patience is how long a page waits for the domain. A click that sets a
// password is carried to its end even when the browser has gone: a double
// click breaks off its own first request.
const patience = 20 * time.Second

// identity is the form that proves who holds the link.
type identity struct {
	Reset        bool
	Role, Number string
	Expires      time.Time
}

// closed is a window that opens later.
type closed struct{ Opens time.Time }

// link is the address in a letter. It takes the ticket out of the address bar,
// the history and every Referer, and does nothing else: scanners fetch it.
func (s *site) link(w http.ResponseWriter, r *http.Request) {
	ticket := strings.TrimPrefix(r.URL.Path, linkPrefix)
	if !wellFormed(ticket) {
		s.refuse(w, r, badLink)
		return
	}
	if s.ticket(r) != ticket { // the same one again is somebody's second tab
		s.forget(w, r, proofCookie, receiptCookie)
	}
	s.setCookie(w, ticketCookie, ticket, ticketAge)
	if s.full() {
		s.refuse(w, r, crowded)
		return
	}
	seeOther(w, "/activate")
}

// full tells whether nobody else is to begin now.
func (s *site) full() bool { return s.Crowded != nil && s.Crowded() }

func (s *site) toActivate(w http.ResponseWriter, _ *http.Request) { seeOther(w, "/activate") }

// look shows what the link opens.
func (s *site) look(w http.ResponseWriter, r *http.Request) {
	ticket := s.ticket(r)
	if ticket == "" {
		if _, ok := s.receipt(r); ok {
			seeOther(w, "/activate/done")
			return
		}
		s.refuse(w, r, noLink)
		return
	}
	if _, inside := s.proof(r); !inside && s.full() {
		s.refuse(w, r, crowded)
		return
	}
	visit, err := s.Clicks.Look(r.Context(), ticket)
	switch {
	case err != nil:
		s.fail(w, r, visit.Language, err)
	case !visit.Opens.IsZero():
		s.closed(w, r, http.StatusOK, visit.Language, visit.Opens)
	default:
		s.identify(w, r, visit, identity{}, nil)
	}
}

func (s *site) closed(w http.ResponseWriter, r *http.Request, status int, persons string, opens time.Time) {
	s.show(w, r, status, "closed", s.view(s.languageOf(w, r, persons), "closed_title", closed{Opens: opens}))
}

// identify shows the form, with what there is to mend.
func (s *site) identify(w http.ResponseWriter, r *http.Request, visit account.Visit, form identity, problems []problem) {
	form.Reset, form.Expires = visit.Purpose == account.PurposeReset, visit.Expires
	title := "identify_title"
	if form.Reset {
		title = "identify_reset_title"
	}
	s.form(w, r, "identify", "/activate", s.view(s.languageOf(w, r, visit.Language), title, form), problems)
}

// prove takes the form. A complete one reaches the domain also when the link
// cannot help any more: it is the domain that says so, and records that it did.
func (s *site) prove(w http.ResponseWriter, r *http.Request, values url.Values) {
	ticket, ctx := s.ticket(r), r.Context()
	if ticket == "" {
		s.refuse(w, r, linkGone)
		return
	}
	form := identity{Role: values.Get("role"), Number: values.Get("number")}
	if len(s.incomplete(bokmal, account.PurposeActivate, form)) > 0 && s.mend(w, r, ticket, &form) {
		return
	}
	proof, err := s.Clicks.Prove(ctx, ticket, form.Role, digits(form.Number))
	if err != nil {
		visit, _ := s.Clicks.Look(ctx, ticket) // for its language: what is wrong, Prove has said
		s.unproved(w, r, visit, form, err)
		return
	}
	lang := s.languageOf(w, r, proof.Language)
	if err := s.keepProof(w, ticket, proof); err != nil {
		s.fail(w, r, lang, err)
		return
	}
	seeOther(w, "/activate/password")
}

// mend answers a form that is seen to be incomplete for what the link is for:
// that costs no attempt. A reset asks for no role.
func (s *site) mend(w http.ResponseWriter, r *http.Request, ticket string, form *identity) (answered bool) {
	visit, err := s.Clicks.Look(r.Context(), ticket)
	if visit.Purpose == account.PurposeReset {
		form.Role = ""
	}
	problems := s.incomplete(s.languageOf(w, r, visit.Language), visit.Purpose, *form)
	switch {
	case len(problems) == 0:
		return false
	case err != nil:
		s.fail(w, r, visit.Language, err)
	case !visit.Opens.IsZero():
		s.closed(w, r, http.StatusForbidden, visit.Language, visit.Opens)
	default:
		s.identify(w, r, visit, *form, problems)
	}
	return true
}

// unproved answers what Prove refused: what the person can mend on the same
// page, the rest on its own.
func (s *site) unproved(w http.ResponseWriter, r *http.Request, visit account.Visit, form identity, err error) {
	lang := s.languageOf(w, r, visit.Language)
	if later, ok := errors.AsType[*account.NotOpenError](err); ok {
		s.closed(w, r, http.StatusForbidden, visit.Language, later.Opens)
		return
	}
	var p problem
	wrong, isWrong := errors.AsType[*account.WrongNumberError](err)
	switch {
	case isWrong:
		key := "number_wrong_left"
		if wrong.Left == 1 {
			key = "number_wrong_last"
		}
		p = problem{"number", s.say(lang, key, "n", wrong.Left)}
	case errors.Is(err, account.ErrWrongRole) && form.Role == account.Employee:
		p = problem{"role", s.say(lang, "role_not_employee")}
	case errors.Is(err, account.ErrWrongRole):
		p = problem{"role", s.say(lang, "role_not_student")}
	default:
		s.fail(w, r, visit.Language, err)
		return
	}
	s.identify(w, r, visit, form, []problem{p})
}

// incomplete finds what is missing or cannot be an identity number.
func (s *site) incomplete(lang, purpose string, form identity) []problem {
	var found []problem
	if purpose != account.PurposeReset && form.Role != account.Student && form.Role != account.Employee {
		found = append(found, problem{"role", s.say(lang, "role_missing")})
	}
	n := digits(form.Number)
	switch {
	case n == "":
		found = append(found, problem{"number", s.say(lang, "number_missing")})
	case strings.Trim(n, "0123456789") != "":
		found = append(found, problem{"number", s.say(lang, "number_letters")})
	case len(n) != 11:
		found = append(found, problem{"number", s.say(lang, "number_length", "n", strconv.Itoa(len(n)))})
	}
	return found
}

// digits takes away what people put between the digits.
func digits(typed string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t.-\u00a0\u2009\u202f\u2011", r) {
			return -1
		}
		return r
	}, typed)
}

// say is a text by a key that a test knows to exist.
func (s *site) say(lang, key string, pairs ...any) string {
	t, err := s.languages.text(lang, key, append(pairs, "institution", s.Institution.in(lang).Name)...)
	if err != nil {
		return key
	}
	return t
}

// again asks for a new letter. The answer is the same whatever came of it.
func (s *site) again(w http.ResponseWriter, r *http.Request, _ url.Values) {
	ticket := s.ticket(r)
	if ticket == "" {
		s.refuse(w, r, linkGone)
		return
	}
	if err := s.Letters.Again(r.Context(), ticket); err != nil {
		s.fail(w, r, "", err)
		return
	}
	s.refuse(w, r, asked)
}
