package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
	"usn.no/matricula/testkit"
)

func TestAccountShowTellsOfLettersInTrouble(t *testing.T) {
	t.Parallel()
	b := testkit.NATS(t)
	s := &system{cfg: DefaultConfig(), clock: &clock{}, js: b.JetStream()}
	if err := stream.Declare(t.Context(), s.js, s.settings(), false); err != nil {
		t.Fatal(err)
	}
	pub := stream.NewPublisher(s.js)
	t.Cleanup(func() { _ = pub.Close(t.Context()) })
	now := time.Now()
	tell := func(name, what, account, status, text string) {
		t.Helper()
		err := pub.Publish(t.Context(), events.Once(name, now, events.Audit{
			What: what, Account: account, Actor: events.Actor{Kind: "worker"}, Outcome: "failed", Reason: "refused",
			Details: map[string]string{"letter": name, "template": "activation", "status": status, "text": text},
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
	tell("l1", events.AuditLetterFailed, "kari", "5.1.1", "550 user unknown")
	tell("l2", events.AuditLetterBounced, "kari", "5.7.1", "554 not wanted")
	tell("l3", events.AuditLetterFailed, "ola", "5.2.1", "550 disabled")
	got, err := s.letterTroubles(t.Context(), "kari")
	if err != nil || len(got) != 2 || got[0].Status != "5.1.1" || got[1].What != events.AuditLetterBounced {
		t.Fatalf("two of the letters in trouble are this person's: %+v, %v", got, err)
	}
	var out bytes.Buffer
	if err := printTroubles(&out, got); err != nil || !strings.Contains(out.String(), "550 user unknown") {
		t.Errorf("the server's words are not shown (%v):\n%s", err, out.String())
	}

	a := account.Account{ID: "kari", State: account.Pending, Marks: []account.Mark{{Facet: account.FacetAddress, Subject: "kari@example.org", Time: now}}}
	s.clock.set(now)
	row := rowOf(s.lifecycle(), a)
	if text := row.letters(); !strings.Contains(text, "bounced") || strings.Contains(text, "kari@") {
		t.Errorf("the bounced address is shown as %q", text)
	}
}
