package worker

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"usn.no/matricula/events"
)

// What a child process is told by its environment.
const (
	childURL  = "WORKER_CHILD_URL"
	childDies = "WORKER_CHILD_DIES" // "before ack:3": kills itself the third time it comes there
	childName = "WORKER_CHILD_NAME"
	// how many messages of a lane it handles at the same time
	childAtOnce = "WORKER_CHILD_AT_ONCE"
)

// child is the test binary as a worker: it reads all lanes until it is killed.
func child() {
	nc, err := nats.Connect(os.Getenv(childURL), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1))
	check(err)
	js, err := jetstream.New(nc)
	check(err)
	stream, err := js.Stream(context.Background(), "INTAKE")
	check(err)
	var lanes []jetstream.Consumer
	for name := range names(stream.ConsumerNames(context.Background())) {
		c, err := stream.Consumer(context.Background(), name)
		check(err)
		lanes = append(lanes, c)
	}
	store := &store{js: js}
	atOnce, err := strconv.Atoi(os.Getenv(childAtOnce))
	check(err)
	w := &Worker{Conn: nc, Aside: store, Publisher: store, Log: zerolog.New(os.Stderr).Level(zerolog.WarnLevel), at: dies(os.Getenv(childDies)),
		Backoff: Backoff{First: 20 * time.Millisecond, Max: 100 * time.Millisecond}, Deliveries: 16, AtOnce: atOnce}
	Handle(w, func(ctx context.Context, m events.Meta, _ events.SONumberIssued) error {
		if m.Subject == "deadly" {
			die()
		}
		w.pass("before effect")
		msg := nats.NewMsg("journal." + m.Subject)
		msg.Data = []byte(strconv.FormatUint(m.Sequence, 10))
		msg.Header.Set("By", os.Getenv(childName))
		if _, err := js.PublishMsg(ctx, msg); err != nil {
			return events.Unavailable(err)
		}
		w.pass("after effect")
		return nil
	})
	check(w.Run(context.Background(), lanes))
}

func names(l jetstream.ConsumerNameLister) <-chan string { return l.Name() }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(3)
	}
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func dies(at string) func(string) {
	point, count, _ := strings.Cut(at, ":")
	n, _ := strconv.Atoi(count)
	var mu sync.Mutex
	return func(here string) {
		mu.Lock()
		defer mu.Unlock()
		if here != point {
			return
		}
		if n--; n == 0 {
			die()
		}
	}
}

// store keeps dead letters and audit events on subjects that take one message
// each, as the real streams do.
type store struct{ js jetstream.JetStream }

func (s *store) once(ctx context.Context, subject string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = s.js.Publish(ctx, subject, body)
	var refused *jetstream.APIError
	if errors.As(err, &refused) && refused.ErrorCode == 10077 {
		return nil // it is there already
	}
	return err
}

func (s *store) Bury(ctx context.Context, d events.DeadLetter) error {
	return s.once(ctx, "dead."+d.Reason+"."+d.ID, d)
}

func (s *store) Wait(context.Context, time.Time, jetstream.Msg) error {
	return errors.New("nothing waits here")
}

func (s *store) Publish(ctx context.Context, evs ...events.Event) error {
	for _, e := range evs {
		if err := s.once(ctx, e.Subject(), e.Data); err != nil {
			return err
		}
	}
	return nil
}

// digest is the end state: what each student's journal ends in.
func digest(last map[string]int) string {
	body, _ := json.Marshal(last) // maps are written in the order of their keys
	return fmt.Sprintf("%x", sha256.Sum256(body))
}
