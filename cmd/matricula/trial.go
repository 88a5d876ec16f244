package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"usn.no/matricula/directory"
)

// trialEvery is how long the last trial's outcome counts, so that whoever asks
// often costs the directory nothing.
const trialEvery = 3 * time.Second

// trial finds out whether the directory takes writes. Without it one whose disk
// is full would look well until somebody's account waits for it.
type trial struct {
	try func(context.Context) error
	log zerolog.Logger

	mu   sync.Mutex
	at   time.Time
	err  error
	told bool
}

// run is the outcome of a trial that is at most trialEvery old. What the access
// rules do not let be tried is not held against the directory.
func (t *trial) run(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.at.IsZero() && time.Since(t.at) < trialEvery {
		return t.err
	}
	err := t.try(ctx)
	if ctx.Err() != nil {
		return err // whoever asked waits no longer, which says nothing about the server
	}
	t.at, t.err = time.Now(), err
	if errors.Is(err, directory.ErrNotTried) {
		t.err = nil
		if !t.told {
			t.told = true
			t.log.Warn().Msg("the access rules let the worker try no write: a full directory will not show before the next event (see deploy/ldap/slapd.conf)")
		}
	}
	return t.err
}
