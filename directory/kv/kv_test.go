package kv_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/account"
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

func person(i int) account.Account {
	return account.Account{
		ID: fmt.Sprintf("id%d", i), Username: fmt.Sprintf("ola%d", i), State: account.Pending,
		Name: account.Name{Given: "Ola", Family: "Nordmann"}, Handles: []string{fmt.Sprintf("src.%d", i)},
	}
}

// lossy does what it is told and then says that it has no answer, once.
type lossy struct {
	jetstream.KeyValue
	lose bool
	then func() error
	err  error
}

func (b *lossy) answer(rev uint64, err error) (uint64, error) {
	if err != nil || !b.lose {
		return rev, err
	}
	b.lose = false
	if b.then != nil {
		b.err = b.then()
	}
	return 0, nats.ErrTimeout
}

func (b *lossy) Create(ctx context.Context, key string, value []byte, opts ...jetstream.KVCreateOpt) (uint64, error) {
	return b.answer(b.KeyValue.Create(ctx, key, value, opts...))
}

func (b *lossy) Update(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	return b.answer(b.KeyValue.Update(ctx, key, value, rev))
}

func TestALostAnswerIsFoundOut(t *testing.T) {
	t.Parallel()
	b := &lossy{KeyValue: bucket(t, testkit.NATS(t).URL)}
	d := &kv.Directory{Bucket: b, Hasher: directory.NewHasher(cheap, 0)}
	other := &kv.Directory{Bucket: b.KeyValue, Hasher: d.Hasher}
	b.lose = true
	if err := d.Create(t.Context(), person(1)); err != nil {
		t.Errorf("create with a lost answer: %v", err)
	}
	find := func() account.Account {
		a, err := other.Find(t.Context(), account.Key{Kind: account.ByHandle, Value: "src.1"})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	was := find()
	now := was.Clone()
	now.State = account.Active
	b.lose = true
	if err := d.SetPassword(t.Context(), was, now, "et langt passord"); err != nil {
		t.Errorf("a password with a lost answer: %v", err)
	}
	if err := other.Verify(t.Context(), was.Username, "et langt passord"); err != nil {
		t.Errorf("the password does not verify: %v", err)
	}
	b.lose = true
	if err := d.Create(t.Context(), person(1)); !errors.Is(err, account.ErrTaken) {
		t.Errorf("creating what is there answered %v", err)
	}
}

func TestHintsThatLeadNowhereDoNoHarm(t *testing.T) {
	t.Parallel()
	b := bucket(t, testkit.NATS(t).URL)
	d := &kv.Directory{Bucket: b, Hasher: directory.NewHasher(cheap, 0)}
	if err := d.Create(t.Context(), person(1)); err != nil {
		t.Fatal(err)
	}
	// What a crash leaves: hints to an entry that was never written, and to one
	// that has lost the value since.
	for _, key := range []string{"x.id.id2.ola2", "x.handle.=c3JjLjI.ola1", "x.unsent.yes.ola1", "x.unsent.yes.ola2"} {
		if _, err := b.Put(t.Context(), key, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range []account.Key{{Kind: account.ByID, Value: "id2"}, {Kind: account.ByHandle, Value: "src.2"}} {
		if a, err := d.Find(t.Context(), k); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("a hint of kind %s leads to %q, error %v", k.Kind, a.ID, err)
		}
	}
	err := d.Each(t.Context(), account.Query{Unsent: true}, func(a account.Account) bool {
		t.Errorf("account %q has nothing unsent and is met", a.ID)
		return true
	})
	if err != nil {
		t.Errorf("each: %v", err)
	}
	if err := d.Create(t.Context(), person(2)); err != nil {
		t.Errorf("an account with a hint from before cannot be created: %v", err)
	}
	if a, err := d.Find(t.Context(), account.Key{Kind: account.ByHandle, Value: "src.2"}); err != nil || a.ID != "id2" {
		t.Errorf("it is found as %q, error %v", a.ID, err)
	}
	other := person(3)
	other.ID = "id1"
	if err := d.Create(t.Context(), other); !errors.Is(err, account.ErrInvalid) {
		t.Errorf("one id under two usernames answered %v", err)
	}
}

func TestABrokerThatIsGoneIsAnOutage(t *testing.T) {
	t.Parallel()
	s := testkit.NATS(t)
	d := &kv.Directory{Bucket: bucket(t, s.URL), Hasher: directory.NewHasher(cheap, 0)}
	if err := d.Create(t.Context(), person(1)); err != nil {
		t.Fatal(err)
	}
	was, err := d.Find(t.Context(), account.Key{Kind: account.ByUsername, Value: "ola1"})
	if err != nil {
		t.Fatal(err)
	}
	s.Server.Shutdown()
	s.Server.WaitForShutdown()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, byID := d.Find(ctx, account.Key{Kind: account.ByID, Value: "id1"})
	_, byName := d.Find(ctx, account.Key{Kind: account.ByUsername, Value: "ola1"})
	for what, err := range map[string]error{
		"find by id": byID, "find by username": byName, "create": d.Create(ctx, person(2)), "update": d.Update(ctx, was, was),
		"set password": d.SetPassword(ctx, was, was, "et langt passord"), "verify": d.Verify(ctx, "ola1", "x"),
		"each": d.Each(ctx, account.Query{}, func(account.Account) bool { return true }),
	} {
		if !errors.Is(err, account.ErrUnavailable) {
			t.Errorf("%s answered %v, not an outage", what, err)
		}
	}
}
