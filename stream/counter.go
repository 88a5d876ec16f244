package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"usn.no/matricula/events"
)

// Counter counts in the bucket "limits", which all processes share and which
// survives them. A count is forgotten Settings.LimitTTL after its last change.
type Counter struct {
	Publisher *Publisher
}

// Add counts one and answers how many there are now. After an outage it may
// have counted one that it could not tell of.
func (c *Counter) Add(ctx context.Context, key string) (int, error) {
	for failed := 0; ; failed++ {
		n, seq, err := c.count(ctx, key)
		if err != nil {
			return 0, err
		}
		m := entry(BucketLimits, key, seq, []byte(strconv.Itoa(n+1)))
		err = c.Publisher.publish(ctx, bucketStream(BucketLimits), nil, m)
		if err == nil {
			return n + 1, nil
		}
		if !wrongLast(err) {
			return 0, err
		}
		if err := pause(ctx, failed); err != nil { // somebody else counted
			return 0, err
		}
	}
}

// Count answers how many there are.
func (c *Counter) Count(ctx context.Context, key string) (int, error) {
	n, _, err := c.count(ctx, key)
	return n, err
}

func (c *Counter) count(ctx context.Context, key string) (int, uint64, error) {
	if !validKey(key) {
		return 0, 0, errors.New("bucket key is empty or has characters that a key cannot have")
	}
	s, err := lastOf(ctx, c.Publisher.conn, bucketStream(BucketLimits), bucketSubject(BucketLimits, key))
	if err != nil || s.seq == 0 || s.gone {
		return 0, s.seq, err
	}
	n, err := strconv.Atoi(string(s.data))
	if err != nil {
		return 0, 0, errors.New("counter holds something that is no number")
	}
	return n, s.seq, nil
}

// Letters are the sent marks and the stopped addresses, in the bucket
// "letters".
type Letters struct {
	Publisher *Publisher
}

// Sent answers what is known of a letter, and whether anything is.
func (l *Letters) Sent(ctx context.Context, letter string) (events.LetterMark, bool, error) {
	s, err := lastOf(ctx, l.Publisher.conn, bucketStream(BucketLetters), bucketSubject(BucketLetters, events.Key(letter)))
	if err != nil || s.seq == 0 || s.gone {
		return events.LetterMark{}, false, err
	}
	var mark events.LetterMark
	if err := json.Unmarshal(s.data, &mark); err != nil {
		return events.LetterMark{}, false, fmt.Errorf("sent mark: %w", err)
	}
	return mark, true, nil
}

// StopAddress notes that an account's address takes no letters; the last word
// counts. It returns when it is stored.
func (l *Letters) StopAddress(ctx context.Context, account string, s events.StoppedAddress) error {
	body, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("stopped address: %w", err)
	}
	m := &nats.Msg{Subject: bucketSubject(BucketLetters, stoppedKey(account)), Data: body}
	return l.Publisher.publish(ctx, bucketStream(BucketLetters), nil, m)
}

// Stopped answers which address of an account takes no letters; the zero value
// where every one does.
func (l *Letters) Stopped(ctx context.Context, account string) (events.StoppedAddress, error) {
	s, err := lastOf(ctx, l.Publisher.conn, bucketStream(BucketLetters), bucketSubject(BucketLetters, stoppedKey(account)))
	if err != nil || s.seq == 0 || s.gone {
		return events.StoppedAddress{}, err
	}
	var stopped events.StoppedAddress
	if err := json.Unmarshal(s.data, &stopped); err != nil {
		return events.StoppedAddress{}, fmt.Errorf("stopped address: %w", err)
	}
	return stopped, nil
}

// stoppedKey has two tokens, which no letter's mark has.
func stoppedKey(account string) string { return stoppedPrefix + events.Key(account) }

const stoppedPrefix = "stopped."

// Mark notes what is known of a letter; the last word counts. It returns when
// it is stored.
func (l *Letters) Mark(ctx context.Context, letter string, mark events.LetterMark) error {
	body, err := json.Marshal(mark)
	if err != nil {
		return fmt.Errorf("sent mark: %w", err)
	}
	m := &nats.Msg{Subject: bucketSubject(BucketLetters, events.Key(letter)), Data: body}
	return l.Publisher.publish(ctx, bucketStream(BucketLetters), nil, m)
}
