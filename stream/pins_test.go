package stream

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// pin is a PIN as the worker offers it; what is sealed is not looked at here.
func pin(account, campus string, sequence uint64) events.Event {
	return events.Event{
		Meta: events.Meta{ID: account + "-" + campus + "-" + string(rune('a'+sequence)), Source: events.SourceWorker, Subject: account, Time: testTime, Sequence: sequence},
		Data: events.PINSet{Account: account, Campus: campus, Key: "k", Sealed: "s1.c2VhbGVk"},
	}
}

// waiting PINs as the access system would get them: sequence by subject.
func waitingPINs(t *testing.T, js jetstream.JetStream) map[string]uint64 {
	t.Helper()
	st, err := js.Stream(patience(t), Secret)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]uint64{}
	last := st.CachedInfo().State.LastSeq
	for seq := uint64(1); seq <= last; seq++ {
		m, err := st.GetMsg(patience(t), seq)
		if err != nil {
			continue // replaced or fetched
		}
		e, err := events.Decode(m.Subject, m.Header, m.Data, testTime)
		if err != nil {
			t.Fatal(err)
		}
		if out[m.Subject] != 0 {
			t.Errorf("two messages wait on %s", m.Subject)
		}
		out[m.Subject] = e.Sequence
	}
	return out
}

func TestNewPINTakesThePlaceOfTheOneThatWaits(t *testing.T) {
	t.Parallel()
	_, js, pub := declared(t)
	ctx, p := patience(t), &PINs{Publisher: pub}
	for _, e := range []events.Event{
		pin("a1", "Drammen", 2), pin("a1", "Drammen", 2), pin("a1", "Kongsberg", 2), pin("a2", "Drammen", 1),
		pin("a1", "drammen ", 3), pin("a1", "Drammen", 2), pin("a1", "Drammen", 1),
	} {
		if err := p.Offer(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	got := waitingPINs(t, js)
	if len(got) != 3 || got["secret.pin.drammen.a1"] != 3 || got["secret.pin.kongsberg.a1"] != 2 || got["secret.pin.drammen.a2"] != 1 {
		t.Errorf("these wait: %v", got)
	}
	if mark, err := p.Mark(ctx, "a1", "Drammen"); err != nil || mark.Sequence != 3 || mark.State != events.PINRequested {
		t.Errorf("the mark says %+v, %v", mark, err)
	}
}

func TestPINsOfManyWorkersLeaveTheNewest(t *testing.T) {
	t.Parallel()
	_, js, pub := declared(t)
	ctx, p := patience(t), &PINs{Publisher: pub}
	var all sync.WaitGroup
	for sequence := uint64(1); sequence <= 8; sequence++ {
		for range 2 {
			all.Go(func() {
				if err := p.Offer(ctx, pin("a1", "Drammen", sequence)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	if got := waitingPINs(t, js); len(got) != 1 || got["secret.pin.drammen.a1"] != 8 {
		t.Errorf("these wait: %v", got)
	}
}

// A worker stands still between the marks and the publish; meanwhile another
// offers a newer PIN.
func TestWorkerThatStoodStillTakesNoNewerPINAway(t *testing.T) {
	t.Parallel()
	_, js, pub := declared(t)
	ctx, p, old := patience(t), &PINs{Publisher: pub}, pin("a1", "Drammen", 1)
	m, stream, err := message(old)
	if err != nil {
		t.Fatal(err)
	}
	waits, err := lastOf(ctx, pub.conn, stream, m.Subject)
	if err != nil {
		t.Fatal(err)
	}
	set, _ := old.Data.(events.PINSet)
	if over, err := p.ask(ctx, set, old); over || err != nil {
		t.Fatalf("the first one is over: %t, %v", over, err)
	}
	if err := p.Offer(ctx, pin("a1", "Drammen", 2)); err != nil {
		t.Fatal(err)
	}
	if err := p.put(ctx, m, waits); !wrongLast(err) {
		t.Errorf("the older one is published late: %v", err)
	}
	if err := p.Offer(ctx, old); err != nil {
		t.Errorf("offering it again: %v", err)
	}
	if got := waitingPINs(t, js); len(got) != 1 || got["secret.pin.drammen.a1"] != 2 {
		t.Errorf("these wait: %v", got)
	}
}

func TestPINIsMarkedDeliveredAndConfirmedAndNotOfferedAgain(t *testing.T) {
	t.Parallel()
	_, js, pub := declared(t)
	ctx, p := patience(t), &PINs{Publisher: pub}
	if mark, err := p.Mark(ctx, "a1", "Drammen"); err != nil || mark.Sequence != 0 {
		t.Fatalf("before any: %+v, %v", mark, err)
	}
	if err := p.Offer(ctx, pin("a1", "Drammen", 5)); err != nil {
		t.Fatal(err)
	}
	c, err := AccessConsumer(ctx, js)
	m := next(t, c, err)
	for _, state := range []string{events.PINDelivered, events.PINConfirmed} {
		if err := p.Receipt(ctx, "a1", "Drammen", events.PINMark{Sequence: 5, State: state, At: testTime}); err != nil {
			t.Fatal(err)
		}
		if mark, err := p.Mark(ctx, "a1", "Drammen"); err != nil || mark.State != state {
			t.Errorf("the mark says %+v, %v, want %s", mark, err, state)
		}
	}
	if err := m.DoubleAck(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.Offer(ctx, pin("a1", "Drammen", 5)); err != nil {
		t.Fatal(err)
	}
	if n := messages(t, js, Secret); n != 0 {
		t.Errorf("a PIN that was confirmed waits again: %d", n)
	}
	if err := p.Offer(ctx, pin("a1", "Drammen", 6)); err != nil {
		t.Fatal(err)
	}
	late := events.PINMark{Sequence: 5, State: events.PINConfirmed, At: testTime}
	if err := p.Receipt(ctx, "a1", "Drammen", late); err != nil {
		t.Fatal(err)
	}
	if mark, err := p.Mark(ctx, "a1", "Drammen"); err != nil || mark.Sequence != 6 || mark.State != events.PINRequested {
		t.Errorf("after a newer one the mark says %+v, %v", mark, err)
	}
	if err := p.Receipt(ctx, "a1", "Drammen", events.PINMark{Sequence: 6, State: events.PINConfirmed}); err != nil {
		t.Fatal(err)
	}
	if err := p.Receipt(ctx, "a1", "Drammen", late); err != nil {
		t.Fatal(err)
	}
	if mark, err := p.Mark(ctx, "a1", "Drammen"); err != nil || mark.Sequence != 6 || mark.State != events.PINConfirmed {
		t.Errorf("a late receipt took the place of a newer one: %+v, %v", mark, err)
	}
}

// A PIN that is in the access system's hands while a newer one takes its place
// is acknowledged without taking the newer one away.
func TestAcknowledgingAnOlderPINKeepsTheNewer(t *testing.T) {
	t.Parallel()
	_, js, pub := declared(t)
	ctx, p := patience(t), &PINs{Publisher: pub}
	if err := p.Offer(ctx, pin("a1", "Drammen", 1)); err != nil {
		t.Fatal(err)
	}
	c, err := AccessConsumer(ctx, js)
	first := next(t, c, err)
	if err := p.Offer(ctx, pin("a1", "Drammen", 2)); err != nil {
		t.Fatal(err)
	}
	if err := first.DoubleAck(ctx); err != nil {
		t.Fatal(err)
	}
	second := next(t, c, nil)
	e, err := events.Decode(second.Subject(), second.Headers(), second.Data(), testTime)
	if err != nil || e.Sequence != 2 {
		t.Errorf("after the older one comes %+v, %v", e.Meta, err)
	}
}

func TestPINThatNobodyFetchesExpires(t *testing.T) {
	t.Parallel()
	b := newBroker(t, false)
	_, js := b.connect()
	s := testSettings()
	s.SecretAge = time.Second
	if err := Declare(patience(t), js, s, false); err != nil {
		t.Fatal(err)
	}
	pub := NewPublisher(js)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = pub.Close(ctx)
	})
	p := &PINs{Publisher: pub}
	if err := p.Offer(patience(t), pin("a1", "Drammen", 1)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the PIN is gone", func() bool { return messages(t, js, Secret) == 0 })
	if mark, err := p.Mark(patience(t), "a1", "Drammen"); err != nil || mark.State != events.PINRequested {
		t.Errorf("the mark says %+v, %v", mark, err)
	}
}
