package mailer

import (
	"fmt"
	"sync"
	"time"
)

// Pauses of a breaker double from the first to the longest. A refused login
// pauses at once and for longer: relays lock accounts that keep failing.
const (
	breakerTries   = 3 // connections that fail in a row
	breakerFirst   = 5 * time.Second
	breakerLongest = 5 * time.Minute
	loginFactor    = 6
)

// breaker keeps from a relay that cannot be reached, or that refuses the
// login. After a pause one connection is tried; until it stands, no other is.
type breaker struct {
	first time.Duration

	mu      sync.Mutex
	failed  int // in a row
	pauses  int // since it last worked
	until   time.Time
	probing bool
	why     error
}

// enter answers nil to whoever may connect now; done must follow.
func (b *breaker) enter() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pauses == 0 {
		return nil
	}
	if wait := time.Until(b.until); wait > 0 {
		return fmt.Errorf("not tried again for %s: %w", wait.Round(time.Second), b.why)
	}
	if b.probing {
		return fmt.Errorf("another connection is being tried: %w", b.why)
	}
	b.probing = true
	return nil
}

// done tells what became of a connection: nil, an error, or one that is the
// login's.
func (b *breaker) done(err error, login bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
	if err == nil {
		b.failed, b.pauses, b.why = 0, 0, nil
		return
	}
	b.failed++
	b.why = err
	if !login && b.failed < breakerTries {
		return
	}
	pause, longest := b.first, breakerLongest
	if login {
		pause, longest = pause*loginFactor, longest*loginFactor
	}
	for range b.pauses {
		pause = min(pause*2, longest)
	}
	b.pauses++
	b.until = time.Now().Add(pause)
}

// gaveUp is done for a connection whose caller went away: nothing was learnt.
func (b *breaker) gaveUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

// open tells whether the relay is kept from now.
func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pauses > 0
}
