package account_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// firstsOfAugust are the two openings that may be meant, by the wall clock in Norway.
var firstsOfAugust = map[int]string{2027: "2027-07-31T22:00:00Z", 2028: "2028-07-31T22:00:00Z"}

// The simulation found that a worker which was down over 1 August let people
// wait a year.
func TestNextAugustCountsFromTheDayTheEventSays(t *testing.T) {
	t.Parallel()
	fnrs, _ := pool()
	for _, row := range []struct {
		what    string
		times   []string // when admissions recorded each full state, in the order in which they come
		handled string
		opens   int
	}{
		{"handled on the day", []string{"2027-07-20T10:00:00Z"}, "2027-07-20T10:00:01Z", 2027},
		{"handled after the opening", []string{"2027-07-20T10:00:00Z"}, "2027-08-03T08:00:00Z", 2027},
		{"recorded the millisecond before", []string{"2027-07-31T21:59:59.999Z"}, "2027-08-03T08:00:00Z", 2027},
		{"recorded on 1 August, which is still July in UTC", []string{"2027-07-31T22:00:00Z"}, "2027-08-03T08:00:00Z", 2027},
		{"recorded late on 1 August", []string{"2027-08-01T21:59:59.999Z"}, "2027-08-03T08:00:00Z", 2027},
		{"recorded on 2 August", []string{"2027-08-01T22:00:00Z"}, "2027-08-03T08:00:00Z", 2028},
		{"told again after the opening", []string{"2027-07-20T10:00:00Z", "2027-08-02T10:00:00Z"}, "2027-08-03T08:00:00Z", 2027},
		{"told again, the newer word first", []string{"2027-08-02T10:00:00Z", "2027-07-20T10:00:00Z"}, "2027-08-03T08:00:00Z", 2027},
		{"the same word twice", []string{"2027-07-20T10:00:00Z", "2027-07-20T10:00:00Z"}, "2027-08-03T08:00:00Z", 2027},
	} {
		s := still(t)
		s.start = instantOf(t, row.handled)
		for n, at := range row.times {
			m := events.Meta{
				ID: fmt.Sprintf("told-%s", at), Source: events.SourceAdmissions, Subject: "256701", Time: instantOf(t, at), Position: uint64(n + 1),
			}
			e := student("256701", "Kari", "Nordmann", "k@example.org", fnr(fnrs[0]))
			e.Programmes[0].Start = ""
			if err := s.lives[n%2].StudentUpdated(t.Context(), m, events.StudentUpdated{Student: e}); err != nil {
				t.Fatalf("%s: %v", row.what, err)
			}
		}
		r := s.dir.entries[0].Roles[0]
		o := s.lives[0].Windows.Opening(policy.Admission{Population: account.Student, Recorded: r.Since})
		if want := instantOf(t, firstsOfAugust[row.opens]); !o.At.Equal(want) {
			t.Errorf("%s: the window opens %s, not %s", row.what, o.At, want)
		}
		if invited := len(s.dir.entries[0].Invitations) == 1; invited != (row.opens == 2027) {
			t.Errorf("%s: invited on 3 August is %t", row.what, invited)
		}
	}
}

// Two portals whose clocks are off by what a portal may be off by differ by
// that and by no more, to the millisecond, in every night of the calendar.
func TestWindowOpensToTheMillisecondAtEveryPortal(t *testing.T) {
	t.Parallel()
	fnrs, _ := pool()
	for _, o := range openings {
		opens := openingOf(o.start)
		s := still(t)
		s.start = opens.Add(-24 * time.Hour)
		m := events.Meta{ID: "r", Source: events.SourceAdmissions, Subject: "256701", Time: s.now().Add(-time.Hour), Position: 1}
		e := student("256701", "Kari", "Nordmann", "k@example.org", fnr(fnrs[0]))
		e.Programmes[0].Start = o.start
		if err := s.lives[0].StudentRegistered(t.Context(), m, events.StudentRegistered{Student: e}); err != nil {
			t.Fatal(err)
		}
		inv := s.dir.entries[0].Invitations[0]
		for process, skew := range map[int]time.Duration{portals: -time.Second, portals + 1: time.Second} {
			p, at := s.lives[process], time.Time{}
			p.Now = func() time.Time { return at.Add(skew) }
			for _, row := range []struct {
				after time.Duration // of the opening, by this portal's clock
				open  bool
			}{{-time.Hour, false}, {-time.Millisecond, false}, {0, true}, {time.Millisecond, true}, {time.Hour, true}} {
				at = opens.Add(row.after - skew)
				_, err := p.Prove(t.Context(), p.Tickets.Seal(inv.ID, inv.Purpose), account.Student, fnrs[0])
				var closed *account.NotOpenError
				if errors.As(err, &closed) == row.open || row.open && err != nil || !row.open && !closed.Opens.Equal(opens) {
					t.Errorf("study start %s, %s after the opening by a clock that is %s off: %v", o.start, row.after, skew, err)
				}
			}
			s.skew[process] = 2 * skew
			if _, err := p.Prove(t.Context(), p.Tickets.Seal(inv.ID, inv.Purpose), account.Student, fnrs[0]); !errors.Is(err, account.ErrUnavailable) {
				t.Errorf("a portal whose clock is %s off decides: %v", 2*skew, err)
			}
		}
	}
}

// still is a simulation without faults, people and time of its own.
func still(t *testing.T) *sim {
	t.Helper()
	s := newSim(t, 1, false)
	s.skew = [4]time.Duration{}
	return s
}

func instantOf(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// letterless is a broker that takes everything but letters.
type letterless struct{ account.Publisher }

func (l letterless) Publish(ctx context.Context, evs ...events.Event) error {
	for _, e := range evs {
		if _, letter := e.Data.(events.MailRequest); letter {
			return account.ErrUnavailable
		}
	}
	return l.Publisher.Publish(ctx, evs...)
}

// Found by "make faults" (seed 506281, round "worker"): a worker was killed with
// the letter out and the fact not, and the person clicked before the event came
// again.
func TestInvitationIsToldBeforeItsLetterGoesOut(t *testing.T) {
	t.Parallel()
	fnrs, _ := pool()
	s := still(t)
	s.start = instantOf(t, "2027-08-03T08:00:00Z")
	m := events.Meta{ID: "r", Source: events.SourceAdmissions, Subject: "256701", Time: s.now().Add(-time.Hour), Position: 1}
	w := s.lives[0]
	w.Publisher = letterless{s.pub}
	e := events.StudentRegistered{Student: student("256701", "Kari", "Nordmann", "k@example.org", fnr(fnrs[0]))}
	if err := w.StudentRegistered(t.Context(), m, e); !events.IsUnavailable(err) {
		t.Fatalf("without letters: %v", err)
	}
	told := 0
	for _, f := range s.pub.facts {
		if f.What == events.AuditInvited {
			told++
		}
	}
	if told != 1 {
		t.Errorf("the invitation whose letter is not out is told of %d times", told)
	}
}
