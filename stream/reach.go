package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Reach remembers how far the streams of record have come. A server that lost
// the end of a stream's file comes up without it, says that it is healthy, and
// gives the same sequences to other messages: nothing in the stream itself
// tells. The word of it lies in the bucket "brake", where nothing expires.
//
// A Reach is used by one goroutine. The worker's rights are enough for it.
type Reach struct {
	JS        jetstream.JetStream
	Publisher *Publisher

	before map[string]uint64 // what the look before this one saw
	blind  map[string]bool   // not answered: a broker that does not give this right is asked once
}

// reached is what is remembered of one stream.
type reached struct {
	Last    uint64      `json:"last"`              // it came to here, at least
	Missing [][2]uint64 `json:"missing,omitempty"` // from, to: gaps that somebody has looked into
}

// dense are the streams in which every sequence is there until it is too old;
// reaching those of which it is remembered how far they came.
var (
	dense    = []string{Intake, Audit}                                                                //nolint:gochecknoglobals // a constant list
	reaching = []string{Intake, Audit, Dead, bucketStream(BucketClaims), bucketStream(BucketLetters)} //nolint:gochecknoglobals // a constant list
)

// Note remembers how far each stream had come at the last call, and answers in
// plain words which ones have come less far than is remembered.
func (r *Reach) Note(ctx context.Context) ([]string, error) {
	if r.before == nil {
		r.before, r.blind = map[string]uint64{}, map[string]bool{}
	}
	var lost []string
	for _, name := range reaching {
		if r.blind[name] {
			continue
		}
		st, err := r.JS.Stream(ctx, name)
		if err != nil {
			r.blind[name] = r.before[name] == 0 && errors.Is(err, context.DeadlineExceeded) // what is refused is never answered
			return lost, broken("stream "+name, err)
		}
		last := st.CachedInfo().State.LastSeq
		known, seq, err := readReached(ctx, r.JS, name)
		if err != nil {
			return lost, err
		}
		if last < known.Last {
			lost = append(lost, known.lost(name, last))
		} else if r.before[name] > known.Last {
			known.Last = r.before[name]
			if err := r.write(ctx, name, seq, known); err != nil && !wrongLast(err) { // another worker noted it
				return lost, err
			}
		}
		r.before[name] = last
	}
	return lost, nil
}

func (k reached) lost(name string, last uint64) string {
	return fmt.Sprintf("stream %s: came to %d once and ends at %d: the broker lost its end", name, k.Last, last)
}

// Accept takes the streams as they are: what is missing now is not reported
// again.
func (r *Reach) Accept(ctx context.Context) error {
	for _, name := range reaching {
		s, err := scan(ctx, r.JS, name)
		if err != nil {
			return err
		}
		_, seq, err := readReached(ctx, r.JS, name)
		if err != nil {
			return err
		}
		if err := r.write(ctx, name, seq, reached{Last: s.last, Missing: s.missing}); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reach) write(ctx context.Context, name string, seq uint64, k reached) error {
	text, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return r.Publisher.publish(ctx, bucketStream(BucketBrake), nil, entry(BucketBrake, "reach."+name, seq, text))
}

func readReached(ctx context.Context, js jetstream.JetStream, name string) (k reached, seq uint64, err error) {
	s, err := lastOf(ctx, js.Conn(), bucketStream(BucketBrake), bucketSubject(BucketBrake, "reach."+name))
	if err != nil || s.seq == 0 || s.gone {
		return k, s.seq, err
	}
	if err := json.Unmarshal(s.data, &k); err != nil {
		return k, s.seq, errors.New("how far " + name + " came cannot be read")
	}
	return k, s.seq, nil
}
