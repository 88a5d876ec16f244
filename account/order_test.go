package account_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
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
// ends in the entry that the order of recording ends in. Among it are two
// accounts that IT merges, letters that came back, and passwords that the person
// chose in between. A seed that does not plays again, with its story:
//
//	go test ./account -run TestAnyOrderEndsInTheSameEntry -order 4711
//
// What cannot come in any order does not: nothing is recorded after a click and
// handled before it, and no letter comes back from an address that was not
// announced yet. Nor do these: an address that is left, came back and is taken
// up again is in use, and one that was never seen to be left is not; and what IT
// says of the password of an account that is merged away is about that password
// before the merger, and about the heir's after it.
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
		"merged", "bounced", "two passwords",
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
	_, _, bounced := ordered.Bounced()
	ended := map[string]bool{
		string(ordered.State) + " " + ordered.Why.Reason: true, "merged": h.merged, "bounced": bounced, "two passwords": h.admitted[0] && h.admitted[1],
	}
	maps.DeleteFunc(ended, func(_ string, yes bool) bool { return !yes })
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
			t.Logf("in order, clicks after %v, admitted %v:\n%s\nshuffled:\n%s", h.clicks, h.admitted, story(h.events), story(h.last))
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
	clicks    []int        // a password is chosen after this many events
	admitted  map[int]bool // by what was known then
	bounces   bool         // letters come back; addresses are not taken up again
	merged    bool         // of two accounts, the student's into the employee's
	address   int
	students  map[string]bool // whose an address is, where there are two accounts
	sequences bool
	sequence  map[string]uint64
}

func newHistory(seed uint64) *history {
	h := &history{rng: rand.New(rand.NewPCG(seed, 7)), sequence: map[string]uint64{}, admitted: map[int]bool{}, students: map[string]bool{}}
	h.now = time.Date(2027, 9, 1, 12, 0, 0, 0, time.UTC)
	h.sequences, h.bounces, h.merged = h.chance(2), h.chance(4), h.chance(4)
	h.address = 1
	at := h.now.AddDate(0, 0, -200-h.rng.IntN(3)*100)
	if h.rng.IntN(8) == 0 {
		at = h.now.AddDate(-2, 0, 0)
	}
	h.add(at, h.fullState(!h.merged && h.chance(2), true))
	if h.merged {
		h.add(at, h.fullState(true, true))
	}
	begin, merger := len(h.events), 0
	n := 1 + h.rng.IntN(8)
	if h.merged {
		merger = h.rng.IntN(n)
	}
	for i := range n {
		at = at.Add(2*time.Hour + time.Duration(h.rng.Int64N(int64(h.now.Sub(at)/2))))
		if h.merged && i == merger {
			h.add(at, events.AccountMerged{Reason: "one person", Actor: "kari"})
			continue
		}
		h.add(at, h.word())
	}
	if h.rng.IntN(3) > 0 {
		h.clicks = []int{begin + h.rng.IntN(len(h.events)-begin+1)}
		if h.chance(2) {
			h.clicks = append(h.clicks, h.clicks[0]+h.rng.IntN(len(h.events)-h.clicks[0]+1))
		}
	}
	return h
}

// clicked is when the n-th password is chosen.
func (h *history) clicked(n int) time.Time {
	return h.events[h.clicks[n]-1].Time.Add(time.Hour + time.Duration(n)*time.Minute)
}

// stage is how many clicks came before an event was recorded.
func (h *history) stage(e events.Event) (n int) {
	for i := range h.clicks {
		if e.Time.After(h.clicked(i)) {
			n = i + 1
		}
	}
	return n
}

func (h *history) chance(one int) bool { return h.rng.IntN(one) == 0 }

const orderStudent, orderEmployee = "256789", "104711"

func (h *history) add(at time.Time, d events.Data) {
	m := events.Meta{ID: fmt.Sprint("e", len(h.events)+1), Source: events.SourceHR, Subject: orderEmployee, Time: at.Add(time.Duration(len(h.events)) * time.Microsecond)}
	switch d.(type) {
	case events.StudentRegistered, events.StudentUpdated, events.StudentEnded, events.StudentIDChanged, events.SONumberIssued:
		m.Source, m.Subject = events.SourceAdmissions, orderStudent
	case events.AccountSuspended, events.AccountRestored, events.ChangeRequired, events.AccountOpened, events.AccountInvited,
		events.AccountMerged, events.MailBounced, events.PasswordCompromised:
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
	if h.bounces { // none is taken up again
		h.address += 1 - h.rng.IntN(2)*map[bool]int{false: 1}[h.merged]
		contact.Email = h.letter(h.address)
		h.students[contact.Email] = student
	}
	ids := []events.Identifier{{Type: "fnr", Value: h.number(student, fnrA, fnrC)}}
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
	command := events.Command{Reason: "test", Actor: "kari"}
	if h.merged && h.chance(2) {
		command.Username = orderStudent
	}
	if h.bounces && h.chance(3) {
		return events.MailBounced{Letter: h.letter(h.address - h.rng.IntN(2)), Status: "5.1.1"}
	}
	switch h.rng.IntN(18) {
	case 0, 1:
		return events.EmployeeEnded{EmployeeNo: orderEmployee, Employment: role, End: end, Reason: reason}
	case 2, 3:
		return events.StudentEnded{StudentNo: orderStudent, Programme: role, End: end, Reason: reason}
	case 4:
		return events.EmployeeCancelled{EmployeeNo: orderEmployee, Employment: role, Reason: "withdrawn"}
	case 5:
		return events.EmployeeIDChanged{EmployeeNo: orderEmployee, IDChange: h.change(false)}
	case 6:
		return events.StudentIDChanged{StudentNo: orderStudent, IDChange: h.change(true)}
	case 7:
		return events.SONumberIssued{StudentNo: orderStudent, SONumber: h.number(true, soA, soB)}
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
	case 13:
		return events.AccountInvited{Command: events.Command{Reason: "test", Actor: "kari"}}
	}
	return h.fullState(h.rng.IntN(2) == 0, false)
}

// soB, fnrC and fnrD are numbers that the student's account has of its own,
// where there are two.
const soB, fnrC, fnrD = "15532510071", "29822099635", "12829499914"

// letter names a letter by its address, which is the n-th.
func (h *history) letter(n int) string { return fmt.Sprintf("%c@example.org", 'a'+n) }

func (h *history) number(student bool, one, other string) string {
	if student && h.merged {
		return other
	}
	return one
}

// change is a word that one number replaced another.
func (h *history) change(student bool) events.IDChange {
	first, second := h.number(student, fnrA, fnrC), h.number(student, fnrB, fnrD)
	c := events.IDChange{Old: events.Identifier{Type: "fnr", Value: first}, New: events.Identifier{Type: "fnr", Value: second}}
	if h.chance(2) {
		c = events.IDChange{Old: events.Identifier{Type: "so", Value: h.number(student, soA, soB)}, New: events.Identifier{Type: "fnr", Value: first}}
	}
	if h.chance(4) {
		c.Old, c.New = c.New, c.Old
		if c.New.Type == "so" {
			c.New = events.Identifier{Type: "fnr", Value: second}
		}
	}
	return c
}

// shuffled is the history in another order, with repetitions: some as the
// broker delivers again, some published again. What was recorded after a click
// comes after it; what was recorded before it may come after it, too.
func (h *history) shuffled() []events.Event {
	out := slices.Clone(h.events)
	for range h.rng.IntN(6) {
		again := h.events[h.rng.IntN(len(h.events))]
		if h.chance(2) {
			again.Position = uint64(100 + len(out))
		}
		out = append(out, again)
	}
	h.rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	at := make(map[int]int, len(out)) // by place before the sort
	for i, e := range out {
		at[i] = h.stage(e)
		if late := len(h.clicks) - at[i]; late > 0 && h.chance(4) {
			at[i] += 1 + h.rng.IntN(late)
		}
	}
	places := slices.Sorted(maps.Keys(at))
	slices.SortStableFunc(places, func(i, j int) int { return cmp.Compare(at[i], at[j]) })
	h.last = nil
	for _, i := range places {
		h.last = append(h.last, out[i])
	}
	return h.last
}

// run delivers evs to an empty house: what is told to wait comes again until
// nothing waits; then time takes its turns. The person clicks when everything
// that was recorded after it is still to come, as soon as that is admitted.
func (h *history) run(t *testing.T, evs []events.Event) account.Account {
	t.Helper()
	r := &orderRun{history: h, dir: &memory{}}
	r.life = &account.Lifecycle{
		Directory: r.dir, Passwords: r.dir, Claims: &claims{held: map[string][]byte{}}, Publisher: hole{}, Waiting: hole{}, Sent: r,
		Windows: policy.DefaultWindows(), Letters: account.DefaultLetterRules(), Leaving: account.DefaultLeavingRules(),
		Identity: account.Identity{Key: bytes.Repeat([]byte{7}, 32), Version: 1}, Realm: "usn.example", Synthetic: true,
		Seal: func(_, secret string) (string, error) { return "sealed", nil },
		Now:  func() time.Time { return h.now },
	}
	ordered := len(h.last) == 0
	clicks := 0
	for i, e := range evs {
		for due := h.stage(e); clicks < due; clicks++ {
			r.click(t, clicks, ordered, evs[i:])
		}
		r.deliver(t, e)
	}
	for ; clicks < len(h.clicks); clicks++ {
		r.click(t, clicks, ordered, nil)
	}
	for range 4 {
		if _, err := r.life.PublishUnsent(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := r.life.TakeTurns(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return r.person(t)
}

// orderRun is one delivery of a history.
type orderRun struct {
	*history
	life      *account.Lifecycle
	dir       *memory
	waiting   []events.Event
	announced []string // addresses
}

// person is what the history ended in.
func (r *orderRun) person(t *testing.T) account.Account {
	t.Helper()
	a := r.account()
	if r.merged {
		for _, e := range r.dir.entries {
			if e.ID != a.ID && (e.State != account.Closed || e.Merged != a.ID || len(e.Roles)+len(e.Told)+len(e.Numbers) > 0) {
				t.Errorf("the other account is %s %s, and holds %+v", e.State, e.Why.Reason, e.Told)
			}
		}
	}
	if want := 1 + map[bool]int{true: 1}[r.merged]; len(r.dir.entries) != want {
		t.Fatalf("one person has %d entries, not %d", len(r.dir.entries), want)
	}
	if opens, _ := r.life.Opens(a); r.life.Lacks(a) != "" || opens.After(r.now.AddDate(0, 0, 13)) {
		a.Invitations = nil // a link that went out while something else was believed: it opens nothing before its time
	}
	return a
}

// account is the person's, or the one that is kept.
func (r *orderRun) account() account.Account {
	for _, e := range r.dir.entries {
		if !r.merged || e.ID == r.life.Identity.AccountID(events.SourceHR, orderEmployee) {
			return e.Clone()
		}
	}
	return account.Account{}
}

// deliver hands over an event, and whatever waits and can be done by then.
func (r *orderRun) deliver(t *testing.T, e events.Event) {
	t.Helper()
	r.waiting = append(r.waiting, e)
	for todo := r.waiting; len(todo) > 0; todo = r.waiting {
		r.waiting = nil
		for _, e := range todo {
			err := r.hand(t.Context(), e)
			if _, later := events.Postponed(err); later {
				r.waiting = append(r.waiting, e)
			} else if err != nil {
				t.Fatalf("event %s %s: %v", e.ID, e.Data.EventType(), err)
			}
		}
		if len(r.waiting) == len(todo) { // about a source that has not announced the person
			return
		}
	}
}

// hand gives an event to its method. IT names the person by the username that
// the account has.
func (r *orderRun) hand(ctx context.Context, e events.Event) error {
	kept, other := "nobody", "nobody"
	if a := r.account(); a.ID != "" {
		kept = a.Username
	}
	for _, e := range r.dir.entries {
		if e.Username != kept {
			other = e.Username
		}
	}
	switch d := e.Data.(type) {
	case events.AccountMerged:
		e.Meta.Subject, d.Username, d.Into = other, other, kept
		return r.life.AccountMerged(ctx, e.Meta, d)
	case events.AccountInvited:
		e.Meta.Subject, d.Username = kept, kept
		return r.life.AccountInvited(ctx, e.Meta, d)
	case events.MailBounced:
		return r.life.MailBounced(ctx, e.Meta, d)
	case events.AccountSuspended:
		if d.Username != "" {
			kept = other
		}
	case events.AccountRestored:
		if d.Username != "" {
			kept = other
		}
	case events.AccountOpened:
		if d.Username != "" {
			kept = other
		}
	}
	r.mailed(e.Data)
	return deliver(ctx, r.life, kept, e)
}

// mailed remembers where letters can have gone.
func (r *orderRun) mailed(d events.Data) {
	switch d := d.(type) {
	case events.EmployeeRegistered:
		r.announced = append(r.announced, d.Contact.Email)
	case events.EmployeeUpdated:
		r.announced = append(r.announced, d.Contact.Email)
	case events.StudentRegistered:
		r.announced = append(r.announced, d.Contact.Email)
	case events.StudentUpdated:
		r.announced = append(r.announced, d.Contact.Email)
	}
}

// Sent knows a letter to each address that was announced; it is named by it.
func (r *orderRun) Sent(_ context.Context, letter string) (events.LetterMark, bool, error) {
	source, subject := events.SourceHR, orderEmployee
	if r.merged && r.students[letter] {
		source, subject = events.SourceAdmissions, orderStudent
	}
	id := r.life.Identity.AccountID(source, subject)
	if !r.merged {
		id = r.account().ID
	}
	return events.LetterMark{Account: id, To: events.AddressPrint(letter, letter)}, slices.Contains(r.announced, letter), nil
}

func (r *orderRun) StopAddress(context.Context, string, events.StoppedAddress) error { return nil }

// click is the person's n-th, where the account admits it. What the order of
// recording admits, any other does once it knows as much.
func (r *orderRun) click(t *testing.T, n int, ordered bool, rest []events.Event) {
	t.Helper()
	if ordered {
		r.admitted[n] = r.may()
	}
	for !r.may() && r.admitted[n] {
		i := slices.IndexFunc(rest, func(e events.Event) bool { return r.stage(e) <= n })
		if i < 0 {
			t.Fatalf("click %d is admitted in order, and not when all is known that came before it", n)
		}
		r.deliver(t, rest[i])
		rest = rest[i+1:]
	}
	if r.admitted[n] {
		r.choose(t, r.clicked(n))
	}
}

// may tells whether the portal would let a password be chosen.
func (r *orderRun) may() bool {
	a := r.account()
	if a.State == account.Pending {
		opens, ok := r.life.Opens(a)
		return ok && !opens.After(r.now) && r.life.Lacks(a) == ""
	}
	back := a.Why.Reason == account.WhyCompromised || a.Why.Reason == account.WhyChangeRequired
	return a.State == account.Active || a.State == account.Suspended && back
}

// choose sets a password.
func (r *orderRun) choose(t *testing.T, at time.Time) {
	t.Helper()
	was := r.account()
	now := was.Clone()
	now.State, now.Why = account.Active, account.Why{Reason: account.WhyActivated, Since: at, By: "person"}
	now.PasswordSince, now.PasswordLost, now.Invitations, now.Turn = at, "", nil, at
	if err := r.dir.SetPassword(t.Context(), was, now, fmt.Sprint("Tolv trøtte bjørner ", at.Unix())); err != nil {
		t.Fatal(err)
	}
}

// deliver hands an event to its method; IT names the person by username.
func deliver(ctx context.Context, l *account.Lifecycle, username string, e events.Event) error {
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
