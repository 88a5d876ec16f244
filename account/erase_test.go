package account_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// left makes a person who left so long ago that the account is closed.
func left(w *world, no, given, family, number string) (account.Account, events.Employee) {
	w.t.Helper()
	w.Leaving = account.DefaultLeavingRules()
	e := employee(no, given, family, strings.ToLower(given)+"@example.org", fnr(number))
	m := w.meta(events.SourceHR, no, w.clock().AddDate(0, 0, -300))
	w.must(w.EmployeeRegistered(w.t.Context(), m, events.EmployeeRegistered{Employee: e}))
	m = w.meta(events.SourceHR, no, w.clock().AddDate(0, 0, -200))
	w.must(w.EmployeeEnded(w.t.Context(), m, events.EmployeeEnded{EmployeeNo: no, End: "2027-01-31", Reason: "resigned"}))
	_, err := w.TakeTurns(w.t.Context())
	w.must(err)
	a := w.find(account.ByLIN, "employee:"+no)
	if a.State != account.Closed {
		w.t.Fatalf("who left half a year ago is %s", a.State)
	}
	return a, e
}

func TestErasedPersonLeavesATombstone(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		was, e := left(w, "104711", "Zaqarias", "Zaqariasdottir", fnrA)
		by := events.Actor{Kind: "it", ID: "ola"}
		for range 2 {
			_, err := w.Erase(t.Context(), was.ID, by)
			w.must(err)
		}
		_, err := w.PublishUnsent(t.Context())
		w.must(err)
		a := w.find(account.ByID, was.ID)
		text, err := json.Marshal(a)
		w.must(err)
		for _, s := range []string{"Zaqar", "zaqarias@", fnrA, "104711", "num."} {
			if strings.Contains(string(text), s) {
				t.Errorf("%s is still in the entry: %s", s, text)
			}
		}
		if a.Username != was.Username || a.State != account.Closed || a.Why.Reason != account.WhyErased || a.Erased.IsZero() || len(a.Handles) != 1 {
			t.Errorf("the tombstone is not what stays: %+v", a)
		}
		if n := w.facts()[events.AuditErased]; n != 1 {
			t.Errorf("it is told %d times", n)
		}
		if err := w.Passwords.Verify(t.Context(), was.Username, "x"); !errors.Is(err, account.ErrWrongPassword) {
			t.Errorf("signing in answers %v", err)
		}
		for _, h := range was.Handles {
			held, err := w.Claims.Read(t.Context(), []string{h})
			w.must(err)
			if free := len(held) == 0; free != strings.HasPrefix(h, "num.") {
				t.Errorf("claim %s being free is %t", h[:4], free)
			}
		}

		// what comes late raises nobody, and what is new is for a human
		old := w.meta(events.SourceHR, "104711", w.clock().AddDate(0, 0, -1))
		w.must(w.EmployeeUpdated(t.Context(), old, events.EmployeeUpdated{Employee: e}))
		w.must(w.EmployeeEnded(t.Context(), old, events.EmployeeEnded{EmployeeNo: "104711", End: "2027-02-01"}))
		later := w.meta(events.SourceHR, "104711", w.clock().Add(time.Minute))
		for name, err := range map[string]error{
			"updated": w.EmployeeUpdated(t.Context(), later, events.EmployeeUpdated{Employee: e}),
			"ended":   w.EmployeeEnded(t.Context(), later, events.EmployeeEnded{EmployeeNo: "104711", End: "2027-02-01"}),
		} {
			if r, ok := events.Rejected(err); !ok || r.Reason != events.ReasonParked || !strings.Contains(r.Text, was.ID) {
				t.Errorf("newer word (%s) of an erased person is answered with %v", name, err)
			}
		}
		if after := w.find(account.ByID, was.ID); after.Revision != a.Revision {
			t.Errorf("an event has changed the tombstone: %+v", after)
		}

		// the number is free for whoever has it, the name is not
		s := student("256789", "Zaqarias", "Zaqariasdottir", "z@example.org", fnr(fnrA))
		w.must(w.StudentRegistered(t.Context(), w.meta(events.SourceAdmissions, "256789", w.clock()), events.StudentRegistered{Student: s}))
		again := w.find(account.ByLIN, "student:256789")
		if again.ID == was.ID || again.Username == was.Username {
			t.Errorf("the tombstone was given again: %+v", again)
		}
	})
}

func TestClosedAccountsAreErasedWhenTheirTimeHasCome(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	a, _ := left(w, "104711", "Kari", "Nordmann", fnrA)
	if done := a.Why.Done; a.Turn.Before(done.AddDate(0, 0, 364)) || a.Turn.After(done.AddDate(0, 0, 366)) || !done.After(a.Why.Since) {
		t.Errorf("closed %s as of %s, it is its turn %s", done, a.Why.Since, a.Turn)
	}
	w.at(a.Turn)
	_, err := w.TakeTurns(t.Context())
	w.must(err)
	a = w.find(account.ByID, a.ID)
	if a.Erased.IsZero() || a.Name != (account.Name{}) || len(a.Numbers) > 0 || !a.Turn.IsZero() {
		t.Errorf("it is not erased: %+v", a)
	}
	if keys := w.subjects("KV_"+stream.BucketClaims, "$KV.claims.uid.*"); !slices.Contains(keys, "$KV.claims.uid."+a.Username) {
		t.Errorf("the username may be given again: %v", keys)
	}
}

func TestWhoIsActiveIsNotErased(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.must(w.EmployeeRegistered(t.Context(), w.meta(events.SourceHR, "104711", w.clock()), events.EmployeeRegistered{
		Employee: employee("104711", "Kari", "Nordmann", "kari@example.org", fnr(fnrA)),
	}))
	was := w.find(account.ByLIN, "employee:104711")
	now := was.Clone()
	now.State, now.PasswordSince, now.Invitations = account.Active, w.clock(), nil
	w.must(w.Passwords.SetPassword(t.Context(), was, now, "noe langt og godt 1"))
	if _, err := w.Erase(t.Context(), was.ID, events.Actor{Kind: "it"}); !errors.Is(err, account.ErrInUse) {
		t.Errorf("erasing an active account answers %v", err)
	}
	if a := w.find(account.ByID, was.ID); a.Name.Family != "Nordmann" {
		t.Errorf("it was erased: %+v", a)
	}
}
