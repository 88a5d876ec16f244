package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// BucketBrake holds what the brake has counted and holds. Nothing in it
// expires: a hold lasts until somebody releases it.
const BucketBrake = "brake"

// ErrNotHeld is answered where there is nothing to release.
var ErrNotHeld = errors.New("brake holds nothing of this kind")

// Brake counts changes by kind, in the bucket "brake", which all processes
// share and which survives them. When more than Max different accounts ask
// within Per, the kind is held until it is released. The count errs on the safe
// side: an account that was allowed counts whether or not it was changed.
type Brake struct {
	Publisher *Publisher
	Max       int
	Per       time.Duration
	Now       func() time.Time

	mu   sync.Mutex
	held map[string]*holding
}

// holding is what this process knows of a kind that is held: thousands of
// accounts ask again every few seconds, and the answer is one for all.
type holding struct {
	BrakeState
	read  time.Time
	noted map[string]bool
}

// lately is how old word of a hold may be. Word that something is allowed is
// never kept.
const lately = time.Second

// BrakeState is what is stored of one kind.
type BrakeState struct {
	Held     time.Time `json:"held,omitzero"` // since when; zero: nothing is held
	Allowed  []Allowed `json:"allowed,omitempty"`
	Released time.Time `json:"released,omitzero"`
	By       string    `json:"by,omitempty"` // who released
	// Upto is the bucket's sequence at the release: what was noted before it
	// may go.
	Upto uint64 `json:"upto,omitempty"`
}

// Allowed is one account that was let through, and when (Unix seconds).
type Allowed struct {
	Account string `json:"a"`
	At      int64  `json:"t"`
}

// within are those allowed in the period before now.
func (s BrakeState) within(now time.Time, per time.Duration) []Allowed {
	from := now.Add(-per).Unix()
	return slices.DeleteFunc(slices.Clone(s.Allowed), func(a Allowed) bool { return a.At <= from })
}

// Allow tells whether this account may be changed in this way now; see
// account.Brake. An account that is told no is noted, so that it can be shown
// and released.
func (b *Brake) Allow(ctx context.Context, kind, account string) (bool, error) {
	if s, ok := b.remembered(kind); ok {
		return b.hold(ctx, kind, account, s)
	}
	for failed := 0; ; failed++ {
		s, seq, err := b.state(ctx, kind)
		if err != nil {
			return false, err
		}
		now := b.Now()
		s.Allowed = s.within(now, b.Per)
		if !s.Held.IsZero() {
			b.remember(kind, s)
			return b.hold(ctx, kind, account, s)
		}
		if s.allows(account) {
			return true, nil
		}
		if free, err := b.released(ctx, kind, account, s); err != nil || free {
			return free, err
		}
		if len(s.Allowed) >= b.Max {
			s.Held = now
		} else {
			s.Allowed = append(s.Allowed, Allowed{Account: account, At: now.Unix()})
		}
		switch err := b.write(ctx, kind, seq, s); {
		case err == nil && !s.Held.IsZero():
			return b.hold(ctx, kind, account, s)
		case err == nil || !wrongLast(err):
			return err == nil, err
		}
		if err := pause(ctx, failed); err != nil { // somebody else counted
			return false, err
		}
	}
}

// allows tells whether the account has been let through.
func (s BrakeState) allows(account string) bool {
	return slices.ContainsFunc(s.Allowed, func(a Allowed) bool { return a.Account == account })
}

// hold answers for a kind that is held.
func (b *Brake) hold(ctx context.Context, kind, account string, s BrakeState) (bool, error) {
	switch {
	case s.allows(account):
		return true, nil
	case b.noted(kind, account, s.Upto):
		return false, nil
	}
	if free, err := b.released(ctx, kind, account, s); err != nil || free {
		return free, err
	}
	return false, b.note(ctx, kind, account, s)
}

// released tells whether a release covers the account. It does so for the
// accounts that had been noted then, and for a day or the period, whichever is
// longer: one that comes back much later is counted anew.
func (b *Brake) released(ctx context.Context, kind, account string, s BrakeState) (bool, error) {
	if s.Upto == 0 || b.Now().Sub(s.Released) > max(b.Per, 24*time.Hour) {
		return false, nil
	}
	n, err := b.last(ctx, noteKey(kind, account))
	return err == nil && n.seq != 0 && !n.gone && n.seq <= s.Upto, err
}

// note writes down that an account waits, once. Most are new: the first write
// expects nothing to be there.
func (b *Brake) note(ctx context.Context, kind, account string, s BrakeState) error {
	key, seq := noteKey(kind, account), uint64(0)
	for range 2 {
		m := entry(BucketBrake, key, seq, []byte(b.Now().UTC().Format(time.RFC3339)))
		err := b.Publisher.publish(ctx, bucketStream(BucketBrake), nil, m)
		if err == nil {
			break
		}
		if !wrongLast(err) {
			return err
		}
		n, err := b.last(ctx, key)
		if err != nil {
			return err
		}
		if n.seq > s.Upto && !n.gone {
			break // it is noted
		}
		seq = n.seq // of before the last release
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if h := b.held[kind]; h != nil && h.Upto == s.Upto {
		h.noted[account] = true
	}
	return nil
}

// noted tells whether this process has noted the account since the release.
func (b *Brake) noted(kind, account string, upto uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.held[kind]
	return h != nil && h.Upto == upto && h.noted[account]
}

// remembered is a hold that was read just now.
func (b *Brake) remembered(kind string) (BrakeState, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.held[kind]
	if h == nil || time.Since(h.read) >= lately {
		return BrakeState{}, false
	}
	return h.BrakeState, true
}

func (b *Brake) remember(kind string, s BrakeState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held == nil {
		b.held = map[string]*holding{}
	}
	h := b.held[kind]
	if h == nil || h.Upto != s.Upto {
		h = &holding{noted: map[string]bool{}}
		b.held[kind] = h
	}
	h.BrakeState, h.read = s, time.Now()
}

func (b *Brake) forget(kind string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.held, kind)
}

// State answers what is stored of a kind; Allowed is that of the period now.
func (b *Brake) State(ctx context.Context, kind string) (BrakeState, error) {
	s, _, err := b.state(ctx, kind)
	s.Allowed = s.within(b.Now(), b.Per)
	return s, err
}

// Release lets go what waits, and begins to count anew. by is who says so. It
// answers the state before, or ErrNotHeld.
func (b *Brake) Release(ctx context.Context, kind, by string) (BrakeState, error) {
	for failed := 0; ; failed++ {
		before, seq, err := b.state(ctx, kind)
		if err != nil {
			return before, err
		}
		if before.Held.IsZero() {
			return before, fmt.Errorf("%s: %w", kind, ErrNotHeld)
		}
		newest, err := b.last(ctx, ">")
		if err != nil {
			return before, err
		}
		after := BrakeState{Released: b.Now(), By: by, Upto: newest.seq}
		err = b.write(ctx, kind, seq, after)
		if err == nil || !wrongLast(err) {
			b.forget(kind)
			return before, err
		}
		if err := pause(ctx, failed); err != nil {
			return before, err
		}
	}
}

func (b *Brake) state(ctx context.Context, kind string) (BrakeState, uint64, error) {
	var s BrakeState
	if !validKey(kind) {
		return s, 0, errors.New("bucket key is empty or has characters that a key cannot have")
	}
	m, err := b.last(ctx, stateKey(kind))
	if err != nil || m.seq == 0 || m.gone {
		return s, m.seq, err
	}
	if err := json.Unmarshal(m.data, &s); err != nil {
		return s, 0, fmt.Errorf("brake %s: %w", kind, err)
	}
	return s, m.seq, nil
}

func (b *Brake) last(ctx context.Context, key string) (stored, error) {
	return lastOf(ctx, b.Publisher.conn, bucketStream(BucketBrake), bucketSubject(BucketBrake, key))
}

func (b *Brake) write(ctx context.Context, kind string, seq uint64, s BrakeState) error {
	body, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("brake %s: %w", kind, err)
	}
	return b.Publisher.publish(ctx, bucketStream(BucketBrake), nil, entry(BucketBrake, stateKey(kind), seq, body))
}

func stateKey(kind string) string         { return "state." + kind }
func noteKey(kind, account string) string { return "waits." + kind + "." + account }
