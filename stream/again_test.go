package stream

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/testkit"
)

func TestIntakeIsDeliveredAgainFromATimeOn(t *testing.T) {
	t.Parallel()
	js := testkit.NATS(t).JetStream()
	s := DefaultSettings()
	s.Lanes = 2
	if err := Declare(t.Context(), js, s, false); err != nil {
		t.Fatal(err)
	}
	var times []time.Time
	for _, subject := range []string{"hr.employee.registered.1", "hr.employee.registered.2", "hr.employee.updated.1"} {
		ack, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte("{}")})
		if err != nil {
			t.Fatal(err)
		}
		st, err := js.Stream(t.Context(), Intake)
		if err != nil {
			t.Fatal(err)
		}
		m, err := st.GetMsg(t.Context(), ack.Sequence)
		if err != nil {
			t.Fatal(err)
		}
		times = append(times, m.Time)
	}
	handled := func() (n int) {
		for i := range s.Lanes {
			c, err := js.Consumer(t.Context(), Intake, laneName(i, s.Lanes))
			if err != nil {
				t.Fatal(err)
			}
			for {
				m, ok := nextOf(t, c, jetstream.FetchPriorityGroup(laneGroup))
				if !ok {
					break
				}
				if err := m.DoubleAck(context.Background()); err != nil {
					t.Fatal(err)
				}
				n++
			}
		}
		return n
	}
	if n := handled(); n != 3 {
		t.Fatalf("%d of 3 messages came", n)
	}
	from, n, err := Again(t.Context(), js, s, times[1])
	if err != nil || from != 2 || n != 2 {
		t.Errorf("from the second on: sequence %d, %d messages, error %v", from, n, err)
	}
	if n := handled(); n != 2 {
		t.Errorf("%d messages came again, not 2", n)
	}
	if _, n, err := Again(t.Context(), js, s, times[2].Add(time.Hour)); err != nil || n != 0 {
		t.Errorf("from an hour later on: %d messages, error %v", n, err)
	}
	st, err := js.Stream(t.Context(), Intake)
	if err != nil || st.CachedInfo().State.Consumers != s.Lanes {
		t.Errorf("%d consumers are there, not %d, error %v", st.CachedInfo().State.Consumers, s.Lanes, err)
	}
}
