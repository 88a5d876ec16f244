package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// What fills a block of the server's, which has 4 MiB or 8 MiB.
const (
	fillerSize = 512 << 10
	fillers    = 17
)

// Wipe has the server rewrite the place on disk where messages lay that were
// done with. It frees the space of an acknowledged letter or of a replaced value
// and leaves the bytes, until the block they stand in is full and mostly empty.
// Wipe fills it and takes the filling away again: nothing but what still counts
// is written anew. Each stream takes some nine megabytes of writing.
func (e *Eraser) Wipe(ctx context.Context, streams ...string) error {
	for _, name := range streams {
		subject, err := fillerSubject(name)
		if err != nil {
			return err
		}
		if err := e.wipe(ctx, name, subject); err != nil {
			return err
		}
	}
	return nil
}

// Wiped are the streams whose messages are deleted when they are done with, and
// hold personal data until then. What lies
// in SECRET is sealed.
func Wiped() []string { return []string{Wait, Mail} }

// Markers deletes the notes that keys of a bucket were deleted: a key may be a
// name.
func (e *Eraser) Markers(ctx context.Context, bucket string) error {
	name := bucketStream(bucket)
	st, err := e.JS.Stream(ctx, name)
	if err != nil {
		return broken("stream "+name, err)
	}
	return each(ctx, e.JS, name, jetstream.OrderedConsumerConfig{FilterSubjects: []string{bucketSubject(bucket, ">")}}, false, func(m jetstream.Msg) error {
		if m.Headers().Get(hdrOperation) == "" {
			return nil
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		return e.overwrite(ctx, st, name, meta.Sequence.Stream)
	})
}

// fillerSubject is a subject of the stream that nobody reads.
func fillerSubject(stream string) (string, error) {
	switch stream {
	case Mail:
		return "mail.filler.x", nil
	case Wait:
		return "wait.letter.filler.filler.x", nil
	}
	if bucket, ok := bucketOf(stream); ok {
		return bucketSubject(bucket, "filler"), nil
	}
	return "", fmt.Errorf("stream %s: %w", stream, errors.New("nothing there is done with before its age"))
}

func bucketOf(stream string) (string, bool) {
	n := len(bucketStream(""))
	if len(stream) <= n || stream[:n] != bucketStream("") {
		return "", false
	}
	return stream[n:], true
}

func (e *Eraser) wipe(ctx context.Context, name, subject string) error {
	st, err := e.JS.Stream(ctx, name)
	if err != nil {
		return broken("stream "+name, err)
	}
	filler := make([]byte, fillerSize)
	for range fillers {
		// Each takes the place of the one before.
		if _, err := e.JS.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: filler}); err != nil {
			return broken("wipe "+name, err)
		}
	}
	last, err := lastOf(ctx, e.JS.Conn(), name, subject)
	if err != nil || last.seq == 0 {
		return err
	}
	if err := st.DeleteMsg(ctx, last.seq); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		return broken("wipe "+name, err)
	}
	return nil
}
