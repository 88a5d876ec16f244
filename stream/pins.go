package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// PINs carries sealed PINs to the access system, and keeps how far the newest
// of each account and campus has come, in the bucket "pins": under "asked." the
// worker's word, under "receipt." the access system's. Neither may write the
// other's, and the portal reads both.
type PINs struct{ Publisher *Publisher }

// Offer puts a PIN where the access system fetches it, in place of an older one
// of the same account and campus. Offered again it is not there twice, and
// where a newer one has been offered, or the access system has answered for
// this one, nothing is done.
func (p *PINs) Offer(ctx context.Context, e events.Event) error {
	set, ok := e.Data.(events.PINSet)
	if !ok || e.Sequence == 0 {
		return errors.New("pin: event is no PIN, or has no sequence")
	}
	m, _, err := message(e)
	if err != nil {
		return err
	}
	for failed := 0; ; failed++ {
		// What waits is read first: if another PIN takes its place after the
		// marks were read, the publish below is refused.
		waits, err := lastOf(ctx, p.Publisher.conn, Secret, m.Subject)
		if err != nil {
			return err
		}
		over, err := p.ask(ctx, set, e)
		if err == nil && !over {
			err = p.put(ctx, m, waits)
		}
		if err == nil || !wrongLast(err) {
			return err
		}
		if err := pause(ctx, failed); err != nil { // somebody else was faster: see what it says now
			return err
		}
	}
}

// put publishes a PIN in place of what waited, and of nothing else: a worker
// that stood still meanwhile does not take a newer one away.
func (p *PINs) put(ctx context.Context, m *nats.Msg, waits stored) error {
	m.Header.Set(hdrExpected, fmt.Sprint(waits.seq))
	return p.Publisher.publish(ctx, Secret, nil, m)
}

// ask marks a PIN as requested. over: it is not to be published, or not again.
func (p *PINs) ask(ctx context.Context, set events.PINSet, e events.Event) (over bool, err error) {
	key := pinKey("asked", set.Account, set.Campus)
	asked, seq, err := p.read(ctx, key)
	if err != nil || asked.Sequence > e.Sequence {
		return true, err
	}
	if asked.Sequence == e.Sequence {
		receipt, _, err := p.read(ctx, pinKey("receipt", set.Account, set.Campus))
		return receipt.Sequence >= e.Sequence, err
	}
	mark, err := json.Marshal(events.PINMark{Sequence: e.Sequence, State: events.PINRequested, At: e.Time})
	if err != nil {
		return true, fmt.Errorf("pin: %w", err)
	}
	return false, p.Publisher.publish(ctx, bucketStream(BucketPINs), nil, entry(BucketPINs, key, seq, mark))
}

// Mark answers how far the newest PIN of an account at a campus has come; its
// sequence is 0 where none is known.
func (p *PINs) Mark(ctx context.Context, account, campus string) (events.PINMark, error) {
	asked, _, err := p.read(ctx, pinKey("asked", account, campus))
	if err != nil || asked.Sequence == 0 {
		return asked, err
	}
	receipt, _, err := p.read(ctx, pinKey("receipt", account, campus))
	if err != nil || receipt.Sequence != asked.Sequence {
		return asked, err
	}
	return receipt, nil
}

// Receipt is the access system's word on a PIN. One on an older PIN than the
// last one it spoke of is passed over.
func (p *PINs) Receipt(ctx context.Context, account, campus string, mark events.PINMark) error {
	key := pinKey("receipt", account, campus)
	text, err := json.Marshal(mark)
	if err != nil {
		return fmt.Errorf("pin: %w", err)
	}
	for failed := 0; ; failed++ {
		was, seq, err := p.read(ctx, key)
		if err != nil || was.Sequence > mark.Sequence {
			return err
		}
		err = p.Publisher.publish(ctx, bucketStream(BucketPINs), nil, entry(BucketPINs, key, seq, text))
		if err == nil || !wrongLast(err) {
			return err
		}
		if err := pause(ctx, failed); err != nil {
			return err
		}
	}
}

func (p *PINs) read(ctx context.Context, key string) (events.PINMark, uint64, error) {
	if !validKey(key) {
		return events.PINMark{}, 0, errors.New("bucket key is empty or has characters that a key cannot have")
	}
	s, err := lastOf(ctx, p.Publisher.conn, bucketStream(BucketPINs), bucketSubject(BucketPINs, key))
	if err != nil || s.seq == 0 || s.gone {
		return events.PINMark{}, s.seq, err
	}
	var mark events.PINMark
	if err := json.Unmarshal(s.data, &mark); err != nil {
		return events.PINMark{}, 0, errors.New("mark of a PIN cannot be read")
	}
	return mark, s.seq, nil
}

func pinKey(whose, account, campus string) string {
	return whose + "." + events.Key(account) + "." + events.CampusKey(campus)
}

// AccessConsumer is the durable that an access system fetches its PINs from.
func AccessConsumer(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	c, err := js.Consumer(ctx, Secret, durableAccess)
	return c, broken("consumer "+durableAccess, err)
}

// secretConfig keeps one PIN of each account and campus, the newest, until it
// is fetched or too old. For a day a PIN that is published again is known by
// its ID also after it was fetched.
func secretConfig(s Settings) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: Secret, Subjects: []string{"secret.>"}, Description: "PINs sealed to one receiver",
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxMsgsPerSubject: 1, MaxAge: s.SecretAge,
		MaxMsgSize: maxSecret, Duplicates: min(s.SecretAge, 24*time.Hour),
	}
}

// maxSecret is far more than a sealed PIN of a person with many numbers.
const maxSecret = 16 << 10

// pinsAtOnce is how many PINs an access system may have in hand.
const pinsAtOnce = 64
