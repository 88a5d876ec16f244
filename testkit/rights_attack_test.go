package testkit_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"usn.no/matricula/testkit"
)

// own is a subject that a role may publish on.
var own = map[string]string{
	"hr": "hr.employee.registered.1", "admissions": "admissions.student.registered.1",
	"it": "it.password.compromised.kari", "portal": "portal.account.acted.a",
}

// The server sends an acknowledgement to whatever reply subject the publisher
// names, without asking whether that publisher may write there.
func TestAcknowledgementsCannotBeSentToOthers(t *testing.T) {
	t.Parallel()
	b := testkit.NATSProcess(t)
	declare(t, b)
	worker := b.Connect("worker")
	inbox, err := worker.SubscribeSync("_INBOX_worker.>")
	if err != nil {
		t.Fatal(err)
	}
	targets := []string{
		"audit.account.activated.f", "mail.activation.l", "mail.hold.activation.l", "wait.due.INTAKE.1.hr.employee.registered.1", "dead.malformed.x",
		"$KV.claims.k", "$KV.letters.k", "hr.employee.registered.9", "admissions.student.registered.9",
		"$JS.API.STREAM.PURGE.AUDIT", "$JS.ACK.INTAKE.lane-0-of-1.1.1.1.1.0", "_INBOX_worker.x",
	}
	before := fingerprint(t, b)
	for role, subject := range own {
		nc := b.Connect(role, quiet)
		for _, target := range targets {
			if err := nc.PublishRequest(subject, target, []byte("{")); err != nil {
				t.Fatal(err)
			}
		}
		// the answer to this one comes after all the others were taken
		if _, err := nc.Request(subject, []byte("{"), 60*time.Second); err != nil {
			t.Fatalf("%s cannot publish its own event: %v", role, err)
		}
	}
	auditor := b.Connect("auditor", quiet) // what it asks is answered, too
	for _, target := range targets {
		if err := auditor.PublishRequest("$JS.API.STREAM.INFO.AUDIT", target, nil); err != nil {
			t.Fatal(err)
		}
		push := fmt.Sprintf(`{"stream_name":"AUDIT","config":{"name":"x","filter_subject":"audit.>","deliver_subject":%q,"ack_policy":"none","deliver_policy":"all"}}`, target)
		_, _ = auditor.Request("$JS.API.CONSUMER.CREATE.AUDIT.x.audit.>", []byte(push), 10*time.Second)
		_, _ = auditor.Request("$JS.API.CONSUMER.DELETE.AUDIT.x", nil, 10*time.Second)
	}
	if _, err := auditor.Request("$JS.API.STREAM.INFO.AUDIT", nil, 60*time.Second); err != nil {
		t.Fatalf("auditor cannot ask: %v", err)
	}
	intake, err := b.JetStream("operator").Stream(t.Context(), "INTAKE")
	if err != nil {
		t.Fatal(err)
	}
	if n := intake.CachedInfo().State.Msgs; n < uint64(len(own)*(len(targets)-2)) {
		t.Fatalf("only %d of the publishes were stored: the attempts did not even begin", n)
	}
	for seq := uint64(1); seq <= intake.CachedInfo().State.LastSeq; seq++ {
		if m, err := intake.GetMsg(t.Context(), seq); err != nil || string(m.Data) != "{" {
			t.Errorf("an acknowledgement became an event: %v %v", m, err)
		}
	}
	after := fingerprint(t, b)
	delete(before, "INTAKE")
	delete(after, "INTAKE")
	if !maps.Equal(before, after) {
		t.Errorf("acknowledgements were written into other streams:\nbefore %v\nafter  %v", before, after)
	}
	if m, err := inbox.NextMsg(200 * time.Millisecond); err == nil {
		t.Errorf("the worker's inbox got %q", m.Data)
	}

	// Within one account it can be done, which is why the sources have none in
	// common with the streams; without this the test above would prove nothing.
	if err := worker.PublishRequest("audit.account.created.f", "mail.activation.l", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	within(t, "the worker's acknowledgement lies in MAIL", func() bool {
		s, err := b.JetStream("operator").Stream(t.Context(), "MAIL")
		return err == nil && s.CachedInfo().State.Msgs == 1
	})
}

func TestHeadersOfASourceRuleNothing(t *testing.T) {
	t.Parallel()
	b := testkit.NATSProcess(t)
	declare(t, b)
	operator := b.JetStream("operator")
	for role, subject := range own {
		js := b.JetStream(role)
		if _, err := js.Publish(t.Context(), subject, []byte("{}")); err != nil {
			t.Fatalf("%s cannot publish its own event: %v", role, err)
		}
		before := fingerprint(t, b)
		for name, header := range map[string]nats.Header{
			"rollup of everything":  {"Nats-Rollup": {"all"}},
			"rollup of the subject": {"Nats-Rollup": {"sub"}},
			"schedule at once":      {"Nats-Schedule": {"@at " + time.Now().UTC().Format(time.RFC3339)}, "Nats-Schedule-Target": {"mail.activation.l"}},
			"schedule in its own":   {"Nats-Schedule": {"@at " + time.Now().UTC().Format(time.RFC3339)}, "Nats-Schedule-Target": {subject + "x"}},
			"end of a schedule":     {"Nats-Scheduler": {"wait.hold.x"}, "Nats-Schedule-Next": {"purge"}},
			"time to live":          {"Nats-TTL": {"1s"}},
			"counter":               {"Nats-Incr": {"+1"}},
			"batch":                 {"Nats-Batch-Id": {"b"}, "Nats-Batch-Sequence": {"1"}, "Nats-Batch-Commit": {"1"}},
		} {
			m := &nats.Msg{Subject: subject, Header: header, Data: []byte("{}")}
			if _, err := js.PublishMsg(t.Context(), m); err == nil {
				t.Errorf("%s: a publish with a %s was taken", role, name)
			}
		}
		if after := fingerprint(t, b); !maps.Equal(before, after) {
			t.Errorf("%s: headers changed the streams:\nbefore %v\nafter  %v", role, before, after)
		}
	}
	s, err := operator.Stream(t.Context(), "INTAKE")
	if err != nil || s.CachedInfo().State.Msgs != uint64(len(own)) {
		t.Errorf("INTAKE holds %d messages, want the %d allowed ones (%v)", s.CachedInfo().State.Msgs, len(own), err)
	}
}

// The portal shares a bucket that allows rollups with nobody; the others must
// not be erased by one.
func TestPortalCannotEraseCounters(t *testing.T) {
	t.Parallel()
	b := testkit.NATSProcess(t)
	declare(t, b)
	js := b.JetStream("portal")
	for i := range 3 {
		if _, err := js.Publish(t.Context(), fmt.Sprintf("$KV.limits.k%d", i), []byte("1")); err != nil {
			t.Fatalf("portal cannot count: %v", err)
		}
	}
	m := &nats.Msg{Subject: "$KV.limits.k0", Header: nats.Header{"Nats-Rollup": {"all"}}}
	if _, err := js.PublishMsg(t.Context(), m); err == nil {
		t.Error("a rollup over the counters was taken")
	}
	s, err := b.JetStream("operator").Stream(t.Context(), "KV_limits")
	if err != nil || s.CachedInfo().State.Msgs != 3 {
		t.Errorf("%d counters are left of 3 (%v)", s.CachedInfo().State.Msgs, err)
	}
}

func TestAuditorCannotChangeWhatItReads(t *testing.T) {
	t.Parallel()
	b := testkit.NATSProcess(t)
	declare(t, b)
	if _, err := b.JetStream("worker").Publish(t.Context(), "audit.account.created.f", []byte("{}")); err != nil {
		t.Fatalf("worker cannot publish a fact: %v", err)
	}
	js := b.JetStream("auditor", quiet)
	s, err := js.Stream(t.Context(), "AUDIT")
	if err != nil {
		t.Fatalf("auditor cannot look at the audit stream: %v", err)
	}
	before := fingerprint(t, b)
	for name, act := range map[string]func(context.Context) error{
		"purge":  func(ctx context.Context) error { return s.Purge(ctx) },
		"delete": func(ctx context.Context) error { return s.DeleteMsg(ctx, 1) },
		"update": func(ctx context.Context) error {
			cfg := s.CachedInfo().Config
			cfg.MaxMsgs = 1
			_, err := js.UpdateStream(ctx, cfg)
			return err
		},
		"remove":  func(ctx context.Context) error { return js.DeleteStream(ctx, "AUDIT") },
		"publish": func(ctx context.Context) error { _, err := js.Publish(ctx, "audit.account.created.g", nil); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond) // a refusal is silence
		if err := act(ctx); err == nil {
			t.Errorf("auditor could %s", name)
		}
		cancel()
	}
	if after := fingerprint(t, b); !maps.Equal(before, after) {
		t.Errorf("the auditor changed the streams:\nbefore %v\nafter  %v", before, after)
	}
}

func within(t *testing.T, what string, fact func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !fact(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within 60 s: %s", what)
		}
		time.Sleep(5 * time.Millisecond) // between two looks at the fact
	}
}

// A portal's word that people wait comes from another account than the workers'.
func TestPortalsWordThatPeopleWaitReachesEveryWorker(t *testing.T) {
	t.Parallel()
	b := testkit.NATSProcess(t)
	var workers []*nats.Subscription
	for range 2 {
		nc := b.Connect("worker")
		sub, err := nc.SubscribeSync("crowd.portal")
		if err == nil {
			err = nc.Flush()
		}
		if err != nil {
			t.Fatal(err)
		}
		workers = append(workers, sub)
	}
	for _, role := range testkit.Roles {
		nc := b.Connect(role, quiet)
		if err := nc.Publish("crowd.portal", []byte(role)); err != nil {
			t.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	for i, sub := range workers {
		m, err := sub.NextMsg(60 * time.Second)
		if err != nil || string(m.Data) != "portal" {
			t.Errorf("worker %d heard %v, %v, not the portal", i, m, err)
		}
		if m, err := sub.NextMsg(200 * time.Millisecond); err == nil {
			t.Errorf("worker %d heard %s, too", i, m.Data)
		}
	}
}
