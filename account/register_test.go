package account_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
)

var june = time.Date(2027, 6, 1, 9, 0, 0, 0, time.UTC)

func TestRegistrationMakesAPendingAccountAndItsEffectsOnce(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		m := w.meta(events.SourceHR, "104711", june)
		e := events.EmployeeRegistered{Employee: employee("104711", "Kari", "Nordmann", "kari@example.org", fnr(fnrA))}
		for range 3 { // delivered again and again
			w.must(w.EmployeeRegistered(t.Context(), m, e))
		}
		a := w.find(account.ByLIN, "employee:104711")
		if a.State != account.Pending || a.Username != "karnor" || len(a.Affiliations) != 0 {
			t.Errorf("account is %s as %s with %v", a.State, a.Username, a.Affiliations)
		}
		if got := w.facts(); got["account.created"] != 1 || got["account.invited"] != 1 || got["account.updated"] != 0 {
			t.Errorf("facts after three deliveries: %v", got)
		}
		if got := w.letters(); got["activation"] != 1 || len(got) != 1 {
			t.Errorf("letters after three deliveries: %v", got)
		}
		if err := w.Passwords.Verify(t.Context(), a.Username, "anything"); !errors.Is(err, account.ErrWrongPassword) {
			t.Errorf("a pending account answers %v to a password", err)
		}
	})
}

// HR and admissions announce one person at the same moment, with names spelled
// differently: one account, whoever is first.
func TestHRAndAdmissionsAtOnceMakeOneAccount(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		for round := range 8 {
			number := numbers(t)[round]
			hr := w.meta(events.SourceHR, fmt.Sprint(104000+round), june)
			adm := w.meta(events.SourceAdmissions, fmt.Sprint(256000+round), june)
			family := "Aasen" + string(rune('a'+round))
			var both sync.WaitGroup
			errs := make([]error, 2)
			both.Go(func() {
				errs[0] = w.EmployeeRegistered(t.Context(), hr, events.EmployeeRegistered{Employee: employee(hr.Subject, "Bjørn", "Å"+family[2:], "b@example.org", fnr(number))})
			})
			both.Go(func() {
				errs[1] = w.StudentRegistered(t.Context(), adm, events.StudentRegistered{Student: student(adm.Subject, "Bjoern", family, "b@example.org", fnr(number))})
			})
			both.Wait()
			w.must(errors.Join(errs...))
			if got := len(w.all()); got != round+1 {
				t.Fatalf("round %d: %d accounts, not %d", round, got, round+1)
			}
			a := w.find(account.ByLIN, "employee:"+hr.Subject)
			if b := w.find(account.ByLIN, "student:"+adm.Subject); a.ID != b.ID || len(a.Roles) != 2 {
				t.Fatalf("round %d: employee is %s, student is %s, roles %d", round, a.ID, b.ID, len(a.Roles))
			}
		}
		if got := w.facts()["account.created"]; got != 8 {
			t.Errorf("%d created facts for 8 persons", got)
		}
	})
}

func TestOlderFullStateChangesNothingAndNumbersAreKept(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		no := "256801"
		w.must(w.StudentRegistered(t.Context(), w.meta(events.SourceAdmissions, no, june), events.StudentRegistered{Student: student(no, "Sigrid", "Li", "new@example.org", fnr(fnrA))}))
		old := student(no, "Sigrid", "Li", "old@example.org", fnr(fnrA))
		w.must(w.StudentUpdated(t.Context(), w.meta(events.SourceAdmissions, no, june.Add(-time.Hour)), events.StudentUpdated{Student: old}))
		a := w.find(account.ByUsername, no)
		if a.Address != "new@example.org" || len(a.Numbers) != 1 || !a.Numbers[0].Since.Equal(june.Add(-time.Hour)) {
			t.Errorf("an older update left address %s and %d numbers", a.Address, len(a.Numbers))
		}
		if !a.Roles[0].Since.Equal(june.Add(-time.Hour)) {
			t.Errorf("the programme counts from %s, and was recorded an hour before", a.Roles[0].Since)
		}
		older := student(no, "Sigrid", "Li", "older@example.org", nil)
		older.Programmes = nil
		w.must(w.StudentUpdated(t.Context(), w.meta(events.SourceAdmissions, no, june.Add(-2*time.Hour)), events.StudentUpdated{Student: older}))
		if b := w.find(account.ByUsername, no); !reflect.DeepEqual(b.Roles, a.Roles) || len(b.Numbers) != 1 || b.Address != a.Address {
			t.Errorf("an older update with nothing in it left %d roles, %d numbers, address %s", len(b.Roles), len(b.Numbers), b.Address)
		}
		if got := w.facts()["account.updated"]; got != 0 {
			t.Errorf("what changed nothing is audited %d times", got)
		}
	})
}

func TestNewerUpdateIsAuditedOnceHoweverOftenItComes(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		no := "256801"
		w.must(w.StudentRegistered(t.Context(), w.meta(events.SourceAdmissions, no, june), events.StudentRegistered{Student: student(no, "Sigrid", "Li", "old@example.org", fnr(fnrA))}))
		m := w.meta(events.SourceAdmissions, no, june.Add(time.Hour))
		for range 3 {
			w.must(w.StudentUpdated(t.Context(), m, events.StudentUpdated{Student: student(no, "Sigrid", "Li", "new@example.org", fnr(fnrA))}))
		}
		same := w.meta(events.SourceAdmissions, no, june.Add(2*time.Hour))
		for range 2 {
			w.must(w.StudentUpdated(t.Context(), same, events.StudentUpdated{Student: student(no, "Sigrid", "Li", "new@example.org", fnr(fnrA))}))
		}
		if a := w.find(account.ByUsername, no); a.Address != "new@example.org" {
			t.Errorf("address is %s", a.Address)
		}
		if got := w.facts()["account.updated"]; got != 1 {
			t.Errorf("one change is audited %d times", got)
		}
	})
}

func TestSONumberComesLaterAndIsMailedOnce(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		no := "256789"
		w.must(w.StudentRegistered(t.Context(), w.meta(events.SourceAdmissions, no, june), events.StudentRegistered{Student: student(no, "Asha", "", "asha@example.com", nil)}))
		a := w.find(account.ByUsername, no)
		if w.Lacks(a) != "number" || len(w.letters()) != 0 {
			t.Fatalf("without a number it lacks %q and has letters %v", w.Lacks(a), w.letters())
		}
		m := w.meta(events.SourceAdmissions, no, june.AddDate(0, 0, -1)) // recorded before the registration was
		for range 2 {
			w.must(w.SONumberIssued(t.Context(), m, events.SONumberIssued{StudentNo: no, SONumber: soA}))
		}
		if got := w.letters(); got["so-number"] != 1 || got["activation"] != 1 {
			t.Errorf("letters: %v", got)
		}
		if a = w.find(account.ByUsername, no); w.Lacks(a) != "" {
			t.Errorf("with the number it lacks %q", w.Lacks(a))
		}
		fn := w.meta(events.SourceAdmissions, no, june.AddDate(0, 0, 9))
		w.must(w.StudentUpdated(t.Context(), fn, events.StudentUpdated{Student: student(no, "Asha", "", "asha@example.com", fnr(fnrB))}))
		if n, _ := w.find(account.ByUsername, no).Current(); n.Type != "fnr" {
			t.Errorf("number in force is a %s", n.Type)
		}
		if got := w.letters()["so-number"]; got != 1 {
			t.Errorf("%d SO-number letters after a higher number came", got)
		}
	})
}

func TestSONumberForNobodyWaitsADayAndIsThenAnOrphan(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	m := w.meta(events.SourceAdmissions, "256999", june)
	err := w.SONumberIssued(t.Context(), m, events.SONumberIssued{StudentNo: "256999", SONumber: soA})
	if at, later := events.Postponed(err); !later || !at.After(w.clock()) {
		t.Fatalf("a delta for an unknown person answers %v", err)
	}
	w.at(w.clock().Add(25 * time.Hour))
	r, ok := events.Rejected(w.SONumberIssued(t.Context(), m, events.SONumberIssued{StudentNo: "256999", SONumber: soA}))
	if !ok || r.Reason != events.ReasonOrphan {
		t.Fatalf("after a day it is %+v", r)
	}
}

func TestWrongCheckDigitIsRefusedWithItsFieldAndWithoutItsDigits(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	err := w.EmployeeRegistered(t.Context(), w.meta(events.SourceHR, "104711", june),
		events.EmployeeRegistered{Employee: employee("104711", "Kari", "Nordmann", "kari@example.org", fnr("17912099987"))})
	r, ok := events.Rejected(err)
	if !ok || r.Reason != events.ReasonInvalid || r.Field != "data.identifiers[0].value" {
		t.Fatalf("rejection is %+v (%v)", r, err)
	}
	if strings.Contains(err.Error(), "17912099987") {
		t.Error("the rejection holds the number")
	}
	if len(w.all()) != 0 {
		t.Error("a refused event made an account")
	}
}

func TestPlaceholderAndPassportAreNoNumber(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	ids := []events.Identifier{{Type: "passport", Value: "AB123456"}}
	w.must(w.EmployeeRegistered(t.Context(), w.meta(events.SourceHR, "104711", june),
		events.EmployeeRegistered{Employee: employee("104711", "Kari", "Nordmann", "kari@example.org", ids)}))
	if a := w.find(account.ByLIN, "employee:104711"); len(a.Numbers) != 0 || w.Lacks(a) != "number" {
		t.Errorf("a passport counts as %d numbers, lacking %q", len(a.Numbers), w.Lacks(a))
	}
}

func TestNumberOfTwoAccountsIsParkedAndChangesNothing(t *testing.T) {
	everyWorld(t, func(t *testing.T, w *world) {
		w.must(w.EmployeeRegistered(t.Context(), w.meta(events.SourceHR, "104711", june), events.EmployeeRegistered{Employee: employee("104711", "Kari", "Nordmann", "k@example.org", fnr(fnrA))}))
		w.must(w.StudentRegistered(t.Context(), w.meta(events.SourceAdmissions, "256801", june), events.StudentRegistered{Student: student("256801", "Ola", "Li", "o@example.org", fnr(fnrB))}))
		before := w.all()
		later := events.StudentUpdated{Student: student("256801", "Ola", "Li", "new@example.org", fnr(fnrA))}
		r, ok := events.Rejected(w.StudentUpdated(t.Context(), w.meta(events.SourceAdmissions, "256801", june.Add(time.Hour)), later))
		if !ok || r.Reason != events.ReasonParked {
			t.Fatalf("one number on two accounts answers %+v", r)
		}
		for _, a := range before {
			if !strings.Contains(r.Text, a.ID) {
				t.Errorf("the dead letter does not name account %s: %s", a.ID, r.Text)
			}
			if now := w.find(account.ByID, a.ID); now.Revision != a.Revision {
				t.Errorf("account %s was changed", a.ID)
			}
		}
	})
}

func TestSameNameGetsTheNextUsername(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	var names []string
	for i, n := range numbers(t)[:4] {
		no := fmt.Sprint(104800 + i)
		w.must(w.EmployeeRegistered(t.Context(), w.meta(events.SourceHR, no, june), events.EmployeeRegistered{Employee: employee(no, "Kari", "Nordmann", "k@example.org", fnr(n))}))
		names = append(names, w.find(account.ByLIN, "employee:"+no).Username)
	}
	sorted := slices.Clone(names)
	slices.Sort(sorted)
	if len(slices.Compact(sorted)) != 4 || names[0] != "karnor" {
		t.Errorf("four of one name are called %v", names)
	}
}

// refusals counts claims that somebody else's hold refused.
type refusals struct {
	account.Claims
	n atomic.Int32
}

func (r *refusals) Take(ctx context.Context, keys []string, value []byte) (map[string][]byte, error) {
	held, err := r.Claims.Take(ctx, keys, value)
	if len(held) > 0 {
		r.n.Add(1)
	}
	return held, err
}

// A claim that is refused costs everybody who is written together with it.
func TestTakenNameIsSeenBeforeItIsClaimed(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	claims := &refusals{Claims: w.Claims}
	w.Claims = claims
	for i, number := range numbers(t) {
		no := fmt.Sprint(104700 + i)
		m := w.meta(events.SourceHR, no, june)
		e := events.EmployeeRegistered{Employee: employee(no, "Kari", "Nordmann", "", fnr(number))}
		for range 2 {
			w.must(w.EmployeeRegistered(t.Context(), m, e))
		}
		want := "karnor"
		if i > 0 {
			want += fmt.Sprint(i + 1)
		}
		if a := w.find(account.ByLIN, "employee:"+no); a.Username != want {
			t.Errorf("employee %d goes by %s, not by %s", i, a.Username, want)
		}
	}
	if n := claims.n.Load(); n > 0 {
		t.Errorf("%d claims were refused", n)
	}
}

func TestProtectedPersonsUsernameIsNotFromTheName(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	e := employee("104711", "Kari", "Nordmann", "k@example.org", fnr(fnrA))
	e.Protection = "strictly_confidential"
	w.must(w.EmployeeRegistered(t.Context(), w.meta(events.SourceHR, "104711", june), events.EmployeeRegistered{Employee: e}))
	if got := w.find(account.ByLIN, "employee:104711").Username; strings.Contains(got, "kar") || strings.Contains(got, "nor") {
		t.Errorf("a protected person is called %s", got)
	}
}
