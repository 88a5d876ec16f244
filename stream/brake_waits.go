package stream

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Waits is an account that was told to wait.
type Waits struct {
	Account string
	Since   time.Time
}

// BrakeWaits lists the accounts of a kind that were told to wait since the last
// release, longest first. One whose sources have said something else meanwhile
// is still among them: the directory tells. It needs the admin identity.
func BrakeWaits(ctx context.Context, js jetstream.JetStream, kind string, upto uint64) ([]Waits, error) {
	var out []Waits
	prefix := bucketSubject(BucketBrake, noteKey(kind, ""))
	err := each(ctx, js, bucketStream(BucketBrake), jetstream.OrderedConsumerConfig{FilterSubjects: []string{prefix + "*"}}, false, func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil || meta.Sequence.Stream <= upto || m.Headers().Get(hdrOperation) != "" {
			return err
		}
		since, err := time.Parse(time.RFC3339, string(m.Data()))
		out = append(out, Waits{Account: strings.TrimPrefix(m.Subject(), prefix), Since: since})
		return err
	})
	slices.SortFunc(out, func(x, y Waits) int { return x.Since.Compare(y.Since) })
	return out, err
}
