package stream

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"usn.no/matricula/events"
)

// Claims say who owns a key, in the bucket "claims". A claim is written once
// and found by everybody; what loses a race was not written at all.
//
// A key is made of letters, digits and - _ = / with dots between them.
type Claims struct {
	publisher *Publisher
}

// NewClaims makes claims that are committed through p, together with those of
// others.
func NewClaims(p *Publisher) *Claims { return &Claims{publisher: p} }

// Take writes value under every key, all or none. If some are held already
// nothing is written, and held is what those keys say. A caller that finds its
// own value under every key holds them: it took them before, or its answer was
// lost, and held is empty; it is nil only where all were free.
func (c *Claims) Take(ctx context.Context, keys []string, value []byte) (held map[string][]byte, err error) {
	keys, err = validKeys(keys)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	expected := make(map[string]uint64, len(keys))
	for failed := 0; ; failed++ {
		err := c.write(ctx, keys, expected, value)
		if err == nil {
			return nil, nil
		}
		if !wrongLast(err) {
			return nil, err
		}
		found, err := c.read(ctx, keys)
		if err != nil {
			return nil, err
		}
		held, mine := map[string][]byte{}, 0
		for key, s := range found {
			expected[key] = s.seq // what was released is taken over at its mark
			if s.seq == 0 || s.gone {
				continue
			}
			held[key] = s.data
			if bytes.Equal(s.data, value) {
				mine++
			}
		}
		if mine == len(keys) {
			return map[string][]byte{}, nil
		}
		if len(held) > 0 {
			return held, nil
		}
		if err := pause(ctx, failed); err != nil { // another write of it is under way
			return nil, err
		}
	}
}

// Read answers what the keys say; a key that is free is left out.
func (c *Claims) Read(ctx context.Context, keys []string) (map[string][]byte, error) {
	keys, err := validKeys(keys)
	if err != nil {
		return nil, err
	}
	found, err := c.read(ctx, keys)
	if err != nil {
		return nil, err
	}
	held := make(map[string][]byte, len(found))
	for key, s := range found {
		if s.seq != 0 && !s.gone {
			held[key] = s.data
		}
	}
	return held, nil
}

// Move writes now under every key that says was or is free, all or none, and
// with now nil makes the keys free. Each key of while must say now already, at
// the very moment of the write. If some say something else nothing is written,
// and held is what those say. Moving again what was moved changes nothing.
func (c *Claims) Move(ctx context.Context, keys, while []string, was, now []byte) (held map[string][]byte, err error) {
	all, err := validKeys(slices.Concat(keys, while))
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	for failed := 0; ; failed++ {
		found, err := c.read(ctx, all)
		if err != nil {
			return nil, err
		}
		expected, done := make(map[string]uint64, len(all)), 0
		held := map[string][]byte{}
		for _, key := range all {
			s := found[key]
			expected[key] = s.seq
			free := s.seq == 0 || s.gone
			switch {
			case free && now == nil, !free && now != nil && bytes.Equal(s.data, now):
				done++
			case slices.Contains(while, key), !free && !bytes.Equal(s.data, was):
				held[key] = s.data
			}
		}
		if len(held) > 0 {
			return held, nil
		}
		if done == len(all) {
			return nil, nil
		}
		if err = c.write(ctx, all, expected, now); !wrongLast(err) {
			return nil, err
		}
		if err := pause(ctx, failed); err != nil { // somebody else was faster: see what it says now
			return nil, err
		}
	}
}

// write commits one message per key as one indivisible group.
func (c *Claims) write(ctx context.Context, keys []string, expected map[string]uint64, value []byte) error {
	msgs := make([]*nats.Msg, len(keys))
	for i, key := range keys {
		msgs[i] = entry(BucketClaims, key, expected[key], value)
	}
	stale := func(ctx context.Context) (bool, error) {
		found, err := c.read(ctx, keys)
		for key, s := range found {
			if s.seq != expected[key] {
				return true, err
			}
		}
		return false, err
	}
	return c.publisher.publish(ctx, bucketStream(BucketClaims), stale, msgs...)
}

// read reads the keys at once, from the leader.
func (c *Claims) read(ctx context.Context, keys []string) (map[string]stored, error) {
	found, errs := make([]stored, len(keys)), make([]error, len(keys))
	var wait sync.WaitGroup
	for i, key := range keys {
		wait.Go(func() {
			found[i], errs[i] = lastOf(ctx, c.publisher.conn, bucketStream(BucketClaims), bucketSubject(BucketClaims, key))
		})
	}
	wait.Wait()
	out := make(map[string]stored, len(keys))
	for i, key := range keys {
		out[key] = found[i]
	}
	return out, errors.Join(errs...)
}

// wrongLast tells whether a compare-and-set was refused.
func wrongLast(err error) bool {
	var refused *apiError
	return errors.As(err, &refused) && refused.ErrCode == codeWrongLast
}

// validKeys sorts the keys and drops repetitions.
func validKeys(keys []string) ([]string, error) {
	for _, key := range keys {
		if !validKey(key) {
			return nil, errors.New("bucket key is empty or has characters that a key cannot have")
		}
	}
	keys = slices.Clone(keys)
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

func validKey(key string) bool {
	if key == "" || len(key) > 200 || key[0] == '.' || key[len(key)-1] == '.' || strings.Contains(key, "..") {
		return false
	}
	for i := range len(key) {
		c := key[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-_=/.", c) >= 0) {
			return false
		}
	}
	return true
}

// pause waits a little longer each time.
func pause(ctx context.Context, failed int) error {
	t := time.NewTimer(min(time.Second, 5*time.Millisecond<<min(failed, 8)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return events.Unavailable(ctx.Err())
	}
}
