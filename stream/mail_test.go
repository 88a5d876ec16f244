package stream

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

func letterOf(template, id string) events.Event {
	return events.Once(id, testTime, events.MailRequest{
		Template: template, Letter: id, Account: "a1", Language: "nb", Address: "a@example.org", Name: "A",
	})
}

// drained reads everything a durable has and answers the templates.
func drained(t *testing.T, c jetstream.Consumer, err error) []string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		m, ok := nextOf(t, c)
		if !ok {
			return got
		}
		got = append(got, strings.Split(m.Subject(), ".")[1])
		if err := m.DoubleAck(patience(t)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryLetterIsReadByOneOfTwoDurables(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	ctx := patience(t)
	for i, template := range events.Letters() {
		if err := p.Publish(ctx, letterOf(template, fmt.Sprintf("l%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	c, err := UrgentConsumer(ctx, js)
	urgent := drained(t, c, err)
	c, err = MailConsumer(ctx, js)
	others := drained(t, c, err)
	slices.Sort(urgent)
	want := events.UrgentLetters()
	slices.Sort(want)
	if !slices.Equal(urgent, want) {
		t.Errorf("the urgent durable reads %v, not %v", urgent, want)
	}
	if len(urgent)+len(others) != len(events.Letters()) {
		t.Errorf("of %d letters %v and %v were read", len(events.Letters()), urgent, others)
	}
}

// TestOneDurableOfAllLettersIsSplitWithLettersInIt: an installation from before
// there were two keeps its letters, each read once.
func TestOneDurableOfAllLettersIsSplitWithLettersInIt(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	ctx, s := patience(t), testSettings()
	if err := js.DeleteConsumer(ctx, Mail, durableUrgent); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateOrUpdateConsumer(ctx, Mail, durable(s, durableMail, s.MailLanes, "mail.*.*")); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		all := events.Letters()
		if err := p.Publish(ctx, letterOf(all[i%len(all)], fmt.Sprintf("l%d", i))); err != nil {
			t.Fatal(err)
		}
	}
	c, err := MailConsumer(ctx, js)
	for range 3 {
		if err := next(t, c, err).DoubleAck(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if drift, err := Drift(ctx, js, s, Mail); err != nil || len(drift) == 0 {
		t.Errorf("the old layout is not noticed: %q, %v", drift, err)
	}
	if err := Declare(ctx, js, s, false); err != nil {
		t.Fatalf("the durable cannot be split: %v", err)
	}
	c, err = UrgentConsumer(ctx, js)
	n := len(drained(t, c, err))
	c, err = MailConsumer(ctx, js)
	if n += len(drained(t, c, err)); n != 17 {
		t.Errorf("of 17 letters that were left %d are read after the split", n)
	}
}

func TestLetterOfATemplateThatNobodyReadsIsRefused(t *testing.T) {
	t.Parallel()
	_, _, p := declared(t)
	if err := p.Publish(patience(t), letterOf("newsletter", "l1")); err == nil {
		t.Error("a letter was stored that no durable takes")
	}
}
