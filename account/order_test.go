package account_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// Any order and any repetition of what HR, admissions and IT say of one person
// ends in the entry that the order of recording ends in. A seed that does not
// plays again, with its story:
//
//	go test ./account -run TestAnyOrderEndsInTheSameEntry -order 4711
var (
	orderSeed  = flag.Uint64("order", 0, "play this one history and tell its story")
	orderSeeds = flag.Uint64("orders", number("MATRICULA_ORDERS", orderDefault), "how many histories to play")
)

func TestAnyOrderEndsInTheSameEntry(t *testing.T) {
	t.Parallel()
	if *orderSeed != 0 {
		playOrder(t, *orderSeed, true)
		return
	}
	kinds := map[string]int{}
	for seed := uint64(1); seed <= *orderSeeds && !t.Failed(); seed++ {
		for k := range playOrder(t, seed, false) {
			kinds[k]++
		}
	}
	t.Logf("%d histories from seed 1; they ended as %v", *orderSeeds, kinds)
	for _, want := range []string{
		"pending registered", "active activated", "suspended left", "suspended cancelled", "suspended deceased", "suspended locked",
		"suspended compromised", "suspended change_required", "closed left", "closed cancelled", "closed deceased", "closed never_activated",
	} {
		if *orderSeeds >= 1000 && kinds[want] == 0 {
			t.Errorf("no history ended %s: the property says nothing of it", want)
		}
	}
}

// playOrder delivers one history in order, and shuffled with repetitions.
func playOrder(t *testing.T, seed uint64, tell bool) map[string]bool {
	t.Helper()
	h := newHistory(seed)
	ordered, shuffled := h.run(t, h.events), h.run(t, h.shuffled())
	ended := map[string]bool{string(ordered.State) + " " + ordered.Why.Reason: true}
	if a, b := comparable(ordered), comparable(shuffled); tell || !reflect.DeepEqual(a, b) {
		if !reflect.DeepEqual(a, b) {
			t.Errorf("history %d ends in another entry when it comes in another order (-order %d tells it)", seed, seed)
			va, vb := reflect.ValueOf(a), reflect.ValueOf(b)
			for i := range va.NumField() {
				if x, y := va.Field(i).Interface(), vb.Field(i).Interface(); !reflect.DeepEqual(x, y) {
					t.Errorf("%s in order: %+v\nshuffled: %+v", va.Type().Field(i).Name, x, y)
				}
			}
		}
		if tell {
			t.Logf("in order:\n%s\nshuffled:\n%s", story(h.events), story(h.last))
		}
	}
	return ended
}

// comparable is an entry without what the order of arrival may decide: who was
// first names the account and its username; the place in the stream, and what
// changed something when it came, belong to the delivery; invitations are drawn;
// sessions end when somebody believes that they must.
func comparable(a account.Account) account.Account {
	a = directory.Canonical(a)
	a.ID, a.Origin, a.Username, a.Revision, a.SessionsFrom = "", "", "", 0, time.Time{}
	if a.State == account.Pending {
		a.Why.Since, a.Why.By = time.Time{}, ""
	}
	if a.Why.Reason == account.WhyCompromised {
		a.Why.Since, a.Why.By = time.Time{}, "" // when it was done; what was told is in the marks
	}
	var held []account.Invitation
	for _, i := range a.Invitations {
		if i.Purpose == account.PurposeActivate {
			held = append(held, account.Invitation{Purpose: i.Purpose})
		}
	}
	a.Invitations = held
	a.Marks = slices.DeleteFunc(a.Marks, func(m account.Mark) bool { return m.Source == events.SourceIT }) // by username
	for i := range a.Marks {
		a.Marks[i].Position, a.Marks[i].Changed = 0, false
	}
	for i := range a.Roles {
		a.Roles[i].Listed.Position = 0
	}
	for i := range a.Told {
		a.Told[i].Position = 0
	}
	for i := range a.Endings {
		a.Endings[i].Position = 0
	}
	for i := range a.Orders {
		a.Orders[i].Position, a.Orders[i].Subject = 0, ""
	}
	return a
}

// history is what was recorded of one person, oldest first.
type history struct {
	rng       *rand.Rand
	now       time.Time
	events    []events.Event
	last      []events.Event
	activated bool // after the first event
	born      time.Time
	sequences bool
	sequence  map[string]uint64
}

func newHistory(seed uint64) *history {
	h := &history{rng: rand.New(rand.NewPCG(seed, 7)), sequence: map[string]uint64{}}
	h.now = time.Date(2027, 9, 1, 12, 0, 0, 0, time.UTC)
	h.sequences, h.activated = h.rng.IntN(2) == 0, h.rng.IntN(3) > 0
	at := h.now.AddDate(0, 0, -200-h.rng.IntN(3)*100)
	if h.rng.IntN(8) == 0 {
		at = h.now.AddDate(-2, 0, 0)
	}
	h.born = at.Add(time.Hour)
	h.add(at, h.fullState(h.rng.IntN(2) == 0, true))
	for range 1 + h.rng.IntN(8) {
		at = at.Add(2*time.Hour + time.Duration(h.rng.Int64N(int64(h.now.Sub(at)/2))))
		h.add(at, h.word())
	}
	return h
}

func (h *history) chance(one int) bool { return h.rng.IntN(one) == 0 }

const orderStudent, orderEmployee = "256789", "104711"

func (h *history) add(at time.Time, d events.Data) {
	m := events.Meta{ID: fmt.Sprint("e", len(h.events)+1), Source: events.SourceHR, Subject: orderEmployee, Time: at.Add(time.Duration(len(h.events)) * time.Microsecond)}
	switch d.(type) {
	case events.StudentRegistered, events.StudentUpdated, events.StudentEnded, events.StudentIDChanged, events.SONumberIssued:
		m.Source, m.Subject = events.SourceAdmissions, orderStudent
	case events.AccountSuspended, events.AccountRestored, events.ChangeRequired, events.AccountOpened, events.PasswordCompromised:
		m.Source, m.Subject = events.SourceIT, ""
	}
	if h.sequences {
		h.sequence[m.Source]++
		m.Sequence = h.sequence[m.Source]
	}
	m.Position, m.Received = uint64(len(h.events)+1), h.now
	h.events = append(h.events, events.Event{Meta: m, Data: d})
}

// day is a date some days from now.
func (h *history) day(from, to int) string {
	return h.now.AddDate(0, 0, from+h.rng.IntN(to-from)).Format(time.DateOnly)
}

func (h *history) end() string {
	switch h.rng.IntN(5) {
	case 0:
		return h.day(-150, -91)
	case 1:
		return h.day(-89, -31)
	case 2:
		return h.day(-29, 60)
	}
	return ""
}

func (h *history) fullState(student, first bool) events.Data {
	name := events.Name{Given: "Kari", Family: []string{"Nordmann", "Berg"}[h.rng.IntN(2)]}
	contact := events.Contact{Email: []string{"", "a@example.org", "b@example.org", "c@example.org"}[h.rng.IntN(4)], Mobile: []string{"", "+4790000001"}[h.rng.IntN(2)]}
	ids := []events.Identifier{{Type: "fnr", Value: fnrA}}
	protection := []string{"", "none", "none", "confidential"}[h.rng.IntN(4)]
	if student {
		s := events.Student{StudentNo: orderStudent, Name: name, Identifiers: ids, Language: "en", Contact: contact, Protection: protection, Programmes: []events.Programme{}}
		for _, id := range []string{"1", "2", "3"} {
			if first && id == "1" || h.chance(3) {
				s.Programmes = append(s.Programmes, events.Programme{ID: id, Code: "MSC", Start: h.day(-400, 300), End: h.end()})
			}
		}
		if first {
			return events.StudentRegistered{Student: s}
		}
		return events.StudentUpdated{Student: s}
	}
	e := events.Employee{
		EmployeeNo: orderEmployee, Name: name, Identifiers: ids, Language: "nb", Contact: contact, Protection: protection,
		PublishReservation: h.chance(4), Employments: []events.Employment{},
	}
	for _, id := range []string{"1", "2", "3"} {
		if first && id == "1" || h.chance(3) {
			e.Employments = append(e.Employments, events.Employment{ID: id, Start: h.day(-400, 300), End: h.end()})
		}
	}
	if first {
		return events.EmployeeRegistered{Employee: e}
	}
	return events.EmployeeUpdated{Employee: e}
}

func (h *history) word() events.Data {
	role := []string{"", "1", "1", "2", "3", "4"}[h.rng.IntN(6)]
	reason := []string{"resigned", "expired", "withdrawn", "deceased"}[min(h.rng.IntN(12), 3)%4]
	if reason == "deceased" && !h.chance(3) {
		reason = "resigned"
	}
	end := cmp.Or(h.end(), h.day(-29, 60))
	change := events.IDChange{Old: events.Identifier{Type: "fnr", Value: fnrA}, New: events.Identifier{Type: "fnr", Value: fnrB}}
	if h.chance(2) {
		change = events.IDChange{Old: events.Identifier{Type: "so", Value: soA}, New: events.Identifier{Type: "fnr", Value: fnrA}}
	}
	if h.chance(4) {
		change.Old, change.New = change.New, change.Old
		if change.New.Type == "so" {
			change.New = events.Identifier{Type: "fnr", Value: fnrB}
		}
	}
	command := events.Command{Reason: "test", Actor: "kari"}
	switch h.rng.IntN(16) {
	case 0, 1:
		return events.EmployeeEnded{EmployeeNo: orderEmployee, Employment: role, End: end, Reason: reason}
	case 2, 3:
		return events.StudentEnded{StudentNo: orderStudent, Programme: role, End: end, Reason: reason}
	case 4:
		return events.EmployeeCancelled{EmployeeNo: orderEmployee, Employment: role, Reason: "withdrawn"}
	case 5:
		return events.EmployeeIDChanged{EmployeeNo: orderEmployee, IDChange: change}
	case 6:
		return events.StudentIDChanged{StudentNo: orderStudent, IDChange: change}
	case 7:
		return events.SONumberIssued{StudentNo: orderStudent, SONumber: soA}
	case 8:
		return events.AccountSuspended{Command: command}
	case 9:
		return events.AccountRestored{Command: command}
	case 10:
		return events.ChangeRequired{Deadline: h.now.AddDate(0, 0, h.rng.IntN(40)-30), Reason: "test"}
	case 11:
		return events.AccountOpened{Command: command, Until: h.now.AddDate(0, 0, h.rng.IntN(40)-20)}
	case 12:
		if h.chance(3) {
			return events.PasswordCompromised{Reason: "phishing", ReportedBy: "csirt"}
		}
	}
	return h.fullState(h.rng.IntN(2) == 0, false)
}

// shuffled is the history in another order, with repetitions: some as the
// broker delivers again, some published again. Where the account is activated
// after its first event, that one stays first.
func (h *history) shuffled() []events.Event {
	out := slices.Clone(h.events)
	for range h.rng.IntN(6) {
		again := h.events[h.rng.IntN(len(h.events))]
		if h.chance(2) {
			again.Position = uint64(100 + len(out))
		}
		out = append(out, again)
	}
	rest := out
	if h.activated {
		rest = out[1:]
	}
	h.rng.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	h.last = out
	return out
}

// run delivers evs to an empty house: what is told to wait comes again until
// nothing waits; then time takes its turns.
func (h *history) run(t *testing.T, evs []events.Event) account.Account {
	t.Helper()
	dir := &memory{}
	l := &account.Lifecycle{
		Directory: dir, Passwords: dir, Claims: &claims{held: map[string][]byte{}}, Publisher: hole{}, Waiting: hole{},
		Windows: policy.DefaultWindows(), Letters: account.DefaultLetterRules(), Leaving: account.DefaultLeavingRules(),
		Identity: account.Identity{Key: bytes.Repeat([]byte{7}, 32), Version: 1}, Realm: "usn.example", Synthetic: true,
		Seal: func(_, secret string) (string, error) { return "sealed", nil },
		Now:  func() time.Time { return h.now },
	}
	for pass, n := 0, 0; len(evs) > 0; pass++ {
		if pass > len(h.events)+10 {
			t.Fatalf("%d events wait for ever, the first is %s", len(evs), evs[0].Data.EventType())
		}
		var waiting []events.Event
		for _, e := range evs {
			err := deliver(t.Context(), l, dir, e)
			if _, later := events.Postponed(err); later {
				waiting = append(waiting, e)
			} else if err != nil {
				t.Fatalf("event %s %s: %v", e.ID, e.Data.EventType(), err)
			}
			if n++; n == 1 && h.activated {
				h.activate(t, dir)
			}
		}
		if len(waiting) == len(evs) { // about a source that never announced the person: orphans in any order
			break
		}
		evs = waiting
	}
	for range 4 {
		if _, err := l.PublishUnsent(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := l.TakeTurns(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(dir.entries) != 1 {
		t.Fatalf("one person has %d entries", len(dir.entries))
	}
	a := dir.entries[0].Clone()
	if opens, _ := l.Opens(a); l.Lacks(a) != "" || opens.After(h.now.AddDate(0, 0, 13)) {
		a.Invitations = nil // a link that went out while something else was believed: it opens nothing before its time
	}
	return a
}

// activate is the person's click, right after the first event.
func (h *history) activate(t *testing.T, dir *memory) {
	t.Helper()
	was := dir.entries[0].Clone()
	now := was.Clone()
	now.State, now.Why = account.Active, account.Why{Reason: account.WhyActivated, Since: h.born, By: "person"}
	now.PasswordSince, now.Invitations, now.Turn = h.born, nil, h.born
	if err := dir.SetPassword(t.Context(), was, now, "Tolv trøtte bjørner 1"); err != nil {
		t.Fatal(err)
	}
}

// deliver hands an event to its method; IT names the person by the username
// that the account has.
func deliver(ctx context.Context, l *account.Lifecycle, dir *memory, e events.Event) error {
	username := "nobody"
	if len(dir.entries) > 0 {
		username = dir.entries[0].Username
	}
	m := e.Meta
	if m.Source == events.SourceIT {
		m.Subject = username
	}
	switch d := e.Data.(type) {
	case events.EmployeeRegistered:
		return l.EmployeeRegistered(ctx, m, d)
	case events.EmployeeUpdated:
		return l.EmployeeUpdated(ctx, m, d)
	case events.EmployeeEnded:
		return l.EmployeeEnded(ctx, m, d)
	case events.EmployeeCancelled:
		return l.EmployeeCancelled(ctx, m, d)
	case events.EmployeeIDChanged:
		return l.EmployeeIDChanged(ctx, m, d)
	case events.StudentRegistered:
		return l.StudentRegistered(ctx, m, d)
	case events.StudentUpdated:
		return l.StudentUpdated(ctx, m, d)
	case events.StudentEnded:
		return l.StudentEnded(ctx, m, d)
	case events.StudentIDChanged:
		return l.StudentIDChanged(ctx, m, d)
	case events.SONumberIssued:
		return l.SONumberIssued(ctx, m, d)
	case events.AccountSuspended:
		d.Username = username
		return l.AccountSuspended(ctx, m, d)
	case events.AccountRestored:
		d.Username = username
		return l.AccountRestored(ctx, m, d)
	case events.ChangeRequired:
		d.Username = username
		return l.ChangeRequired(ctx, m, d)
	case events.AccountOpened:
		d.Username = username
		return l.AccountOpened(ctx, m, d)
	case events.PasswordCompromised:
		d.Username = username
		return l.PasswordCompromised(ctx, m, d)
	}
	return fmt.Errorf("no method for %T", e.Data)
}

func story(evs []events.Event) (s string) {
	for _, e := range evs {
		data, _ := json.Marshal(e.Data)
		s += fmt.Sprintf("%s %s seq %d at %d %s %s\n", e.ID, e.Time.Format(time.RFC3339), e.Sequence, e.Position, e.Data.EventType(), data)
	}
	return s
}

// hole takes whatever is published or planned.
type hole struct{}

func (hole) Publish(context.Context, ...events.Event) error        { return nil }
func (hole) Plan(context.Context, string, string, time.Time) error { return nil }
