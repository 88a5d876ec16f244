package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// next reads the next message of a consumer.
func next(t *testing.T, c jetstream.Consumer, err error) jetstream.Msg {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Next(jetstream.FetchMaxWait(patient))
	if err != nil {
		t.Fatalf("no message came: %v", err)
	}
	return m
}

// inLane reads the one message that lies in any lane.
func inLane(t *testing.T, js jetstream.JetStream) jetstream.Msg {
	t.Helper()
	lanes, err := LaneConsumers(patience(t), js, testSettings())
	if err != nil {
		t.Fatal(err)
	}
	var found jetstream.Msg
	eventually(t, "a message lies in a lane", func() bool {
		for _, lane := range lanes {
			if m, err := lane.Next(jetstream.FetchMaxWait(50*time.Millisecond), jetstream.FetchPriorityGroup(laneGroup)); err == nil {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

func ended() events.Event {
	return events.Event{
		Meta: events.Meta{ID: "7", Source: events.SourceHR, Subject: "104711", Time: testTime, Sequence: 3},
		Data: events.EmployeeEnded{EmployeeNo: "104711", End: "2027-01-31", Reason: "resigned"},
	}
}

func traced(t *testing.T, m jetstream.Msg) events.Origin {
	t.Helper()
	meta, err := m.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	return events.Origin{Stream: meta.Stream, Sequence: meta.Sequence.Stream, Subject: m.Subject(), Received: meta.Timestamp}.Trace(m.Headers())
}

func TestPostponedMessageComesBackWithItsOrigin(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	ctx := patience(t)
	aside := &Aside{Publisher: p}
	publish(t, p, ended())
	m := inLane(t, js)
	first := traced(t, m)
	for round := 1; round <= 2; round++ {
		at := time.Now().Add(2 * time.Second) // after the third time of asking
		for range 3 {                         // asked again by a worker that did not hear
			if err := aside.Wait(ctx, at, m); err != nil {
				t.Fatalf("wait: %v", err)
			}
		}
		if err := m.DoubleAck(ctx); err != nil {
			t.Fatal(err)
		}
		c, err := DueConsumer(ctx, js)
		m = next(t, c, err)
		if time.Now().Before(at) {
			t.Errorf("message came %s before its time", time.Until(at))
		}
		o := traced(t, m)
		if o.Stream != first.Stream || o.Sequence != first.Sequence || o.Subject != "hr.employee.ended.104711" || !o.Received.Equal(first.Received) || o.Attempts != round {
			t.Errorf("origin after %d postponements is %+v, it was %+v", round, o, first)
		}
		e, err := events.Decode(o.Subject, m.Headers(), m.Data(), testTime)
		if err != nil || e.ID != "7" || e.Sequence != 3 {
			t.Errorf("after %d postponements the event reads %+v, %v", round, e, err)
		}
	}
	if err := m.DoubleAck(ctx); err != nil {
		t.Fatal(err)
	}
	if n := messages(t, js, Wait); n != 0 {
		t.Errorf("WAIT holds %d messages, want none: asking again must not double", n)
	}
}

func TestPostponementSurvivesARestart(t *testing.T) {
	t.Parallel()
	b, js, p := declaredDurable(t)
	publish(t, p, ended())
	m := inLane(t, js)
	at := time.Now().Add(1500 * time.Millisecond)
	if err := (&Aside{Publisher: p}).Wait(patience(t), at, m); err != nil {
		t.Fatal(err)
	}
	b.stop()
	b.start()
	eventually(t, "the broker answers", func() bool { _, err := DueConsumer(patience(t), js); return err == nil })
	c, err := DueConsumer(patience(t), js)
	if got := next(t, c, err); traced(t, got).Subject != "hr.employee.ended.104711" || time.Now().Before(at) {
		t.Errorf("after a restart came %s at %s, due %s", got.Subject(), time.Now(), at)
	}
}

func TestSourceCannotForgeAnOrigin(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	m := nats.NewMsg("hr.employee.updated.1")
	events.Origin{Stream: Intake, Sequence: 99, Subject: "it.account.suspended.x", Received: testTime, Attempts: 1}.Put(m.Header)
	if _, err := js.PublishMsg(patience(t), m); err != nil {
		t.Fatal(err)
	}
	got := inLane(t, js)
	if o := traced(t, got); o.Subject != "hr.employee.updated.1" || o.Sequence != 1 {
		t.Errorf("the origin a source wrote was believed: %+v", o)
	}
	if err := (&Aside{Publisher: p}).Wait(patience(t), time.Now(), got); err != nil {
		t.Fatal(err)
	}
	c, err := DueConsumer(patience(t), js)
	if o := traced(t, next(t, c, err)); o.Subject != "hr.employee.updated.1" || o.Sequence != 1 {
		t.Errorf("after waiting the origin a source wrote was believed: %+v", o)
	}
}

func TestPostponedLetterStaysInMail(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	ctx := patience(t)
	publish(t, p, letter("l1"))
	c, err := MailConsumer(ctx, js)
	m := next(t, c, err)
	at := time.Now().Add(500 * time.Millisecond)
	if err := (&Aside{Publisher: p}).Wait(ctx, at, m); err != nil {
		t.Fatal(err)
	}
	if err := m.DoubleAck(ctx); err != nil {
		t.Fatal(err)
	}
	again := next(t, c, nil)
	if again.Subject() != "mail.activated.l1" || time.Now().Before(at) {
		t.Errorf("letter came back as %s, %s after its time", again.Subject(), time.Since(at))
	}
	if o := traced(t, again); o.Attempts != 1 || o.Sequence != 1 || o.Stream != Mail {
		t.Errorf("the letter's origin is %+v", o)
	}
	if _, err := events.Decode(again.Subject(), again.Headers(), again.Data(), testTime); err != nil {
		t.Errorf("letter that came back does not read: %v", err)
	}
}

func TestWaitingIsInTheBrokersTime(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	publish(t, p, ended())
	start := time.Now()
	shifted := Clock{ToBroker: func(at time.Time) time.Time { return start.Add(at.Sub(testTime)) }}
	if err := (&Aside{Publisher: p, Clock: shifted}).Wait(patience(t), testTime.Add(time.Second), inLane(t, js)); err != nil {
		t.Fatal(err)
	}
	c, err := DueConsumer(patience(t), js)
	next(t, c, err)
	if took := time.Since(start); took < time.Second {
		t.Errorf("message that was to wait a second of the product's time came after %s", took)
	}
}

func buriedLetter(id string, size int) events.DeadLetter {
	return events.DeadLetter{
		ID: id, Reason: events.ReasonInvalid, Field: "data.end", Attempts: 2, Stream: Intake, Sequence: 1,
		Subject: "hr.employee.ended.104711", Time: testTime, Header: map[string][]string{"ce-id": {"7"}, "Nats-Msg-Id": {"x"}},
		Body: bytes.Repeat([]byte("x"), size),
	}
}

func TestDeadLetterIsBuriedOnceAndShown(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	ctx := patience(t)
	aside, dead := &Aside{Publisher: p}, &DeadLetters{JS: js, Publisher: p}
	for range 3 {
		for i := range 3 {
			if err := aside.Bury(ctx, buriedLetter(fmt.Sprint("d", i), 10)); err != nil {
				t.Fatalf("bury: %v", err)
			}
		}
	}
	parked := buriedLetter("d9", 10)
	parked.Reason = events.ReasonParked
	if err := aside.Bury(ctx, parked); err != nil {
		t.Fatal(err)
	}
	for reason, want := range map[string]string{"": "d0 d1 d2 d9 ", events.ReasonParked: "d9 ", events.ReasonOrphan: ""} {
		got := ""
		if err := dead.List(ctx, reason, func(d events.DeadLetter) bool { got += d.ID + " "; return true }); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("dead letters of reason %q are %q, want %q", reason, got, want)
		}
	}
	d, err := dead.Show(ctx, "d1")
	if err != nil || d.Field != "data.end" || d.Attempts != 2 || d.BodySize != 10 || len(d.Header["ce-id"]) != 1 || len(d.Header["Nats-Msg-Id"]) != 0 {
		t.Errorf("dead letter d1 reads %+v, %v", d, err)
	}
	if err := dead.Drop(ctx, "d1"); err != nil {
		t.Fatal(err)
	}
	if _, err := dead.Show(ctx, "d1"); !errors.Is(err, ErrNoDeadLetter) {
		t.Errorf("after dropping, d1 is answered with %v", err)
	}
}

func TestReplayKeepsTheEventAndLeavesNothing(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	ctx := patience(t)
	publish(t, p, ended())
	m := inLane(t, js)
	d := buriedLetter("d1", 0)
	d.Header, d.Body = m.Headers(), m.Data()
	if err := (&Aside{Publisher: p}).Bury(ctx, d); err != nil {
		t.Fatal(err)
	}
	if err := m.DoubleAck(ctx); err != nil {
		t.Fatal(err)
	}
	dead := &DeadLetters{JS: js, Publisher: p}
	if err := dead.Replay(ctx, "d1"); err != nil {
		t.Fatalf("replay: %v", err)
	}
	again := inLane(t, js)
	e, err := events.Decode(again.Subject(), again.Headers(), again.Data(), testTime)
	if err != nil || e.ID != "7" || e.Meta.Subject != "104711" {
		t.Errorf("the replayed event reads %+v, %v", e, err)
	}
	if n := messages(t, js, Dead); n != 0 {
		t.Errorf("DEAD holds %d messages after the replay", n)
	}
	if err := dead.Replay(ctx, "d1"); !errors.Is(err, ErrNoDeadLetter) {
		t.Errorf("a second replay was answered with %v", err)
	}
}

func TestLargeOriginalIsReplayedFromItsStream(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	ctx := patience(t)
	body := bytes.Repeat([]byte("y"), 200<<10)
	big := nats.NewMsg("hr.employee.ended.104711")
	big.Header.Set("ce-id", "8")
	big.Header.Set("x-long", string(bytes.Repeat([]byte("h"), 20<<10)))
	big.Data = body
	if _, err := js.PublishMsg(ctx, big); err != nil {
		t.Fatal(err)
	}
	m := inLane(t, js)
	if err := m.DoubleAck(ctx); err != nil {
		t.Fatal(err)
	}
	d := buriedLetter("d1", 0)
	d.Header, d.Body = m.Headers(), body
	if err := (&Aside{Publisher: p}).Bury(ctx, d); err != nil {
		t.Fatal(err)
	}
	dead := &DeadLetters{JS: js, Publisher: p}
	kept, err := dead.Show(ctx, "d1")
	if err != nil || len(kept.Body) != 0 || kept.BodyHash == "" || kept.BodySize != len(body) || len(kept.Header["x-long"]) != 0 {
		t.Fatalf("of a large original the dead letter keeps %d bytes, hash %q, size %d, %v", len(kept.Body), kept.BodyHash, kept.BodySize, err)
	}
	if err := dead.Replay(ctx, "d1"); err != nil {
		t.Fatalf("replay: %v", err)
	}
	again := inLane(t, js)
	if !bytes.Equal(again.Data(), body) || len(again.Headers().Get("x-long")) != 20<<10 {
		t.Errorf("the replayed original has %d bytes, want %d", len(again.Data()), len(body))
	}
	if err := (&Aside{Publisher: p}).Bury(ctx, d); err != nil {
		t.Fatal(err)
	}
	st, err := js.Stream(ctx, Intake)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.SecureDeleteMsg(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := dead.Replay(ctx, "d1"); !errors.Is(err, ErrOriginalGone) {
		t.Errorf("replay without an original was answered with %v", err)
	}
}

func TestTailFollowsAndFilters(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	publish(t, p, fact("f1"), fact("f2"))
	var ids []string
	read := func(o TailOptions) error {
		ids = nil
		return Tail(patience(t), js, o, func(e events.Event) error { ids = append(ids, e.ID); return nil })
	}
	if err := read(TailOptions{Filter: "audit.password.>"}); err != nil || len(ids) != 0 {
		t.Errorf("tail of passwords: %v, %v", ids, err)
	}
	if err := read(TailOptions{Sequence: 2}); err != nil || len(ids) != 1 {
		t.Errorf("tail from the second: %v, %v", ids, err)
	}
	ctx, stop := context.WithCancel(patience(t))
	defer stop()
	n := 0
	err := Tail(ctx, js, TailOptions{Follow: true}, func(e events.Event) error {
		if n++; n == 2 {
			if err := p.Publish(ctx, fact("f3")); err != nil {
				return err
			}
		}
		if n == 3 {
			stop()
		}
		return nil
	})
	if err != nil || n != 3 {
		t.Errorf("following saw %d facts and ended with %v", n, err)
	}
	refusal := errors.New("enough")
	if err := Tail(patience(t), js, TailOptions{}, func(events.Event) error { return refusal }); !errors.Is(err, refusal) {
		t.Errorf("an error of the reader was answered with %v", err)
	}
}
