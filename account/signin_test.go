package account_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// activeStudent has activated with password, and nothing is left to publish.
func (w *world) activeStudent(no, number string) account.Account {
	w.t.Helper()
	ticket := w.invitedStudent(no, number)
	w.at(august.Add(time.Hour))
	if _, err := w.portal().Activate(w.t.Context(), account.Choice{Proof: w.proof(ticket, number), Rules: rules, Password: password}); err != nil {
		w.t.Fatal(err)
	}
	w.publishUnsent()
	return w.find(account.ByUsername, no)
}

func (w *world) publishUnsent() {
	w.t.Helper()
	_, err := w.PublishUnsent(w.t.Context())
	w.must(err)
}

// onlyWrong: the answer that says nothing more, not even to a log.
func onlyWrong(err error) bool {
	return errors.Is(err, account.ErrWrongPassword) && err.Error() == account.ErrWrongPassword.Error()
}

func try(username, word, from string) account.Try {
	return account.Try{Username: username, Password: word, From: from}
}

func TestSignInAnswersUnknownWrongAndBlockedAlike(t *testing.T) { // T4, T18
	everyWorld(t, func(t *testing.T, w *world) {
		w.activeStudent("256801", fnrA)
		w.invitedStudent("256802", fnrB)
		p := w.portal()
		own, err := p.SignIn(t.Context(), try(" 256801 ", password, "here"))
		if err != nil || own.Username != "256801" || own.Rules.Version != "1" || len(own.Roles) != 1 || own.ID == "" {
			t.Fatalf("the right password: %+v, %v", own, err)
		}
		for name, in := range map[string]account.Try{
			"wrong password": try("256801", password+"x", "here"), "unknown": try("nobody12", password, "here"),
			"pending": try("256802", password, "here"), "empty password": try("256801", "", "here"),
			"empty": try("", password, "here"), "no username": try("*)(uid=*", password, "here"), "long": try(fmt.Sprint(make([]int, 90)), password, "here"),
		} {
			if _, err := p.SignIn(t.Context(), in); !onlyWrong(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.must(w.PasswordCompromised(t.Context(), w.meta(events.SourceIT, "256801", w.clock().Add(time.Minute)),
			events.PasswordCompromised{Username: "256801", Reason: "leak", ReportedBy: "soc"}))
		if _, err := p.SignIn(t.Context(), try("256801", password, "here")); !onlyWrong(err) {
			t.Errorf("a blocked account: %v", err)
		}
		if _, err := p.Own(t.Context(), own.ID, own.From); !errors.Is(err, account.ErrSignedOut) {
			t.Errorf("a session from before the compromise: %v", err)
		}
	})
}

func TestSessionsDieByComparison(t *testing.T) { // T29
	everyWorld(t, func(t *testing.T, w *world) {
		w.activeStudent("256801", fnrA)
		p := w.portal()
		one, err := p.SignIn(t.Context(), try("256801", password, "here"))
		w.must(err)
		if _, err := p.Own(t.Context(), one.ID, one.From); err != nil {
			t.Fatalf("a session: %v", err)
		}
		two, err := p.ChangePassword(t.Context(), try("256801", password, "here"), password+"-ny")
		w.must(err)
		if _, err := p.Own(t.Context(), one.ID, one.From); !errors.Is(err, account.ErrSignedOut) {
			t.Errorf("a session from before the new password: %v", err)
		}
		if _, err := p.Own(t.Context(), two.ID, two.From); err != nil {
			t.Errorf("the session that changed it: %v", err)
		}
		w.must(p.SignOut(t.Context(), two.ID, two.From))
		if _, err := p.Own(t.Context(), two.ID, two.From); !errors.Is(err, account.ErrSignedOut) {
			t.Errorf("a session after signing out everywhere: %v", err)
		}
		if err := p.SignOut(t.Context(), two.ID, two.From); !errors.Is(err, account.ErrSignedOut) {
			t.Errorf("a dead session signs the others out: %v", err)
		}
		if err := w.Passwords.Verify(t.Context(), "256801", password); !errors.Is(err, account.ErrWrongPassword) {
			t.Errorf("the old password: %v", err)
		}
		w.publishUnsent()
		if w.facts()["password.changed"] != 1 || w.letters()["password-changed"] != 1 {
			t.Errorf("facts %v, letters %v", w.facts(), w.letters())
		}
	})
}

func TestNewPasswordDiffersAndKeepsTheRulesAndTheOldOneHoldsUntilThen(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.activeStudent("256801", fnrA)
	p := w.portal()
	var bad *account.PasswordError
	if _, err := p.ChangePassword(t.Context(), try("256801", password, "here"), "short"); !errors.As(err, &bad) {
		t.Errorf("a short one: %v", err)
	}
	if _, err := p.ChangePassword(t.Context(), try("256801", password, "here"), password); !errors.Is(err, account.ErrSamePassword) {
		t.Errorf("the same: %v", err)
	}
	if _, err := p.ChangePassword(t.Context(), try("256801", password+"x", "here"), password+"-ny"); !errors.Is(err, account.ErrWrongPassword) {
		t.Errorf("with a wrong old one: %v", err)
	}
	if err := w.Passwords.Verify(t.Context(), "256801", password); err != nil {
		t.Errorf("the old password after three refusals: %v", err)
	}
}

func TestBreachedPasswordAtSignInIsACompromise(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		a := w.activeStudent("256801", fnrA)
		p := w.portal()
		p.Breached = func(_ context.Context, word string, _ account.Account) (bool, bool, error) {
			return word == password, false, nil
		}
		own, err := p.SignIn(t.Context(), try("256801", password, "here"))
		if !errors.Is(err, account.ErrBreached) || own.ID != a.ID {
			t.Fatalf("a breached password: %+v, %v", own, err)
		}
		if err := w.Passwords.Verify(t.Context(), "256801", password); !errors.Is(err, account.ErrWrongPassword) {
			t.Errorf("the breached password still works: %v", err)
		}
		w.publishUnsent()
		if w.facts()["password.compromised"] != 1 || w.letters()["password-compromised"] != 1 || w.letters()["reset"] != 1 {
			t.Errorf("facts %v, letters %v", w.facts(), w.letters())
		}
	})
}

func TestReportBlocksAtOnceAndTheIdentityNumberLeadsBack(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		a := w.activeStudent("256801", fnrA)
		p := w.portal()
		own, err := p.SignIn(t.Context(), try("256801", password, "here"))
		w.must(err)
		blocked, err := p.Compromised(t.Context(), account.Report{Account: own.ID, From: own.From})
		w.must(err)
		if err := w.Passwords.Verify(t.Context(), "256801", password); !errors.Is(err, account.ErrWrongPassword) {
			t.Fatalf("the reported password: %v", err)
		}
		if _, err := p.Compromised(t.Context(), account.Report{Account: own.ID, From: own.From}); !errors.Is(err, account.ErrSignedOut) {
			t.Errorf("the dead session reports again: %v", err)
		}
		w.publishUnsent()
		w.publishUnsent()
		if w.facts()["password.compromised"] != 1 || w.letters()["password-compromised"] != 1 || w.letters()["reset"] != 1 {
			t.Errorf("facts %v, letters %v", w.facts(), w.letters())
		}
		renew := account.Renewal{Account: blocked.ID, From: blocked.From, Number: fnrB, Password: password + "-ny"}
		var wrong *account.WrongNumberError
		if _, err := p.Renew(t.Context(), renew); !errors.As(err, &wrong) || wrong.Left != 4 {
			t.Errorf("a wrong number: %v", err)
		}
		renew.Number, renew.Password = fnrA, password
		if _, err := p.Renew(t.Context(), renew); !errors.Is(err, account.ErrSamePassword) {
			t.Errorf("the reported password again: %v", err)
		}
		renew.Password = password + "-ny"
		again, err := p.Renew(t.Context(), renew)
		w.must(err)
		if _, err := p.Own(t.Context(), again.ID, again.From); err != nil {
			t.Errorf("the session after it: %v", err)
		}
		if _, err := p.Renew(t.Context(), renew); !errors.Is(err, account.ErrSignedOut) {
			t.Errorf("a second renewal: %v", err)
		}
		if got := w.find(account.ByID, a.ID); got.State != account.Active || len(got.Invitations) != 0 {
			t.Errorf("account is %s with %d invitations", got.State, len(got.Invitations))
		}
		w.publishUnsent()
		if w.facts()["account.restored"] != 1 || w.facts()["password.changed"] != 1 {
			t.Errorf("facts %v", w.facts())
		}
	})
}

func TestFiveWrongNumbersEndTheWayBackOfThisBrowserOnly(t *testing.T) { // T19
	t.Parallel()
	w := bucketWorld(t)
	w.activeStudent("256801", fnrA)
	p := w.portal()
	own, err := p.Compromised(t.Context(), account.Report{Try: try("256801", password, "here")})
	w.must(err)
	renew := account.Renewal{Account: own.ID, From: own.From, Number: fnrB, Password: password + "-ny"}
	for range 5 {
		_, err = p.Renew(t.Context(), renew)
	}
	renew.Number = fnrA
	if _, next := p.Renew(t.Context(), renew); !errors.Is(err, account.ErrFrozen) || !errors.Is(next, account.ErrFrozen) {
		t.Fatalf("the fifth wrong number: %v, then the right one: %v", err, next)
	}
	w.publishUnsent()
	proof := w.proof(w.ticket("256801", account.PurposeReset), fnrA)
	if _, err := p.Activate(t.Context(), account.Choice{Proof: proof, Rules: rules, Password: password + "-ny"}); err != nil {
		t.Errorf("the letter after it: %v", err)
	}
}

func TestALetterLetsReport(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.activeStudent("256801", fnrA)
	w.ask(fnrA, "Li")
	ticket := w.ticket("256801", account.PurposeReset)
	p := w.portal()
	if _, err := p.Compromised(t.Context(), account.Report{Ticket: ticket}); err != nil {
		t.Fatal(err)
	}
	if err := w.Passwords.Verify(t.Context(), "256801", password); !errors.Is(err, account.ErrWrongPassword) {
		t.Errorf("the reported password: %v", err)
	}
	if _, err := p.Compromised(t.Context(), account.Report{Ticket: ticket}); !errors.Is(err, account.ErrSpent) {
		t.Errorf("the letter reports again: %v", err)
	}
}

// guessing counts what reaches the directory.
type guessing struct {
	account.Passwords
	n atomic.Int64
}

func (g *guessing) Verify(ctx context.Context, username, word string) error {
	g.n.Add(1)
	return g.Passwords.Verify(ctx, username, word)
}

func TestT19GuessesFromOnePlaceAreBoundedAndLockNobodyOut(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.activeStudent("256801", fnrA)
	p := w.portal()
	g := &guessing{Passwords: p.Passwords}
	p.Passwords = g
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 25 {
				if _, err := p.SignIn(t.Context(), try("256801", fmt.Sprint("guess", i, j), "stranger")); err == nil {
					t.Error("a guess was right")
				}
			}
		})
	}
	wg.Wait()
	if n := g.n.Load(); n > 15 {
		t.Errorf("%d of 200 guesses were tried", n)
	}
	if _, err := p.SignIn(t.Context(), try("256801", password, "home")); err != nil {
		t.Errorf("the person elsewhere: %v", err)
	}
	// Guesses from everywhere: whoever is unknown waits, the person's own browser does not.
	for i := range 40 {
		_, _ = p.SignIn(t.Context(), try("256801", "guess", fmt.Sprint("bot", i)))
	}
	if n := g.n.Load(); n > 30 { // the directory locks at 30
		t.Errorf("%d guesses from everywhere were tried", n)
	}
	var many *account.TooManyError
	if _, err := p.SignIn(t.Context(), try("256801", password, "new")); !errors.As(err, &many) {
		t.Errorf("an unknown browser under attack: %v", err)
	}
	if _, err := p.SignIn(t.Context(), account.Try{Username: "256801", Password: password, From: "browser", Known: true}); err != nil {
		t.Errorf("the person's own browser under attack: %v", err)
	}
	w.at(w.clock().Add(15 * time.Minute))
	if _, err := p.SignIn(t.Context(), try("256801", password, "new")); err != nil {
		t.Errorf("a quarter of an hour later: %v", err)
	}
}

func TestCountersNameNobody(t *testing.T) { // T31
	t.Parallel()
	w := bucketWorld(t)
	_, _ = w.portal().SignIn(t.Context(), try("256801", password, "192.0.2.7"))
	for _, key := range w.subjects("KV_"+stream.BucketLimits, "$KV.limits.>") {
		for _, secret := range []string{"256801", "192.0.2", password} {
			if contains(key, secret) {
				t.Errorf("the counter %s names somebody", key)
			}
		}
	}
}

func TestBlockedPasswordIsGoneAndNotOnlyOutOfUse(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		w.activeStudent("256801", fnrA)
		_, err := w.portal().Compromised(t.Context(), account.Report{Try: try("256801", password, "here")})
		w.must(err)
		was := w.find(account.ByUsername, "256801")
		now := was.Clone()
		now.State = account.Active // as a hand in the directory would
		w.must(w.Directory.Update(t.Context(), was, now))
		if err := w.Passwords.Verify(t.Context(), "256801", password); !errors.Is(err, account.ErrWrongPassword) {
			t.Errorf("the reported password on an account opened by hand: %v", err)
		}
	})
}

func TestT6WayBackIsOfThisReportOnly(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.activeStudent("256801", fnrA)
	p := w.portal()
	mine, err := p.Compromised(t.Context(), account.Report{Try: try("256801", password, "here")})
	w.must(err)
	renew := account.Renewal{Account: mine.ID, From: mine.From, Number: fnrA, Password: password + "-ny"}
	_, err = p.Renew(t.Context(), renew)
	w.must(err)
	w.must(w.PasswordCompromised(t.Context(), w.meta(events.SourceIT, "256801", w.clock().Add(time.Minute)),
		events.PasswordCompromised{Username: "256801", Reason: "leak", ReportedBy: "soc"}))
	renew.Password = password + "-nyere"
	if _, err := p.Renew(t.Context(), renew); !errors.Is(err, account.ErrSignedOut) {
		t.Errorf("the way back from an earlier report, after IT blocked the account: %v", err)
	}
}
