package stream

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestDeclaringAgainChangesNothing(t *testing.T) {
	t.Parallel()
	_, js, _ := declared(t)
	for range 2 {
		if drift, err := Drift(patience(t), js, testSettings()); err != nil || len(drift) > 0 {
			t.Fatalf("drift after declaring: %q, %v", drift, err)
		}
		if err := Declare(patience(t), js, testSettings(), false); err != nil {
			t.Fatalf("declaring again: %v", err)
		}
	}
}

func TestDriftNamesWhatDiffers(t *testing.T) {
	t.Parallel()
	_, js, _ := declared(t)
	ctx := patience(t)
	for stream, change := range map[string]func(*jetstream.StreamConfig){
		Intake:      func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour; c.SubjectTransform = nil },
		Audit:       func(c *jetstream.StreamConfig) { c.DiscardNewPerSubject = false },
		"KV_claims": func(c *jetstream.StreamConfig) { c.AllowRollup = true },
	} {
		st, err := js.Stream(ctx, stream)
		if err != nil {
			t.Fatal(err)
		}
		cfg := st.CachedInfo().Config
		change(&cfg)
		if _, err := js.UpdateStream(ctx, cfg); err != nil {
			t.Fatalf("change %s: %v", stream, err)
		}
	}
	if err := js.DeleteConsumer(ctx, Mail, durableMail); err != nil {
		t.Fatal(err)
	}
	drift, err := Drift(ctx, js, testSettings())
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(drift, "\n")
	for _, want := range []string{
		"stream INTAKE: age is 1h0m0s, should be 2160h0m0s", "stream INTAKE: partitions is none",
		"stream AUDIT: discard new per subject is false, should be true", "stream KV_claims: rollups is true, should be false",
		"consumer mail of MAIL is missing",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("drift does not say %q; it says:\n%s", want, all)
		}
	}
	if drift, err := Drift(ctx, js, testSettings(), Wait); err != nil || len(drift) > 0 {
		t.Errorf("drift of WAIT alone: %q, %v", drift, err)
	}
	if err := Declare(ctx, js, testSettings(), false); err != nil {
		t.Fatalf("declare over a drifted broker: %v", err)
	}
	if drift, err := Drift(ctx, js, testSettings()); err != nil || len(drift) > 0 {
		t.Errorf("drift after repair: %q, %v", drift, err)
	}
}

func TestStreamThatHoldsMessagesIsNotNarrowedWithoutForce(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	s := testSettings()
	s.AuditAge = 24 * time.Hour
	if err := Declare(patience(t), js, s, false); err != nil {
		t.Fatalf("narrowing an empty stream: %v", err)
	}
	publish(t, p, fact("f"))
	s.AuditAge = time.Hour
	err := Declare(patience(t), js, s, false)
	if err == nil || !strings.Contains(err.Error(), "age from 24h0m0s to 1h0m0s") {
		t.Fatalf("narrowing a stream that holds a message was answered with %v", err)
	}
	if drift, _ := Drift(patience(t), js, s, Audit); len(drift) != 1 {
		t.Errorf("the refused change left %q", drift)
	}
	if err := Declare(patience(t), js, s, true); err != nil {
		t.Errorf("narrowing by force: %v", err)
	}
}

func TestNothingIsAcknowledgedWithoutAPartition(t *testing.T) {
	t.Parallel()
	b, js, _ := declared(t)
	nc, _ := b.connect()
	ctx := patience(t)
	for _, area := range []string{"hr", "admissions", "it", "portal"} {
		for i := range 8 {
			subject := fmt.Sprintf("%s.entity.what.%d", area, i)
			ack, err := js.Publish(ctx, subject, nil)
			if err != nil {
				t.Fatalf("publish on %s: %v", subject, err)
			}
			st, err := js.Stream(ctx, Intake)
			if err != nil {
				t.Fatal(err)
			}
			m, err := st.GetMsg(ctx, ack.Sequence)
			if err != nil {
				t.Fatal(err)
			}
			var n int
			if _, err := fmt.Sscanf(m.Subject, "p.%d.", &n); err != nil || n < 0 || n >= Partitions || !strings.HasSuffix(m.Subject, "."+subject) {
				t.Errorf("%s is stored as %s, which no lane reads", subject, m.Subject)
			}
		}
	}
	for _, subject := range []string{"hr", "hr.a", "hr.a.b", "hr.a.b.c.d", "it.a.b.c.d.e", "other.a.b.c", "p.1.hr.a.b.c"} {
		if m, err := nc.RequestWithContext(ctx, subject, nil); !errors.Is(err, nats.ErrNoResponders) {
			t.Errorf("publish on %s was answered with %v, %v; want nobody to listen", subject, m, err)
		}
	}
}

// take reads one message of a lane and acknowledges it.
func take(t *testing.T, c jetstream.Consumer) (string, bool) {
	t.Helper()
	m, ok := nextOf(t, c, jetstream.FetchPriorityGroup(laneGroup))
	if !ok {
		return "", false
	}
	if err := m.DoubleAck(patience(t)); err != nil {
		t.Fatalf("ack: %v", err)
	}
	return m.Subject(), true
}

func TestRegroupingLanesSkipsNothingAndKeepsOrder(t *testing.T) {
	t.Parallel()
	_, js, _ := declared(t)
	ctx := patience(t)
	const persons, each = 20, 5
	for i := range each {
		for p := range persons {
			if _, err := js.Publish(ctx, fmt.Sprintf("hr.employee.updated.%d", p), []byte(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	lanes, err := LaneConsumers(ctx, js, testSettings())
	if err != nil {
		t.Fatal(err)
	}
	before := map[string]int{}
	for i, lane := range lanes { // lanes have come to different places
		for range i * 4 {
			if subject, ok := take(t, lane); ok {
				before[subject]++
			}
		}
	}
	s := testSettings()
	s.Lanes = 7
	if err := Declare(ctx, js, s, false); err == nil || !strings.Contains(err.Error(), "stop the workers") {
		t.Fatalf("regrouping without force was answered with %v", err)
	}
	if err := Declare(ctx, js, s, true); err != nil {
		t.Fatalf("regrouping by force: %v", err)
	}
	if drift, err := Drift(ctx, js, s); err != nil || len(drift) > 0 {
		t.Errorf("drift after regrouping: %q, %v", drift, err)
	}
	if _, err := js.Consumer(ctx, Intake, laneName(0, 4)); !errors.Is(err, jetstream.ErrConsumerNotFound) {
		t.Errorf("an old lane is still there: %v", err)
	}
	lanes, err = LaneConsumers(ctx, js, s)
	if err != nil {
		t.Fatal(err)
	}
	after := map[string][]string{}
	for _, lane := range lanes {
		for {
			m, ok := nextOf(t, lane, jetstream.FetchPriorityGroup(laneGroup))
			if !ok {
				break
			}
			after[m.Subject()] = append(after[m.Subject()], string(m.Data()))
			if err := m.DoubleAck(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	// whatever was done before and may be done again, each person's rest must
	// follow what was done, in order and up to the last event
	for subject, n := range before {
		rest := after[subject]
		if len(rest) < each-n {
			t.Errorf("%s: %d events were done before, only %d came after, of %d", subject, n, len(rest), each)
		}
		for i, v := range rest {
			if want := fmt.Sprint(each - len(rest) + i); v != want {
				t.Errorf("%s: after regrouping came %v, which is out of order", subject, rest)
				break
			}
		}
		delete(after, subject)
	}
	for subject, rest := range after {
		if len(rest) != each {
			t.Errorf("%s: %d of %d events came", subject, len(rest), each)
		}
	}
	if len(before)+len(after) != persons {
		t.Errorf("%d persons were seen before and %d more after, want %d together", len(before), len(after), persons)
	}
}

func TestInterruptedRegroupingIsFinishedNextTime(t *testing.T) {
	t.Parallel()
	_, js, _ := declared(t)
	ctx := patience(t)
	s := testSettings()
	s.Lanes = 3
	// as far as it came: the new lanes are there and paused, one old one is gone
	if err := createPaused(ctx, js, s, 1); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if err := js.DeleteConsumer(ctx, Intake, laneName(i, 4)); err != nil {
			t.Fatal(err)
		}
	}
	if drift, err := Drift(ctx, js, s); err != nil || !strings.Contains(strings.Join(drift, " "), "is paused") {
		t.Errorf("drift after an interruption: %q, %v; want the lanes to be paused", drift, err)
	}
	if err := Declare(ctx, js, s, false); err != nil {
		t.Fatalf("declare after an interruption: %v", err)
	}
	if drift, err := Drift(ctx, js, s); err != nil || len(drift) > 0 {
		t.Errorf("drift after finishing: %q, %v", drift, err)
	}
}

func TestThreeReplicasAreDeclaredOrRefused(t *testing.T) {
	t.Parallel()
	b := newBroker(t, false)
	_, js := b.connect()
	s := testSettings()
	s.Replicas = 3
	if err := Declare(patience(t), js, s, false); err == nil {
		t.Error("three replicas were declared on a server that stands alone")
	}
	s.Replicas = 2
	if err := Declare(patience(t), js, s, false); err == nil || !strings.Contains(err.Error(), "replicas must be") {
		t.Errorf("two replicas were answered with %v", err)
	}
}

func TestVerifyFindsAGapAndSyncIsAskedFor(t *testing.T) {
	t.Parallel()
	b := newBroker(t, true, func(o *server.Options) { o.HTTPHost, o.HTTPPort = "127.0.0.1", -1 })
	_, js := b.connect()
	ctx := patience(t)
	if err := Declare(ctx, js, testSettings(), false); err != nil {
		t.Fatal(err)
	}
	p := NewPublisher(js)
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	publish(t, p, fact("f1"), fact("f2"), fact("f3"))
	if found, err := Verify(ctx, js); err != nil || len(found) > 0 {
		t.Errorf("verify of a whole stream: %q, %v", found, err)
	}
	st, err := js.Stream(ctx, Audit)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.DeleteMsg(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if found, err := Verify(ctx, js); err != nil || len(found) != 1 || !strings.Contains(found[0], "stream AUDIT: 1 messages are missing") {
		t.Errorf("verify after a deletion: %q, %v", found, err)
	}
	always, err := SyncAlways(ctx, "http://"+b.s.MonitorAddr().String())
	if err != nil || !always {
		t.Errorf("sync always is %v, %v; the server was started with it", always, err)
	}
}

// Lanes made by an older version know no priorities: setup teaches them, in
// their place, and what they have come to stands.
func TestLanesOfAnOlderSetupLearnPriorities(t *testing.T) {
	t.Parallel()
	_, js, _ := declared(t)
	ctx := patience(t)
	lanes, err := LaneConsumers(ctx, js, testSettings())
	if err != nil {
		t.Fatal(err)
	}
	old := lanes[0].CachedInfo().Config
	old.PriorityPolicy, old.PriorityGroups = jetstream.PriorityPolicyNone, nil
	if _, err := js.UpdateConsumer(ctx, Intake, old); err != nil {
		t.Fatal(err)
	}
	if drift, err := Drift(ctx, js, testSettings()); err != nil || len(drift) != 1 || !strings.Contains(drift[0], "priorities") {
		t.Errorf("drift is %q, %v; want the priorities named", drift, err)
	}
	if err := Declare(ctx, js, testSettings(), false); err != nil {
		t.Fatal(err)
	}
	if drift, err := Drift(ctx, js, testSettings()); err != nil || len(drift) > 0 {
		t.Errorf("drift after setup is %q, %v", drift, err)
	}
}
