package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"usn.no/matricula/events"
	"usn.no/matricula/testkit"
)

func TestMain(m *testing.M) {
	if os.Getenv(childURL) != "" {
		child()
		return
	}
	os.Exit(m.Run())
}

// rig is a broker with an intake like the real one, in a few partitions.
type rig struct {
	t      testing.TB
	server *testkit.NATSServer
	js     jetstream.JetStream
	lanes  []jetstream.Consumer
	atOnce int // how many messages of a lane its workers handle at the same time
}

const partitions = 8

func newRig(t testing.TB, lanes int, ackWait time.Duration) *rig {
	t.Helper()
	s := testkit.NATS(t)
	r := &rig{t: t, server: s, js: s.JetStream()}
	ctx := t.Context()
	for _, cfg := range []jetstream.StreamConfig{
		{Name: "INTAKE", AllowDirect: true, Subjects: []string{"hr.*.*.*", "admissions.*.*.*", "it.*.*.*"}, SubjectTransform: &jetstream.SubjectTransformConfig{
			Source:      "*.*.*.*",
			Destination: fmt.Sprintf("p.{{partition(%d,4)}}.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}.{{wildcard(4)}}", partitions),
		}},
		{Name: "JOURNAL", Subjects: []string{"journal.>"}},
		{Name: "DEAD", Subjects: []string{"dead.>"}, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true},
		{Name: "AUDIT", Subjects: []string{"audit.>"}, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true},
	} {
		if _, err := r.js.CreateStream(ctx, cfg); err != nil {
			t.Fatalf("create stream %s: %v", cfg.Name, err)
		}
	}
	for i := range lanes {
		cfg := jetstream.ConsumerConfig{Durable: fmt.Sprintf("lane-%d", i), AckPolicy: jetstream.AckExplicitPolicy,
			MaxAckPending: 1, AckWait: ackWait, MaxDeliver: -1, PriorityPolicy: jetstream.PriorityPolicyPrioritized, PriorityGroups: []string{"workers"}}
		for p := i; p < partitions; p += lanes {
			cfg.FilterSubjects = append(cfg.FilterSubjects, fmt.Sprintf("p.%d.>", p))
		}
		c, err := r.js.CreateConsumer(ctx, "INTAKE", cfg)
		if err != nil {
			t.Fatalf("create consumer: %v", err)
		}
		r.lanes = append(r.lanes, c)
	}
	return r
}

// shared lets every consumer have several messages under way, as letters do.
func (r *rig) shared() { r.window(2) }

// ahead lets every lane have many messages under way, of which its workers
// handle n at the same time.
func (r *rig) ahead(n int) {
	r.t.Helper()
	r.atOnce = n
	r.window(64)
}

func (r *rig) window(size int) {
	r.t.Helper()
	for i, c := range r.lanes {
		cfg := c.CachedInfo().Config
		cfg.MaxAckPending = size
		c, err := r.js.UpdateConsumer(r.t.Context(), "INTAKE", cfg)
		if err != nil {
			r.t.Fatalf("update consumer: %v", err)
		}
		r.lanes[i] = c
	}
}

// publish publishes the n-th event of a student.
func (r *rig) publish(student string, n int) {
	r.t.Helper()
	e := events.Event{
		Meta: events.Meta{ID: fmt.Sprintf("%s-%d", student, n), Source: events.SourceAdmissions, Subject: student, Time: time.Now(), Sequence: uint64(n)},
		Data: events.SONumberIssued{StudentNo: student, SONumber: "15532510071"},
	}
	header, body, err := events.Encode(e)
	if err != nil {
		r.t.Fatalf("encode: %v", err)
	}
	r.raw(e.Subject(), header, body)
}

func (r *rig) raw(subject string, header nats.Header, body []byte) uint64 {
	r.t.Helper()
	ack, err := r.js.PublishMsg(r.t.Context(), &nats.Msg{Subject: subject, Header: header, Data: body})
	if err != nil {
		r.t.Fatalf("publish on %s: %v", subject, err)
	}
	return ack.Sequence
}

// idle tells whether every message of the intake has been acknowledged.
func (r *rig) idle() bool {
	for _, c := range r.lanes {
		info, err := c.Info(context.Background())
		if err != nil || info.NumPending+uint64(info.NumAckPending) > 0 {
			return false
		}
	}
	return true
}

// worker is one over the rig, with a memory for what it puts aside.
func (r *rig) worker() (*Worker, *memory) {
	m := &memory{}
	return &Worker{Conn: r.server.Connect(), Aside: m, Publisher: m, Log: zerolog.New(m), Name: "intake", AtOnce: r.atOnce,
		Backoff: Backoff{First: time.Millisecond, Max: 20 * time.Millisecond}, Grace: 5 * time.Second}, m
}

// start runs w and answers how to end it; the test ends it otherwise.
func (r *rig) start(w *Worker) (stop func() error) {
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, r.lanes) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	r.t.Cleanup(func() { _ = stop() })
	return stop
}

// patience is how long a fact may take: a busy machine is no fault.
const patience = 2 * time.Minute

// held is an AckWait that no message of a test comes to the end of, however
// long the machine stands still: what is delivered twice was given twice.
const held = 30 * time.Second

// eventually polls a fact.
func eventually(t testing.TB, what string, fact func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !fact(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond) // between two looks at the fact
	}
}

// memory is an Aside, a Publisher and a log that keep all they get.
type memory struct {
	mu     sync.Mutex
	dead   []events.DeadLetter
	waits  []waiting
	events []events.Event
	log    bytes.Buffer
	refuse int // how many of the next writes fail
}

type waiting struct {
	at      time.Time
	subject string
}

var errRefused = errors.New("refused by the test")

func (m *memory) do(f func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse > 0 {
		m.refuse--
		return errRefused
	}
	f()
	return nil
}

func (m *memory) Bury(_ context.Context, d events.DeadLetter) error {
	return m.do(func() { m.dead = append(m.dead, d) })
}

func (m *memory) Wait(_ context.Context, at time.Time, msg jetstream.Msg) error {
	return m.do(func() { m.waits = append(m.waits, waiting{at, msg.Subject()}) })
}

func (m *memory) Publish(_ context.Context, evs ...events.Event) error {
	return m.do(func() { m.events = append(m.events, evs...) })
}

func (m *memory) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log.Write(p)
}

func (m *memory) buried() []events.DeadLetter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]events.DeadLetter(nil), m.dead...)
}

// lines are the log lines with a message.
func (m *memory) lines(message string) []map[string]any {
	m.mu.Lock()
	defer m.mu.Unlock()
	var found []map[string]any
	for d := json.NewDecoder(strings.NewReader(m.log.String())); ; {
		var line map[string]any
		if err := d.Decode(&line); errors.Is(err, io.EOF) {
			return found
		}
		if line["message"] == message {
			found = append(found, line)
		}
	}
}
