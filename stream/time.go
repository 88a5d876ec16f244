package stream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// BrokerTime asks the server that leads a stream what time it is. Any role may
// that may see whether the stream is as declared.
func BrokerTime(ctx context.Context, js jetstream.JetStream, name string) (time.Time, error) {
	st, err := js.Stream(ctx, name)
	if err != nil {
		return time.Time{}, broken("stream "+name, err)
	}
	at := st.CachedInfo().TimeStamp
	if at.IsZero() {
		return time.Time{}, broken("stream "+name, errors.New("the broker does not say what time it is"))
	}
	return at, nil
}
