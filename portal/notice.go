package portal

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"usn.no/matricula/account"
)

var errPanic = errors.New("panic in a page")

// notice is a page that says what happened and shows the way on. All of them
// look alike; none says anything that came with the request.
type notice struct {
	status int
	title  string   // keys of texts
	body   []string //
	steps  []string //
	action action
	others []action      // links below it
	retry  time.Duration // Retry-After, for what passes by itself
}

// action is the way on: a link, or a button where something is asked for.
type action struct {
	Href, Text string
	Post       bool
}

func home() action      { return action{Href: "/", Text: "to_start"} }
func onward() action    { return action{Href: "/activate", Text: "to_activate"} }
func onceMore() action  { return action{Href: "/activate/password", Text: "to_password"} }
func newLetter() action { return action{Href: "/activate/again", Text: "send_again", Post: true} }

// The notices below are read and never written.

// What has gone wrong with a request, whoever sent it.
var (
	badRequest = &notice{status: http.StatusBadRequest, title: "bad_request_title",
		body: []string{"bad_request_text"}, action: home()}
	otherOrigin = &notice{status: http.StatusForbidden, title: "other_origin_title",
		body: []string{"other_origin_text"}, action: onward()}
	pageNotFound = &notice{status: http.StatusNotFound, title: "not_found_title",
		body: []string{"not_found_text"}, action: home()}
	wrongMethod = &notice{status: http.StatusMethodNotAllowed, title: "wrong_method_title",
		body: []string{"wrong_method_text"}, action: home()}
	tooLarge = &notice{status: http.StatusRequestEntityTooLarge, title: "too_large_title",
		body: []string{"too_large_text"}, action: onward()}
	tooMany = &notice{status: http.StatusTooManyRequests, title: "too_many_title",
		body: []string{"too_many_text"}, action: onward()}
	brokenDown = &notice{status: http.StatusInternalServerError, title: "broken_title",
		body: []string{"broken_text", "nothing_lost"}, action: onward()}
	busy = &notice{status: http.StatusServiceUnavailable, title: "busy_title",
		body: []string{"busy_text", "nothing_lost"}, action: onward(), retry: 15 * time.Second}
	crowded = &notice{status: http.StatusServiceUnavailable, title: "busy_title",
		body: []string{"crowded_text", "nothing_lost"}, action: onward(), retry: 15 * time.Second}
	down = &notice{status: http.StatusServiceUnavailable, title: "down_title",
		body: []string{"down_text", "nothing_lost"}, action: onward(), retry: 60 * time.Second}
)

// What a link can be answered with.
var (
	badLink = &notice{status: http.StatusNotFound, title: "bad_link_title",
		body: []string{"bad_link_text"}, steps: []string{"bad_link_whole", "bad_link_copy", "bad_link_newest"}, action: home()}
	noLink = &notice{status: http.StatusOK, title: "no_link_title",
		body: []string{"no_link_text"}, steps: []string{"no_link_inbox", "no_link_spam", "no_link_student", "no_link_so", "no_link_employee", "no_link_none"},
		action: action{Href: "/help", Text: "to_help"}}
	linkGone = &notice{status: http.StatusForbidden, title: "link_gone_title",
		body: []string{"link_gone_text", "nothing_lost"}, steps: []string{"link_gone_open", "link_gone_cookies"}, action: home()}
	spent = &notice{status: http.StatusGone, title: "spent_title",
		body: []string{"spent_text"}, steps: []string{"spent_signin", "spent_newer", "spent_other"},
		action: toSignIn(), others: elsewhere()}
	spentNow = &notice{status: http.StatusGone, title: "spent_now_title",
		body: []string{"spent_now_text"}, steps: []string{"spent_signin", "spent_newer", "spent_other"},
		action: toSignIn(), others: elsewhere()}
	replaced = &notice{status: http.StatusGone, title: "replaced_title",
		body: []string{"replaced_text", "replaced_on"}, action: newLetter()}
	expired = &notice{status: http.StatusGone, title: "expired_title",
		body: []string{"expired_text"}, action: newLetter()}
	frozen = &notice{status: http.StatusForbidden, title: "frozen_title",
		body: []string{"frozen_text", "frozen_on"}, action: newLetter()}
	asked = &notice{status: http.StatusOK, title: "asked_title",
		body: []string{"asked_text", "asked_wait"}, action: home()}
	suspended = &notice{status: http.StatusForbidden, title: "suspended_title",
		body: []string{"suspended_text", "suspended_on"}, action: action{Href: "/help", Text: "to_help"}}
	proofGone = &notice{status: http.StatusForbidden, title: "proof_gone_title",
		body: []string{"proof_gone_text", "nothing_lost"}, action: onward()}
)

// What somebody who looks after an account can be answered with.
var (
	tooManyTries = &notice{status: http.StatusTooManyRequests, title: "too_many_title",
		body: []string{"too_many_tries", "too_many_elsewhere"}, action: action{Href: "/forgot", Text: "to_forgot"}}
	signedOutNow = &notice{status: http.StatusOK, title: "signed_out_title",
		body: []string{"signed_out_text", "done_shared"}, action: toSignIn()}
	letterAsked = &notice{status: http.StatusOK, title: "asked_title",
		body: []string{"letter_asked_text", "asked_wait"}, steps: []string{"letter_asked_early", "letter_asked_often"}, action: home()}
	reported = &notice{status: http.StatusOK, title: "reported_title",
		body: []string{"reported_text", "asked_wait"}, action: action{Href: "/forgot", Text: "to_forgot"}}
)

func toSignIn() action { return action{Href: "/signin", Text: "to_signin"} }

// elsewhere is where somebody goes for whom signing in is not the answer.
func elsewhere() []action {
	return []action{
		{Href: "/forgot", Text: "task_forgot"}, {Href: "/compromised", Text: "task_compromised"}, {Href: "/help", Text: "to_help"},
	}
}

// noticeOf finds the page for an error of the domain; nil means that nobody
// expected it.
func noticeOf(err error) *notice {
	if _, ok := errors.AsType[*account.SuspendedError](err); ok {
		return suspended
	}
	for _, known := range []struct {
		err  error
		page *notice
	}{
		{account.ErrTicket, badLink},
		{account.ErrReplaced, replaced},
		{account.ErrSpent, spent},
		{account.ErrExpired, expired},
		{account.ErrFrozen, frozen},
		{account.ErrProof, proofGone},
		{account.ErrBusy, busy},
		{account.ErrStale, busy},
		{account.ErrUnavailable, down},
		{context.DeadlineExceeded, down},
		{context.Canceled, down},
	} {
		if errors.Is(err, known.err) {
			return known.page
		}
	}
	return nil
}

// noticePage is what the template sees of a notice.
type noticePage struct {
	Body, Steps []string
	Action      action
	Others      []action
	Username    string // shown only to whoever has proved to be the person
	Request     string // for support, where a log line exists
}

// refuse answers with a notice in the language of the request.
func (s *site) refuse(w http.ResponseWriter, r *http.Request, n *notice) {
	s.tell(w, r, s.languageOf(w, r, ""), n, "")
}

// fail answers an error of the domain. Outages and what nobody expected are
// logged; everything else is an answer.
func (s *site) fail(w http.ResponseWriter, r *http.Request, persons string, err error) {
	s.tell(w, r, s.languageOf(w, r, persons), s.found(r, err), "")
}

// found is the notice for an error, which it keeps for the log where it
// belongs there.
func (s *site) found(r *http.Request, err error) *notice {
	n := noticeOf(err)
	if n == nil {
		n = brokenDown
	}
	if n == brokenDown || n == down {
		requestOf(r).err = err
	}
	return n
}

func (s *site) tell(w http.ResponseWriter, r *http.Request, lang string, n *notice, username string) {
	if n.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(n.retry.Seconds())))
	}
	if n.status == http.StatusServiceUnavailable {
		lastOf(w) // whoever comes again does so in a while
	}
	page := noticePage{Body: n.body, Steps: n.steps, Action: n.action, Others: n.others, Username: username}
	if q := requestOf(r); q.err != nil {
		page.Request = q.id
	}
	s.show(w, r, n.status, "notice", s.view(lang, n.title, page))
}
