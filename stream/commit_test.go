package stream

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// listening is a server's side of a committer that answers when the test says.
type listening struct {
	t   *testing.T
	sub *nats.Subscription
	c   *committer
}

func listen(t *testing.T, batches bool) *listening {
	t.Helper()
	nc, _ := newBroker(t, false).connect()
	sub, err := nc.SubscribeSync("x.>")
	if err != nil {
		t.Fatal(err)
	}
	c := newCommitter(nc, batches, nil, time.Hour) // nothing is tried again
	t.Cleanup(c.close)
	return &listening{t: t, sub: sub, c: c}
}

func (l *listening) add(data string, subjects ...string) *effect {
	e := &effect{ctx: patience(l.t), done: make(chan error, 1)}
	for _, s := range subjects {
		e.msgs = append(e.msgs, &nats.Msg{Subject: s, Data: []byte(data)})
	}
	l.c.add(e)
	return e
}

// until reads what was sent until it says want on a subject, and answers that
// message and what all before it said.
func (l *listening) until(want, subject string) (m *nats.Msg, before []string) {
	l.t.Helper()
	for {
		m, err := l.sub.NextMsg(time.Minute)
		if err != nil {
			l.t.Fatalf("%q on %s was not sent, only %q: %v", want, subject, before, err)
		}
		if string(m.Data) == want && m.Subject == subject {
			return m, before
		}
		before = append(before, string(m.Data))
	}
}

// store answers as a stream does that has stored it.
func (l *listening) store(m *nats.Msg) {
	l.t.Helper()
	if err := m.Respond([]byte(`{"stream":"X","seq":1}`)); err != nil {
		l.t.Fatal(err)
	}
}

func (l *listening) stored(e *effect) {
	l.t.Helper()
	if err := e.wait("publish"); err != nil {
		l.t.Fatalf("what was stored ended in: %v", err)
	}
}

// both has two commits under way, and answers them and what they sent.
func (l *listening) both() (first *effect, one *nats.Msg, second *effect, two *nats.Msg) {
	l.t.Helper()
	first = l.add("first", "x.1")
	one, _ = l.until("first", "x.1")
	second = l.add("second", "x.2")
	two, _ = l.until("second", "x.2")
	return first, one, second, two
}

func TestCommitGoesOutBesideOneThatHasNoAnswer(t *testing.T) {
	t.Parallel()
	l := listen(t, false)
	first, one, second, two := l.both()
	behind := l.add("behind the first", "x.1")
	third := l.add("third", "x.3")
	l.store(two)
	l.stored(second)
	three, before := l.until("third", "x.3")
	if slices.Contains(before, "behind the first") {
		t.Errorf("two on one subject were under way at once")
	}
	l.store(three)
	l.stored(third)
	l.store(one)
	l.stored(first)
	last, _ := l.until("behind the first", "x.1")
	l.store(last)
	l.stored(behind)
}

func TestOneAnswerIsNotHeldForTheOthersOfItsCommit(t *testing.T) {
	t.Parallel()
	l := listen(t, false)
	w := <-l.c.free // so that both go in one commit
	v := <-l.c.free
	first, second := l.add("first", "x.1"), l.add("second", "x.2")
	l.c.free <- w
	l.until("first", "x.1")
	two, _ := l.until("second", "x.2")
	l.store(two)
	l.stored(second)
	select {
	case err := <-first.done:
		t.Errorf("what nobody answered ended in: %v", err)
	default:
	}
	l.c.free <- v
}

// groups are effects of two messages each.
func groups(t *testing.T, names ...string) (out []*effect) {
	t.Helper()
	for _, n := range names {
		out = append(out, &effect{ctx: t.Context(), msgs: []*nats.Msg{{Subject: "x." + n + ".1"}, {Subject: "x." + n + ".2"}}})
	}
	return out
}

func TestBatchWaitsForTheOneUnderWay(t *testing.T) {
	t.Parallel()
	all := groups(t, "a", "b", "c")
	c := &committer{batches: true, busy: map[string]bool{}, queue: all[:1]}
	first, _ := c.take()
	c.queue = append(c.queue, all[1:]...)
	if second, over := c.take(); len(first) != 1 || second != nil || over {
		t.Fatalf("with a batch of %d under way one of %d began", len(first), len(second))
	}
	c.end(first, nil)
	if second, _ := c.take(); len(second) != 2 {
		t.Errorf("what waited meanwhile went in a batch of %d, not of 2", len(second))
	}
}

func TestCommitterIsNotOverWhileSomethingIsUnderWay(t *testing.T) {
	t.Parallel()
	c := &committer{busy: map[string]bool{}, queue: groups(t, "a"), closed: true}
	round, _ := c.take()
	if _, over := c.take(); over {
		t.Error("it was over with one under way")
	}
	c.end(round, round) // no answer: it is to be tried again
	again, over := c.take()
	if len(again) != 1 || over {
		t.Fatalf("%d were tried again, over is %v", len(again), over)
	}
	c.end(again, nil)
	if _, over := c.take(); !over {
		t.Error("it was not over when all was done")
	}
}

func TestClosingWaitsForWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	l := listen(t, false)
	first, one, second, two := l.both()
	l.c.close()
	if err := l.add("late", "x.3").wait("publish"); err == nil {
		t.Error("a closed committer took an effect")
	}
	l.store(two)
	l.stored(second)
	select {
	case <-l.c.ended:
		t.Error("it ended with one under way")
	default:
	}
	l.store(one)
	l.stored(first)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	select {
	case <-l.c.ended:
	case <-ctx.Done():
		t.Error("it did not end")
	}
}
