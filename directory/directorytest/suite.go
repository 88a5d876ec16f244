// Package directorytest says by tests what a directory is: every
// implementation of account.Directory and account.Passwords passes the same
// ones. It must not know how any of them stores an account.
package directorytest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
)

// Portal is a directory as the portal may use it.
type Portal interface {
	account.Directory
	account.Passwords
}

// Pair is one directory as its two roles see it: the worker creates and
// changes people, the portal sets passwords.
type Pair struct {
	Worker account.Directory
	Portal Portal
}

// Run runs the suite on one directory, which may be in use by others.
func Run(t *testing.T, open func(t *testing.T) Pair) {
	t.Helper()
	s := &suite{Pair: open(t)}
	for _, test := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"AnAccountComesBackWhole", comesBackWhole},
		{"NamesOfEveryShapeComeBack", namesComeBack},
		{"CreatedTwiceIsTaken", createdTwice},
		{"OneOfSixteenCreates", sixteenCreate},
		{"ATombstoneKeepsItsUsername", tombstone},
		{"EveryKeyFindsItsAccount", everyKey},
		{"NoKeyFindsByPattern", noPattern},
		{"AnUpdateChangesEveryField", updateChangesAll},
		{"AStaleUpdateChangesNothing", staleUpdate},
		{"OneOfSixteenTransitions", sixteenTransition},
		{"NoUpdateIsLost", noLostUpdate},
		{"AnInvitationIsSpentByItsValue", invitationSpent},
		{"FactsAreFoundUntilRemoved", factsFound},
		{"EachMeetsEveryAccountOnce", eachMeets},
		{"WhatCannotBeStoredIsRefused", refused},
		{"AnUpdateOfNobodyIsNotFound", updateNobody},
		{"OneOfSixteenActivates", sixteenActivate},
		{"OnlyAnActiveAccountHasAPassword", onlyActive},
		{"ACompromisedPasswordIsNotChosenAgain", compromised},
		{"ThePasswordInUseIsRefused", inUse},
		{"ThePasswordSetLastIsKnownInEveryState", known},
		{"APasswordIsOneHoweverItIsSpelled", spelled},
		{"NoPasswordIsNoPassword", noPassword},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, s)
		})
	}
}

type suite struct {
	Pair
	mu   sync.Mutex
	next int
}

// fresh is a number nobody else in this run has.
func (s *suite) fresh() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	return s.next
}

var day = time.Date(2027, 8, 1, 7, 0, 0, 123456789, time.UTC)

// plain is a pending student, not yet created.
func (s *suite) plain() account.Account {
	n := s.fresh()
	return account.Account{
		ID: fmt.Sprintf("id%024d", n), Username: fmt.Sprintf("kari%05d", n), Origin: fmt.Sprintf("urn:x/%d", n),
		State: account.Pending, Why: account.Why{Reason: account.WhyRegistered, Since: day, By: "admissions"},
		Name: account.Name{Given: "Kari", Family: "Nordmann"}, Language: "nb",
		Roles:   []account.Role{{Kind: account.Student, Key: fmt.Sprint(100000 + n), ID: "1", Start: "2027-08-16", Since: day}},
		Handles: []string{fmt.Sprintf("src.%d", n)},
		Invitations: []account.Invitation{{
			ID: fmt.Sprintf("inv%023d", n), Purpose: account.PurposeActivate, Created: day, Expires: day.AddDate(0, 1, 0),
		}},
	}
}

// created is a plain account as the directory has it.
func (s *suite) created(t *testing.T) account.Account {
	t.Helper()
	a := s.plain()
	if err := s.Worker.Create(t.Context(), a); err != nil {
		t.Fatalf("an account cannot be created: %v", err)
	}
	return s.find(t, a.ID)
}

func (s *suite) find(t *testing.T, id string) account.Account {
	t.Helper()
	a, err := s.Portal.Find(t.Context(), account.Key{Kind: account.ByID, Value: id})
	if err != nil {
		t.Fatalf("account %s is not found: %v", id, err)
	}
	return a
}

// activated is what a click makes of an account.
func activated(was account.Account) account.Account {
	now := was.Clone()
	now.State = account.Active
	now.Why = account.Why{Reason: account.WhyActivated, Since: day.Add(time.Hour), By: "person"}
	now.Invitations = nil
	now.PasswordSince, now.SessionsFrom = day.Add(time.Hour), day.Add(time.Hour)
	now.Affiliations = []string{"member", "student"}
	now.Rules = account.Acceptance{Version: "2027-1", Hash: "abc", Language: "nn", At: day.Add(time.Hour)}
	now.Unsent = append(now.Unsent, account.Fact{What: "account.activated", ID: was.ID + "-activated", At: day.Add(time.Hour)})
	return now
}

// active is an account with this password.
func (s *suite) active(t *testing.T, password string) account.Account {
	t.Helper()
	was := s.created(t)
	if err := s.Portal.SetPassword(t.Context(), was, activated(was), password); err != nil {
		t.Fatalf("an account cannot be activated: %v", err)
	}
	return s.find(t, was.ID)
}

func (s *suite) update(t *testing.T, was, now account.Account) account.Account {
	t.Helper()
	if err := s.Worker.Update(t.Context(), was, now); err != nil {
		t.Fatalf("an account cannot be updated: %v", err)
	}
	return s.find(t, was.ID)
}

// same compares what is there with what was to be.
func same(t *testing.T, got, want account.Account) {
	t.Helper()
	want = directory.Canonical(want)
	want.Revision = got.Revision
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range g.NumField() {
		if !reflect.DeepEqual(g.Field(i).Interface(), w.Field(i).Interface()) {
			t.Errorf("%s came back as\n%#v, not as\n%#v", g.Type().Field(i).Name, g.Field(i).Interface(), w.Field(i).Interface())
		}
	}
}

func wants(t *testing.T, err, want error, what string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s answered %v, not %q", what, err, want)
	}
}

// race runs f sixteen times at once and answers who got no error; every other
// must have got want.
func race(t *testing.T, want error, f func(ctx context.Context, i int) error) int {
	t.Helper()
	const racers = 16
	errs := make([]error, racers)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			<-start
			errs[i] = f(t.Context(), i)
		})
	}
	close(start)
	wg.Wait()
	winner, winners := -1, 0
	for i, err := range errs {
		if err == nil {
			winner, winners = i, winners+1
		} else if !errors.Is(err, want) {
			t.Errorf("a loser got %v, not %q", err, want)
		}
	}
	if winners != 1 {
		t.Fatalf("%d of %d racers won, not one", winners, racers)
	}
	return winner
}

var long = strings.Repeat("Ærlig øl på ås 🎓 𝔘 ", 400)
