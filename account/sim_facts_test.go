package account_test

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
)

// known is what an audit fact is about: type, account, cause or invitation.
type known struct{ what, account, cause string }

// substance is an account without what changes on the side.
func substance(a account.Account) account.Account {
	a = a.Clone()
	a.Marks, a.Invitations, a.Unsent, a.Handles, a.Revision, a.Why, a.State = nil, nil, nil, nil, 0, account.Why{}, ""
	a.Told, a.Turn = nil, time.Time{} // what is seen of them is here, too
	for i := range a.Numbers {
		a.Numbers[i].Since = time.Time{} // recorded earlier: noted, not told
	}
	for i := range a.Roles {
		a.Roles[i].Since = time.Time{}
	}
	return a
}

// deeds are the facts that the writes in the directory ask for: each of them
// once, and nothing else.
func (s *sim) deeds() map[known]bool {
	deeds := map[known]bool{}
	for _, e := range s.dir.entries {
		for i, v := range e.history {
			if i == 0 {
				deeds[known{events.AuditCreated, e.ID, ""}] = true
				continue
			}
			was := e.history[i-1]
			switch {
			case v.password != "" && v.password != was.password:
				for _, f := range v.Unsent {
					if !slices.ContainsFunc(was.Unsent, func(o account.Fact) bool { return o.ID == f.ID }) {
						deeds[known{f.What, e.ID, f.Invitation}] = true
					}
				}
				s.checkCarried(was, v)
			case was.password != "" && v.password == "":
				deeds[known{events.AuditCompromised, e.ID, v.cause}] = true
			case v.cause != "" && !reflect.DeepEqual(substance(was.Account), substance(v.Account)):
				deeds[known{events.AuditUpdated, e.ID, v.cause}] = true
			}
		}
	}
	return deeds
}

// checkCarried: what follows from a click is in the write that did it.
func (s *sim) checkCarried(was, v version) {
	want := []string{events.AuditActivated, events.AuditRules}
	if was.State != account.Pending {
		want = []string{events.AuditPasswordChanged, events.AuditRules, events.AuditRestored}
	}
	for _, what := range want {
		if !slices.ContainsFunc(v.Unsent, func(f account.Fact) bool { return f.What == what && f.At.Equal(v.PasswordSince) }) {
			s.violation("I6", "%s was activated and carries no fact %s", v.Username, what)
		}
	}
}

// checkFacts: audit tells each deed exactly once and nothing that was not done.
func (s *sim) checkFacts() {
	deeds, told := s.deeds(), map[known]int{}
	for _, f := range s.pub.facts {
		k := known{f.What, f.Account, f.Cause}
		switch f.What {
		case events.AuditCreated:
			k.cause = ""
		case events.AuditInvited:
			if id := strings.TrimPrefix(f.id, f.Account+"-invited-"); !s.invited(f.Account, id) {
				s.violation("I6", "audit tells of an invitation that never was")
			}
			continue
		case events.AuditActivationDenied:
			continue
		case events.AuditUpdated:
			if f.Cause == "" {
				continue // an affiliation that came with its day
			}
		}
		if told[k]++; told[k] > 1 {
			s.violation("I6", "audit tells %s of one account %d times", k.what, told[k])
		}
		if !deeds[k] {
			s.violation("I6", "audit tells %s because of %q, and nothing of the kind was done", k.what, k.cause)
		}
	}
	for k := range deeds {
		if told[k] == 0 {
			s.violation("I6", "audit does not tell %s because of %q", k.what, k.cause)
		}
	}
	for _, e := range s.dir.entries {
		if len(e.Unsent) > 0 {
			s.violation("I6", "%s still carries %d facts", e.Username, len(e.Unsent))
		}
	}
}

// invited tells whether an entry ever had an invitation.
func (s *sim) invited(id, invitation string) bool {
	for _, e := range s.dir.entries {
		for _, v := range e.history {
			if _, ok := v.Invitation(invitation); ok && e.ID == id {
				return true
			}
		}
	}
	return false
}

// checkLetters: each letter that is owed went out, under one ID, and no more
// copies of it than it was handed to a mailer.
func (s *sim) checkLetters() {
	copies, texts := map[string]int{}, map[known]map[string]bool{}
	for _, l := range s.pub.sent {
		copies[l.Letter]++
		k := known{l.Template, l.Account, l.Invitation + l.SONumber + l.Address}
		if l.Template == events.LetterActivated || l.Template == events.LetterPasswordChanged || l.Template == events.LetterPasswordCompromised {
			k.cause = ""
		}
		if texts[k] == nil {
			texts[k] = map[string]bool{}
		}
		texts[k][l.Letter] = true
		if l.Invitation != "" && !s.invited(l.Account, l.Invitation) {
			s.violation("I3", "a letter has an invitation that never was")
		}
		if e := s.entry(l.Account); e == nil || l.at.Before(e.history[0].at) {
			s.violation("I4", "a letter %s went out before its account was there", l.Template)
		}
	}
	for id, n := range copies {
		if n > s.pub.taken[id] {
			s.violation("I5", "letter %s has %d copies of %d deliveries", id, n, s.pub.taken[id])
		}
	}
	owed := map[known]int{}
	for k := range s.deeds() {
		switch k.what {
		case events.AuditActivated:
			owed[known{events.LetterActivated, k.account, ""}]++
		case events.AuditPasswordChanged:
			owed[known{events.LetterPasswordChanged, k.account, ""}]++
		case events.AuditCompromised:
			owed[known{events.LetterPasswordCompromised, k.account, ""}]++
		}
	}
	for k, n := range owed {
		if got := len(texts[k]); got != n {
			s.violation("I4", "%d letters %s are owed, %d went out", n, k.what, got)
		}
	}
	for k, ids := range texts {
		if (k.what == events.LetterSONumber || k.what == events.LetterReminder) && len(ids) > 1 {
			s.violation("I5", "one letter %s has %d IDs", k.what, len(ids))
		}
	}
	s.checkOwed()
}

func (s *sim) entry(id string) *entry {
	for _, e := range s.dir.entries {
		if e.ID == id {
			return e
		}
	}
	return nil
}

// checkOwed: whoever can act has the letter to act with.
func (s *sim) checkOwed() {
	got := func(template string, e *entry, fits func(letter) bool) bool {
		return slices.ContainsFunc(s.pub.sent, func(l letter) bool {
			return l.Template == template && l.Account == e.ID && fits(l)
		})
	}
	for _, e := range s.dir.entries {
		n, proves := e.Current()
		if e.State == account.Pending && proves && n.Type == "so" && e.Address != "" &&
			!got(events.LetterSONumber, e, func(l letter) bool { return l.Address == e.Address }) {
			s.violation("I4", "%s was never told the number", e.Username)
		}
		for _, inv := range e.Invitations {
			if !inv.Expires.After(s.now()) || inv.Purpose == "replaced" {
				continue
			}
			template := events.LetterActivation
			if inv.Purpose == account.PurposeReset {
				template = events.LetterReset
			}
			if !got(template, e, func(l letter) bool { return l.Invitation == inv.ID }) {
				s.violation("I4", "%s has an invitation to %s and no letter", e.Username, inv.Purpose)
			}
		}
		if e.State == account.Suspended && !got(events.LetterReset, e, func(l letter) bool { return l.at.After(e.Why.Since.Add(-maxSkew)) }) {
			s.violation("I4", "%s is suspended and has no letter with a way back", e.Username)
		}
	}
}
