package account_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
)

func TestChangedRulesAreAcceptedOnceWhateverIsPressed(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		w.activeStudent("256801", fnrA)
		p := w.portal()
		own, err := p.SignIn(t.Context(), try("256801", password, "here"))
		w.must(err)
		changed := account.Acceptance{Version: "2", Hash: strings.Repeat("b", 64), Language: "nn"}
		if _, err := p.AcceptRules(t.Context(), own.ID, own.From, account.Acceptance{Version: "2"}); !errors.Is(err, account.ErrRules) {
			t.Errorf("something without a text is accepted: %v", err)
		}
		w.at(w.clock().Add(time.Hour))
		var tabs sync.WaitGroup
		for range 8 {
			tabs.Go(func() {
				if now, err := p.AcceptRules(t.Context(), own.ID, own.From, changed); err != nil || now.Rules.Hash != changed.Hash {
					t.Errorf("a tab is answered %+v, %v", now.Rules, err)
				}
			})
		}
		tabs.Wait()
		a := w.find(account.ByUsername, "256801")
		if len(a.Unsent) != 1 || a.Unsent[0].Details["language"] != "nn" || a.Rules.Version != "2" || !a.Rules.At.Equal(w.clock()) {
			t.Errorf("the entry carries %+v, the rules are %+v", a.Unsent, a.Rules)
		}
		if now, err := p.Own(t.Context(), own.ID, own.From); err != nil || !now.Untold {
			t.Errorf("before it is published: %+v, %v", now, err)
		}
		w.publishUnsent()
		if got := w.facts()["rules.accepted"]; got != 2 { // at activation, and now
			t.Errorf("%d facts of accepted rules", got)
		}
		if now, err := p.Own(t.Context(), own.ID, own.From); err != nil || now.Untold {
			t.Errorf("after it is published: %+v, %v", now, err)
		}
		if _, err := p.AcceptRules(t.Context(), own.ID, own.From.Add(-time.Hour), changed); !errors.Is(err, account.ErrSignedOut) {
			t.Errorf("a session that is over accepts the rules: %v", err)
		}
		w.must(p.SignOut(t.Context(), own.ID, own.From))
		w.publishUnsent()
		if got := w.facts()["account.sessions-ended"]; got != 1 {
			t.Errorf("%d facts of sessions ended", got)
		}
	})
}

func TestOwnAccountKnowsSinceWhenAndWhatAPasswordMustNotHold(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	a := w.activeStudent("256801", fnrA)
	p := w.portal()
	own, err := p.SignIn(t.Context(), try("256801", password, "here"))
	w.must(err)
	since := a.PasswordSince
	if !own.Active.Equal(since) || !own.Password.Equal(since) || own.Registered.IsZero() || !own.Registered.Before(since) {
		t.Errorf("active %s, password %s, registered %s; activated %s", own.Active, own.Password, own.Registered, since)
	}
	if len(own.Roles) != 1 || !own.Roles[0].Published || !own.Roles[0].Opens.IsZero() {
		t.Errorf("the roles are %+v", own.Roles)
	}
	for _, part := range slices.DeleteFunc(slices.Clone(own.Names), func(s string) bool { return len(s) < 3 }) {
		var broken *account.PasswordError
		_, err := p.ChangePassword(t.Context(), try("256801", password, "here"), "Tolv bjørner "+part+" 12")
		if !errors.As(err, &broken) || slices.Contains(broken.Answers, account.Answer{Rule: "name", OK: true}) {
			t.Errorf("a password with the name part %q: %v", part, err)
		}
	}
	if len(own.Names) != 3 {
		t.Errorf("the name parts are %q", own.Names)
	}
	w.at(w.clock().Add(time.Hour))
	own, err = p.ChangePassword(t.Context(), try("256801", password, "here"), password+"-ny")
	w.must(err)
	if !own.Active.Equal(since) || !own.Password.Equal(w.clock()) {
		t.Errorf("after a new password: active since %s, password %s", own.Active, own.Password)
	}
}

func TestProgrammeIsCalledByItsNameInThePersonsLanguage(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	all := events.Texts{"nb": "Lærerutdanning", "nn": "Lærarutdanning", "en": "Teacher education"}
	for i, c := range []struct {
		language, want string
		name           events.Texts
	}{
		{"nb", "Lærerutdanning", all}, {"nn", "Lærarutdanning", all}, {"en", "Teacher education", all}, {"", "Lærerutdanning", all},
		{"nn", "Lærerutdanning", events.Texts{"nb": "Lærerutdanning", "nn": "", "en": "Teacher education"}},
		{"nb", "Teacher education", events.Texts{"en": "Teacher education"}},
		{"nb", "GLU-5", nil},
	} {
		no := fmt.Sprint(256850 + i)
		s := student(no, "Sigrid", "Li", "s@example.org", fnr(tenor(t, 700+i)))
		s.Language, s.Programmes[0].Name, s.Programmes[0].Code = c.language, c.name, "GLU-5"
		w.must(w.StudentRegistered(t.Context(), w.meta(events.SourceAdmissions, no, w.clock()), events.StudentRegistered{Student: s}))
		if got := w.find(account.ByUsername, no).Roles[0].Title; got != c.want {
			t.Errorf("a programme called %v is %q to somebody who reads %q, not %q", c.name, got, c.language, c.want)
		}
	}
}

func TestLinkToAnEarlierAddressIsToldApartFromAUsedOne(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		old := w.invitedStudent("256801", fnrA)
		moved := student("256801", "Sigrid", "Li", "moved@example.org", fnr(fnrA))
		w.at(w.clock().Add(time.Hour))
		w.must(w.StudentUpdated(t.Context(), w.meta(events.SourceAdmissions, "256801", w.clock()), events.StudentUpdated{Student: moved}))
		p := w.portal()
		if _, err := p.Look(t.Context(), old); !errors.Is(err, account.ErrReplaced) {
			t.Fatalf("the old link: %v", err)
		}
		if _, err := p.Compromised(t.Context(), account.Report{Ticket: old}); !errors.Is(err, account.ErrReplaced) {
			t.Errorf("a report by the old link: %v", err)
		}
		fresh := w.ticket("256801", account.PurposeActivate)
		if _, err := p.Look(t.Context(), fresh); err != nil {
			t.Errorf("the new link: %v", err)
		}
		w.at(august.Add(time.Hour))
		if _, err := p.Activate(t.Context(), account.Choice{Proof: w.proof(fresh, fnrA), Rules: rules, Password: password}); err != nil {
			t.Fatal(err)
		}
		for name, ticket := range map[string]string{"old": old, "new": fresh} {
			if _, err := p.Look(t.Context(), ticket); !errors.Is(err, account.ErrSpent) || errors.Is(err, account.ErrReplaced) {
				t.Errorf("the %s link after activation: %v", name, err)
			}
		}
	})
}
