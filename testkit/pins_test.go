package testkit_test

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
	"usn.no/matricula/testkit"
)

// pins is what a role may do about PINs.
func pins(t *testing.T, b *testkit.NATSBroker, role string) (*stream.PINs, jetstream.JetStream) {
	t.Helper()
	js := b.JetStream(role, quiet)
	pub := stream.NewPublisher(js)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = pub.Close(ctx)
	})
	return &stream.PINs{Publisher: pub}, js
}

func TestPINGoesFromTheWorkerToTheAccessSystemAndItsReceiptToThePortal(t *testing.T) {
	t.Parallel()
	b := testkit.NATSProcess(t)
	s := declare(t, b)
	worker, wjs := pins(t, b, "worker")
	access, ajs := pins(t, b, "access")
	portal, pjs := pins(t, b, "portal")
	ctx := t.Context()
	if drift, err := stream.Drift(ctx, wjs, s, stream.Secret, "KV_"+stream.BucketPINs); err != nil || len(drift) > 0 {
		t.Fatalf("the worker's look at the streams: %q, %v", drift, err)
	}
	if drift, err := stream.Drift(ctx, pjs, s, "KV_"+stream.BucketPINs); err != nil || len(drift) > 0 {
		t.Fatalf("the portal's look at the marks: %q, %v", drift, err)
	}
	for i, account := range []string{"a1", "a2"} {
		e := events.Event{
			Meta: events.Meta{ID: "pin-" + account, Source: events.SourceWorker, Subject: account, Time: time.Now(), Sequence: uint64(i + 1)},
			Data: events.PINSet{Account: account, Campus: "Bø", Key: "k", Sealed: "s1.c2VhbGVk"},
		}
		for range 2 {
			if err := worker.Offer(ctx, e); err != nil {
				t.Fatalf("the worker offers: %v", err)
			}
		}
	}
	c, err := stream.AccessConsumer(ctx, ajs)
	if err != nil {
		t.Fatalf("the access system finds its durable: %v", err)
	}
	for i := range 2 {
		m, err := c.Next(jetstream.FetchMaxWait(60 * time.Second))
		if err != nil {
			t.Fatalf("the access system fetches: %v", err)
		}
		e, err := events.Decode(m.Subject(), m.Headers(), m.Data(), time.Now())
		if err != nil {
			t.Fatalf("what it fetched: %v", err)
		}
		set, _ := e.Data.(events.PINSet)
		mark := events.PINMark{Sequence: e.Sequence, State: events.PINConfirmed, At: time.Now()}
		if err := access.Receipt(ctx, set.Account, set.Campus, mark); err != nil {
			t.Fatalf("the access system confirms: %v", err)
		}
		if i == 0 {
			err = m.DoubleAck(ctx)
		} else {
			err = m.Ack()
		}
		if err != nil {
			t.Fatalf("the access system acknowledges: %v", err)
		}
		if got, err := portal.Mark(ctx, set.Account, set.Campus); err != nil || got.State != events.PINConfirmed {
			t.Errorf("the portal sees %+v, %v", got, err)
		}
	}
	within(t, "nothing waits any more", func() bool {
		st, err := b.JetStream("operator").Stream(ctx, stream.Secret)
		return err == nil && st.CachedInfo().State.Msgs == 0
	})
}

// What the access system publishes is acknowledged to wherever it says: it
// must reach nothing but itself, and a receipt nothing but its own keys.
func TestAccessSystemWritesNothingButReceipts(t *testing.T) {
	t.Parallel()
	b := testkit.NATSProcess(t)
	declare(t, b)
	nc := b.Connect("access", quiet)
	before := fingerprint(t, b)
	for _, target := range []string{
		"$KV.pins.asked.a1.drammen", "secret.pin.drammen.a1", "audit.pin.set.f", "mail.activation.l", "$KV.claims.k", "$KV.sessions.k", "hr.employee.registered.9",
		"$JS.API.STREAM.PURGE.SECRET", "_INBOX_worker.x",
	} {
		for _, own := range []string{"$KV.pins.receipt.a1.drammen", "$JS.API.STREAM.MSG.GET.KV_pins", "$JS.API.CONSUMER.INFO.SECRET.access", "$JS.API.CONSUMER.MSG.NEXT.SECRET.access"} {
			if err := nc.PublishRequest(own, target, []byte(`{}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "$KV.pins.receipt.a1.drammen", []byte(`{}`)); err != nil {
		t.Fatalf("it cannot write a receipt: %v", err)
	}
	after := fingerprint(t, b)
	delete(before, "KV_pins")
	delete(after, "KV_pins")
	if !maps.Equal(before, after) {
		t.Errorf("the access system wrote elsewhere:\nbefore %v\nafter  %v", before, after)
	}
	st, err := b.JetStream("operator").Stream(t.Context(), "KV_pins")
	if err != nil {
		t.Fatal(err)
	}
	info, err := st.Info(t.Context(), jetstream.WithSubjectFilter("$KV.pins.>"))
	if err != nil || len(info.State.Subjects) != 1 {
		t.Errorf("the bucket holds more than one receipt: %v, %v", info.State.Subjects, err)
	}
}
