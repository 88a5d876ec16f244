package account_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/policy"
	"usn.no/matricula/stream"
	"usn.no/matricula/testkit"
)

// tally counts letters and audit facts.
type tally struct {
	mu   sync.Mutex
	n    map[string]int
	seen map[string]bool
}

func (c *tally) Publish(_ context.Context, evs ...events.Event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range evs {
		if c.seen[e.ID] {
			continue
		}
		c.seen[e.ID] = true
		switch d := e.Data.(type) {
		case events.MailRequest:
			c.n["letter "+d.Template]++
		case events.Audit:
			c.n[d.What]++
		}
	}
	return nil
}

func (c *tally) count(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[what]
}

// indexed finds by ID without looking at everybody.
type indexed struct {
	*memory
	ids map[string]*entry
}

func (d *indexed) Find(ctx context.Context, k account.Key) (account.Account, error) {
	if e := d.ids[k.Value]; k.Kind == account.ByID && e != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		return e.Clone(), nil
	}
	return d.memory.Find(ctx, k)
}

// staff is a directory in memory with many active employees, and a brake over a
// broker.
type staff struct {
	*account.Lifecycle
	t     *testing.T
	dir   *memory
	told  *tally
	brake *stream.Brake
	now   time.Time
}

func newStaff(t *testing.T, n, maximum int) *staff {
	t.Helper()
	js := testkit.NATS(t).JetStream()
	if err := stream.Declare(t.Context(), js, stream.DefaultSettings(), false); err != nil {
		t.Fatal(err)
	}
	pub := stream.NewPublisher(js)
	t.Cleanup(func() { _ = pub.Close(context.Background()) })
	s := &staff{t: t, dir: &memory{}, told: &tally{n: map[string]int{}, seen: map[string]bool{}}, now: time.Date(2027, 7, 20, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return s.now }
	s.brake = &stream.Brake{Publisher: pub, Max: maximum, Per: 24 * time.Hour, Now: clock}
	s.Lifecycle = &account.Lifecycle{
		Directory: s.dir, Passwords: s.dir, Claims: &claims{held: map[string][]byte{}}, Publisher: s.told, Waiting: hole{}, Brake: s.brake,
		Windows: policy.DefaultWindows(), Letters: account.DefaultLetterRules(), Leaving: account.DefaultLeavingRules(),
		Identity: account.Identity{Key: bytes.Repeat([]byte{7}, 32), Version: 1}, Realm: "usn.example", Synthetic: true, Now: clock,
	}
	for i := range n {
		s.tell(i, events.EmployeeUpdated{Employee: s.person(i)}, -48*time.Hour)
	}
	found := &indexed{s.dir, map[string]*entry{}}
	for _, e := range s.dir.entries {
		e.State, e.Why, e.PasswordSince, e.Unsent = account.Active, account.Why{Reason: account.WhyActivated, Since: s.now}, s.now, nil
		found.ids[e.ID] = e
	}
	s.Directory = found
	return s
}

func (s *staff) person(i int) events.Employee {
	e := employee(fmt.Sprint(100000+i), "Kari", "Nordmann", fmt.Sprintf("kari%d@example.org", i), nil)
	e.Protection = "confidential" // a username that nobody else has
	return e
}

// tell delivers word of HR about the i-th person.
func (s *staff) tell(i int, d events.Data, ago time.Duration) {
	s.t.Helper()
	no := fmt.Sprint(100000 + i)
	m := events.Meta{ID: fmt.Sprintf("%s-%s-%d", no, d.EventType(), s.now.Add(ago).Unix()), Source: events.SourceHR, Subject: no, Time: s.now.Add(ago)}
	var err error
	switch d := d.(type) {
	case events.EmployeeUpdated:
		err = s.EmployeeUpdated(s.t.Context(), m, d)
	case events.EmployeeEnded:
		err = s.EmployeeEnded(s.t.Context(), m, d)
	}
	if err != nil {
		s.t.Fatalf("event %s: %v", m.ID, err)
	}
}

// pass lets time take its turns.
func (s *staff) pass() {
	s.t.Helper()
	if _, err := s.TakeTurns(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *staff) states() map[account.State]int {
	out := map[account.State]int{}
	for _, e := range s.dir.entries {
		out[e.State]++
	}
	return out
}

func TestBrakeStopsThousandsOfWrongEndings(t *testing.T) {
	t.Parallel()
	const people, maximum, corrected = brakedPeople, 25, 200
	s := newStaff(t, people, maximum)
	for i := range people {
		s.tell(i, events.EmployeeEnded{EmployeeNo: fmt.Sprint(100000 + i), End: "2027-05-31", Reason: "expired"}, -time.Hour)
	}
	s.pass()
	s.pass()
	if n := s.states(); n[account.Suspended] != maximum || n[account.Active] != people-maximum {
		t.Fatalf("a brake of %d let the accounts become %v", maximum, n)
	}
	if n := s.told.count("letter " + events.LetterLeaving); n > maximum {
		t.Errorf("%d letters say that somebody leaves", n)
	}
	if n := s.told.count(events.AuditSuspended); n != maximum {
		t.Errorf("%d suspensions are told", n)
	}

	// Everything else of a held account goes on, and IT is never held.
	last := s.person(people - 1)
	last.Contact.Email = "new@example.org"
	last.Employments[0].End = "2027-05-31"
	s.tell(people-1, events.EmployeeUpdated{Employee: last}, -time.Minute)
	held := s.dir.entries[people-1].Account
	if held.Address != "new@example.org" || held.State != account.Active {
		t.Errorf("a held account does not take a new address, or is %s", held.State)
	}
	order := events.Meta{ID: "it-1", Source: events.SourceIT, Subject: held.Username, Time: s.now}
	if err := s.AccountSuspended(t.Context(), order, events.AccountSuspended{Command: events.Command{Username: held.Username, Actor: "soc"}}); err != nil {
		t.Fatal(err)
	}
	if a := s.dir.entries[people-1].Account; a.State != account.Suspended || a.Why.Reason != account.WhyLocked {
		t.Errorf("IT's order was held: the account is %s, %s", a.State, a.Why.Reason)
	}

	// The feed is corrected for some before anybody releases: nothing happens to them.
	for i := people - 1 - corrected; i < people-1; i++ {
		s.tell(i, events.EmployeeUpdated{Employee: s.person(i)}, -time.Second)
	}
	s.pass()
	if _, err := s.brake.Release(t.Context(), account.BrakeSuspended, "ola.drift"); err != nil {
		t.Fatal(err)
	}
	s.pass()
	n := s.states()
	if n[account.Active] != corrected || n[account.Suspended]+n[account.Closed] != people-corrected {
		t.Errorf("of %d people, %d of them corrected, the release made %v", people, corrected, n)
	}
	if letters := s.told.count("letter " + events.LetterLeaving); letters > maximum {
		t.Errorf("releasing suspensions released %d letters", letters)
	}
}
