package worker

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"testing"

	"usn.no/matricula/events"
)

// inLane is a student of whom the events come in this lane.
func (r *rig) inLane(lane int, name string) string {
	for n := 0; ; n++ {
		student := fmt.Sprintf("%s%d", name, n)
		h := fnv.New32a() // as the broker's partition() does
		_, _ = h.Write([]byte(student))
		if int(h.Sum32()%partitions)%len(r.lanes) == lane {
			return student
		}
	}
}

// open tells whether a message that is not suspicious would begin at once: it
// does not while a suspicious one is in hand, or waits for those that are.
func (w *Worker) open() bool {
	if !w.alone.TryRLock() {
		return false
	}
	w.alone.RUnlock()
	return true
}

// What may kill the process begins when nothing else is in hand, and until it is
// acknowledged nothing else begins: else the others would be delivered again for
// each death, and be buried with it.
func TestSuspiciousMessageIsInHandAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, held)
	deadly, beside := r.inLane(0, "deadly"), r.inLane(1, "beside")

	// One worker has the deadly one and gives it back: it is delivered again.
	before := *r
	before.lanes = r.lanes[:1]
	first, _ := r.worker()
	var tried atomic.Int64
	Handle(first, func(context.Context, events.Meta, events.SONumberIssued) error {
		tried.Add(1)
		return outage{"directory"}
	})
	r.publish(deadly, 1)
	stop := before.start(first)
	eventually(t, "the first worker has the deadly event in hand", func() bool { return tried.Load() > 0 })

	second, _ := r.worker()
	second.Deliveries = 4 // the second delivery is suspicious
	begun := map[string]chan struct{}{deadly: make(chan struct{}), beside: make(chan struct{})}
	leave := map[string]chan struct{}{deadly: make(chan struct{}), beside: make(chan struct{})}
	free := sync.OnceFunc(func() { close(leave[deadly]); close(leave[beside]) })
	var received, acked, then atomic.Int64 // then: how many were acknowledged when the last one began
	second.at = func(point string) {
		switch point {
		case "received":
			received.Add(1)
			return
		case "after ack":
			acked.Add(1)
		}
		if closed(begun[deadly]) && then.Load() == 0 && second.open() { // these are the deadly one's
			t.Errorf("at %q of the deadly event others may begin", point)
		}
	}
	Handle(second, func(_ context.Context, m events.Meta, _ events.SONumberIssued) error {
		if m.Sequence == 2 {
			then.Store(acked.Load())
			return nil
		}
		close(begun[m.Subject])
		<-leave[m.Subject]
		return nil
	})
	r.start(second)
	t.Cleanup(free) // whatever fails: before the worker is ended
	r.publish(beside, 1)
	eventually(t, "the event beside it is in hand", func() bool { return closed(begun[beside]) })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the deadly event waits for the one in hand, or begins", func() bool { return closed(begun[deadly]) || !second.open() })
	if closed(begun[deadly]) {
		t.Fatal("the deadly event began while another was in hand")
	}
	leave[beside] <- struct{}{}
	eventually(t, "the deadly event is in hand", func() bool { return closed(begun[deadly]) })
	r.publish(beside, 2)
	eventually(t, "the next event beside it is received", func() bool { return received.Load() == 3 })
	if second.open() {
		t.Error("while the deadly event is in hand, others may begin")
	}
	free()
	eventually(t, "every event is acknowledged", r.idle)
	if n := then.Load(); n != 2 {
		t.Errorf("the next event began when %d were acknowledged, not after the deadly one", n)
	}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
