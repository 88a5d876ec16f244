package account_test

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
	"usn.no/matricula/directory/directorytest"
)

// memory is a directory in memory: the double of the simulation. It keeps
// every version of every entry, and who wrote it, for the checker.
type memory struct {
	sim     *sim // nil outside a simulation
	mu      sync.Mutex
	entries []*entry
}

type entry struct {
	account.Account
	password string
	kept     []kept
	history  []version
}

type kept struct {
	password string
	since    time.Time
	burnt    bool
}

// version is an entry as one write left it.
type version struct {
	account.Account
	cause    string // ID of the event that was handled, "" for a click
	process  int
	password string
	at       time.Time // true time
}

var (
	_ account.Directory = (*memory)(nil)
	_ account.Passwords = (*memory)(nil)
)

func TestSimDirectoryIsADirectory(t *testing.T) {
	t.Parallel()
	directorytest.Run(t, func(*testing.T) directorytest.Pair {
		m := &memory{}
		return directorytest.Pair{Worker: m, Portal: m}
	})
}

// Find reads one account.
func (m *memory) Find(ctx context.Context, k account.Key) (account.Account, error) {
	if !slices.Contains([]string{account.ByID, account.ByUsername, account.ByInvitation, account.ByHandle, account.ByLIN}, k.Kind) {
		return account.Account{}, account.ErrInvalid
	}
	if err := m.sim.look(ctx, "find"); err != nil {
		return account.Account{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !directory.Possible(k.Value) {
		return account.Account{}, account.ErrNotFound
	}
	for _, e := range m.entries {
		if directory.Has(e.Account, k) {
			return e.Clone(), nil
		}
	}
	return account.Account{}, account.ErrNotFound
}

func (m *memory) named(username string) *entry {
	for _, e := range m.entries {
		if strings.EqualFold(e.Username, username) {
			return e
		}
	}
	return nil
}

// Create writes a new entry.
func (m *memory) Create(ctx context.Context, a account.Account) error {
	a.Revision = 1
	if err := directory.Valid(a); err != nil {
		return err
	}
	return m.sim.effect(ctx, "create", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.named(a.Username) != nil {
			return account.ErrTaken
		}
		e := &entry{}
		m.entries = append(m.entries, e)
		m.wrote(ctx, e, a)
		return nil
	})
}

// wrote puts a into an entry and remembers it.
func (m *memory) wrote(ctx context.Context, e *entry, a account.Account) {
	e.Account = directory.Canonical(a)
	if m.sim == nil {
		return
	}
	cause, process := m.sim.causeOf(ctx)
	v := version{Account: e.Clone(), cause: cause, process: process, password: e.password, at: m.sim.now()}
	var was version
	if len(e.history) > 0 {
		was = e.history[len(e.history)-1]
	}
	e.history = append(e.history, v)
	m.sim.written(was, v)
}

// Update writes now where was is what is there.
func (m *memory) Update(ctx context.Context, was, now account.Account) error {
	return m.update(ctx, "update", was, now, func(e *entry) error {
		if now.PasswordGone {
			e.password = ""
		}
		return nil
	})
}

// SetPassword is Update with the password in the same write.
func (m *memory) SetPassword(ctx context.Context, was, now account.Account, password string) error {
	if now.PasswordGone || password == "" || len(password) > 4096 || !utf8.ValidString(password) {
		return account.ErrInvalid
	}
	password = norm.NFC.String(password)
	return m.update(ctx, "set password", was, now, func(e *entry) error {
		var keep []kept
		for _, k := range e.kept {
			if k.password == password {
				return account.ErrSamePassword
			}
			if k.burnt = k.burnt || was.Why.Reason == account.WhyCompromised; k.burnt {
				keep = append(keep, k)
			}
		}
		slices.SortStableFunc(keep, func(x, y kept) int { return cmp.Or(y.since.Compare(x.since), cmp.Compare(x.password, y.password)) })
		keep = keep[:min(3, len(keep))]
		keep = append(keep, kept{password: password, since: now.PasswordSince})
		e.password, e.kept = password, keep
		return nil
	})
}

func (m *memory) update(ctx context.Context, what string, was, now account.Account, secret func(*entry) error) error {
	if was.Revision == 0 || was.ID != now.ID || was.Username != now.Username {
		return account.ErrInvalid
	}
	now.Revision = was.Revision + 1
	if err := directory.Valid(now); err != nil {
		return err
	}
	return m.sim.effect(ctx, what, func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		e := m.named(was.Username)
		if e == nil {
			return account.ErrNotFound
		}
		if e.ID != was.ID || e.Revision != was.Revision {
			return account.ErrStale
		}
		if err := secret(e); err != nil {
			return err
		}
		m.wrote(ctx, e, now)
		return nil
	})
}

// Each calls f for every account that matches q.
func (m *memory) Each(ctx context.Context, q account.Query, f func(account.Account) bool) error {
	if err := m.sim.look(ctx, "each"); err != nil {
		return err
	}
	for _, a := range m.all() {
		late := !q.Due.IsZero() && (a.Turn.IsZero() || a.Turn.After(q.Due))
		if late || q.Unsent && len(a.Unsent) == 0 || q.State != "" && a.State != q.State {
			continue
		}
		if !f(a) {
			break
		}
	}
	return nil
}

// all are the accounts as they are now.
func (m *memory) all() []account.Account {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []account.Account
	for _, e := range m.entries {
		out = append(out, e.Clone())
	}
	return out
}

// due tells whether time has something to do.
func (m *memory) due(at time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.entries, func(e *entry) bool { return !e.Turn.IsZero() && !e.Turn.After(at) })
}

func (m *memory) carries() bool {
	return slices.ContainsFunc(m.entries, func(e *entry) bool { return len(e.Unsent) > 0 })
}

// Verify tries a password.
func (m *memory) Verify(_ context.Context, username, password string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.named(username)
	if e == nil || e.State != account.Active || e.password == "" || e.password != norm.NFC.String(password) {
		return account.ErrWrongPassword
	}
	return nil
}

// Knows tries the password that was set last.
func (m *memory) Knows(_ context.Context, username, password string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := kept{}
	if e := m.named(username); e != nil {
		for _, k := range e.kept {
			if !k.burnt && (last.password == "" || k.since.After(last.since)) {
				last = k
			}
		}
	}
	if last.password == "" || last.password != norm.NFC.String(password) {
		return account.ErrWrongPassword
	}
	return nil
}

// written holds each write against what no write may do.
func (s *sim) written(was, now version) {
	s.note("    entry %s is %s %s at revision %d by %q", now.Username, now.State, now.Why.Reason, now.Revision, now.cause)
	if was.Revision+1 != now.Revision {
		s.violation("I10", "%s went from revision %d to %d", now.Username, was.Revision, now.Revision)
	}
	for _, n := range was.Numbers {
		if !slices.ContainsFunc(now.Numbers, func(o account.Number) bool { return o.Type == n.Type && o.Value == n.Value }) {
			s.violation("I12", "%s lost a number of type %s", now.Username, n.Type)
		}
	}
	for _, h := range was.Handles {
		if !slices.Contains(now.Handles, h) {
			s.violation("I12", "%s lost a handle", now.Username)
		}
	}
	for _, i := range was.Invitations {
		if held, there := now.Invitation(i.ID); there && held.Purpose != "replaced" && was.Address != "" && was.Address != now.Address {
			s.violation("I9", "%s moved and the link to %s still holds", now.Username, was.Address)
		}
	}
	for _, f := range was.Unsent {
		if !slices.ContainsFunc(now.Unsent, func(o account.Fact) bool { return reflect.DeepEqual(o, f) }) && !s.pub.told(f.What, f.ID) {
			s.violation("I6", "%s lost the fact %s before it was published", now.Username, f.What)
		}
	}
	for _, m := range was.Marks {
		for _, o := range now.Marks {
			if m.Source == o.Source && m.Subject == o.Subject && m.Facet == o.Facet && m.Facet != account.FacetListing &&
				(m.Sequence > 0 && o.Sequence > 0 && o.Sequence < m.Sequence || m.Sequence == 0 && o.Time.Before(m.Time)) {
				s.violation("I10", "the mark of %s in %s went back", m.Facet, now.Username)
			}
		}
	}
	s.decided(was, now)
}

func (v version) String() string { return fmt.Sprintf("%s@%d", v.Username, v.Revision) }
