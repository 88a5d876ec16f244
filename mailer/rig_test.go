package mailer_test

import (
	"context"
	"errors"
	"io"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	message "github.com/emersion/go-message/mail"

	"usn.no/matricula/events"
	"usn.no/matricula/mailer"
)

var institution = mailer.Institution{
	Name: "University of South-Eastern Norway",
	Names: map[string]string{
		"nb": "Universitetet i Sørøst-Norge", "nn": "Universitetet i Søraust-Noreg",
	},
	SupportEmail: "it-hjelp@example.no", SupportURL: "https://www.example.no/it-hjelp",
	BaseURL: "https://konto.example.no",
}

// noon is when every test begins.
var noon = time.Date(2027, 7, 18, 12, 0, 0, 0, time.UTC)

// marks keeps marks in memory, and fails as often as it is told to.
type marks struct {
	mu        sync.Mutex
	kept      map[string]events.LetterMark
	failWrite int
	stopped   map[string]events.StoppedAddress // by account
}

func (m *marks) Stopped(_ context.Context, account string) (events.StoppedAddress, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stopped[account], nil
}

func (m *marks) Sent(_ context.Context, letter string) (events.LetterMark, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	mark, ok := m.kept[letter]
	return mark, ok, nil
}

func (m *marks) Mark(_ context.Context, letter string, mark events.LetterMark) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failWrite > 0 {
		m.failWrite--
		return errors.New("marks are away")
	}
	if m.kept == nil {
		m.kept = map[string]events.LetterMark{}
	}
	m.kept[letter] = mark
	return nil
}

// audit keeps each fact once, as the stream does.
type audit struct {
	mu   sync.Mutex
	ids  map[string]bool
	told []events.Audit
	back []events.Event // words of letters that nobody takes
	fail int
}

func (a *audit) Publish(_ context.Context, evs ...events.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail > 0 {
		a.fail--
		return errors.New("broker is away")
	}
	for _, e := range evs {
		if a.ids == nil {
			a.ids = map[string]bool{}
		}
		if !a.ids[e.Subject()] {
			a.ids[e.Subject()] = true
			if fact, ok := e.Data.(events.Audit); ok {
				a.told = append(a.told, fact)
			} else {
				a.back = append(a.back, e)
			}
		}
	}
	return nil
}

// of lists what was told about a letter, in order: "sent", "failed:refused".
func (a *audit) of(letter string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for _, f := range a.told {
		if f.Details["letter"] == letter {
			s := strings.TrimPrefix(f.What, "letter.")
			if f.Reason != "" {
				s += ":" + f.Reason
			}
			out = append(out, s)
		}
	}
	return out
}

func (a *audit) all() []events.Audit {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]events.Audit(nil), a.told...)
}

// rig is a mailer with everything around it.
type rig struct {
	*mailer.Mailer
	marks *marks
	audit *audit
	mu    sync.Mutex
	now   time.Time
}

// shipped are the letters as they come; checking them takes its time, so it is
// done once.
var shipped = sync.OnceValues(func() (*mailer.Templates, error) {
	return mailer.NewTemplates(institution, mailer.NumberFull, nil)
})

func templates(t testing.TB) *mailer.Templates {
	t.Helper()
	tm, err := shipped()
	if err != nil {
		t.Fatalf("the shipped letters do not hold: %v", err)
	}
	return tm
}

func newRig(t testing.TB, s mailer.RelaySettings) *rig {
	t.Helper()
	relay, err := mailer.NewRelay(s)
	if err != nil {
		t.Fatalf("relay settings are refused: %v", err)
	}
	t.Cleanup(relay.Close)
	key, err := events.GenerateSealKey()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{marks: &marks{}, audit: &audit{}, now: noon}
	r.Mailer = &mailer.Mailer{
		Templates: templates(t), Relay: relay, Marks: r.marks, Publisher: r.audit, Key: key,
		From:   mailer.Sender{Name: "IT ved USN", Address: "konto@example.no", ReplyTo: "it-hjelp@example.no"},
		Ticket: func(invitation, purpose string) string { return "ticket-of-" + invitation + "-for-" + purpose },
		Now:    r.clock, Metrics: mailer.NewMetrics(relay),
	}
	return r
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) set(at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = at
}

// request is an activation letter to addr.
func request(letter, addr string) events.MailRequest {
	end := time.Date(2027, 8, 30, 21, 59, 0, 0, time.UTC)
	opens := time.Date(2027, 7, 31, 22, 0, 0, 0, time.UTC)
	return events.MailRequest{
		Template: events.LetterActivation, Letter: letter, Account: "acc-" + letter, Language: "nb", Address: addr,
		Name: "Kari Nordmann", Role: "student", Username: "256789",
		Invitation: "inv-" + letter, Purpose: "activate", Expires: &end, Opens: &opens,
	}
}

func meta(r events.MailRequest) events.Meta {
	return events.Meta{ID: "event-of-" + r.Letter, Source: events.SourceWorker, Subject: r.Letter, Time: noon}
}

// deliver hands the letter over once.
func (r *rig) deliver(q events.MailRequest) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	return r.Deliver(ctx, meta(q), q)
}

// finish does what the worker does, with the clock moved instead of waited
// for, until the letter has its end. It answers how often it was handled.
func (r *rig) finish(t testing.TB, q events.MailRequest) int {
	t.Helper()
	for n, deadline := 1, time.Now().Add(5*time.Minute); time.Now().Before(deadline); n++ {
		err := r.deliver(q)
		switch at, later := events.Postponed(err); {
		case err == nil:
			return n
		case later:
			if !at.After(r.clock()) {
				t.Fatalf("letter %s is put off to %s, which is not ahead of %s", q.Letter, at, r.clock())
			}
			r.set(at)
		case !events.IsUnavailable(err):
			t.Fatalf("letter %s ends in an error that is neither later nor an outage: %v", q.Letter, err)
		default:
			<-time.After(time.Millisecond) // the relay is asked again
		}
	}
	t.Fatalf("letter %s has no end after five minutes", q.Letter)
	return 0
}

// parsed is a letter read back by an independent library.
type parsed struct {
	Header     message.Header
	Text, HTML string
	Raw        string
}

func parse(t testing.TB, raw string) parsed {
	t.Helper()
	r, err := message.CreateReader(strings.NewReader(raw))
	if err != nil {
		t.Fatalf("message cannot be parsed: %v", err)
	}
	p := parsed{Header: r.Header, Raw: raw}
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return p
		}
		if err != nil {
			t.Fatalf("message has a broken part: %v", err)
		}
		body, err := io.ReadAll(part.Body)
		if err != nil {
			t.Fatalf("part cannot be decoded: %v", err)
		}
		kind, _, _ := part.Header.(*message.InlineHeader).ContentType()
		if kind == "text/html" {
			p.HTML = string(body)
		} else {
			p.Text = string(body)
		}
	}
}

func messageID(t testing.TB, raw string) string {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatalf("message cannot be read: %v", err)
	}
	return m.Header.Get("Message-Id")
}
