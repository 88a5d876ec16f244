package mailer_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
)

func TestRelayThatCannotBeReachedIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault fault
		dials int
	}{
		"connection": {fault{At: "CONNECT", Do: cut}, 3},
		"crowd":      {fault{At: "CONNECT", Do: "421 4.3.2 too many connections"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, &server{faults: []fault{c.fault}})
			settings := s.settings()
			settings.Pause = time.Hour
			r := newRig(t, settings)
			for range 10 {
				if err := r.deliver(request("l1", "kari@example.org")); !events.IsUnavailable(err) {
					t.Fatalf("a relay that is away is answered with %v instead of an outage", err)
				}
			}
			if n := s.dialled(); n != c.dials {
				t.Errorf("a relay that is away was called %d times, not %d", n, c.dials)
			}
			if !r.Relay.State().Paused {
				t.Error("nobody is told that the relay is left alone")
			}
			if len(r.marks.kept) != 0 {
				t.Error("the outage left a mark on the letter")
			}
		})
	}
}

func TestRefusedLoginIsTriedOnceAndThenLeft(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{faults: []fault{{At: "MAIL", Do: "530 5.7.0 authentication required"}}})
	settings := s.settings()
	settings.Pause = time.Hour
	r := newRig(t, settings)
	for range 5 {
		if err := r.deliver(request("l1", "kari@example.org")); !events.IsUnavailable(err) {
			t.Fatalf("a relay that wants a login is answered with %v instead of an outage", err)
		}
	}
	if n := s.dialled(); n != 1 {
		t.Errorf("a relay that wants a login was called %d times", n)
	}
}

// TestLetterBehindABacklogHasItsAttemptBeforeItExpires: at 10,000 a day a
// letter that was put off once can come back two days later.
func TestLetterBehindABacklogHasItsAttemptBeforeItExpires(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{faults: []fault{{At: "RCPT", Times: 1, Do: "450 4.2.0 greylisted"}}})
	r := newRig(t, s.settings())
	q := request("l1", "kari@example.org")
	q.Expires = nil
	if _, later := events.Postponed(r.deliver(q)); !later {
		t.Fatal("a greylisted letter is not put off")
	}
	r.set(noon.Add(60 * time.Hour))
	r.finish(t, q)
	if told := r.audit.of("l1"); !slices.Equal(told, []string{"sent"}) {
		t.Errorf("audit tells %s of a letter that waited behind others", strings.Join(told, ", "))
	}
}
