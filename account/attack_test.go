package account_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// The names begin with the attack's number; portal/attack_table_test.go says
// what each attack is.

// reset asks for a link to a new password and answers its ticket.
func (w *world) reset(no, number string) string {
	w.t.Helper()
	w.ask(number, "Li")
	return w.ticket(no, account.PurposeReset)
}

// set uses a link; the error says what it is worth.
func (w *world) set(ticket, number, word string) error {
	proof, err := w.portal().Prove(w.t.Context(), ticket, account.Student, number)
	if err != nil {
		return err
	}
	_, err = w.portal().Activate(w.t.Context(), account.Choice{Proof: proof.Token, Rules: rules, Password: word})
	return err
}

func TestT2UsedLinkStaysUsedWhenEveryCounterIsGone(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	ticket := w.invitedStudent("256801", fnrA)
	w.at(august.Add(time.Hour))
	proof := w.proof(ticket, fnrA)
	w.must(w.set(ticket, fnrA, password))
	limits, err := w.js.Stream(t.Context(), "KV_"+stream.BucketLimits)
	w.must(err)
	w.must(limits.Purge(t.Context()))
	for _, replica := range []*account.Lifecycle{w.portal(), w.portal()} {
		if _, err := replica.Look(t.Context(), ticket); !errors.Is(err, account.ErrSpent) {
			t.Errorf("the used link: %v", err)
		}
		if _, err := replica.Activate(t.Context(), account.Choice{Proof: proof, Rules: rules, Password: password + "-2"}); !errors.Is(err, account.ErrSpent) {
			t.Errorf("the proof of the used link: %v", err)
		}
	}
	w.must(w.Passwords.Verify(t.Context(), "256801", password))
}

func TestT8EveryOlderLinkDiesWithANewPassword(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	activation := w.invitedStudent("256801", fnrA)
	w.at(august.Add(time.Hour))
	w.must(w.set(activation, fnrA, password))
	w.publishUnsent()
	first := w.reset("256801", fnrA)
	held := w.proof(first, fnrA)
	if _, err := w.portal().ChangePassword(t.Context(), try("256801", password, "here"), password+"-2"); err != nil {
		t.Fatal(err)
	}
	if err := w.set(first, fnrA, password+"-3"); !errors.Is(err, account.ErrSpent) {
		t.Errorf("a link from before the new password: %v", err)
	}
	if _, err := w.portal().Activate(t.Context(), account.Choice{Proof: held, Rules: rules, Password: password + "-3"}); !errors.Is(err, account.ErrSpent) {
		t.Errorf("a proof from before the new password: %v", err)
	}
	w.at(w.clock().Add(time.Hour))
	second := w.reset("256801", fnrA)
	w.at(w.clock().Add(2 * time.Hour)) // it runs out, and another is asked for
	third := w.reset("256801", fnrA)
	w.must(w.set(third, fnrA, password+"-4"))
	for name, ticket := range map[string]string{"activation": activation, "first": first, "second": second, "third": third} {
		if err := w.set(ticket, fnrA, password+"-5"); !errors.Is(err, account.ErrSpent) {
			t.Errorf("the %s link after a newer one was used: %v", name, err)
		}
	}
	w.must(w.Passwords.Verify(t.Context(), "256801", password+"-4"))
}

func TestT9LinkOfOnePurposeIsNoneOfAnother(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.invitedStudent("256801", fnrA)
	w.at(august.Add(time.Hour))
	for _, i := range w.find(account.ByUsername, "256801").Invitations {
		for _, purpose := range []string{account.PurposeReset, "replaced", ""} {
			ticket := w.Tickets.Seal(i.ID, purpose)
			if err := w.set(ticket, fnrA, password); !errors.Is(err, account.ErrSpent) && !errors.Is(err, account.ErrTicket) {
				t.Errorf("an invitation to %s sealed for %q: %v", i.Purpose, purpose, err)
			}
		}
	}
}

func TestT10InvitationWithoutATimeHasNone(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	ticket := w.invitedStudent("256801", fnrA)
	w.at(august.Add(time.Hour))
	for name, until := range map[string]time.Time{
		"none": {}, "the beginning": time.Unix(0, 0), "before the beginning": time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(2, 0, 0), "now": w.clock(),
	} {
		was := w.find(account.ByUsername, "256801")
		now := was.Clone()
		now.Invitations[0].Expires = until
		w.must(w.Directory.Update(t.Context(), was, now))
		if err := w.set(ticket, fnrA, password); !errors.Is(err, account.ErrExpired) {
			t.Errorf("an invitation that ends at %s: %v", name, err)
		}
	}
}

func TestT11LinkEndsAtItsInstant(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	ticket := w.invitedStudent("256801", fnrA)
	a := w.find(account.ByUsername, "256801")
	ends := a.Invitations[0].Expires
	w.at(ends.Add(-time.Second))
	proof := w.proof(ticket, fnrA)
	for _, row := range []struct {
		at      time.Time
		expired bool
	}{{ends, true}, {ends.Add(time.Second), true}, {ends.Add(-time.Millisecond), false}} {
		w.at(row.at)
		_, looked := w.portal().Look(t.Context(), ticket)
		_, set := w.portal().Activate(t.Context(), account.Choice{Proof: proof, Rules: rules, Password: password})
		if errors.Is(looked, account.ErrExpired) != row.expired || errors.Is(set, account.ErrExpired) != row.expired {
			t.Errorf("%s from its end: looking %v, setting %v", row.at.Sub(ends), looked, set)
		}
	}
}

func TestT14NumberOfSomebodyElseActivatesNothing(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	ticket := w.invitedStudent("256801", fnrA)
	w.invitedStudent("256802", fnrB)
	w.at(august.Add(time.Hour))
	for name, number := range map[string]string{"somebody else's": fnrB, "nobody's": soA, "none": "", "the student number": "256801"} {
		var wrong *account.WrongNumberError
		if err := w.set(ticket, number, password); !errors.As(err, &wrong) {
			t.Errorf("%s number: %v", name, err)
		}
	}
	if a := w.find(account.ByUsername, "256801"); a.State != account.Pending {
		t.Errorf("the account is %s", a.State)
	}
	foreign := account.Tickets{Keys: [][]byte{[]byte("another institution's key, 32 bytes long")}}
	if err := w.set(foreign.Seal(w.find(account.ByUsername, "256801").Invitations[0].ID, account.PurposeActivate), fnrA, password); !errors.Is(err, account.ErrTicket) {
		t.Errorf("a link of another institution: %v", err)
	}
}

func TestT19NumbersTypedSideBySideAreFewAndFreezeThatLinkOnly(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	ticket, other := w.invitedStudent("256801", fnrA), w.invitedStudent("256802", fnrB)
	w.at(august.Add(time.Hour))
	const tabs, each = 8, 8
	var compared atomic.Int32
	var all sync.WaitGroup
	for range tabs {
		all.Go(func() {
			for range each {
				_, err := w.portal().Prove(t.Context(), ticket, account.Student, soA)
				var wrong *account.WrongNumberError
				if errors.As(err, &wrong) {
					compared.Add(1)
				} else if !errors.Is(err, account.ErrFrozen) {
					t.Errorf("a wrong number is answered %v", err)
				}
			}
		})
	}
	all.Wait()
	if n := compared.Load(); n > 5 {
		t.Errorf("%d of %d wrong numbers were told to be wrong", n, tabs*each)
	}
	if err := w.set(ticket, fnrA, password); !errors.Is(err, account.ErrFrozen) {
		t.Errorf("the right number after them: %v", err)
	}
	w.must(w.set(other, fnrB, password))
}

func TestT21WhatIsTypedIsNeverAFilter(t *testing.T) {
	t.Parallel()
	w := slapdWorld(t)
	a := w.activeStudent("256801", fnrA)
	for _, typed := range []string{
		"*", "256*", "*)(uid=*", "256801)(objectClass=*", "256801))(|(uid=*", `\2a`, `25680\31`, "256801\x00", "256801,ou=people", "uid=256801", "256801+cn=x", "２５６８０１", "256801\u200b", "\xff",
	} {
		for _, kind := range []string{account.ByUsername, account.ByID, account.ByInvitation, account.ByHandle, account.ByLIN} {
			for _, value := range []string{typed, "student:" + typed, a.ID + typed} {
				if found, err := w.portal().Directory.Find(t.Context(), account.Key{Kind: kind, Value: value}); !errors.Is(err, account.ErrNotFound) {
					t.Errorf("%s %q finds %q, %v", kind, value, found.Username, err)
				}
			}
		}
		if _, err := w.portal().SignIn(t.Context(), try(typed, password, "here"+typed)); !onlyWrong(err) {
			t.Errorf("signing in as %q: %v", typed, err)
		}
		if err := w.Passwords.Verify(t.Context(), typed, password); !errors.Is(err, account.ErrWrongPassword) {
			t.Errorf("a bind as %q: %v", typed, err)
		}
	}
}

func TestT15LetterGoesWhereTheDirectorySaysWhoeverAsks(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.activeStudent("256801", fnrA)
	for _, family := range []string{"Li", "Li\r\nTo: evil@example.org", "Li, evil@example.org", "Li <evil@example.org>"} {
		w.ask(fnrA, family)
	}
	if got := w.letters()["reset"]; got != 1 {
		t.Fatalf("%d letters went out", got)
	}
	if r := w.mail("mail." + events.LetterReset + ".>"); r.Address != "256801@example.org" {
		t.Errorf("the letter goes to %q", r.Address)
	}
}

// counted notes what is asked of the ports, in order.
type counted struct {
	account.Directory
	account.Passwords
	account.Attempts
	calls []string
}

func (c *counted) Find(ctx context.Context, k account.Key) (account.Account, error) {
	c.calls = append(c.calls, "find by "+k.Kind)
	return c.Directory.Find(ctx, k)
}

func (c *counted) Verify(ctx context.Context, username, word string) error {
	c.calls = append(c.calls, "verify")
	return c.Passwords.Verify(ctx, username, word)
}

func (c *counted) Add(ctx context.Context, key string) (int, error) {
	c.calls = append(c.calls, "add "+strings.Join(strings.Split(key, ".")[:2], "."))
	return c.Attempts.Add(ctx, key)
}

func (c *counted) Count(ctx context.Context, key string) (int, error) {
	c.calls = append(c.calls, "count")
	return c.Attempts.Count(ctx, key)
}

func TestT18TheSameIsReadAndCountedForEverybody(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.activeStudent("256801", fnrA)
	w.invitedStudent("256802", fnrB)
	done := func(in account.Try) []string {
		p := w.portal()
		c := &counted{Directory: p.Directory, Passwords: p.Passwords, Attempts: p.Attempts}
		p.Directory, p.Passwords, p.Attempts = c, c, c
		if _, err := p.SignIn(t.Context(), in); !onlyWrong(err) {
			t.Errorf("%s is answered %v", in.Username, err)
		}
		return c.calls
	}
	want := done(try("256801", "wrong", "here"))
	for _, who := range []string{"nobody12", "256802", "*)(uid=*", ""} {
		if got := done(try(who, password, "here")); !slices.Equal(got, want) {
			t.Errorf("for %q the portal does %v, for somebody who exists %v", who, got, want)
		}
	}
}
