package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
)

// Sessions are small states under keys nobody can guess, in the bucket
// "sessions", so that any replica answers any request. A state is forgotten
// Settings.SessionTTL after it was last stored.
type Sessions struct {
	Publisher *Publisher
}

// unseen is how often a session that is not there is looked for again: a copy
// of the bucket may lag behind what was stored a moment ago.
const unseen = 3

// Load answers the state under key, and whether there is one.
func (s *Sessions) Load(ctx context.Context, key string) ([]byte, bool, error) {
	if !validKey(key) {
		return nil, false, errors.New("bucket key is empty or has characters that a key cannot have")
	}
	for failed := 0; ; failed++ {
		state, found, err := s.direct(ctx, key)
		if err != nil || found || failed == unseen {
			return state, found && state != nil, err
		}
		if err := pause(ctx, failed); err != nil {
			return nil, false, err
		}
	}
}

// direct asks any copy: the portal has no right to the stream's own interface,
// which answers about every session alike. A deleted key is found and nil.
func (s *Sessions) direct(ctx context.Context, key string) ([]byte, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	subject := "$JS.API.DIRECT.GET." + bucketStream(BucketSessions) + "." + bucketSubject(BucketSessions, key)
	m, err := s.Publisher.conn.RequestWithContext(ctx, subject, nil)
	if err != nil {
		return nil, false, broken("read session", err)
	}
	switch status := m.Header.Get("Status"); status {
	case "":
	case strconv.Itoa(404):
		return nil, false, nil
	default:
		return nil, false, broken("read session", fmt.Errorf("broker answers %s", status))
	}
	if m.Header.Get(hdrOperation) != "" || len(m.Data) == 0 {
		return nil, true, nil
	}
	return m.Data, true, nil
}

// Store keeps state under key; the last word counts. It returns when it is
// stored.
func (s *Sessions) Store(ctx context.Context, key string, state []byte) error {
	if len(state) == 0 {
		return errors.New("session state is empty")
	}
	return s.write(ctx, key, &nats.Msg{Data: state})
}

// Delete ends a session.
func (s *Sessions) Delete(ctx context.Context, key string) error {
	return s.write(ctx, key, &nats.Msg{Header: nats.Header{hdrOperation: {"DEL"}}})
}

func (s *Sessions) write(ctx context.Context, key string, m *nats.Msg) error {
	if !validKey(key) {
		return errors.New("bucket key is empty or has characters that a key cannot have")
	}
	m.Subject = bucketSubject(BucketSessions, key)
	return s.Publisher.publish(ctx, bucketStream(BucketSessions), nil, m)
}
