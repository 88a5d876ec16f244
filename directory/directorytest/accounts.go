package directorytest

import (
	"context"
	"fmt"
	"reflect"
	"strconv"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
)

// full has something in every field. variant makes two that differ in each.
func (s *suite) full(variant int) account.Account {
	id := s.fresh()
	n := strconv.Itoa(id)
	v := strconv.Itoa(variant)
	at := day.AddDate(0, 0, variant)
	a := s.plain()
	a.Why = account.Why{Reason: account.WhyRegistered + v, Since: at, By: "hr"}
	a.Name = account.Name{Given: "Åse Ødegård " + v, Family: "Ærøysdøl 🎓 Ñ" + v, Preferred: "𝔘lla ‹" + v + "›"}
	a.BirthDate = "200" + v + "-05-17"
	a.Address, a.Mobile = "åse+"+v+"@exämple.org", "+47 90 00 00 0"+v
	a.Language, a.Protection, a.Reserved = "n"+v, "confidential"+v, variant == 1
	a.Numbers = []account.Number{
		{Type: "fnr", Value: fmt.Sprintf("8%09d%d", id, variant), Since: at},
		{Type: "so", Value: "0151251007" + v, Since: at.Add(-time.Hour), Replaced: at, Renewed: at.Add(-time.Minute)},
	}
	a.Roles = []account.Role{
		{
			Kind: account.Employee, Key: "E" + n, ID: "1", Start: "2026-12-01", End: "2027-12-0" + v, Unit: "USN-HH", Campus: "Bø",
			Intake: "i", Term: "t", Title: long + v, Since: at,
		},
		{Kind: account.Student, Key: "S" + n, ID: "2", Start: "2027-08-16", Since: at},
		{Kind: account.Student, Key: "S" + n, ID: "3", Start: "2028-01-0" + v, Since: at, Listed: account.Recency{Time: at, Sequence: 3, Position: 4}},
	}
	s.registers(&a, n, v, at)
	a.Affiliations = []string{"employee", "member", []string{"staff", "faculty"}[variant%2]}
	a.Handles = []string{"num." + n + v, "src." + n}
	a.Marks = []account.Mark{
		{Source: "urn:usn:hr", Subject: n, Facet: account.FacetProfile, Time: at, Sequence: 1<<63 + uint64(variant), Position: 7, Changed: true},
		{Source: "urn:usn:hr", Subject: n, Facet: account.FacetState, Time: at},
	}
	a.Invitations = []account.Invitation{
		{ID: "ia" + n + "x" + v, Purpose: account.PurposeActivate, Created: at, Expires: at.AddDate(0, 1, 0)},
		{ID: "ib" + n + "x" + v, Purpose: account.PurposeReset, Created: at.Add(time.Minute), Expires: at.Add(time.Hour)},
	}
	a.Unsent = []account.Fact{
		{What: "account.activated", ID: n + "-a-" + v, At: at, Invitation: "ia" + n, Details: map[string]string{"purpose": "activate", "æ": "<&>"}},
		{What: "rules.accepted", ID: n + "-r-" + v, At: at},
	}
	a.SessionsFrom, a.OpenUntil = at, at.Add(time.Nanosecond)
	return a
}

// registers are what the sources told, and what time and operators made of it.
func (s *suite) registers(a *account.Account, n, v string, at time.Time) {
	newer := account.Recency{Time: at, Sequence: 1 << 63, Position: 9}
	a.Told = []account.Told{
		{
			Source: "urn:usn:admissions", Subject: n, Recency: newer, Name: account.Name{Given: "Åse " + v, Family: "Ø", Preferred: "‹Å›"},
			BirthDate: "2005-05-17", Address: "åse+" + v + "@exämple.org", Mobile: "+47 " + v, Language: "nn", Protection: "none",
		},
		{Source: "urn:usn:hr", Subject: n, Recency: account.Recency{Time: at}, Name: account.Name{Given: "Åse"}, Reserved: true},
	}
	a.Endings = []account.Ending{
		{Source: "urn:usn:hr", Subject: n, Recency: newer, End: "2027-01-3" + v, Reason: "resigned"},
		{Source: "urn:usn:hr", Subject: n, ID: "1", Recency: account.Recency{Time: at}, Reason: "<&>", Cancelled: true},
	}
	a.Orders = []account.Order{
		{What: account.OrderChange, On: true, Until: at.Add(time.Hour), Reason: "phished " + v, By: "Kari Å", Source: "urn:usn:it", Subject: n, Recency: newer},
		{What: account.OrderLock, Recency: account.Recency{Time: at}},
	}
	a.PasswordLost = account.WhyCompromised
	a.Turn, a.Leaving = at.Add(time.Microsecond), "2027-01-3"+v
	a.Merged, a.Erased, a.Adopted = "into"+v, at.Add(time.Minute), at.Add(-time.Minute)
}

func comesBackWhole(t *testing.T, s *suite) {
	want := s.full(1)
	if err := s.Worker.Create(t.Context(), want); err != nil {
		t.Fatalf("a full account cannot be created: %v", err)
	}
	got := s.find(t, want.ID)
	same(t, got, want)
	now := got.Clone()
	now.PasswordSince = day
	now.Rules = account.Acceptance{Version: "2027-1", Hash: "0f", Language: "nn", At: day}
	if err := s.Portal.SetPassword(t.Context(), got, now, "et langt passord 🎓"); err != nil {
		t.Fatalf("its password cannot be set: %v", err)
	}
	got = s.find(t, want.ID)
	same(t, got, now)
	v := reflect.ValueOf(got)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "PasswordGone" {
			t.Errorf("%s is empty in the account of this test: give it a value, so that it is tried", name)
		}
	}
}

func namesComeBack(t *testing.T, s *suite) {
	for _, n := range []account.Name{
		{},
		{Given: "Sukarno"},
		{Family: "Sukarno"},
		{Preferred: "Bono"},
		{Given: "Kari", Family: "Kari"},
		{Given: "Kari", Family: "Nordmann", Preferred: "Kari Nordmann"},
		{Given: "Kari", Preferred: "Kari"},
		{Given: "  Kari  Anne ", Family: "x"},
		{Given: "李", Family: "小龍", Preferred: "Bruce, \"#1\"; <b>\\ +="},
	} {
		a := s.plain()
		a.Name = n
		if err := s.Worker.Create(t.Context(), a); err != nil {
			t.Errorf("an account with the name %+v cannot be created: %v", n, err)
			continue
		}
		same(t, s.find(t, a.ID), a)
	}
}

func createdTwice(t *testing.T, s *suite) {
	a := s.created(t)
	wants(t, s.Worker.Create(t.Context(), a), account.ErrTaken, "creating an account again")
	other := s.plain()
	other.Username = a.Username
	wants(t, s.Worker.Create(t.Context(), other), account.ErrTaken, "creating another account under a username that has one")
	same(t, s.find(t, a.ID), a)
	_, err := s.Worker.Find(t.Context(), account.Key{Kind: account.ByID, Value: other.ID})
	wants(t, err, account.ErrNotFound, "finding the account that was refused")
}

func sixteenCreate(t *testing.T, s *suite) {
	username := s.plain().Username
	racers := make([]account.Account, 16)
	for i := range racers {
		racers[i] = s.plain()
		racers[i].Username = username
	}
	winner := race(t, account.ErrTaken, func(ctx context.Context, i int) error { return s.Worker.Create(ctx, racers[i]) })
	got, err := s.Worker.Find(t.Context(), account.Key{Kind: account.ByUsername, Value: username})
	if err != nil || got.ID != racers[winner].ID {
		t.Errorf("the winner's account is %s, found is %s, error %v", racers[winner].ID, got.ID, err)
	}
}

func tombstone(t *testing.T, s *suite) {
	was := s.created(t)
	now := was.Clone()
	now.State, now.Invitations = account.Closed, nil
	s.update(t, was, now)
	other := s.plain()
	other.Username = was.Username
	wants(t, s.Worker.Create(t.Context(), other), account.ErrTaken, "creating an account under a closed one's username")
}

func everyKey(t *testing.T, s *suite) {
	a := s.full(1)
	if err := s.Worker.Create(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	keys := []account.Key{{Kind: account.ByID, Value: a.ID}, {Kind: account.ByUsername, Value: a.Username}}
	for _, i := range a.Invitations {
		keys = append(keys, account.Key{Kind: account.ByInvitation, Value: i.ID})
	}
	for _, h := range a.Handles {
		keys = append(keys, account.Key{Kind: account.ByHandle, Value: h})
	}
	for _, r := range a.Roles {
		keys = append(keys, account.Key{Kind: account.ByLIN, Value: r.Kind + ":" + r.Key})
	}
	for _, d := range []account.Directory{s.Worker, s.Portal} {
		for _, k := range keys {
			if got, err := d.Find(t.Context(), k); err != nil || got.ID != a.ID {
				t.Errorf("key of kind %s finds %q, error %v", k.Kind, got.ID, err)
			}
		}
	}
	_, err := s.Worker.Find(t.Context(), account.Key{Kind: "colour", Value: "red"})
	wants(t, err, account.ErrInvalid, "finding by a kind of key that there is none")
}

func noPattern(t *testing.T, s *suite) {
	a := s.created(t)
	for _, kind := range []string{account.ByID, account.ByUsername, account.ByInvitation, account.ByHandle, account.ByLIN} {
		for _, value := range []string{
			"", "*", ")(uid=*", "kari*", a.ID[:5] + "*", a.Invitations[0].ID[:10], "\x00", "a\xff", "student:", "..", "a.>", a.ID + " ", long,
		} {
			_, err := s.Worker.Find(t.Context(), account.Key{Kind: kind, Value: value})
			wants(t, err, account.ErrNotFound, "finding by "+kind+" with the value "+strconv.Quote(value[:min(len(value), 20)]))
		}
	}
}

func eachMeets(t *testing.T, s *suite) {
	pending, closed := s.created(t), s.created(t)
	now := closed.Clone()
	now.State = account.Closed
	s.update(t, closed, now)
	met := map[string]int{}
	collect := func(q account.Query) {
		t.Helper()
		clear(met)
		if err := s.Worker.Each(t.Context(), q, func(a account.Account) bool { met[a.ID]++; return true }); err != nil {
			t.Fatalf("each with %+v: %v", q, err)
		}
	}
	collect(account.Query{})
	if met[pending.ID] != 1 || met[closed.ID] != 1 {
		t.Errorf("each met the two accounts %d and %d times", met[pending.ID], met[closed.ID])
	}
	collect(account.Query{State: account.Closed})
	if met[pending.ID] != 0 || met[closed.ID] != 1 {
		t.Errorf("each of the closed met a pending one %d times and the closed one %d times", met[pending.ID], met[closed.ID])
	}
	was := s.find(t, pending.ID)
	now = was.Clone()
	now.Turn = day.Add(time.Hour)
	s.update(t, was, now)
	for late, times := range map[time.Duration]int{0: 0, time.Hour - time.Nanosecond: 0, time.Hour: 1, 2 * time.Hour: 1} {
		if collect(account.Query{Due: day.Add(late)}); met[pending.ID] != times || met[closed.ID] != 0 {
			t.Errorf("%s before its turn (negative: after) an account was met %d times, one without a turn %d times", time.Hour-late, met[pending.ID], met[closed.ID])
		}
	}
	was = s.find(t, pending.ID)
	now = was.Clone()
	now.Turn = time.Time{}
	s.update(t, was, now)
	if collect(account.Query{Due: day.AddDate(9, 0, 0)}); met[pending.ID] != 0 {
		t.Errorf("an account whose turn was taken away was met %d times", met[pending.ID])
	}
	calls := 0
	err := s.Worker.Each(t.Context(), account.Query{}, func(account.Account) bool { calls++; return false })
	if err != nil || calls != 1 {
		t.Errorf("each called %d times after the answer false, error %v", calls, err)
	}
}

func refused(t *testing.T, s *suite) {
	for what, spoil := range map[string]func(*account.Account){
		"no id":               func(a *account.Account) { a.ID = "" },
		"no username":         func(a *account.Account) { a.Username = "" },
		"a state of its own":  func(a *account.Account) { a.State = "asleep" },
		"an impossible date":  func(a *account.Account) { a.BirthDate = "2005-02-30" },
		"a name not in UTF-8": func(a *account.Account) { a.Name.Given = "K\xe5ri" },
		"a spaced invitation": func(a *account.Account) { a.Invitations[0].ID = "a b" },
	} {
		a := s.plain()
		username := a.Username
		spoil(&a)
		wants(t, s.Worker.Create(t.Context(), a), account.ErrInvalid, "creating an account with "+what)
		_, err := s.Worker.Find(t.Context(), account.Key{Kind: account.ByUsername, Value: username})
		wants(t, err, account.ErrNotFound, "finding the account with "+what)

		was := s.created(t)
		now := was.Clone()
		spoil(&now)
		wants(t, s.Worker.Update(t.Context(), was, now), account.ErrInvalid, "updating an account to "+what)
		same(t, s.find(t, was.ID), was)
	}
}

func updateNobody(t *testing.T, s *suite) {
	was := s.plain()
	was.Revision = 1
	now := was.Clone()
	now.Name.Given = "Ola"
	wants(t, s.Worker.Update(t.Context(), was, now), account.ErrNotFound, "updating an account that isn't there")
	wants(t, s.Portal.SetPassword(t.Context(), was, activated(was), "et langt passord"), account.ErrNotFound, "setting its password")
	_, err := s.Worker.Find(t.Context(), account.Key{Kind: account.ByUsername, Value: directory.Canonical(was).Username})
	wants(t, err, account.ErrNotFound, "finding it afterwards")
}
