package account

import (
	"context"
	"errors"
	"time"

	"usn.no/matricula/events"
)

// known answers who a delta is about. A person nobody announced yet is waited
// for; after that the event is an orphan.
func (l *Lifecycle) known(ctx context.Context, m events.Meta, source, subject string) (Claim, error) {
	c, err := l.claimed(ctx, source, subject)
	if errors.Is(err, errUnclaimed) {
		err = ErrNotFound
	}
	return c, l.orWait(m, err)
}

// orWait turns ErrNotFound into "later", and after WaitForPerson into a dead
// letter.
func (l *Lifecycle) orWait(m events.Meta, err error) error {
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	first := m.Received
	if first.IsZero() {
		first = m.Time
	}
	waited := l.Now().Sub(first)
	if waited > l.Letters.WaitForPerson {
		return events.Refuse(events.ReasonOrphan, "subject",
			"nobody announced this person within "+l.Letters.WaitForPerson.String()+": publish the registration, then replay")
	}
	return events.Later(l.Now().Add(min(max(waited/4, 5*time.Second), time.Hour)))
}
