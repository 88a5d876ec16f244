package stream

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

const kind = events.LetterActivation

func waitingOn(js jetstream.JetStream) *Waiting { return &Waiting{JS: js, Settings: testSettings()} }

// collected reads letters of every group and notes when each came.
type collected struct {
	mu   sync.Mutex
	when map[string]time.Time
	n    map[string]int
}

func collect(t *testing.T, w *Waiting) *collected {
	t.Helper()
	c := &collected{when: map[string]time.Time{}, n: map[string]int{}}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Watch(ctx, 50*time.Millisecond, c.read, nil)
	}()
	t.Cleanup(func() { stop(); <-done })
	return c
}

func (c *collected) read(ctx context.Context, consumer jetstream.Consumer) {
	for ctx.Err() == nil {
		batch, err := consumer.Fetch(10, jetstream.FetchContext(ctx))
		if err != nil {
			continue
		}
		for m := range batch.Messages() {
			c.mu.Lock()
			c.when[m.Subject()] = time.Now()
			c.n[m.Subject()]++
			c.mu.Unlock()
			_ = m.Ack()
		}
	}
}

func (c *collected) came(e events.Event) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.when[e.Subject()]
	return at, ok
}

func (c *collected) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.when)
}

func plan(t *testing.T, w *Waiting, group string, due time.Time) {
	t.Helper()
	if err := w.Plan(patience(t), group, kind, due); err != nil {
		t.Fatalf("plan %s: %v", group, err)
	}
}

func publish(t *testing.T, p *Publisher, evs ...events.Event) {
	t.Helper()
	if err := p.Publish(patience(t), evs...); err != nil {
		t.Fatalf("publish: %v", err)
	}
}

// onTime waits for a letter that must not come before it is due. How long after
// that it comes is a busy machine's matter, as long as it does.
func onTime(t *testing.T, c *collected, e events.Event, due time.Time) {
	t.Helper()
	eventually(t, "the letter came", func() bool { _, ok := c.came(e); return ok })
	if at, _ := c.came(e); at.Before(due.Add(-5 * time.Millisecond)) {
		t.Errorf("letter came %s before it was due", due.Sub(at))
	}
}

func TestLettersWaitUntilTheirGroupIsDue(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	w := waitingOn(js)
	c := collect(t, w)
	due := time.Now().Add(1500 * time.Millisecond)
	first, late := waiting("student.main.2027-08-01", "a1"), waiting("student.main.2027-08-01", "a2")
	publish(t, p, first)
	plan(t, w, "student.main.2027-08-01", due)
	onTime(t, c, first, due)
	written := time.Now()
	publish(t, p, late)
	plan(t, w, "student.main.2027-08-01", due)
	onTime(t, c, late, written)
}

func TestMovingAGroupMovesItsLetters(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	w := waitingOn(js)
	c := collect(t, w)
	earlier := waiting("earlier", "a1")
	publish(t, p, earlier)
	plan(t, w, "earlier", time.Now().Add(time.Hour))
	// A group whose first time is over before it is moved proves nothing: another
	// one then.
	var later events.Event
	var moved time.Time
	for n := 0; ; n++ {
		group := fmt.Sprint("later-", n)
		later = waiting(group, "a1")
		publish(t, p, later)
		first := time.Now().Add(time.Second)
		moved = first.Add(1500 * time.Millisecond)
		plan(t, w, group, first)
		plan(t, w, group, moved)
		if time.Now().Before(first) {
			break
		}
	}
	soon := time.Now().Add(800 * time.Millisecond)
	plan(t, w, "earlier", soon)
	onTime(t, c, earlier, soon)
	onTime(t, c, later, moved)
}

func TestWaitingSurvivesARestart(t *testing.T) {
	t.Parallel()
	b, js, p := declaredDurable(t)
	w := waitingOn(js)
	slept, across := waiting("slept", "a1"), waiting("across", "a1")
	publish(t, p, slept, across)
	plan(t, w, "slept", time.Now().Add(50*time.Millisecond))
	due := time.Now().Add(2 * time.Second)
	plan(t, w, "across", due)
	b.stop()
	b.start()
	eventually(t, "the broker answers", func() bool { _, err := js.Stream(patience(t), Wait); return err == nil })
	groups, err := w.Groups(patience(t))
	if err != nil || len(groups) != 2 {
		t.Fatalf("groups after a restart: %+v, %v", groups, err)
	}
	for _, g := range groups {
		if g.Letters != 1 || !g.Planned || g.Group == "across" && !g.Due.Equal(due) {
			t.Errorf("group after a restart: %+v", g)
		}
	}
	back := time.Now()
	c := collect(t, w)
	onTime(t, c, slept, back)
	onTime(t, c, across, due)
	eventually(t, "WAIT is empty", func() bool { return messages(t, js, Wait) == 0 })
}

func TestLetterThatNobodyPlannedIsFound(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	w := waitingOn(js)
	e := waiting("a group with a long name.2027-08-01", "a1")
	publish(t, p, e, waiting("planned", "a1"))
	plan(t, w, "planned", time.Now().Add(time.Hour))
	groups, err := w.Groups(patience(t))
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, g := range groups {
		found = found || g == Group{Group: "a group with a long name.2027-08-01", Kind: kind, Letters: 1}
	}
	if !found {
		t.Fatalf("the letter without a plan is not among the groups: %+v", groups)
	}
	now := time.Now()
	c := collect(t, w)
	err = w.Replan(patience(t), func(group, _ string) (time.Time, bool) { return now, group != "planned" })
	if err != nil {
		t.Fatalf("replan: %v", err)
	}
	onTime(t, c, e, now)
	if n := c.count(); n != 1 {
		t.Errorf("%d letters came, want only the one that was replanned", n)
	}
}

func TestPlannedTimeIsTheProductsAndThePauseTheBrokers(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	w := waitingOn(js)
	start := time.Now()
	product := time.Date(2027, 7, 31, 21, 59, 30, 0, time.UTC)
	w.Settings.Clock.ToBroker = func(at time.Time) time.Time { return start.Add(at.Sub(product)) }
	due := product.Add(1200 * time.Millisecond)
	e := waiting("shifted", "a1")
	publish(t, p, e)
	plan(t, w, "shifted", due)
	groups, err := w.Groups(patience(t))
	if err != nil || len(groups) != 1 || !groups[0].Due.Equal(due) {
		t.Fatalf("groups: %+v, %v; want one that is due %s", groups, err, due)
	}
	onTime(t, collect(t, w), e, start.Add(1200*time.Millisecond))
}

func TestSweepingLosesNoLetter(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	w := waitingOn(js)
	c := collect(t, w)
	ctx, stop := context.WithCancel(patience(t))
	var swept atomic.Int64
	var sweepers sync.WaitGroup
	for range 2 {
		sweepers.Go(func() {
			// the server removes a durable's files for some milliseconds, and
			// cannot make the next one meanwhile
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				<-tick.C
				n, err := w.Sweep(ctx, time.Now())
				if err != nil && ctx.Err() == nil && !events.IsUnavailable(err) {
					t.Errorf("sweep: %v", err)
					return
				}
				swept.Add(int64(n))
			}
		})
	}
	const writers, each = 4, 25
	var wait sync.WaitGroup
	for i := range writers {
		wait.Go(func() {
			for j := range each {
				if err := p.Publish(ctx, waiting("busy", fmt.Sprintf("a%d-%d", i, j))); err != nil {
					t.Errorf("publish: %v", err)
				}
				for {
					err := w.Plan(ctx, "busy", kind, time.Now())
					if err == nil {
						break
					}
					if !events.IsUnavailable(err) {
						t.Errorf("plan: %v", err)
						break
					}
				}
			}
		})
	}
	wait.Wait()
	empty := func() bool { groups, err := w.Groups(ctx); return err == nil && len(groups) == 0 }
	eventually(t, "every letter came", func() bool { return c.count() == writers*each })
	eventually(t, "the empty durable is swept", empty)
	// One after the other, until a letter has found its durable gone.
	for more := 1; swept.Load() < 2; more++ {
		publish(t, p, waiting("busy", fmt.Sprintf("later-%d", more)))
		plan(t, w, "busy", time.Now())
		eventually(t, "a letter after the sweep came", func() bool { return c.count() == writers*each+more })
		eventually(t, "the durable made again is swept", empty)
	}
	stop()
	sweepers.Wait()
}

func TestPausedDurableStillAnswersThatItListens(t *testing.T) {
	t.Parallel()
	b, js, p := declared(t)
	w := waitingOn(js)
	publish(t, p, waiting("g", "a1"))
	plan(t, w, "g", time.Now().Add(time.Hour))
	nc, _ := b.connect()
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	request := fmt.Sprintf(`{"batch":1,"expires":%d,"idle_heartbeat":%d}`, 60*time.Second, 500*time.Millisecond)
	if err := nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.WAIT."+letterConsumer("g", kind), inbox, []byte(request)); err != nil {
		t.Fatal(err)
	}
	m, err := sub.NextMsg(patient)
	if err != nil || m.Header.Get("Status") != "100" {
		t.Errorf("a request to a paused durable was answered %v, %v; want a heartbeat", headerOf(m), err)
	}
}

func headerOf(m *nats.Msg) nats.Header {
	if m == nil {
		return nil
	}
	return m.Header
}
