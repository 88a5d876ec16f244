package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
	"usn.no/matricula/testkit"
)

func TestMailStatusCountsWaitsAndFinishes(t *testing.T) {
	t.Parallel()
	b := testkit.NATS(t)
	s := &system{cfg: DefaultConfig(), clock: &clock{}, js: b.JetStream()}
	s.cfg.SMTP.Rate, s.cfg.SMTP.Daily = 30, 10_000
	ctx := t.Context()
	if err := stream.Declare(ctx, s.js, s.settings(), false); err != nil {
		t.Fatal(err)
	}
	pub := stream.NewPublisher(s.js)
	t.Cleanup(func() { _ = pub.Close(t.Context()) })
	now := time.Now()
	publish := func(evs ...events.Event) {
		t.Helper()
		if err := pub.Publish(ctx, evs...); err != nil {
			t.Fatal(err)
		}
	}
	letter := func(template string, n int) {
		id := fmt.Sprintf("%s-%d", template, n)
		publish(events.Once(id, now, events.MailRequest{Template: template, Letter: id, Account: "a", Language: "nb", Address: "a@example.org", Name: "A"}))
	}
	for n := range 20 {
		letter(events.LetterActivation, n)
	}
	letter(events.LetterReset, 0)
	letter(events.LetterPasswordCompromised, 0)
	publish(events.Once("w1", now, events.WaitingLetter{Account: "a1", Kind: events.LetterActivation, Group: "autumn.2027-08-01"}))
	w := &stream.Waiting{JS: s.js, Settings: s.settings()}
	due := now.Add(72 * time.Hour)
	if err := w.Plan(ctx, "autumn.2027-08-01", events.LetterActivation, due); err != nil {
		t.Fatal(err)
	}

	before, err := s.mailStatus(ctx, now)
	if err != nil {
		t.Fatal(err)
	}
	if before.Due != 22 || before.Urgent != 2 || before.Waiting != 1 || before.SentToday != 0 || !before.Next.Equal(due) {
		t.Errorf("22 letters are due, 2 of them urgent, and one waits: %+v", before)
	}
	// 10,000 a day is less than 30 a minute: 22 letters take 3 minutes and 10 seconds.
	if d := before.DoneBy.Sub(now).Round(time.Second); d < 188*time.Second || d > 191*time.Second {
		t.Errorf("22 letters at 10,000 a day are said to take %s", d)
	}

	for n, what := range []string{events.AuditLetterSent, events.AuditLetterSent, events.AuditLetterFailed, events.AuditLetterUnknown} {
		publish(events.Once(fmt.Sprintf("l%d", n), now, events.Audit{What: what, Account: "a", Actor: events.Actor{Kind: "worker"}, Outcome: "done"}))
	}
	later := time.Now()
	after, err := s.mailStatus(ctx, later)
	if err != nil {
		t.Fatal(err)
	}
	if after.SentToday != 2 || after.FailedToday != 1 || after.UnknownToday != 1 || after.PerMinute != 2 {
		t.Errorf("two letters went out, one failed, of one nobody knows: %+v", after)
	}
	if d := after.DoneBy.Sub(later).Round(time.Minute); d != 3*time.Minute {
		t.Errorf("22 letters of a backlog that has no pace yet are said to take %s, not what the settings allow", d)
	}
	var text, object bytes.Buffer
	if err := after.print(&text); err != nil || !strings.Contains(text.String(), "22, of them urgent 2") {
		t.Errorf("the table does not say what is due (%v):\n%s", err, text.String())
	}
	if err := printJSON(&object, after); err != nil || !strings.Contains(object.String(), `"due": 22`) && !strings.Contains(object.String(), `"due":22`) {
		t.Errorf("the JSON does not say what is due (%v):\n%s", err, object.String())
	}
}

func TestEstimateGoesByWhatWasSeenOfThisBacklog(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 7, 18, 12, 0, 0, 0, time.UTC)
	daily := allowedPace(SMTPConfig{Rate: 30, Daily: 10_000})
	for _, c := range []struct {
		name    string
		letters int
		waits   time.Duration // the longest waiting letter
		sent    int           // lately
		allowed float64
		takes   time.Duration // 0: nobody can tell
	}{
		{"20,000 letters at 10,000 a day take two days", 20_000, 0, 0, daily, 48 * time.Hour},
		{"and still do where they were begun, half a minute ago", 19_999, 30 * time.Second, 1, daily, 48 * time.Hour},
		{"at thirty a minute they take eleven hours", 20_000, 0, 0, 30, 11*time.Hour + 7*time.Minute},
		{"a relay that takes half of what it may be sent takes twice as long", 10_000, time.Hour, 35, daily, 47*time.Hour + 37*time.Minute},
		{"a backlog of five minutes is measured over five", 600, 5 * time.Minute, 50, 0, time.Hour},
		{"a pace from before the limit was lowered does not count", 600, time.Hour, 1000, 10, time.Hour},
		{"nothing went out and nothing limits it", 600, time.Hour, 0, 0, 0},
		{"nothing is due", 0, 0, 70, daily, 0},
	} {
		since := now.Add(-c.waits)
		pace := expectedPace(float64(c.sent)/measuredOver(since, now).Minutes(), c.allowed, now.Sub(since))
		at := doneBy(c.letters, pace, now)
		if (at == nil) != (c.takes == 0) {
			t.Errorf("%s: done by %v", c.name, at)
			continue
		}
		if at != nil && at.Sub(now).Round(time.Minute) != c.takes {
			t.Errorf("%s: said to take %s, not %s", c.name, at.Sub(now), c.takes)
		}
	}
}
