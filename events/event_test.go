package events_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
)

func TestSameCauseMakesSameEventAndNoOtherDoes(t *testing.T) {
	t.Parallel()
	hr := events.Meta{ID: "1", Source: events.SourceHR, Time: now}
	created := events.Audit{What: events.AuditCreated}
	first := hr.Causes(created, "a")
	if again := hr.Causes(created, "a"); again.ID != first.ID || !again.Time.Equal(first.Time) {
		t.Errorf("one cause made %s and %s", first.ID, again.ID)
	}
	seen := map[string]string{first.ID: "the first"}
	for name, e := range map[string]events.Event{
		"admissions' event of the same id":   events.Meta{ID: "1", Source: events.SourceAdmissions}.Causes(created, "a"),
		"another id":                         events.Meta{ID: "2", Source: events.SourceHR}.Causes(created, "a"),
		"another fact":                       hr.Causes(events.Audit{What: events.AuditUpdated}, "a"),
		"another target":                     hr.Causes(created, "b"),
		"an id that borrows from the target": events.Meta{ID: "1" + created.EventType(), Source: events.SourceHR}.Causes(created, ""),
	} {
		if other, taken := seen[e.ID]; taken {
			t.Errorf("%s has the ID of %s", name, other)
		}
		seen[e.ID] = name
	}
	if len(first.ID) != 26 || events.Key(first.ID) != first.ID {
		t.Errorf("the ID %q is not 26 characters that fit a subject", first.ID)
	}
}

func TestFactOfALifeIsNamedByIt(t *testing.T) {
	t.Parallel()
	e := events.Once("abc-created", now, events.Audit{What: events.AuditCreated})
	if got := e.Subject(); got != "audit.account.created.abc-created" {
		t.Errorf("the fact is published on %s", got)
	}
}

func TestEveryContractHasItsOwnSubject(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, e := range samples(t) {
		subject := e.Subject()
		if seen[subject] {
			t.Errorf("two contracts are published on %s", subject)
		}
		seen[subject] = true
		if n := strings.Count(subject, "."); n > 4 || strings.ContainsAny(subject, " *>") {
			t.Errorf("%s is no subject to publish on", subject)
		}
		intake := e.Source != events.SourceWorker
		if intake && strings.Count(subject, ".") != 3 {
			t.Errorf("%s does not have four tokens: the partition transform would skip it", subject)
		}
	}
	if len(seen) != 18+3+9+24+1+1 {
		t.Errorf("there are %d contracts", len(seen))
	}
}

func TestVerdictsAreToldApart(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection reset")
	at := now.Add(time.Hour)
	rejection := fmt.Errorf("employee: %w", events.Refuse(events.ReasonInvalid, "data.x", "send y"))
	rows := []struct {
		name                         string
		err                          error
		rejected, postponed, outages bool
	}{
		{"nothing", nil, false, false, false},
		{"an error", cause, false, false, false},
		{"a rejection", events.Reject(cause), true, false, false},
		{"a rejection within", rejection, true, false, false},
		{"later", fmt.Errorf("letter: %w", events.Later(at)), false, true, false},
		{"an outage", fmt.Errorf("ldap: %w", events.Unavailable(cause)), false, false, true},
		{"no outage", events.Unavailable(nil), false, false, false},
	}
	for _, row := range rows {
		_, rejected := events.Rejected(row.err)
		when, postponed := events.Postponed(row.err)
		if rejected != row.rejected || postponed != row.postponed || events.IsUnavailable(row.err) != row.outages {
			t.Errorf("%s is taken for rejected=%t postponed=%t outage=%t", row.name, rejected, postponed, events.IsUnavailable(row.err))
		}
		if postponed && !when.Equal(at) {
			t.Errorf("%s is put off to %s", row.name, when)
		}
	}
	if r, _ := events.Rejected(events.Reject(rejection)); r.Field != "data.x" || r.Reason != events.ReasonInvalid {
		t.Errorf("rejecting a rejection again loses its field or reason: %v", r)
	}
	if !errors.Is(events.Reject(cause), cause) || !errors.Is(events.Unavailable(cause), cause) {
		t.Error("the cause is no longer found in its verdict")
	}
}
