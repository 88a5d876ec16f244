package directorytest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"usn.no/matricula/account"
)

func (s *suite) verifies(t *testing.T, username, password string, want error, what string) {
	t.Helper()
	err := s.Portal.Verify(t.Context(), username, password)
	if want == nil && err != nil {
		t.Errorf("%s is refused: %v", what, err)
	} else if want != nil {
		wants(t, err, want, what)
	}
}

func sixteenActivate(t *testing.T, s *suite) {
	was := s.created(t)
	password := func(i int) string { return fmt.Sprintf("passord nummer %d er langt", i) }
	winner := race(t, account.ErrStale, func(ctx context.Context, i int) error {
		return s.Portal.SetPassword(ctx, was, activated(was), password(i))
	})
	same(t, s.find(t, was.ID), activated(was))
	for i := range 16 {
		want := account.ErrWrongPassword
		if i == winner {
			want = nil
		}
		s.verifies(t, was.Username, password(i), want, fmt.Sprintf("password of racer %d, where %d won,", i, winner))
	}
	wants(t, s.Portal.SetPassword(t.Context(), was, activated(was), "et annet passord"), account.ErrStale, "the second click")
	s.verifies(t, was.Username, password(winner), nil, "the first password after a second click")
}

func onlyActive(t *testing.T, s *suite) {
	const password = "et langt passord"
	pending := s.created(t)
	s.verifies(t, pending.Username, password, account.ErrWrongPassword, "a password for an account that has none")
	s.verifies(t, "nobody1", password, account.ErrWrongPassword, "a password for nobody")

	a := s.active(t, password)
	s.verifies(t, a.Username, password, nil, "the password")
	s.verifies(t, a.Username, password+" ", account.ErrWrongPassword, "a password with a blank too many")
	for _, state := range []account.State{account.Suspended, account.Closed} {
		now := a.Clone()
		now.State = state
		b := s.update(t, a, now)
		s.verifies(t, a.Username, password, account.ErrWrongPassword, "the password of a "+string(state)+" account")
		now = b.Clone()
		now.State = account.Active
		a = s.update(t, b, now)
		s.verifies(t, a.Username, password, nil, "the password of a restored account")
	}
}

// knows is verifies for what the portal knows of a password.
func (s *suite) knows(t *testing.T, username, password string, want error, what string) {
	t.Helper()
	if err := s.Portal.Knows(t.Context(), username, password); want == nil && err != nil {
		t.Errorf("%s is not known: %v", what, err)
	} else if want != nil {
		wants(t, err, want, what)
	}
}

func known(t *testing.T, s *suite) {
	const first, second = "passordet i bruk", "passordet etterpå"
	pending := s.created(t)
	for _, username := range []string{pending.Username, "nobody1", ""} {
		s.knows(t, username, first, account.ErrWrongPassword, "a password of somebody who has none")
	}
	a := s.active(t, first)
	for _, state := range []account.State{account.Active, account.Suspended, account.Closed, account.Suspended} {
		if a.State != state {
			now := a.Clone()
			now.State = state
			a = s.update(t, a, now)
		}
		s.knows(t, a.Username, first, nil, "the password of an account that is "+string(state))
		s.knows(t, "KARI"+a.Username[4:], first, nil, "the same under the username in capitals")
		s.knows(t, a.Username, first+" ", account.ErrWrongPassword, "another password")
		s.knows(t, a.Username, "", account.ErrWrongPassword, "no password")
	}
	now := activated(a)
	now.PasswordSince = a.PasswordSince.Add(time.Hour)
	if err := s.Portal.SetPassword(t.Context(), a, now, second); err != nil {
		t.Fatalf("a change of password is refused: %v", err)
	}
	s.knows(t, a.Username, first, account.ErrWrongPassword, "the password before the last one")
	s.knows(t, a.Username, second, nil, "the password that was set last")
}

// compromise is what the worker does at IT's word.
func (s *suite) compromise(t *testing.T, was account.Account) account.Account {
	t.Helper()
	now := was.Clone()
	now.State, now.PasswordGone = account.Suspended, true
	now.Why = account.Why{Reason: account.WhyCompromised, Since: day, By: "it"}
	now.SessionsFrom = day
	now.Invitations = []account.Invitation{{
		ID: fmt.Sprintf("reset%021d", s.fresh()), Purpose: account.PurposeReset, Created: day, Expires: day.AddDate(0, 0, 1),
	}}
	return s.update(t, was, now)
}

func compromised(t *testing.T, s *suite) {
	stolen := []string{"det stjålne passordet", "det andre stjålne"}
	a := s.active(t, stolen[0])
	for i := range stolen {
		a = s.compromise(t, a)
		s.verifies(t, a.Username, stolen[i], account.ErrWrongPassword, "a compromised password")
		for _, old := range stolen[:i+1] {
			wants(t, s.Portal.SetPassword(t.Context(), a, activated(a), old), account.ErrSamePassword, "choosing a compromised password again")
		}
		same(t, s.find(t, a.ID), a)
		next := append(stolen, "et helt nytt passord")[i+1]
		if err := s.Portal.SetPassword(t.Context(), a, activated(a), next); err != nil {
			t.Fatalf("another password is refused: %v", err)
		}
		a = s.find(t, a.ID)
		s.verifies(t, a.Username, next, nil, "the new password")
	}
	for _, old := range stolen {
		wants(t, s.Portal.SetPassword(t.Context(), a, a.Clone(), old), account.ErrSamePassword, "choosing a compromised password after a reset")
	}
}

func inUse(t *testing.T, s *suite) {
	a := s.active(t, "passordet i bruk")
	wants(t, s.Portal.SetPassword(t.Context(), a, a.Clone(), "passordet i bruk"), account.ErrSamePassword, "choosing the password in use")
	if err := s.Portal.SetPassword(t.Context(), a, a.Clone(), "passordet etterpå"); err != nil {
		t.Fatalf("a change of password is refused: %v", err)
	}
	s.verifies(t, a.Username, "passordet etterpå", nil, "the changed password")
	s.verifies(t, a.Username, "passordet i bruk", account.ErrWrongPassword, "the password before it")
	a = s.find(t, a.ID)
	if err := s.Portal.SetPassword(t.Context(), a, a.Clone(), "passordet i bruk"); err != nil {
		t.Errorf("a password that was merely changed cannot be chosen again: %v", err)
	}
}

func spelled(t *testing.T, s *suite) {
	const composed, decomposed = "blåbærsyltetøy på skive", "bla\u030abærsyltetøy pa\u030a skive"
	a := s.active(t, decomposed)
	s.verifies(t, a.Username, composed, nil, "the composed spelling")
	s.verifies(t, a.Username, decomposed, nil, "the decomposed spelling")
	wants(t, s.Portal.SetPassword(t.Context(), a, a.Clone(), composed), account.ErrSamePassword, "the same password in another spelling")
	s.verifies(t, "KARI"+a.Username[4:], composed, nil, "the username in capitals")
}

func noPassword(t *testing.T, s *suite) {
	a := s.active(t, "et langt passord")
	for _, password := range []string{"", "\xff", long + long} {
		s.verifies(t, a.Username, password, account.ErrWrongPassword, "an impossible password")
		wants(t, s.Portal.SetPassword(t.Context(), a, a.Clone(), password), account.ErrInvalid, "setting an impossible password")
	}
	s.verifies(t, "", "et langt passord", account.ErrWrongPassword, "a password without a username")
	now := a.Clone()
	now.PasswordGone = true
	wants(t, s.Portal.SetPassword(t.Context(), a, now, "et annet passord"), account.ErrInvalid, "setting and deleting a password")
	s.verifies(t, a.Username, "et langt passord", nil, "the password after all this")
}
