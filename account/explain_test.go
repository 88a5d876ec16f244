package account_test

import (
	"slices"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

func TestExplainGivesOneAnswer(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 7, 20, 12, 0, 0, 0, time.UTC)
	august := time.Date(2027, 7, 31, 22, 0, 0, 0, time.UTC)
	pending := account.Account{
		ID: "a", Username: "256789", State: account.Pending, Address: "a@example.org",
		Numbers:     []account.Number{{Type: "fnr", Value: fnrA}},
		Invitations: []account.Invitation{{ID: "i", Purpose: account.PurposeActivate, Created: now.AddDate(0, 0, -2), Expires: now.AddDate(0, 0, 28)}},
	}
	ready := account.Situation{
		Now: now, Found: true, Claimed: true, Account: pending, HasRole: true, Invites: now.AddDate(0, 0, -2),
		Opening: policy.Opening{At: now.AddDate(0, 0, -1)}, Letter: account.Posted{State: events.LetterSent, At: now.AddDate(0, 0, -2)},
	}
	parked := account.Refusal{ID: "d", Reason: events.ReasonParked, At: now}
	in := func(state account.State, why string) func(*account.Situation) {
		return func(s *account.Situation) { s.Account.State, s.Account.Why.Reason = state, why }
	}
	for _, row := range []struct {
		fact   string
		is     func(*account.Situation)
		answer string
		at     time.Time
		also   []string
	}{
		{fact: "all is well", is: func(*account.Situation) {}, answer: account.CanActivate, at: ready.Letter.At},
		{fact: "nobody has announced the person", is: func(s *account.Situation) { *s = account.Situation{Now: now} }, answer: account.NoEvent},
		{fact: "the event was refused", is: func(s *account.Situation) {
			*s = account.Situation{Now: now, Refused: []account.Refusal{{ID: "d", Reason: events.ReasonInvalid, At: now}}}
		}, answer: account.RefusedEvent, at: now},
		{fact: "the event is parked", is: func(s *account.Situation) { *s = account.Situation{Now: now, Refused: []account.Refusal{parked}} }, answer: account.Parked, at: now},
		{fact: "the entry is not written yet", is: func(s *account.Situation) { *s = account.Situation{Now: now, Claimed: true} }, answer: account.Unwritten},
		{fact: "a second event about the person is parked", is: func(s *account.Situation) { s.Refused = []account.Refusal{parked} }, answer: account.Parked, at: now},
		{fact: "there is no role", is: func(s *account.Situation) { s.HasRole = false }, answer: account.NoRole},
		{fact: "there is no number", is: func(s *account.Situation) { s.Account.Numbers = nil }, answer: account.NoNumber},
		{fact: "a passport is no number", is: func(s *account.Situation) { s.Account.Numbers = []account.Number{{Type: "passport", Value: "X1"}} }, answer: account.NoNumber},
		{fact: "there is neither number nor address", is: func(s *account.Situation) {
			s.Account.Numbers, s.Account.Address, s.Account.Invitations = nil, "", nil
			s.Invites = now.AddDate(0, 0, 3)
		}, answer: account.NoNumber, also: []string{account.NoAddress, account.LetterLater}},
		{fact: "letters came back", is: func(s *account.Situation) {
			s.Account.Address, s.Account.Marks = "", []account.Mark{{Facet: account.FacetAddress, Subject: "a@example.org", Time: now}}
		}, answer: account.AddressBounced, at: now},
		{fact: "the relay refused the letter", is: func(s *account.Situation) { s.Letter.State = events.LetterFailed }, answer: account.LetterRefused, at: ready.Letter.At},
		{fact: "the relay fell silent", is: func(s *account.Situation) { s.Letter.State = events.LetterUnknown }, answer: account.LetterUnsure, at: ready.Letter.At},
		{fact: "the relay refused for now", is: func(s *account.Situation) { s.Letter.State = events.LetterRetry }, answer: account.LetterRetried, at: ready.Letter.At},
		{fact: "the letter is on its way", is: func(s *account.Situation) { s.Letter = account.Posted{} }, answer: account.LetterQueued, at: now.AddDate(0, 0, -2)},
		{fact: "the letter's day has not come", is: func(s *account.Situation) {
			s.Account.Invitations, s.Invites, s.Opening.At = nil, now.AddDate(0, 0, 1), august
		}, answer: account.LetterLater, at: now.AddDate(0, 0, 1), also: []string{account.WindowClosed}},
		{fact: "the window opens later", is: func(s *account.Situation) { s.Opening.At = august }, answer: account.WindowClosed, at: august},
		{fact: "IT has opened before the window", is: func(s *account.Situation) {
			s.Opening.At, s.Account.OpenUntil = august, now.AddDate(0, 0, 1)
		}, answer: account.CanActivate, at: ready.Letter.At},
		{fact: "the window is over", is: func(s *account.Situation) { s.Opening.Closes = now }, answer: account.WindowOver, at: now},
		{fact: "five wrong numbers were typed", is: func(s *account.Situation) { s.Wrong = 5 }, answer: account.LinkFrozen, at: now.AddDate(0, 0, -2)},
		{fact: "the link has expired", is: func(s *account.Situation) { s.Account.Invitations[0].Expires = now.Add(-time.Hour) }, answer: account.LinkExpired, at: now.Add(-time.Hour)},
		{fact: "the account is active", is: in(account.Active, account.WhyActivated), answer: account.IsActive},
		{fact: "the last role is over", is: func(s *account.Situation) {
			s.Account.State, s.Account.Leaving = account.Active, "2027-07-01"
			s.Held = []string{account.BrakeSuspended}
		}, answer: account.IsLeaving, also: []string{account.HeldByBrake}},
		{fact: "the password was reported", is: in(account.Suspended, account.WhyCompromised), answer: account.BlockedReport},
		{fact: "IT has locked it", is: in(account.Suspended, account.WhyLocked), answer: account.BlockedIT},
		{fact: "a new password was required", is: in(account.Suspended, account.WhyChangeRequired), answer: account.BlockedChange},
		{fact: "it was cancelled", is: in(account.Suspended, account.WhyCancelled), answer: account.BlockedLeft},
		{fact: "it is suspended for a reason of next year's", is: in(account.Suspended, "bored"), answer: account.BlockedOther},
		{fact: "the person has died", is: in(account.Suspended, account.WhyDeceased), answer: account.Deceased},
		{fact: "it is closed, because the person left", is: in(account.Closed, account.WhyLeft), answer: account.ClosedLeft},
		{fact: "it was never activated", is: in(account.Closed, account.WhyNeverActivated), answer: account.ClosedUnused},
		{fact: "it is closed for a reason of next year's", is: in(account.Closed, "bored"), answer: account.ClosedOther},
		{fact: "it was merged into another", is: func(s *account.Situation) { s.Account.State, s.Account.Merged = account.Closed, "b" }, answer: account.MergedAway},
		{fact: "it was erased", is: func(s *account.Situation) { s.Account.State, s.Account.Erased = account.Closed, now }, answer: account.Erased, at: now},
	} {
		s := ready
		s.Account = pending.Clone()
		row.is(&s)
		got := account.Explain(s)
		if got.Answer != row.answer || !got.At.Equal(row.at) || !slices.Equal(got.Also, row.also) {
			t.Errorf("%s: the answer is %s of %s, also %v; want %s of %s, also %v", row.fact, got.Answer, got.At, got.Also, row.answer, row.at, row.also)
		}
		if !slices.Contains(account.Answers(), got.Answer) {
			t.Errorf("%s: %s is no answer that has a text", row.fact, got.Answer)
		}
	}
}
