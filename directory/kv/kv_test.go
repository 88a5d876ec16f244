package kv_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/directory"
	"usn.no/matricula/directory/directorytest"
	"usn.no/matricula/directory/kv"
	"usn.no/matricula/testkit"
)

var cheap = directory.Argon2{Memory: 64, Time: 1, Threads: 1}

// bucket is a fresh one on the server.
func bucket(tb testing.TB, url string) jetstream.KeyValue {
	tb.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		tb.Fatalf("no connection: %v", err)
	}
	tb.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := js.CreateOrUpdateKeyValue(tb.Context(), kv.BucketConfig())
	if err != nil {
		tb.Fatalf("no bucket: %v", err)
	}
	return b
}

func TestABucketIsADirectory(t *testing.T) {
	t.Parallel()
	s := testkit.NATS(t)
	directorytest.Run(t, func(t *testing.T) directorytest.Pair {
		hasher := directory.NewHasher(cheap, 0)
		return directorytest.Pair{
			Worker: &kv.Directory{Bucket: bucket(t, s.URL), Hasher: hasher},
			Portal: &kv.Directory{Bucket: bucket(t, s.URL), Hasher: hasher},
		}
	})
}
