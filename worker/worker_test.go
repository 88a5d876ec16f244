package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"usn.no/matricula/events"
)

type outage struct{ what string }

func (o outage) Error() string      { return o.what + " does not answer" }
func (o outage) Unavailable() bool  { return true }
func (o outage) Dependency() string { return o.what }

// seen notes which event of which student came, in the order of arrival.
type seen struct {
	mu sync.Mutex
	of map[string][]int
}

func (s *seen) add(m events.Meta) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string][]int{}
	}
	s.of[m.Subject] = append(s.of[m.Subject], int(m.Sequence))
}

func (s *seen) get(student string) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.of[student])
}

func TestOnePersonsEventsKeepTheirOrderOverTwoWorkers(t *testing.T) {
	t.Parallel()
	r := newRig(t, 4, held)
	const students, each = 20, 10
	for n := 1; n <= each; n++ {
		for s := range students {
			r.publish(fmt.Sprintf("s%d", s), n)
		}
	}
	var order seen
	for range 2 {
		w, _ := r.worker()
		Handle(w, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error {
			if rand.N(20) == 0 {
				return errors.New("a passing fault")
			}
			order.add(m)
			return nil
		})
		r.start(w)
	}
	eventually(t, "every event is acknowledged", r.idle)
	for s := range students {
		got := order.get(fmt.Sprintf("s%d", s))
		if len(got) != each || !slices.IsSorted(got) {
			t.Errorf("student s%d: events were handled as %v, want 1 to %d once and in order", s, got, each)
		}
	}
}

func TestPoisonIsBuriedWithItsReasonAndOthersGoOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, held)
	w, m := r.worker()
	w.Metrics = NewMetrics()
	var order seen
	Handle(w, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error {
		order.add(m)
		if m.Subject == "refused" {
			return events.Refuse(events.ReasonInvalid, "data.so_number", "has a wrong check digit")
		}
		return nil
	})
	ce := func(typ string) nats.Header {
		return nats.Header{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {events.SourceHR}, "ce-type": {typ}, "ce-subject": {"1"}, "ce-time": {"2025-01-01T00:00:00Z"}}
	}
	big := []byte(strings.Repeat("x", MaxBody+1))
	want := map[string]string{}
	want[fmt.Sprint(r.raw("hr.employee.registered.1", nil, []byte("{")))] = events.ReasonMalformed
	want[fmt.Sprint(r.raw("hr.employee.sang.1", ce("no.usn.hr.employee.sang.v1"), []byte("{}")))] = events.ReasonUnknownType
	want[fmt.Sprint(r.raw("hr.employee.ended.1", ce(events.EmployeeEnded{}.EventType()), []byte(`{"employee_no":"1","employment":null,"end":"2027-01-31","reason":"expired"}`)))] = events.ReasonUnhandled
	bigSeq := r.raw("hr.employee.updated.1", nil, big)
	want[fmt.Sprint(bigSeq)] = events.ReasonMalformed
	for _, code := range []string{"100", "404", "408", "409", "503"} { // what the client library would take for the server's word
		want[fmt.Sprint(r.raw("hr.employee.updated.2", nats.Header{"Status": {code}}, nil))] = events.ReasonMalformed
	}
	r.publish("refused", 1)
	want["10"] = events.ReasonInvalid
	for i := range 16 {
		r.publish(fmt.Sprintf("good%d", i), 1)
	}
	r.start(w)
	eventually(t, "every event is acknowledged", r.idle)
	for i := range 16 {
		if got := order.get(fmt.Sprintf("good%d", i)); len(got) != 1 {
			t.Errorf("event of good%d was handled %d times", i, len(got))
		}
	}
	for _, d := range m.buried() {
		seq := fmt.Sprint(d.Sequence)
		if want[seq] != d.Reason {
			t.Errorf("message %s is buried as %q, want %q (%s %s)", seq, d.Reason, want[seq], d.Field, d.Text)
		}
		delete(want, seq)
		if d.Stream != "INTAKE" || strings.HasPrefix(d.Subject, "p.") || d.Attempts != 1 {
			t.Errorf("dead letter says stream %q, subject %q, attempts %d", d.Stream, d.Subject, d.Attempts)
		}
		if d.Sequence == bigSeq && (d.Body != nil || d.BodyHash == "" || d.BodySize != len(big)) {
			t.Errorf("dead letter of a large message keeps %d bytes, hash %q, size %d", len(d.Body), d.BodyHash, d.BodySize)
		}
	}
	if len(want) > 0 {
		t.Errorf("not buried: %v", want)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.events) != len(m.dead) {
		t.Errorf("%d rejections were audited for %d dead letters", len(m.events), len(m.dead))
	}
	for _, e := range m.events {
		if _, _, err := events.Encode(e); err != nil || !strings.HasPrefix(e.Subject(), "audit.event.rejected.") {
			t.Errorf("audit event on %s cannot be published: %v", e.Subject(), err)
		}
	}
}

func TestOutageIsWaitedOutInPlaceAndCountsForNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, 8, 6*time.Second) // a machine may stand still for seconds
	w, m := r.worker()
	w.Attempts = 2
	var down atomic.Bool
	var tries atomic.Int64
	down.Store(true)
	Handle(w, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error {
		if m.Subject != "stuck" {
			return nil
		}
		tries.Add(1)
		if down.Load() {
			return fmt.Errorf("account 1: %w", outage{"directory"})
		}
		return nil
	})
	if w.Ready() == nil {
		t.Error("a worker that does not run says it is ready")
	}
	r.publish("stuck", 1)
	began := time.Now()
	r.start(w)
	eventually(t, "status names the directory", func() bool {
		err := w.Ready()
		return err != nil && strings.Contains(err.Error(), "directory does not answer")
	})
	for i := range 20 {
		r.publish(fmt.Sprintf("other%d", i), 1)
	}
	eventually(t, "the outage lasts longer than AckWait and all attempts", func() bool {
		return tries.Load() > 20 && time.Since(began) > 9*time.Second
	})
	eventually(t, "messages of other lanes are handled during the outage", func() bool { return len(m.lines("message")) >= 15 })
	if n := len(m.buried()); n > 0 {
		t.Errorf("%d messages were buried in an outage", n)
	}
	down.Store(false)
	eventually(t, "every event is acknowledged", r.idle)
	eventually(t, "worker is ready again", func() bool { return w.Ready() == nil })
	for _, line := range m.lines("message") {
		if line["delivery"] != 1.0 || line["attempts"] != 0.0 {
			t.Errorf("a message was delivered %v times and failed %v times; it was held, not redelivered", line["delivery"], line["attempts"])
		}
	}
	if n := len(m.lines("outage begins")); n != 1 {
		t.Errorf("outage was logged %d times", n)
	}
}

func TestLaterHoldsNobodyBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, held)
	w, m := r.worker()
	at := time.Now().Add(24 * time.Hour).Truncate(time.Second)
	var order seen
	Handle(w, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error {
		order.add(m)
		if m.Subject == "early" {
			return events.Later(at)
		}
		return nil
	})
	m.refuse = 3 // the first writes fail: nothing may be acknowledged before one succeeds
	r.publish("early", 1)
	r.publish("next", 1)
	r.start(w)
	eventually(t, "every event is acknowledged", r.idle)
	if len(m.waits) != 1 || !m.waits[0].at.Equal(at) || m.waits[0].subject != "admissions.student.so-number-issued.early" {
		t.Errorf("put aside: %v, want one message until %s", m.waits, at)
	}
	if a, b := order.get("early"), order.get("next"); len(a) != 1 || len(b) != 1 {
		t.Errorf("handled: early %v, next %v, want each once", a, b)
	}
}

func TestFailingAndPanickingMessagesAreBuriedAfterTheirAttempts(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, held)
	w, m := r.worker()
	w.Attempts = 4
	calls := map[string]*atomic.Int64{"fails": {}, "panics": {}, "speaks": {}, "fine": {}}
	Handle(w, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error {
		calls[m.Subject].Add(1)
		switch m.Subject {
		case "fails":
			return errors.New("account 1: a fault of our own")
		case "panics":
			few, beyond := make([]int, 3), int(calls[m.Subject].Load())+3
			few[beyond] = 1
		case "speaks":
			panic("Kari Nordmann 15532510071")
		}
		return nil
	})
	for _, s := range []string{"fails", "panics", "speaks", "fine"} {
		r.publish(s, 1)
	}
	m.refuse = 2
	r.start(w)
	eventually(t, "every event is acknowledged", r.idle)
	for subject, text := range map[string]string{"fails": "account 1: a fault of our own", "panics": "index out of range", "speaks": "panicked with a string"} {
		if n := calls[subject].Load(); n != 4 {
			t.Errorf("%s: handled %d times, want 4", subject, n)
		}
		if !slices.ContainsFunc(m.buried(), func(d events.DeadLetter) bool {
			return strings.HasSuffix(d.Subject, "."+subject) && d.Reason == events.ReasonGaveUp && d.Attempts == 4 && strings.Contains(d.Text, text)
		}) {
			t.Errorf("%s: no dead letter that gave up after 4 attempts and says %q in %+v", subject, text, m.buried())
		}
	}
	if n := len(m.lines("handler panicked")); n != 2 {
		t.Errorf("%d stacks were logged, want one for each of two messages", n)
	}
	if strings.Contains(m.log.String(), "Nordmann") {
		t.Error("the value of a panic came into the log")
	}
}

func TestMessageInHandIsFinishedAndNoneIsBegunAfterTheEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, held)
	w, _ := r.worker()
	entered, leave := make(chan struct{}), make(chan struct{})
	var order seen
	Handle(w, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error {
		order.add(m)
		close(entered)
		<-leave
		return nil
	})
	r.publish("s", 1)
	r.publish("s", 2)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, r.lanes) }()
	<-entered
	cancel()
	close(leave)
	if err := <-ended; err != nil {
		t.Errorf("end was not clean: %v", err)
	}
	info, err := r.lanes[0].Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := order.get("s"); len(got) != 1 || info.AckFloor.Stream != 1 || info.NumPending != 1 {
		t.Errorf("handled %v, acknowledged up to %d, %d pending; want the first done and the second untouched", got, info.AckFloor.Stream, info.NumPending)
	}
}

func TestUnfinishedMessageIsGivenBackAtOnceAndNothingBehindItRuns(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, time.Minute) // longer than the test: only giving back explains a quick redelivery
	var order seen
	first, _ := r.worker()
	Handle(first, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error {
		order.add(m)
		return outage{"directory"}
	})
	r.publish("s", 1)
	r.publish("s", 2)
	stop := r.start(first)
	eventually(t, "the first worker waits for the directory", func() bool { return first.Ready() != nil })
	if err := stop(); err != nil {
		t.Errorf("end was not clean: %v", err)
	}
	if slices.Contains(order.get("s"), 2) {
		t.Error("the second event was handled before the first was finished")
	}
	second, m := r.worker()
	Handle(second, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error { order.add(m); return nil })
	r.start(second)
	eventually(t, "every event is acknowledged by the second worker, and told of", func() bool { return r.idle() && len(m.lines("message")) >= 2 })
	if got := m.lines("message"); len(got) != 2 || got[0]["sequence"] != 1.0 || got[1]["sequence"] != 2.0 {
		t.Errorf("the second worker handled %v, want 1 then 2", got)
	}
}

func TestHandlerThatIgnoresTheEndIsNamedAfterTheGrace(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, held)
	w, _ := r.worker()
	w.Grace = 50 * time.Millisecond
	entered, leave := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(leave) })
	Handle(w, func(context.Context, events.Meta, events.SONumberIssued) error {
		close(entered)
		<-leave
		return nil
	})
	r.publish("s", 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, r.lanes) }()
	<-entered
	cancel()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("Run says all ended well while a handler is still at work")
		}
	case <-time.After(60 * time.Second):
		t.Error("Run did not return within 60 s of a grace of 50 ms")
	}
}

func TestSlowHandlerKeepsItsMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, 6*time.Second) // a machine may stand still for seconds
	var order seen
	for range 2 { // the other one would get it
		w, _ := r.worker()
		Handle(w, func(ctx context.Context, m events.Meta, _ events.SONumberIssued) error {
			order.add(m)
			pause(ctx, 9*time.Second) // longer than AckWait: the work itself
			return nil
		})
		r.start(w)
	}
	r.publish("slow", 1)
	eventually(t, "the event is acknowledged", func() bool { return len(order.get("slow")) > 0 && r.idle() })
	if got := order.get("slow"); len(got) != 1 {
		t.Errorf("handled %d times, want once", len(got))
	}
}

func TestUnknownAcknowledgementIsNoFailure(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, 300*time.Millisecond)
	r.shared() // a lane of its own hears of its acknowledgement by the next message only
	w, m := r.worker()
	Handle(w, func(ctx context.Context, _ events.Meta, _ events.SONumberIssued) error {
		return r.js.DeleteConsumer(ctx, "INTAKE", "lane-0") // nobody is there to take the acknowledgement
	})
	r.publish("s", 1)
	r.start(w)
	eventually(t, "the message is reported", func() bool { return len(m.lines("message")) > 0 })
	line := m.lines("message")[0]
	if line["verdict"] != "done" || line["ack_unknown"] != true || len(m.buried()) > 0 {
		t.Errorf("reported as %v", line)
	}
	eventually(t, "the missing consumer shows", func() bool {
		err := w.Ready()
		return err != nil && strings.Contains(err.Error(), "broker does not answer")
	})
}

// Two publishes of the client per message are what a lane costs the broker: the
// acknowledgement that asks for the next one, and what the handler does.
func TestLaneOfItsOwnAsksForTheNextMessageWithItsAcknowledgement(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, held)
	const n = 50
	for i := range n {
		r.publish("s", i+1)
	}
	w, _ := r.worker()
	handled := 0
	Handle(w, func(context.Context, events.Meta, events.SONumberIssued) error { handled++; return nil })
	before := w.Conn.Stats().OutMsgs
	stop := r.start(w)
	eventually(t, "all is acknowledged", r.idle)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if sent := w.Conn.Stats().OutMsgs - before; handled != n || sent > n*3/2 {
		t.Errorf("%d messages were handled with %d publishes, not %d with about as many", handled, sent, n)
	}
}

func TestLanesThatShareAConsumerWorkAtTheSameTime(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, held)
	const lanes = 4
	c, err := r.js.CreateConsumer(t.Context(), "INTAKE", jetstream.ConsumerConfig{Durable: "mail", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 8, MaxDeliver: -1})
	if err != nil {
		t.Fatal(err)
	}
	w, m := r.worker()
	var inside sync.WaitGroup
	inside.Add(lanes)
	Handle(w, func(context.Context, events.Meta, events.SONumberIssued) error {
		inside.Done()
		inside.Wait() // until all four are here
		return nil
	})
	for i := range lanes {
		r.publish(fmt.Sprintf("s%d", i), 1)
	}
	r.lanes = slices.Repeat([]jetstream.Consumer{c}, lanes)
	r.start(w)
	eventually(t, "all lanes finish", func() bool { return len(m.lines("message")) == lanes })
}

func TestWorkerGoesOnAfterTheBrokerCameBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, 4, 500*time.Millisecond)
	w, _ := r.worker()
	var order seen
	Handle(w, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error { order.add(m); return nil })
	r.start(w)
	r.publish("s", 1)
	eventually(t, "the first event is acknowledged", r.idle)
	r.server.Restart()
	eventually(t, "the worker is connected", w.Conn.IsConnected)
	eventually(t, "the broker takes a message", func() bool {
		_, err := r.js.Publish(t.Context(), "hr.employee.registered.x", []byte("{"))
		return err == nil
	})
	r.publish("s", 2)
	eventually(t, "the second event is handled", func() bool { return slices.Contains(order.get("s"), 2) && r.idle() })
	eventually(t, "the worker is ready", func() bool { return w.Ready() == nil })
}

func TestLogAndMetricsTellOfEachMessageOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, held)
	w, m := r.worker()
	w.Metrics = NewMetrics()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(w.Metrics)
	Handle(w, func(context.Context, events.Meta, events.SONumberIssued) error { return nil })
	r.publish("s", 1)
	r.raw("hr.employee.registered.15532510071", nil, []byte("{")) // an identity number in the wrong place
	r.start(w)
	eventually(t, "both are reported", func() bool { return len(m.lines("message")) == 2 })
	for _, line := range m.lines("message") {
		for _, key := range []string{"worker", "type", "key", "id", "verdict", "reason", "took", "stream", "sequence", "attempts", "delivery"} {
			if _, ok := line[key]; !ok {
				t.Errorf("log line lacks %q: %v", key, line)
			}
		}
	}
	if strings.Contains(m.log.String(), "15532510071") {
		t.Error("an identity number came into the log")
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			if f.GetName() == "matricula_messages_total" {
				got = append(got, fmt.Sprintf("%s %v", metric.GetLabel()[0].GetValue(), metric.GetCounter().GetValue()))
			}
		}
	}
	if want := []string{"no.usn.admissions.student.so-number-issued.v1 1", "unknown 1"}; !slices.Equal(got, want) {
		t.Errorf("counted %q, want %q", got, want)
	}
}

func TestRunRefusesWhatWouldLoseMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, time.Second)
	c, err := r.js.CreateConsumer(t.Context(), "INTAKE", jetstream.ConsumerConfig{Durable: "limited", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: 3})
	if err != nil {
		t.Fatal(err)
	}
	w, _ := r.worker()
	if err := w.Run(t.Context(), []jetstream.Consumer{c}); err == nil {
		t.Error("a consumer that stops delivering after 3 times was accepted")
	}
	if err := w.Run(t.Context(), nil); err == nil {
		t.Error("no consumers were accepted")
	}
}

func TestMessageThatMayBeAnothersIsLeftAndTheLaneGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, 300*time.Millisecond)
	var order seen
	w, m := r.worker()
	Handle(w, func(_ context.Context, meta events.Meta, _ events.SONumberIssued) error {
		order.add(meta)
		w.Conn.Close() // nobody hears the heartbeats any more
		return outage{"directory"}
	})
	r.publish("s", 1)
	r.publish("s", 2)
	r.start(w)
	eventually(t, "the message is left", func() bool { return len(m.lines("message")) == 1 })
	if line := m.lines("message")[0]; line["verdict"] != "left" {
		t.Errorf("reported as %v, want left", line)
	}
	if slices.Contains(order.get("s"), 2) {
		t.Error("the second event was handled though the first was not finished")
	}
	second, _ := r.worker()
	Handle(second, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error { order.add(m); return nil })
	r.start(second)
	eventually(t, "every event is acknowledged", r.idle)
	if got := order.get("s"); !slices.IsSorted(got) || got[len(got)-1] != 2 {
		t.Errorf("handled in the order %v", got)
	}
}
