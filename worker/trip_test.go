package worker_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
	"usn.no/matricula/testkit"
	"usn.no/matricula/worker"
)

// office is one role with its connection to the shipped broker.
type office struct {
	conn      *nats.Conn
	js        jetstream.JetStream
	publisher *stream.Publisher
}

func open(t *testing.T, b *testkit.NATSBroker, role string) office {
	t.Helper()
	nc, err := stream.Connect(stream.Options{URL: b.URL, InboxPrefix: "_INBOX_" + role, More: b.Options(role)})
	if err != nil {
		t.Fatalf("%s: %v", role, err)
	}
	t.Cleanup(nc.Close)
	js, err := stream.JetStream(nc)
	if err != nil {
		t.Fatal(err)
	}
	p := stream.NewPublisher(js)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Errorf("%s: publisher did not end: %v", role, err)
		}
	})
	return office{nc, js, p}
}

// insist repeats what an outage interrupts, as every sender has to.
func insist(t *testing.T, what string, do func(context.Context) error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err = do(ctx)
		cancel()
		if err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

func run(t *testing.T, w *worker.Worker, lanes []jetstream.Consumer) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, lanes) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("worker %s did not end well: %v", w.Name, err)
		}
	})
}

// The whole road on the shipped configuration, each role with its own rights,
// while the broker is killed: every event leads to its fact and its letter
// exactly once, what waits comes back, what is refused lies among the dead.
func TestEventsMakeTheirTripWhileTheBrokerIsKilled(t *testing.T) {
	t.Parallel()
	const students, poison = 60, 3
	b := testkit.NATSProcess(t)
	settings := stream.DefaultSettings()
	settings.Lanes, settings.AckWait = 4, 2*time.Second
	operator := open(t, b, "operator")
	if err := stream.Declare(t.Context(), operator.js, settings, false); err != nil {
		t.Fatalf("declare: %v", err)
	}

	intake := open(t, b, "worker")
	var mu sync.Mutex
	origins := map[string][]uint64{}
	w := &worker.Worker{Conn: intake.conn, Aside: &stream.Aside{Publisher: intake.publisher}, Publisher: intake.publisher, Log: zerolog.Nop(), Name: "intake", AtOnce: 8}
	worker.Handle(w, func(ctx context.Context, m events.Meta, s events.SONumberIssued) error {
		mu.Lock()
		origins[m.Subject] = append(origins[m.Subject], m.Position)
		first := len(origins[m.Subject]) == 1
		mu.Unlock()
		if m.Subject == "s7" && first {
			return events.Later(time.Now().Add(time.Second))
		}
		return intake.publisher.Publish(ctx,
			events.Once(m.Subject+"-created", m.Time, events.Audit{What: events.AuditCreated, Account: m.Subject, Actor: events.Actor{Kind: "admissions"}, Outcome: "done", Cause: m.ID}),
			events.Once(m.Subject+"-letter", m.Time, events.MailRequest{Template: events.LetterActivation, Letter: m.Subject + "-letter", Account: m.Subject,
				Language: "nb", Address: "kari@example.org", Name: "Kari Nordmann", Invitation: "i", Purpose: "activate"}))
	})
	lanes, err := stream.LaneConsumers(t.Context(), intake.js, settings)
	if err != nil {
		t.Fatal(err)
	}
	due, err := stream.DueConsumer(t.Context(), intake.js)
	if err != nil {
		t.Fatal(err)
	}
	run(t, w, append(lanes, due, due))

	post := open(t, b, "mailer")
	letters := &stream.Letters{Publisher: post.publisher}
	m := &worker.Worker{Conn: post.conn, Aside: &stream.Aside{Publisher: post.publisher}, Publisher: post.publisher, Log: zerolog.Nop(), Name: "mail"}
	sent := map[string]int{}
	worker.Handle(m, func(ctx context.Context, meta events.Meta, r events.MailRequest) error {
		if _, known, err := letters.Sent(ctx, r.Letter); err != nil || known {
			return err
		}
		mu.Lock()
		sent[r.Letter]++
		mu.Unlock()
		if err := letters.Mark(ctx, r.Letter, events.LetterMark{State: events.LetterSent, Last: time.Now()}); err != nil {
			return err
		}
		return post.publisher.Publish(ctx, events.Once(r.Letter+"-sent", meta.Time, events.Audit{What: events.AuditLetterSent, Account: r.Account, Actor: events.Actor{Kind: "worker"}, Outcome: "done"}))
	})
	mail, err := stream.MailConsumer(t.Context(), post.js)
	if err != nil {
		t.Fatal(err)
	}
	run(t, m, []jetstream.Consumer{mail, mail, mail})

	began := time.Now()
	admissions := open(t, b, "admissions")
	for i := range students {
		e := events.Event{Meta: events.Meta{ID: fmt.Sprint(i), Source: events.SourceAdmissions, Subject: fmt.Sprintf("s%d", i), Time: time.Now()},
			Data: events.SONumberIssued{StudentNo: fmt.Sprintf("s%d", i), SONumber: "15532510071"}}
		insist(t, "publish an event", func(ctx context.Context) error { return admissions.publisher.Publish(ctx, e) })
		if i < poison {
			insist(t, "publish poison", func(ctx context.Context) error {
				_, err := admissions.js.Publish(ctx, fmt.Sprintf("admissions.student.updated.x%d", i), []byte("{"), jetstream.WithMsgID(fmt.Sprintf("poison%d", i)))
				return err
			})
		}
		if i%20 == 10 {
			b.Kill()
			b.Start()
		}
	}

	facts := map[string]int{}
	auditor := open(t, b, "auditor")
	const patience = 3 * time.Minute // a busy machine is no fault
	for deadline := time.Now().Add(patience); facts["created"] < students || facts["sent"] < students || facts["rejected"] < poison; {
		if time.Now().After(deadline) {
			t.Fatalf("after %s there are %v, want %d created and sent, %d rejected", patience, facts, students, poison)
		}
		clear(facts)
		err := stream.Tail(t.Context(), auditor.js, stream.TailOptions{}, func(e events.Event) error {
			a, ok := e.Data.(events.Audit)
			if !ok {
				return fmt.Errorf("fact %d cannot be read", e.Position)
			}
			facts[map[string]string{events.AuditCreated: "created", events.AuditLetterSent: "sent", events.AuditEventRejected: "rejected"}[a.What]]++
			return nil
		})
		if err != nil && !errors.Is(err, nats.ErrTimeout) {
			t.Fatalf("auditor cannot read: %v", err)
		}
	}
	t.Logf("3 kills of the broker, %d events, done in %s", students, time.Since(began).Round(time.Millisecond))
	if facts["created"] != students || facts["sent"] != students || facts["rejected"] != poison {
		t.Errorf("facts are %v, want %d created and sent, %d rejected, each once", facts, students, poison)
	}
	mu.Lock()
	if o := origins["s7"]; len(o) < 2 || o[0] != o[len(o)-1] {
		t.Errorf("the student who waited was handled at positions %v, want twice or more with one origin", o)
	}
	if len(sent) != students {
		t.Errorf("letters to %d of %d students", len(sent), students)
	}
	mu.Unlock()

	dead := &stream.DeadLetters{JS: operator.js, Publisher: operator.publisher}
	var ids []string
	insist(t, "list dead letters", func(ctx context.Context) error {
		ids = nil
		return dead.List(ctx, "", func(d events.DeadLetter) bool {
			if d.Reason != events.ReasonMalformed || d.Stream != "INTAKE" {
				t.Errorf("dead letter %s: reason %s, stream %s", d.ID, d.Reason, d.Stream)
			}
			ids = append(ids, d.ID)
			return true
		})
	})
	if len(ids) != poison {
		t.Fatalf("%d dead letters, want %d", len(ids), poison)
	}
	insist(t, "replay a dead letter", func(ctx context.Context) error { return dead.Replay(ctx, ids[0]) })
}

func TestPortalsOwnRightsAreEnough(t *testing.T) {
	t.Parallel()
	b := testkit.NATSProcess(t)
	settings := stream.DefaultSettings()
	if err := stream.Declare(t.Context(), open(t, b, "operator").js, settings, false); err != nil {
		t.Fatal(err)
	}
	portal := open(t, b, "portal")
	ctx := t.Context()
	if drift, err := stream.Drift(ctx, portal.js, settings, "KV_sessions", "KV_limits", "AUDIT"); err != nil || len(drift) > 0 {
		t.Errorf("drift as the portal sees it: %v, %v", drift, err)
	}
	counter := &stream.Counter{Publisher: portal.publisher}
	for want := 1; want <= 3; want++ {
		if n, err := counter.Add(ctx, "i"); err != nil || n != want {
			t.Errorf("count %d, want %d (%v)", n, want, err)
		}
	}
	sessions, err := portal.js.KeyValue(ctx, "sessions")
	if err != nil {
		t.Fatalf("open the sessions: %v", err)
	}
	if _, err := sessions.Create(ctx, "k", []byte("1")); err != nil {
		t.Errorf("create a session: %v", err)
	}
	if e, err := sessions.Get(ctx, "k"); err != nil || string(e.Value()) != "1" {
		t.Errorf("read a session: %v", err)
	}
	if err := sessions.Purge(ctx, "k"); err != nil {
		t.Errorf("end a session: %v", err)
	}
	var all sync.WaitGroup // together, so that they are committed in batches
	for i := range 100 {
		all.Go(func() {
			denied := events.Once(fmt.Sprintf("denied-%d", i), time.Now(), events.Audit{What: events.AuditActivationDenied, Account: "a", Actor: events.Actor{Kind: "person"}, Outcome: "denied", Reason: "window_closed"})
			denied.Source = events.SourcePortal
			acted := events.Event{Meta: events.Meta{ID: fmt.Sprint(i), Source: events.SourcePortal, Subject: "a", Time: time.Now()}, Data: events.AccountActed{Account: "a"}}
			if err := portal.publisher.Publish(ctx, denied, acted); err != nil {
				t.Errorf("publish %d: %v", i, err)
			}
		})
	}
	all.Wait()
	s, err := portal.js.Stream(ctx, "AUDIT")
	if err != nil || s.CachedInfo().State.Msgs != 100 {
		t.Errorf("AUDIT holds %d facts of 100 (%v)", s.CachedInfo().State.Msgs, err)
	}
}
