package portal

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"usn.no/matricula/account"
)

// lastEvents is how many of them one's own account shows.
const lastEvents = 6

// ownPage is one's own account as the page shows it.
type ownPage struct {
	account.Own
	Steps  []step
	Events []happened
}

// happened is something that was done to the account.
type happened struct {
	At   time.Time // zero: nobody knows when
	Text string
}

// step is something that follows from what was done, as far as it has come.
type step struct {
	State string // done | underway | later
	Text  string
}

func (s *site) own(w http.ResponseWriter, r *http.Request) {
	_, own, ok := s.signedIn(r.Context(), w, r)
	if !ok {
		return
	}
	lang := s.languageOf(w, r, own.Language)
	page := ownPage{Own: own, Steps: s.openings(lang, own), Events: s.history(lang, own)}
	s.show(w, r, http.StatusOK, "own", s.view(lang, "own_title", page))
}

// openings says of each role whether it is open, and of one that is whether
// other services have been told.
func (s *site) openings(lang string, own account.Own) []step {
	var all []step
	for _, role := range own.Roles {
		name := s.say(lang, "role_student")
		if role.Kind == account.Employee {
			name = s.say(lang, "role_employee")
		}
		for _, more := range []string{role.Title, role.Campus} {
			if more != "" {
				name += ", " + more
			}
		}
		switch {
		case !role.Opens.IsZero():
			all = append(all, step{"later", s.say(lang, "role_opens", "role", name, "day", s.day(lang, role.Opens), "clock", s.clock(lang, role.Opens))})
		case role.Published:
			all = append(all, step{"done", s.say(lang, "role_open", "role", name)})
		default:
			all = append(all, step{"underway", s.say(lang, "role_underway", "role", name)})
		}
	}
	return all
}

// history is what the entry tells of its past, the newest first, and last what
// happened before anybody wrote down when.
func (s *site) history(lang string, own account.Own) []happened {
	var all []happened
	add := func(at time.Time, key string, pairs ...any) {
		all = append(all, happened{at, s.say(lang, key, pairs...)})
	}
	if own.From.After(own.Password.Add(time.Second)) { // a new password ends sessions too
		add(own.From, "event_sessions")
	}
	add(own.Password, "event_password")
	if own.Rules.Version != "" {
		add(own.Rules.At, "event_rules", "version", own.Rules.Version)
	}
	add(own.Active, "event_active")
	add(own.Registered, "event_registered")
	slices.SortStableFunc(all, func(x, y happened) int { return y.At.Compare(x.At) })
	return all[:min(len(all), lastEvents)]
}

// donePage says what follows from a new password, as far as it has come.
type donePage struct {
	Username string
	Path     string
	Steps    []step
	Underway bool
	Seen     time.Time
}

// progress is what is done and what is on its way after a password was set.
func (s *site) progress(lang string, own account.Own) []step {
	all := []step{{"done", s.say(lang, "step_password")}, {"done", s.say(lang, "step_letter")}}
	if own.Untold {
		all[1] = step{"underway", s.say(lang, "step_letter_underway")}
	}
	return append(all, s.openings(lang, own)...)
}

// donePageOf shows a receipt with what is known now; without an account it
// says what always holds.
func (s *site) donePageOf(w http.ResponseWriter, r *http.Request, title, path, lang, username string, own account.Own) {
	page := donePage{Username: username, Path: path, Seen: s.Now(), Steps: []step{{"done", s.say(lang, "step_password")}}}
	if own.ID != "" {
		page.Steps = s.progress(lang, own)
	}
	page.Underway = slices.ContainsFunc(page.Steps, func(at step) bool { return at.State == "underway" })
	v := s.view(lang, title, page)
	v.Path = path
	s.show(w, r, http.StatusOK, "done", v)
}

// signOut ends the session of this browser.
func (s *site) signOut(w http.ResponseWriter, r *http.Request, _ url.Values) {
	if err := s.end(r.Context(), w, r); err != nil {
		s.fail(w, r, "", err)
		return
	}
	seeOther(w, "/signout")
}

// signOutEverywhere ends every session of the person. It asks for nothing
// first: whoever suspects something must not be held up.
func (s *site) signOutEverywhere(w http.ResponseWriter, r *http.Request, _ url.Values) {
	b, own, ok := s.someone(w, r)
	if !ok {
		return
	}
	if own.ID == "" {
		seeOther(w, "/signin")
		return
	}
	err := s.People.SignOut(r.Context(), b.Account, b.From)
	if err == nil || errors.Is(err, account.ErrSignedOut) {
		err = s.end(r.Context(), w, r)
	}
	if err != nil {
		s.fail(w, r, b.Language, err)
		return
	}
	seeOther(w, "/signout")
}

func (s *site) signedOut(w http.ResponseWriter, r *http.Request) { s.refuse(w, r, signedOutNow) }

func (s *site) toOwn(w http.ResponseWriter, _ *http.Request) { seeOther(w, "/account") }
