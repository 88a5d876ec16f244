package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
	"usn.no/matricula/testkit"
)

// A portal in which people wait slows the intake down. An order of IT's that
// comes after more announcements than that lets through is done before them.
func TestIntakeGivesWayToPeopleWhoWaitAndOrdersDoNot(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	metrics := testkit.FreeAddress(t)
	r.configure(fmt.Sprintf("[metrics]\nlisten = %q", metrics))
	r.start("worker")
	first := employeeNo(t, 0)
	at := time.Now().Add(-time.Minute)
	r.publish(first.registered(at))
	uid := r.entry(first).GetAttributeValue("uid")

	portal := r.broker.Connect("portal")
	slowed := func() (bool, string) {
		if err := stream.TellCrowded(portal); err != nil {
			t.Error(err)
		}
		text := read(t, "http://"+metrics+"/metrics")
		return strings.Contains(text, "\nmatricula_intake_slowed 1\n"), "matricula_intake_slowed is not 1"
	}
	eventually(t, time.Minute, "the worker gives way", slowed)
	const n = 120
	var evs []events.Event
	for i := range n {
		evs = append(evs, employeeNo(t, 1+i).registered(at))
	}
	evs = append(evs, events.Event{
		Meta: events.Meta{ID: "stop-" + uid, Source: events.SourceIT, Subject: uid, Time: at.Add(time.Second)},
		Data: events.AccountSuspended{Command: events.Command{Username: uid, Reason: "case 4711", Actor: "csirt"}},
	})
	slowed()
	r.publish(evs...)
	eventually(t, time.Minute, "the order is done", func() (bool, string) {
		slowed()
		s := r.state(first)
		return strings.HasSuffix(s, "suspended"), s
	})
	made := 0
	for what := range r.facts() {
		if strings.HasPrefix(what, events.AuditCreated+" ") {
			made++
		}
	}
	if made > n {
		t.Errorf("the order was done after all of %d announcements before it, as if they had not given way", n)
	}
}

// read reads what an address answers.
func read(t *testing.T, address string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
