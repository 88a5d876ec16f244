package account_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
	"usn.no/matricula/directory/kv"
	"usn.no/matricula/events"
	"usn.no/matricula/policy"
	"usn.no/matricula/stream"
	"usn.no/matricula/testkit"
)

// world is a lifecycle with real streams and a real directory around it, and a
// clock that the test moves.
type world struct {
	*account.Lifecycle
	t   *testing.T
	js  jetstream.JetStream
	mu  sync.Mutex
	now time.Time
	n   int
}

type store interface {
	account.Directory
	account.Passwords
}

// cheap hashes in a millisecond: what is tested here is not the hash.
func cheap() directory.Argon2 { return directory.Argon2{Memory: 64, Time: 1, Threads: 1} }

// bucketWorld has the embedded directory.
func bucketWorld(t *testing.T) *world {
	t.Helper()
	js := testkit.NATS(t).JetStream()
	b, err := js.CreateOrUpdateKeyValue(t.Context(), kv.BucketConfig())
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, js, func(string) store { return &kv.Directory{Bucket: b, Hasher: directory.NewHasher(cheap(), 2)} })
}

// slapdWorld has an OpenLDAP server; worker and portal bind as themselves.
func slapdWorld(t *testing.T) *world {
	t.Helper()
	s := testkit.Slapd(t)
	return newWorld(t, testkit.NATS(t).JetStream(), func(role string) store {
		who := s.Worker
		if role == "portal" {
			who = s.Portal
		}
		d, err := directory.Open(t.Context(), directory.Config{
			URL: s.URL, BindDN: who.DN, Password: who.Password, Base: s.Base, Realm: s.Realm, Argon2: cheap(),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		return d
	})
}

// everyWorld runs a test on both directories.
func everyWorld(t *testing.T, f func(*testing.T, *world)) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) { t.Parallel(); f(t, bucketWorld(t)) })
	t.Run("slapd", func(t *testing.T) { t.Parallel(); f(t, slapdWorld(t)) })
}

func newWorld(t *testing.T, js jetstream.JetStream, open func(role string) store) *world {
	t.Helper()
	set := stream.DefaultSettings()
	set.Lanes = 4
	if err := stream.Declare(t.Context(), js, set, false); err != nil {
		t.Fatal(err)
	}
	pub := stream.NewPublisher(js)
	t.Cleanup(func() { _ = pub.Close(context.Background()) })
	w := &world{t: t, js: js, now: time.Date(2027, 7, 20, 12, 0, 0, 0, time.UTC)}
	w.Lifecycle = &account.Lifecycle{
		Directory: open("worker"), Passwords: open("portal"),
		Claims: stream.NewClaims(pub), Publisher: pub, Waiting: &stream.Waiting{JS: js, Settings: set},
		Attempts: &stream.Counter{Publisher: pub}, Windows: policy.DefaultWindows(), PasswordRules: policy.DefaultPasswordRules(),
		Letters: account.DefaultLetterRules(), Identity: account.Identity{Key: bytes.Repeat([]byte{7}, 32), Version: 1},
		Tickets: account.Tickets{Keys: [][]byte{bytes.Repeat([]byte{9}, 32)}}, Realm: "usn.example", Synthetic: true,
		Seal: func(letter, secret string) (string, error) { return "sealed", nil },
		Now:  w.clock,
	}
	return w
}

// portal is the lifecycle with the portal's rights in the directory.
func (w *world) portal() *account.Lifecycle {
	l := *w.Lifecycle
	if d, ok := l.Passwords.(account.Directory); ok {
		l.Directory = d
	}
	return &l
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) at(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = t
}

// meta is the next event of a source about a subject.
func (w *world) meta(source, subject string, at time.Time) events.Meta {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	return events.Meta{ID: fmt.Sprint("e", w.n), Source: source, Subject: subject, Time: at, Position: uint64(w.n), Received: w.now}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) find(kind, value string) account.Account {
	w.t.Helper()
	a, err := w.Directory.Find(w.t.Context(), account.Key{Kind: kind, Value: value})
	if err != nil {
		w.t.Fatalf("account of %s %s: %v", kind, value, err)
	}
	return a
}

// all are the accounts there are.
func (w *world) all() []account.Account {
	w.t.Helper()
	var out []account.Account
	w.must(w.Directory.Each(w.t.Context(), account.Query{}, func(a account.Account) bool { out = append(out, a); return true }))
	return out
}

// subjects are the stored subjects of a stream, sorted.
func (w *world) subjects(name, filter string) []string {
	w.t.Helper()
	st, err := w.js.Stream(w.t.Context(), name)
	w.must(err)
	info, err := st.Info(w.t.Context(), jetstream.WithSubjectFilter(filter))
	w.must(err)
	var out []string
	for s := range info.State.Subjects {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// facts counts audit facts by type.
func (w *world) facts() map[string]int {
	out := map[string]int{}
	for _, s := range w.subjects(stream.Audit, "audit.>") {
		parts := strings.Split(s, ".")
		out[parts[1]+"."+parts[2]]++
	}
	return out
}

// letters counts the letters that are due by template.
func (w *world) letters() map[string]int {
	out := map[string]int{}
	for _, s := range w.subjects(stream.Mail, "mail.>") {
		out[strings.Split(s, ".")[1]]++
	}
	return out
}

const (
	fnrA = "17912099997"
	fnrB = "05840399895"
	soA  = "01512510074"
)

func fnr(v string) []events.Identifier { return []events.Identifier{{Type: "fnr", Value: v}} }

func employee(no, given, family, email string, ids []events.Identifier) events.Employee {
	return events.Employee{
		EmployeeNo: no, Name: events.Name{Given: given, Family: family}, Identifiers: ids, Language: "nb",
		Employments: []events.Employment{{ID: "1", Start: "2027-01-01"}}, Contact: events.Contact{Email: email},
	}
}

func student(no, given, family, email string, ids []events.Identifier) events.Student {
	return events.Student{
		StudentNo: no, Name: events.Name{Given: given, Family: family}, Identifiers: ids, Language: "en",
		Programmes: []events.Programme{{ID: "1", Code: "MSC", Start: "2027-08-16"}}, Contact: events.Contact{Email: email},
	}
}

// numbers are synthetic identity numbers (Tenor, month + 80).
func numbers(t *testing.T) []string {
	t.Helper()
	var out []string
	for n := 0; len(out) < 8; n++ {
		number := fmt.Sprintf("%02d8184%05d", n/100%28+1, n*97%50000)
		if policy.CheckNumber("fnr", number, policy.NumberOptions{Synthetic: true}) == nil {
			out = append(out, number)
		}
	}
	return out
}
