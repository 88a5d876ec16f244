package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"usn.no/matricula/events"
)

// judgeAhead holds the journal against what was published, where a process that
// begins anew may repeat what another had done ahead of the lane: what counts is
// that nobody's event was applied before the one before it.
func (r *rig) judgeAhead(students, each, poison int) (repeats int) {
	r.t.Helper()
	last := map[string]int{}
	for _, e := range r.journal() {
		was := last[e.student]
		if e.n > was+1 {
			r.t.Errorf("student %s: event %d was applied when %d was the newest", e.student, e.n, was)
		}
		if e.n <= was {
			repeats++
		}
		last[e.student] = max(was, e.n)
	}
	for s := range students {
		if name := fmt.Sprintf("s%d", s); last[name] != each {
			r.t.Errorf("student %s ends at %d, want %d", name, last[name], each)
		}
	}
	if d, a := r.count("DEAD"), r.count("AUDIT"); d != poison || a != poison {
		r.t.Errorf("%d dead letters and %d audit events for %d poisoned messages", d, a, poison)
	}
	return repeats
}

func TestDifferentPersonsOfOneLaneAreHandledAtTheSameTimeAndOneInOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, held)
	r.ahead(4)
	const students, each = 6, 40
	r.load(students, each, 0)
	w, m := r.worker()
	var order seen
	var now, most atomic.Int64
	var busy sync.Map
	Handle(w, func(ctx context.Context, m events.Meta, _ events.SONumberIssued) error {
		if _, twice := busy.LoadOrStore(m.Subject, true); twice {
			t.Errorf("two events of %s are in hand", m.Subject)
		}
		defer busy.Delete(m.Subject)
		defer now.Add(-1)
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		pause(ctx, time.Millisecond)
		if rand.N(20) == 0 {
			return errors.New("a passing fault")
		}
		order.add(m)
		return nil
	})
	before := w.Conn.Stats().OutMsgs
	r.start(w)
	eventually(t, "every event is acknowledged, and told of", func() bool { return r.idle() && len(m.lines("message")) >= students*each })
	for s := range students {
		if got := order.get(fmt.Sprintf("s%d", s)); len(got) != each || !inTurn(got) {
			t.Errorf("student s%d: events were handled as %v, want 1 to %d once and in order", s, got, each)
		}
	}
	if most.Load() != 4 {
		t.Errorf("at most %d events were in hand, want 4", most.Load())
	}
	if sent := w.Conn.Stats().OutMsgs - before; sent > students*each*3/2 {
		t.Errorf("%d events took %d publishes of the client, want little more than one each", students*each, sent)
	}
	if n := len(m.lines("message")); n != students*each {
		t.Errorf("%d lines for %d events", n, students*each)
	}
}

func inTurn(list []int) bool {
	for i, n := range list {
		if n != i+1 {
			return false
		}
	}
	return true
}

func TestOrderSurvivesWorkersKilledWhileTheyAreAhead(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, 500*time.Millisecond)
	r.ahead(8)
	const students, each, poison, kills = 24, 60, 5, 6
	r.load(students, each, poison)
	r.killAtRandom(kills, 150)
	repeats := r.judgeAhead(students, each, poison)
	t.Logf("%d kills, %d events, none before its turn, %d applied twice", kills, students*each, repeats)
}

func TestOrderSurvivesAKillAtEveryNamedPointAhead(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, 500*time.Millisecond)
	r.ahead(4)
	const students, each, poison = 8, 12, 4
	r.load(students, each, poison)
	for _, point := range []string{"received", "before effect", "after effect", "before bury", "before audit", "before ack", "after ack"} {
		k := r.spawn(point, point+":2")
		eventually(t, "the worker dies at "+point+", or there is nothing left for it", func() bool { return k.gone() || r.idle() })
		k.kill()
	}
	r.spawn("last", "")
	eventually(t, "every event is acknowledged", r.idle)
	r.judgeAhead(students, each, poison)
}

// What kills its worker while it is ahead of the lane has no deliveries to be
// counted: it must come to the head and be buried there, and nothing else.
func TestMessageThatKillsItsWorkerAheadIsBuriedInTheEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, 250*time.Millisecond)
	r.ahead(4)
	r.load(6, 2, 0)
	r.publish("deadly", 1)
	r.load(6, 0, 0)
	for s := range 6 {
		r.publish(fmt.Sprintf("s%d", s), 3)
	}
	for deaths := 0; !r.idle(); deaths++ {
		if deaths > 40 { // the child's limit is 16 deliveries
			t.Fatal("the worker was killed 40 times and the message is still there")
		}
		k := r.spawn("n", "")
		eventually(t, "the worker dies or is through", func() bool { return k.gone() || r.idle() })
		k.kill()
	}
	if r.count("DEAD") != 1 {
		t.Fatalf("%d dead letters, want the one that kills", r.count("DEAD"))
	}
	r.judgeAhead(6, 3, 1)
}

// A lane goes round: while one worker is busy with it nobody else does the same
// work, and each gets some of it.
func TestLanesGoRoundBetweenWorkersThatAreAhead(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, held)
	r.ahead(4)
	const students, each = 40, 40
	r.load(students, each, 0)
	var handled atomic.Int64
	var mu sync.Mutex
	last, wrong := map[string]uint64{}, 0
	for range 2 {
		w, _ := r.worker()
		Handle(w, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error {
			handled.Add(1)
			mu.Lock()
			defer mu.Unlock()
			if m.Sequence > last[m.Subject]+1 {
				wrong++
			}
			last[m.Subject] = max(last[m.Subject], m.Sequence)
			return nil
		})
		r.start(w)
	}
	eventually(t, "every event is acknowledged", r.idle)
	if n := handled.Load(); n > students*each*5/4 || wrong > 0 {
		t.Errorf("%d events were handled %d times, %d before their turn", students*each, n, wrong)
	}
}

// A sender may give a message any header, also those by which the server says
// where a message is stored, and a status as only the server has it.
func TestHeadersOfASenderDoNotMislead(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, held)
	r.ahead(8)
	w, m := r.worker()
	var order seen
	Handle(w, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error { order.add(m); return nil })
	r.publish("s", 1)
	r.raw("hr.employee.updated.2", nats.Header{
		"Nats-Stream": {"OTHER"}, "Nats-Sequence": {"77"}, "Nats-Subject": {"p.1.it.account.suspended.x"}, "Nats-Time-Stamp": {"x"}, "Status": {"204"},
	}, []byte("{"))
	r.raw("hr.employee.updated.3", nats.Header{"Status": {"404"}}, nil)
	r.publish("s", 2)
	r.start(w)
	eventually(t, "every event is acknowledged", r.idle)
	if got := order.get("s"); len(got) != 2 || !inTurn(got) {
		t.Errorf("the events beside them were handled as %v", got)
	}
	dead := map[uint64]string{}
	for _, d := range m.buried() {
		dead[d.Sequence] = d.Subject
		if len(d.Header["Nats-Sequence"]) > 1 {
			t.Errorf("the dead letter has a header of the server's: %v", d.Header)
		}
	}
	if len(dead) != 2 || dead[2] != "hr.employee.updated.2" || dead[3] != "hr.employee.updated.3" {
		t.Errorf("buried: %v", dead)
	}
}

func TestUnfinishedMessageAheadIsLeftAndNothingBehindItRuns(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, time.Minute) // longer than the test: only giving back explains a quick redelivery
	r.ahead(4)
	var order seen
	first, _ := r.worker()
	Handle(first, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error {
		if m.Subject == "fine" {
			order.add(m)
			return nil
		}
		if m.Sequence == 2 {
			t.Error("the second event was handled before the first was finished")
		}
		return outage{"directory"}
	})
	r.publish("s", 1)
	r.publish("s", 2)
	r.publish("fine", 1)
	stop := r.start(first)
	eventually(t, "the first worker waits for the directory", func() bool { return first.Ready() != nil && len(order.get("fine")) > 0 })
	if err := stop(); err != nil {
		t.Errorf("end was not clean: %v", err)
	}
	second, m := r.worker()
	Handle(second, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error { order.add(m); return nil })
	r.start(second)
	eventually(t, "every event is acknowledged by the second worker, and told of", func() bool { return r.idle() && len(m.lines("message")) >= 3 })
	if got := order.get("s"); len(got) != 2 || !inTurn(got) || len(m.lines("message")) != 3 {
		t.Errorf("the second worker handled %v", got)
	}
}

// Who takes long holds nobody else back, however late the others come: the lane
// is read on, also when its lease has ended meanwhile.
func TestMessageThatTakesLongHoldsNobodyElseBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, held)
	r.ahead(4)
	r.window(1 << 16)
	w, _ := r.worker()
	leave := make(chan struct{})
	var order seen
	Handle(w, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error {
		if m.Subject == "long" {
			<-leave
		}
		order.add(m)
		return nil
	})
	r.publish("long", 1)
	r.publish("long", 2)
	r.start(w)
	began, n := time.Now(), 0
	for n < 3 || time.Since(began) < leaseFor+time.Second {
		n++
		r.publish("quick", n)
		eventually(t, "the event of somebody else is handled", func() bool { return len(order.get("quick")) == n })
	}
	if got := order.get("long"); len(got) > 0 {
		t.Errorf("of the one that takes long %v is done", got)
	}
	close(leave)
	eventually(t, "every event is acknowledged", r.idle)
	if long, quick := order.get("long"), order.get("quick"); !inTurn(long) || !inTurn(quick) || len(long) != 2 {
		t.Errorf("handled as %v and %v", long, quick)
	}
}
