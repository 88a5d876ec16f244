package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"usn.no/matricula/events"
)

var testTime = time.Date(2027, 7, 1, 10, 0, 0, 0, time.UTC)

func fact(name string) events.Event {
	return events.Once(name, testTime, events.Audit{
		What: events.AuditCreated, Account: "a1", Actor: events.Actor{Kind: "worker"}, Outcome: "done",
	})
}

func letter(id string) events.Event {
	return events.Once(id, testTime, events.MailRequest{
		Template: events.LetterActivated, Letter: id, Account: "a1", Language: "nb", Address: "a@example.org", Name: "A",
	})
}

func waiting(group, account string) events.Event {
	return events.Once(group+"-"+account, testTime, events.WaitingLetter{Account: account, Kind: events.LetterActivation, Group: group})
}

func TestPublishingAgainRepeatsNothing(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	ctx := patience(t)
	employee := events.Event{
		Meta: events.Meta{ID: "1", Source: events.SourceHR, Subject: "104711", Time: testTime},
		Data: events.EmployeeCancelled{EmployeeNo: "104711", Reason: "never started"},
	}
	for range 3 {
		if err := p.Publish(ctx, fact("f1"), fact("f2"), letter("l1"), waiting("g", "a1"), employee); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	for stream, want := range map[string]uint64{Audit: 2, Mail: 1, Wait: 1, Intake: 1} {
		if got := messages(t, js, stream); got != want {
			t.Errorf("%s holds %d messages after publishing three times, want %d", stream, got, want)
		}
	}
}

func TestEachCallerLearnsItsOwnOutcome(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	ctx := patience(t)
	// one audit fact too large for the server's max_payload sits among good
	// ones and some that were told before
	if err := p.Publish(ctx, fact("old-1"), fact("old-2")); err != nil {
		t.Fatalf("publish: %v", err)
	}
	var wait sync.WaitGroup
	for i := range 60 {
		wait.Go(func() {
			e := fact(fmt.Sprintf("new-%d", i))
			if i%20 == 7 {
				e = fact(fmt.Sprintf("old-%d", 1+i%2))
			}
			if err := p.Publish(ctx, e); err != nil {
				t.Errorf("fact %d: %v", i, err)
			}
		})
	}
	wait.Go(func() {
		big := &nats.Msg{Subject: "audit.account.created.big", Data: make([]byte, 2<<20)}
		err := p.publish(ctx, Audit, nil, big)
		if err == nil || events.IsUnavailable(err) {
			t.Errorf("an oversized message was answered with %v, want a refusal that is no outage", err)
		}
	})
	wait.Wait()
	if got := messages(t, js, Audit); got != 59 {
		t.Errorf("AUDIT holds %d facts, want 59: 57 new ones and 2 old ones", got)
	}
}

func TestFullStreamIsAnOutageAndNotSuccess(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	st, err := js.Stream(patience(t), Audit)
	if err != nil {
		t.Fatal(err)
	}
	cfg := st.CachedInfo().Config
	cfg.MaxMsgs = 1
	if _, err := js.UpdateStream(patience(t), cfg); err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(patience(t), fact("first")); err != nil {
		t.Fatalf("publish into an empty stream: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := p.Publish(ctx, fact("second")); !events.IsUnavailable(err) {
		t.Errorf("publish into a full stream answered %v, want an outage", err)
	}
	cfg.MaxMsgs = -1
	if _, err := js.UpdateStream(patience(t), cfg); err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(patience(t), fact("second")); err != nil {
		t.Errorf("publish once there is room: %v", err)
	}
}

func TestMissingBrokerIsAnOutage(t *testing.T) {
	t.Parallel()
	b, _, p := declared(t)
	b.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if err := p.Publish(ctx, fact("f")); !events.IsUnavailable(err) {
		t.Errorf("publish without a broker answered %v, want an outage", err)
	}
	b.start()
	if err := p.Publish(patience(t), fact("f")); err != nil {
		t.Errorf("publish after the broker came back: %v", err)
	}
}

func TestNothingIsLostOrDoubledAcrossRestarts(t *testing.T) {
	t.Parallel()
	b, js, p := declaredDurable(t)
	ctx := patience(t)
	stop := make(chan struct{})
	var acked sync.Map
	var count atomic.Int64
	var wait sync.WaitGroup
	for w := range 24 {
		wait.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				id := fmt.Sprintf("w%d-%d", w, i)
				if err := p.Publish(ctx, fact(id), letter(id)); err != nil {
					t.Errorf("fact %s was not stored: %v", id, err)
					return
				}
				acked.Store(id, true)
				count.Add(1)
			}
		})
	}
	for range 3 {
		before := count.Load()
		eventually(t, "120 facts were published since the last restart", func() bool { return count.Load() >= before+120 })
		b.stop()
		b.start()
	}
	close(stop)
	wait.Wait()
	total := count.Load()
	eventually(t, "the streams are back", func() bool { _, err := js.Stream(ctx, Audit); return err == nil })
	if got := messages(t, js, Audit); got != uint64(total) {
		t.Errorf("AUDIT holds %d facts, %d were acknowledged", got, total)
	}
	if got := messages(t, js, Mail); got != uint64(total) {
		t.Errorf("MAIL holds %d letters, %d were acknowledged", got, total)
	}
	seen := map[string]int{}
	err := Tail(ctx, js, TailOptions{}, func(e events.Event) error { seen[e.ID]++; return nil })
	if err != nil {
		t.Fatalf("tail: %v", err)
	}
	acked.Range(func(id, _ any) bool {
		if n := seen[id.(string)]; n != 1 {
			t.Errorf("fact %s is %d times in the audit stream, want once", id, n)
		}
		return true
	})
}

func TestCloseWritesWhatWasHandedIn(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	var wait sync.WaitGroup
	var stored, refused atomic.Int64
	started := make(chan struct{}, 100)
	for i := range 100 {
		wait.Go(func() {
			started <- struct{}{}
			switch err := p.Publish(patience(t), fact(fmt.Sprint("f", i))); {
			case err == nil:
				stored.Add(1)
			case errors.Is(err, errClosed):
				refused.Add(1)
			default:
				t.Errorf("fact %d: %v", i, err)
			}
		})
	}
	for range 50 {
		<-started
	}
	if err := p.Close(patience(t)); err != nil {
		t.Fatalf("close: %v", err)
	}
	wait.Wait()
	if got := messages(t, js, Audit); int64(got) != stored.Load() || stored.Load()+refused.Load() != 100 {
		t.Errorf("AUDIT holds %d facts; %d callers were told it is stored, %d that the publisher is closed", got, stored.Load(), refused.Load())
	}
}

func TestUnknownEventIsRefusedBeforeTheBroker(t *testing.T) {
	t.Parallel()
	_, _, p := declared(t)
	err := p.Publish(patience(t), events.Event{})
	if err == nil || events.IsUnavailable(err) || !strings.Contains(err.Error(), "no data") {
		t.Errorf("an event without data was answered with %v", err)
	}
}
