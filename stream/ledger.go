package stream

import (
	"context"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Ledger reads all claims at once, for operators' commands. It needs the admin
// identity.
type Ledger struct{ JS jetstream.JetStream }

// Each calls f for every claim that is held. What is taken meanwhile may be
// left out.
func (l *Ledger) Each(ctx context.Context, f func(key string, value []byte)) error {
	of := jetstream.OrderedConsumerConfig{FilterSubjects: []string{bucketSubject(BucketClaims, ">")}}
	return each(ctx, l.JS, bucketStream(BucketClaims), of, false, func(m jetstream.Msg) error {
		if m.Headers().Get(hdrOperation) == "" {
			f(strings.TrimPrefix(m.Subject(), bucketSubject(BucketClaims, "")), m.Data())
		}
		return nil
	})
}
