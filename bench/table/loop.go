package table

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// perPerson is how many events of one person follow each other.
const perPerson = 4

// looped is how a loop worked off its messages.
type looped struct {
	rate                      float64
	loop, broker              time.Duration // processor time per message
	peak                      float64       // MiB
	lost, doubled, inversions int
	kills                     int
	how                       string
	width                     int
	runs                      int
	between                   [2]float64 // the slowest and the fastest of them, a second
}

// hold fails where our loop lost, doubled or turned round: the others' are shown.
func (l looped) hold(t testing.TB) {
	t.Helper()
	if l.lost != 0 || l.doubled != 0 || l.inversions != 0 {
		t.Errorf("loop: %d lost, %d doubled, %d turned round", l.lost, l.doubled, l.inversions)
	}
}

// slice is one broker, filled, with a loop before it.
type slice struct {
	t            testing.TB
	dir, program string
	port         string
	server       *proc
	how          string
	width, n     int
}

// newSlice fills a broker for one loop. It is filled without syncing, which
// nobody measures, and started again as production runs it.
func newSlice(t testing.TB, server, how string, width, n int) *slice {
	t.Helper()
	s := &slice{t: t, dir: t.TempDir(), program: server, port: freePort(t), how: how, width: width, n: n}
	s.startServer("2m")
	js := s.connect()
	s.declare(js)
	for i := range n {
		if _, err := js.PublishMsgAsync(s.message(i)); err != nil {
			t.Fatal(err)
		}
		if i%4096 == 4095 {
			<-js.PublishAsyncComplete()
		}
	}
	<-js.PublishAsyncComplete()
	s.server.stop()
	s.startServer("always")
	return s
}

func (s *slice) url() string { return "nats://" + s.port }

func (s *slice) startServer(sync string) {
	s.t.Helper()
	conf := filepath.Join(s.dir, "nats.conf")
	text := fmt.Sprintf("listen: %q\njetstream { store_dir: %q, sync_interval: %q }\n", s.port, filepath.Join(s.dir, "store"), sync)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.server = start(s.t, s.dir, "nats", exec.Command(s.program, "-c", conf))
	s.connect()
}

func (s *slice) connect() jetstream.JetStream {
	s.t.Helper()
	nc, err := nats.Connect(s.url(), nats.RetryOnFailedConnect(true), nats.ReconnectWait(20*time.Millisecond), nats.MaxReconnects(-1))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		s.t.Fatal(err)
	}
	for until := time.Now().Add(15 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := js.AccountInfo(ctx)
		cancel()
		if err == nil {
			return js
		}
		if time.Now().After(until) {
			s.t.Fatalf("the broker does not answer: %v", err)
		}
	}
}

// declare makes the streams: ours as setup does, the others' as one would.
func (s *slice) declare(js jetstream.JetStream) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if s.how == "ours" {
		set := stream.DefaultSettings()
		set.Lanes = min(s.width, set.Lanes)
		if err := stream.Declare(ctx, js, set, false); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	for name, subject := range map[string]string{"EVENTS": "hr.employee.updated.*", "DERIVED": "derived.*"} {
		if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{subject}, Storage: jetstream.FileStorage}); err != nil {
			s.t.Fatal(err)
		}
	}
	c := jetstream.ConsumerConfig{Durable: "loop", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1024, AckWait: 5 * time.Second}
	if s.how != "watermill" {
		if _, err := js.CreateConsumer(ctx, "EVENTS", c); err != nil {
			s.t.Fatal(err)
		}
		return
	}
	c.DeliverSubject, c.DeliverGroup = "_deliver.loop", "loop" // it takes what is pushed
	if _, err := js.CreateOrUpdatePushConsumer(ctx, "EVENTS", c); err != nil {
		s.t.Fatal(err)
	}
}

// message is the i-th event: 1 KB, perPerson in a row of one person.
func (s *slice) message(i int) *nats.Msg {
	p := invent(2*(i/perPerson), 1)[0] // an employee
	e, ok := p.registered(time.Now()).Data.(events.EmployeeRegistered)
	if !ok {
		s.t.Fatal("no employee")
	}
	for id := range 4 { // as much as makes 1 KB
		more := e.Employments[0]
		more.ID, more.Title = fmt.Sprint(id+2), strings.Repeat("Førsteamanuensis ", 5)
		e.Employments = append(e.Employments, more)
	}
	m := events.Meta{ID: fmt.Sprintf("%08d", i), Source: events.SourceHR, Subject: p.No, Time: time.Now(), Sequence: uint64(i + 1)}
	return message(s.t, events.Event{Meta: m, Data: events.EmployeeUpdated(e)})
}

func (s *slice) startLoop(program []string, run int) *proc {
	cmd := exec.Command(program[0], program[1:]...)
	cmd.Env = append(os.Environ(), "NATS_URL="+s.url(), fmt.Sprint("CONCURRENCY=", s.width))
	return start(s.t, s.dir, fmt.Sprintf("loop-%d", run), cmd)
}

// run works everything off. With kills it ends the loop, and now and then the
// broker, as a crash does, over and over.
func (s *slice) run(program []string, kills int) looped {
	s.t.Helper()
	broker, used := cpu(s.server.cmd.Process.Pid), time.Duration(0)
	r := looped{how: s.how, width: s.width}
	loop := s.startLoop(program, 0)
	js := s.connect()
	until, look := time.Now().Add(5*time.Minute), 250*time.Millisecond
	if kills > 0 {
		look = 10 * time.Millisecond // it is killed in the middle of its work
	}
	for done := s.derived(js); done < s.n || !s.finished(js); done = s.derived(js) {
		if time.Now().After(until) || loop.ended() {
			s.t.Errorf("%s at %d: %d of %d after %s: %s", s.how, s.width, done, s.n, 5*time.Minute, loop.tail())
			break
		}
		if r.kills < kills && done < s.n && done >= s.n*(r.kills+1)/(kills+2) {
			used += cpu(loop.cmd.Process.Pid)
			loop.kill()
			if r.kills%3 == 2 {
				s.server.kill()
				s.startServer("always")
			}
			r.kills++
			loop = s.startLoop(program, r.kills)
		}
		time.Sleep(look)
	}
	used += cpu(loop.cmd.Process.Pid)
	r.peak = memory(loop.cmd.Process.Pid, true)
	n := time.Duration(s.n)
	r.loop, r.broker = used/n, (cpu(s.server.cmd.Process.Pid)-broker)/n
	loop.stop()
	s.judge(js, &r)
	s.server.stop()
	return r
}

func (s *slice) names() (in, out, subject string) {
	if s.how == "ours" {
		return stream.Intake, stream.Audit, "audit.account.updated.>"
	}
	return "EVENTS", "DERIVED", "derived.>"
}

func (s *slice) derived(js jetstream.JetStream) int {
	_, out, _ := s.names()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	st, err := js.Stream(ctx, out)
	if err != nil {
		return 0
	}
	return int(st.CachedInfo().State.Msgs)
}

// finished tells whether everything is acknowledged.
func (s *slice) finished(js jetstream.JetStream) bool {
	in, _, _ := s.names()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	st, err := js.Stream(ctx, in)
	if err != nil {
		return false
	}
	left, seen := 0, false
	for c := range st.ListConsumers(ctx).Info() {
		left, seen = left+int(c.NumPending)+c.NumAckPending, true
	}
	return seen && left == 0
}

// judge reads what was published: the rate between the first and the last, what
// is missing, what is there twice, and where an older event of a person follows
// a newer one.
func (s *slice) judge(js jetstream.JetStream, r *looped) {
	_, out, subject := s.names()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := js.OrderedConsumer(ctx, out, jetstream.OrderedConsumerConfig{FilterSubjects: []string{subject}})
	if err != nil {
		s.t.Fatal(err)
	}
	info, err := c.Info(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	it, err := c.Messages()
	if err != nil {
		s.t.Fatal(err)
	}
	defer it.Stop()
	seen, newest := map[string]int{}, map[string]string{}
	var first, last time.Time
	for range info.NumPending {
		m, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			s.t.Fatal(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			s.t.Fatal(err)
		}
		var e struct{ Account, Cause string }
		if err := json.Unmarshal(m.Data(), &e); err != nil {
			s.t.Fatal(err)
		}
		if first.IsZero() {
			first = meta.Timestamp
		}
		last = meta.Timestamp
		seen[e.Cause]++
		if e.Cause < newest[e.Account] {
			r.inversions++
		}
		newest[e.Account] = max(newest[e.Account], e.Cause)
	}
	r.lost = s.n - len(seen)
	for _, n := range seen {
		r.doubled += n - 1
	}
	r.rate = float64(s.n) / last.Sub(first).Seconds()
}
