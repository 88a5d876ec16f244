package worker

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// hold takes what the lanes have now, as another process would.
func (r *rig) hold(most int) (held []jetstream.Msg) {
	r.t.Helper()
	for _, c := range r.lanes {
		b, err := c.Fetch(most, jetstream.FetchMaxWait(time.Second), jetstream.FetchPriorityGroup("workers"))
		if err != nil {
			r.t.Fatalf("fetch: %v", err)
		}
		for m := range b.Messages() {
			held = append(held, m)
		}
	}
	return held
}

func TestNothingIsTakenUpBeforeWhatSomebodyElseHas(t *testing.T) {
	t.Parallel()
	for _, lanes := range []int{1, 2} {
		t.Run(fmt.Sprintf("lanes=%d", lanes), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, lanes, held)
			r.ahead(4)
			w, _ := r.worker()
			var order seen
			Handle(w, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error { order.add(m); return nil })
			for s := range 8 { // in both lanes
				r.publish(fmt.Sprintf("s%d", s), 1)
			}
			others := r.hold(8)
			if len(others) != 8 {
				t.Fatalf("the other one has %d events, want 8", len(others))
			}
			for s := range 8 {
				r.publish(fmt.Sprintf("s%d", s), 2)
			}
			before := w.Conn.Stats().OutMsgs
			r.start(w)
			eventually(t, "the worker has asked again and again", func() bool {
				return w.Conn.Stats().OutMsgs-before > 40 || len(order.get("s0")) > 0
			})
			for s := range 8 {
				if got := order.get(fmt.Sprintf("s%d", s)); len(got) > 0 {
					t.Errorf("student s%d: %v was handled before what somebody else has", s, got)
				}
			}
			for _, m := range others {
				if err := m.Ack(); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "every event is acknowledged", r.idle)
			for s := range 8 {
				if got := order.get(fmt.Sprintf("s%d", s)); !slices.Equal(got, []int{2}) {
					t.Errorf("student s%d: handled %v, want the second alone", s, got)
				}
			}
		})
	}
}

// What is erased while it is under way comes to nobody.
func TestErasedMessageOfAnotherHoldsNobodyBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, held)
	r.ahead(4)
	r.publish("s", 1)
	if len(r.hold(1)) != 1 {
		t.Fatal("the other one has nothing")
	}
	r.publish("s", 2)
	w, _ := r.worker()
	var order seen
	Handle(w, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error { order.add(m); return nil })
	r.start(w)
	st, err := r.js.Stream(t.Context(), "INTAKE")
	if err != nil {
		t.Fatal(err)
	}
	if err := st.DeleteMsg(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the next is handled", func() bool { return slices.Equal(order.get("s"), []int{2}) })
}

// The other one has died: what it had must be asked for, however much waits.
func TestMissingMessageIsAskedForAlsoWhereMuchWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, 3*time.Second)
	r.ahead(4)
	r.publish("s", 1)
	if len(r.hold(1)) != 1 {
		t.Fatal("the other one has nothing")
	}
	for range windowBytes/(900<<10) + 2 {
		r.raw("hr.employee.updated.2", nil, bytes.Repeat([]byte("x"), 900<<10))
	}
	w, _ := r.worker()
	Handle(w, func(context.Context, events.Meta, events.SONumberIssued) error { return nil })
	r.start(w)
	eventually(t, "every event is acknowledged", r.idle)
}

// An operator has a lane begin again where the directory has lost something.
func TestConsumerThatBeginsAgainHasEverythingHandledAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, held)
	r.ahead(4)
	const each = 10
	w, _ := r.worker()
	var order seen
	Handle(w, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error { order.add(m); return nil })
	r.start(w)
	for n := range each {
		r.publish("s", n+1)
	}
	eventually(t, "every event is acknowledged", r.idle)
	if _, err := r.js.ResetConsumerToSequence(t.Context(), "INTAKE", "lane-0", 1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "every event is acknowledged again", func() bool { return r.idle() && len(order.get("s")) >= 2*each })
	if got := order.get("s"); len(got) != 2*each || !inTurn(got[:each]) || !inTurn(got[each:]) {
		t.Errorf("handled %v, want 1 to %d twice", got, each)
	}
}

func TestMessageThatTakesLongIsHandledOnceAndWithItWhatWaitsBehind(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, 3*time.Second)
	r.ahead(4)
	var order seen
	for range 2 { // the other one would get it
		w, _ := r.worker()
		Handle(w, func(ctx context.Context, m events.Meta, _ events.SONumberIssued) error {
			order.add(m)
			if m.Subject == "slow" {
				pause(ctx, 5*time.Second) // longer than AckWait: the work itself
			}
			return nil
		})
		r.start(w)
	}
	r.publish("slow", 1)
	r.publish("s", 1)
	r.publish("slow", 2)
	eventually(t, "every event is acknowledged", func() bool { return len(order.get("slow")) > 1 && r.idle() })
	if got := append(order.get("slow"), order.get("s")...); !slices.Equal(got, []int{1, 2, 1}) {
		t.Errorf("handled %v, want each once", got)
	}
}

// delivered is the list of a lane that no goroutine reads, and the first events
// of as many students as they were delivered to it.
func delivered(t *testing.T, lanes, n int) (*ahead, []*message) {
	t.Helper()
	r := newRig(t, lanes, held)
	r.ahead(4)
	for s := range n {
		r.publish(fmt.Sprintf("s%d", s), 1)
	}
	w, _ := r.worker()
	Handle(w, func(context.Context, events.Meta, events.SONumberIssued) error { return nil })
	a := newLane(w, r.lanes[0], 0).ahead
	a.soft, a.hard = t.Context(), t.Context()
	t.Cleanup(a.pull.close)
	t.Cleanup(a.reader.close)
	var list []*message
	for range n {
		m, err := a.pull.next(t.Context(), true, nil)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	return a, list
}

func TestHeartbeatGoesOnPastWhatWasAcknowledgedMeanwhile(t *testing.T) {
	t.Parallel()
	a, list := delivered(t, 1, 3)
	for _, m := range list {
		it := a.newItem(m)
		it.sure = time.Now().Add(-a.ackWait / 2)
		a.insert(it)
	}
	for _, i := range []int{0, 2} {
		if err := list[i].raw.Ack(); err != nil {
			t.Fatal(err)
		}
	}
	a.beat(t.Context())
	if age := time.Since(a.items[1].sure); age > a.ackWait/3 {
		t.Errorf("the broker last heard of it %s ago", age)
	}
}

func TestNothingIsBegunThatMayBeSomebodyElses(t *testing.T) {
	t.Parallel()
	a, list := delivered(t, 1, 1)
	it := a.newItem(list[0])
	it.sure = time.Now().Add(-2 * a.ackWait) // the process stood still
	a.mu.Lock()
	defer a.mu.Unlock()
	a.insert(it)
	a.advance()
	if a.running > 0 || !a.halted {
		t.Errorf("%d in hand, halted %v", a.running, a.halted)
	}
}

func TestWhatWasDeliveredTwiceIsNotGivenBack(t *testing.T) {
	t.Parallel()
	a, list := delivered(t, 1, 3)
	list[1].meta.NumDelivered = 2
	for _, m := range list {
		a.parked = append(a.parked, a.newItem(m))
	}
	a.parked[2].sure = time.Now().Add(-2 * a.ackWait)
	a.tail, a.acked, a.floor.wait = 5, 3, lookEvery
	if !a.giveBack() || len(a.parked) != 2 || a.parked[0].place() != 2 || a.parked[1].place() != 3 {
		t.Errorf("%d are kept, want the two that must not be given back", len(a.parked))
	}
}

func TestWhatIsDeliveredAgainBehindTheListIsHandledAgain(t *testing.T) {
	t.Parallel()
	a, list := delivered(t, 1, 3)
	ended, end := context.WithCancel(t.Context())
	end()
	a.soft = ended // so that none is begun
	a.known, a.tail = true, 10
	list[0].meta.NumDelivered = 2 // its acknowledgement was lost
	a.arrive(list[0])
	if len(a.items) != 1 {
		t.Error("what was delivered again is not handled again")
	}
	if a.halted || !a.known {
		t.Error("a lost acknowledgement makes the lane begin again")
	}
	a.arrive(list[1])
	if !a.halted {
		t.Error("a consumer that begins again is not seen")
	}
	a.clear()
	a.parked = append(a.parked, a.newItem(list[2]))
	a.known, a.tail = true, 3
	if a.settle() || len(a.parked)+len(a.items) > 0 || a.tail != 3 {
		t.Error("what somebody else has done meanwhile is handled again")
	}
}

func TestMessageOfAnotherStreamAtTheSamePlaceIsNotTakenForTheSame(t *testing.T) {
	t.Parallel()
	a, list := delivered(t, 1, 1)
	old := *list[0]
	meta := *old.meta
	meta.Timestamp = meta.Timestamp.Add(-time.Hour)
	old.meta = &meta
	a.parked = append(a.parked, a.newItem(&old))
	a.arrive(list[0])
	if !a.halted {
		t.Error("taken for one that was delivered before")
	}
}

// What has been read of a stream says nothing about another one under its name.
func TestWhatWasReadOfAStreamOfBeforeIsForgotten(t *testing.T) {
	t.Parallel()
	a, list := delivered(t, 1, 2)
	a.prefixes["p.1."] = true
	found, err := a.reader.from(t.Context(), 1)
	if err != nil || len(found) != 2 {
		t.Fatalf("%d read: %v", len(found), err)
	}
	for i := range a.reader.kept { // as they were in the old stream: another lane's
		m := *a.reader.kept[i]
		meta := *m.meta
		meta.Timestamp = meta.Timestamp.Add(-time.Hour)
		raw := *m.raw
		raw.Subject = "p.other.x"
		m.meta, m.raw = &meta, &raw
		a.reader.kept[i] = &m
	}
	a.prefixes[partition(found[0].raw.Subject)] = true
	a.known, a.tail = true, 0
	if a.follows(a.newItem(list[1])) {
		t.Error("the first event of the new stream is left out")
	}
	if a.follows(a.newItem(list[1])) {
		t.Error("the first event of the new stream is left out at the second look")
	}
}

func TestMessageThatIsHereAlreadyIsTakenOnce(t *testing.T) {
	t.Parallel()
	a, list := delivered(t, 1, 2)
	a.insert(a.newItem(list[0]))
	a.parked = append(a.parked, a.newItem(list[1]))
	for i, it := range []*item{a.items[0], a.parked[0]} {
		it.sure = time.Now().Add(-a.ackWait / 2)
		a.arrive(list[i])
		if time.Since(it.sure) > a.ackWait/3 {
			t.Error("the broker counts from anew, and the lane does not know")
		}
	}
	if len(a.items) != 1 || len(a.parked) != 1 || a.halted {
		t.Errorf("%d in the list and %d wait, want one each", len(a.items), len(a.parked))
	}
}

// What else came while something is missing would wait as well, and two workers
// that each have every other message wait for each other. Only when nobody seems
// to be at work is more asked for: it brings what a dead one had.
func TestNothingMoreIsAskedForSoonWhileSomethingIsMissing(t *testing.T) {
	t.Parallel()
	a := &ahead{}
	if !a.room() {
		t.Error("an empty lane asks for nothing")
	}
	a.parked = []*item{{}}
	if a.floor.wait = time.Millisecond; a.room() {
		t.Error("more is asked for while somebody else may be at work")
	}
	if a.floor.wait = lookEvery; !a.room() {
		t.Error("what a dead worker had is never asked for")
	}
}
