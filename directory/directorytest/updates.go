package directorytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"usn.no/matricula/account"
)

func updateChangesAll(t *testing.T, s *suite) {
	was := s.full(1)
	if err := s.Worker.Create(t.Context(), was); err != nil {
		t.Fatal(err)
	}
	was = s.find(t, was.ID)
	now := s.full(2)
	now.ID, now.Username = was.ID, was.Username
	got := s.update(t, was, now)
	same(t, got, now)
	if got.Revision != was.Revision+1 {
		t.Errorf("revision went from %d to %d", was.Revision, got.Revision)
	}
	empty := account.Account{ID: was.ID, Username: was.Username, State: account.Suspended}
	same(t, s.update(t, got, empty), empty)
	for _, k := range []account.Key{
		{Kind: account.ByHandle, Value: was.Handles[0]}, {Kind: account.ByInvitation, Value: now.Invitations[0].ID},
		{Kind: account.ByLIN, Value: "student:" + now.Roles[1].Key},
	} {
		_, err := s.Worker.Find(t.Context(), k)
		wants(t, err, account.ErrNotFound, "finding by a "+k.Kind+" that was taken away")
	}
}

func staleUpdate(t *testing.T, s *suite) {
	was := s.created(t)
	now := was.Clone()
	now.Name.Given = "Ola"
	got := s.update(t, was, now)
	late := was.Clone()
	late.Name.Given = "Per"
	late.Invitations = nil
	late.PasswordGone = true
	wants(t, s.Worker.Update(t.Context(), was, late), account.ErrStale, "an update of what was read before another")
	wants(t, s.Worker.Update(t.Context(), was, was), account.ErrStale, "an update of nothing, read before another")
	wants(t, s.Portal.SetPassword(t.Context(), was, activated(was), "et langt passord"), account.ErrStale, "a password for what was read before")
	after := s.find(t, was.ID)
	same(t, after, got)
	if after.Revision != got.Revision {
		t.Errorf("a refused update moved the revision from %d to %d", got.Revision, after.Revision)
	}
}

func sixteenTransition(t *testing.T, s *suite) {
	was := s.active(t, "et langt passord")
	winner := race(t, account.ErrStale, func(ctx context.Context, i int) error {
		now := was.Clone()
		now.State = []account.State{account.Suspended, account.Closed}[i%2]
		now.Why.By = fmt.Sprint("racer", i)
		return s.Worker.Update(ctx, was, now)
	})
	got := s.find(t, was.ID)
	if got.Why.By != fmt.Sprint("racer", winner) || got.State != []account.State{account.Suspended, account.Closed}[winner%2] {
		t.Errorf("racer %d won, the account is %s by %s", winner, got.State, got.Why.By)
	}
}

func noLostUpdate(t *testing.T, s *suite) {
	a := s.created(t)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 4 {
				for {
					was, err := s.Worker.Find(t.Context(), account.Key{Kind: account.ByID, Value: a.ID})
					if err != nil {
						t.Errorf("writer %d cannot read: %v", w, err)
						return
					}
					now := was.Clone()
					now.Handles = append(now.Handles, fmt.Sprintf("num.%s.%d.%d", a.ID, w, i))
					if err = s.Worker.Update(t.Context(), was, now); err == nil {
						break
					}
					if !errors.Is(err, account.ErrStale) {
						t.Errorf("writer %d got %v", w, err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	if got := s.find(t, a.ID); len(got.Handles) != len(a.Handles)+32 || got.Revision != a.Revision+32 {
		t.Errorf("of 32 updates %d handles and %d revisions are left", len(got.Handles)-len(a.Handles), got.Revision-a.Revision)
	}
}

func invitationSpent(t *testing.T, s *suite) {
	a := s.plain()
	second := a.Invitations[0]
	second.ID, second.Purpose = "second"+a.ID, account.PurposeReset
	a.Invitations = append(a.Invitations, second)
	if err := s.Worker.Create(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	was := s.find(t, a.ID)
	now := was.Clone()
	now.Invitations = slices.DeleteFunc(now.Invitations, func(i account.Invitation) bool { return i.ID != second.ID })
	if err := s.Portal.Update(t.Context(), was, now); err != nil {
		t.Fatalf("the portal cannot spend an invitation: %v", err)
	}
	if got := s.find(t, a.ID); len(got.Invitations) != 1 || got.Invitations[0] != second {
		t.Errorf("left are the invitations %+v", got.Invitations)
	}
	_, err := s.Portal.Find(t.Context(), account.Key{Kind: account.ByInvitation, Value: a.Invitations[0].ID})
	wants(t, err, account.ErrNotFound, "finding by a spent invitation")
	if got, err := s.Portal.Find(t.Context(), account.Key{Kind: account.ByInvitation, Value: second.ID}); err != nil || got.ID != a.ID {
		t.Errorf("the other invitation finds %q, error %v", got.ID, err)
	}
}

func factsFound(t *testing.T, s *suite) {
	a := s.active(t, "et langt passord")
	found := func() (got []account.Fact) {
		t.Helper()
		err := s.Worker.Each(t.Context(), account.Query{Unsent: true}, func(b account.Account) bool {
			if len(b.Unsent) == 0 {
				t.Errorf("account %s has no unsent fact", b.ID)
			}
			if b.ID == a.ID {
				got = b.Unsent
			}
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := found(); len(got) != 1 || got[0].ID != a.ID+"-activated" {
		t.Fatalf("the fact of the click is found as %+v", got)
	}
	was := a
	now := was.Clone()
	now.Unsent = append(now.Unsent, account.Fact{What: "pin.set", ID: a.ID + "-pin", At: day, Details: map[string]string{"å": "1"}})
	if err := s.Portal.Update(t.Context(), was, now); err != nil {
		t.Fatalf("the portal cannot leave a fact: %v", err)
	}
	was = s.find(t, a.ID)
	now = was.Clone()
	now.Unsent = slices.DeleteFunc(now.Unsent, func(f account.Fact) bool { return f.What == "account.activated" })
	s.update(t, was, now)
	if got := found(); len(got) != 1 || got[0].ID != a.ID+"-pin" {
		t.Errorf("after one of two facts is removed %+v is found", got)
	}
	was = s.find(t, a.ID)
	now = was.Clone()
	now.Unsent = nil
	s.update(t, was, now)
	if got := found(); len(got) != 0 {
		t.Errorf("after all facts are removed %+v is found", got)
	}
}
