package worker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// kid is a worker in a process of its own.
type kid struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func (r *rig) spawn(name, dies string) *kid {
	r.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childURL+"="+r.server.URL, childDies+"="+dies, childName+"="+name, childAtOnce+"="+strconv.Itoa(r.atOnce))
	cmd.Stderr = os.Stderr
	if !testing.Verbose() {
		cmd.Stderr = nil
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatalf("start a worker process: %v", err)
	}
	k := &kid{cmd: cmd, done: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(k.done) }()
	r.t.Cleanup(k.kill)
	return k
}

func (k *kid) kill() {
	_ = k.cmd.Process.Signal(syscall.SIGKILL)
	<-k.done
}

func (k *kid) gone() bool {
	select {
	case <-k.done:
		return true
	default:
		return false
	}
}

// entry is one application of one event, in the order the broker stored them.
type entry struct {
	student string
	n       int
	by      string
}

func (r *rig) journal() []entry {
	r.t.Helper()
	var list []entry
	r.each("JOURNAL", func(m *jetstream.RawStreamMsg) {
		n, err := strconv.Atoi(string(m.Data))
		if err != nil {
			r.t.Fatalf("journal: %v", err)
		}
		list = append(list, entry{strings.TrimPrefix(m.Subject, "journal."), n, m.Header.Get("By")})
	})
	return list
}

func (r *rig) each(stream string, f func(*jetstream.RawStreamMsg)) {
	r.t.Helper()
	s, err := r.js.Stream(context.Background(), stream)
	if err != nil {
		r.t.Fatal(err)
	}
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(context.Background(), seq)
		if err != nil {
			r.t.Fatalf("read %s %d: %v", stream, seq, err)
		}
		f(m)
	}
}

func (r *rig) count(stream string) int {
	s, err := r.js.Stream(context.Background(), stream)
	if err != nil {
		r.t.Fatal(err)
	}
	return int(s.CachedInfo().State.Msgs)
}

// load publishes each events of students in turn, with poison in between.
func (r *rig) load(students, each, poison int) {
	r.t.Helper()
	for n := 1; n <= each; n++ {
		for s := range students {
			r.publish(fmt.Sprintf("s%d", s), n)
		}
		if n <= poison {
			r.raw(fmt.Sprintf("hr.employee.registered.%d", n), nil, []byte(`{"broken`))
		}
	}
}

// judge holds the journal against what was published.
func (r *rig) judge(students, each, poison int) (repeats int) {
	r.t.Helper()
	last, inversions := map[string]int{}, 0
	for _, e := range r.journal() {
		switch was := last[e.student]; {
		case e.n < was:
			inversions++
		case e.n == was:
			repeats++
		case e.n > was+1:
			r.t.Errorf("student %s: event %d came after %d: one was passed over", e.student, e.n, was)
		}
		last[e.student] = max(last[e.student], e.n)
	}
	if inversions > 0 {
		r.t.Errorf("%d events were applied after a newer one of the same person", inversions)
	}
	want := map[string]int{}
	for s := range students {
		want[fmt.Sprintf("s%d", s)] = each
	}
	if digest(last) != digest(want) {
		r.t.Errorf("end state is %v, want every student at %d", last, each)
	}
	if d, a := r.count("DEAD"), r.count("AUDIT"); d != poison || a != poison {
		r.t.Errorf("%d dead letters and %d audit events for %d poisoned messages", d, a, poison)
	}
	return repeats
}

// killAtRandom has two workers do what is there and kills one or the other of
// them, each time after up to most further effects, until all is acknowledged.
func (r *rig) killAtRandom(kills, most int) {
	r.t.Helper()
	kids := []*kid{r.spawn("a", ""), r.spawn("b", "")}
	for n := range kills {
		before := r.count("JOURNAL")
		more := 1 + rand.N(most)
		eventually(r.t, "work goes on", func() bool { return r.count("JOURNAL") >= before+more || r.idle() })
		victim := n % len(kids)
		kids[victim].kill()
		kids[victim] = r.spawn(strconv.Itoa(n), "")
	}
	eventually(r.t, "every event is acknowledged", r.idle)
}

func TestOrderAndEndStateSurviveWorkersKilledAtRandom(t *testing.T) {
	t.Parallel()
	r := newRig(t, 4, 3*time.Second) // who stands still for longer loses its message, and does it late
	const students, each, poison, kills = 12, 150, 5, 12
	r.load(students, each, poison)
	r.killAtRandom(kills, 60)
	repeats := r.judge(students, each, poison)
	t.Logf("%d kills, %d events, 0 inversions, %d applied twice", kills, students*each, repeats)
}

func TestOrderAndEndStateSurviveAKillAtEveryNamedPoint(t *testing.T) {
	t.Parallel()
	points := []string{"received", "before effect", "after effect", "before bury", "before audit", "before ack", "after ack"}
	r := newRig(t, 2, time.Second)
	const students, each, poison = 6, 12, 4
	r.load(students, each, poison)
	for _, point := range points {
		for _, nth := range []string{":1", ":2"} {
			k := r.spawn(point, point+nth)
			eventually(t, "the worker dies at "+point+nth+", or there is nothing left for it", func() bool { return k.gone() || r.idle() })
			k.kill()
		}
	}
	r.spawn("last", "")
	eventually(t, "every event is acknowledged", r.idle)
	r.judge(students, each, poison)
}

// A process that stood still longer than AckWait goes on with its message when
// it wakes, beside the one that has got it meanwhile. No worker can prevent
// that: the handler's compare-and-set has to refuse the older write.
func TestWorkerThatStoodStillDoesItsMessageAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1, 500*time.Millisecond)
	r.load(1, 400, 0)
	frozen := r.spawn("frozen", "")
	eventually(t, "the first worker is at work", func() bool { return r.count("JOURNAL") > 5 })
	if err := frozen.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	r.spawn("second", "")
	eventually(t, "the second worker finishes", r.idle)
	if err := frozen.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r.publish("s0", 401)
	eventually(t, "every event is acknowledged", r.idle)
	frozen.kill()
	// What the frozen one still had on its way is at most its one message.
	late, last := 0, 0
	for _, e := range r.journal() {
		if e.n < last {
			late++
		}
		last = max(last, e.n)
	}
	if last != 401 || late > 1 {
		t.Errorf("journal ends at %d with %d late applications, want 401 and at most the one message that was in hand", last, late)
	}
	t.Logf("%d late application by the worker that stood still", late)
}

func TestMessageThatKillsItsWorkerIsBuriedInTheEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, 2, 250*time.Millisecond)
	r.publish("deadly", 1)
	r.load(6, 3, 0)
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
	r.each("DEAD", func(m *jetstream.RawStreamMsg) {
		if !strings.HasPrefix(m.Subject, "dead.gave_up.") {
			t.Errorf("buried on %s, want gave_up", m.Subject)
		}
	})
	last := map[string]int{}
	for _, e := range r.journal() {
		last[e.student] = e.n
	}
	if len(last) != 6 {
		t.Errorf("%d of 6 students were handled beside the message that kills", len(last))
	}
}
