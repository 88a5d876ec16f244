package main

import (
	"testing"

	"github.com/nats-io/nats.go"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// Another source has used the event's ID: the broker takes the event for a
// repeat. That is seen, and the event is stored under another Nats-Msg-Id.
func TestEventTakenForARepeatIsToldOfAndStoredUnderAnotherID(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	raw, err := events.EncodeStructured(events.Event{
		Meta: events.Meta{ID: "guessed-1", Source: events.SourceAdmissions, Subject: "256789", Time: d.clock.Now()},
		Data: events.SONumberIssued{StudentNo: "256789", SONumber: "15532510071"},
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := []line{{File: "x", No: 1, Raw: raw}}
	routes, err := routesOf(lines)
	if err != nil {
		t.Fatal(err)
	}
	intruder := &nats.Msg{Subject: "hr.employee.updated.1", Data: []byte("{}"), Header: nats.Header{nats.MsgIdHdr: {routes[0].MsgID}}}
	if _, err := d.js.PublishMsg(t.Context(), intruder); err != nil {
		t.Fatal(err)
	}
	if n, known, err := publishSome(t.Context(), d.js, lines, routes); n != 1 || known != 1 || err != nil {
		t.Errorf("of one event that was taken for a repeat %d are published and %d known: %v", n, known, err)
	}
	routes[0].MsgID += "-once-more"
	if n, known, err := publishSome(t.Context(), d.js, lines, routes); n != 1 || known != 0 || err != nil {
		t.Errorf("under another ID %d are published and %d known: %v", n, known, err)
	}
	st, err := d.js.Stream(t.Context(), stream.Intake)
	if err != nil {
		t.Fatal(err)
	}
	m, err := st.GetMsg(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := events.Decode(routes[0].Subject, m.Header, m.Data, d.clock.Now()); err != nil || e.ID != "guessed-1" {
		t.Errorf("what was stored is %+v: %v", e.Meta, err)
	}
}
