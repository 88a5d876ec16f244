package stream

import (
	"errors"
	"fmt"
	"time"
)

// Partitions is the number of partition tokens in the subjects INTAKE stores.
// It is part of the stored data and never changes; lanes are what scales.
const Partitions = 64

// Settings are the sizes and times of the streams. Start from
// [DefaultSettings]; zero is not a default.
type Settings struct {
	Replicas int // copies of each stream: 1 alone, 3 in a cluster

	Lanes       int // durables over INTAKE's partitions; each is with one worker at a time
	MailLanes   int // letters that may be under way at once
	LetterLanes int // due letters, and postponed messages, that may be under way at once
	AckWait     time.Duration

	IntakeAge  time.Duration
	AuditAge   time.Duration
	DeadAge    time.Duration
	SecretAge  time.Duration // how long a PIN waits for the access system
	PINAge     time.Duration // how long it is known what became of a PIN
	LettersAge time.Duration // how long a sent mark is kept
	SessionTTL time.Duration
	LimitTTL   time.Duration // a counter is forgotten this long after its last change

	// IntakeMsgSize bounds one stored message, header and payload. It lies
	// above the 64 KiB that an event may have, because what the broker refuses
	// is seen by its sender only, and what it takes becomes a dead letter that
	// operators see. The server's max_payload bounds it first.
	IntakeMsgSize int32

	// Clock says when the broker is to act.
	Clock Clock
}

// DefaultSettings are those of one durable server.
func DefaultSettings() Settings {
	const day = 24 * time.Hour
	return Settings{
		Replicas: 1, Lanes: 1, MailLanes: 8, LetterLanes: 16, AckWait: 10 * time.Second,
		IntakeAge: 90 * day, AuditAge: 400 * day, DeadAge: 90 * day, SecretAge: 30 * day, PINAge: 400 * day, LettersAge: 400 * day,
		SessionTTL: 12 * time.Hour, LimitTTL: 90 * day,
		IntakeMsgSize: 2 << 20,
	}
}

// Validate says what cannot be.
func (s Settings) Validate() error {
	var errs []error
	if s.Replicas < 1 || s.Replicas > 5 || s.Replicas%2 == 0 {
		errs = append(errs, fmt.Errorf("replicas must be 1, 3 or 5, not %d", s.Replicas))
	}
	if s.Lanes < 1 || s.Lanes > Partitions {
		errs = append(errs, fmt.Errorf("lanes must be between 1 and %d, not %d", Partitions, s.Lanes))
	}
	if s.MailLanes < 1 || s.LetterLanes < 1 {
		errs = append(errs, errors.New("mail and letter lanes must be at least 1"))
	}
	for name, d := range map[string]time.Duration{
		"ack wait": s.AckWait, "intake age": s.IntakeAge, "audit age": s.AuditAge, "dead age": s.DeadAge, "secret age": s.SecretAge, "pin age": s.PINAge,
		"letters age": s.LettersAge, "session ttl": s.SessionTTL, "limit ttl": s.LimitTTL,
	} {
		if d < time.Second {
			errs = append(errs, fmt.Errorf("%s must be at least 1s, not %s", name, d))
		}
	}
	if s.IntakeMsgSize < 80<<10 {
		errs = append(errs, fmt.Errorf("intake message size must be at least 80 KiB, not %d bytes", s.IntakeMsgSize))
	}
	return errors.Join(errs...)
}

// Clock maps the product's time to the broker's. They differ in the demo, which
// starts at a fixed instant; the zero Clock maps each time to itself.
type Clock struct {
	ToBroker func(time.Time) time.Time
}

func (c Clock) broker(t time.Time) time.Time {
	if c.ToBroker == nil || t.IsZero() {
		return t
	}
	return c.ToBroker(t)
}
