// Command loop does one slice of work in two ways, so that they can be measured
// side by side: take a message of 1 KB, look at five of its fields, publish a
// small one that follows from it, acknowledge. "ours" is the product's own loop
// with everything it does in production; "keyed" is what one writes by hand on
// the same client to keep the order per person.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
	"usn.no/matricula/worker"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1]); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, how string) error {
	width, err := strconv.Atoi(os.Getenv("CONCURRENCY"))
	if err != nil {
		return err
	}
	nc, err := nats.Connect(os.Getenv("NATS_URL"), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.CustomInboxPrefix("_INBOX_loop"))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	if how == "ours" {
		return ours(ctx, nc, js, width)
	}
	return byHand(ctx, js, width)
}

// ours is the worker as it runs, with as many messages in hand.
func ours(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, width int) error {
	set := stream.DefaultSettings()
	set.Lanes = min(width, set.Lanes)
	lanes, err := stream.LaneConsumers(ctx, js, set)
	if err != nil {
		return err
	}
	pub := stream.NewPublisher(js)
	defer func() { _ = pub.Close(context.Background()) }()
	w := &worker.Worker{Conn: nc, Aside: &stream.Aside{Publisher: pub}, Publisher: pub, Log: zerolog.New(os.Stderr).Level(zerolog.WarnLevel), Name: "intake", AtOnce: width / set.Lanes}
	worker.Handle(w, func(ctx context.Context, m events.Meta, e events.EmployeeUpdated) error {
		if e.Name.Family == "" || e.BirthDate == "" || e.Contact.Email == "" || len(e.Employments) == 0 || e.Language == "" {
			return events.Refuse(events.ReasonInvalid, "data", "something is missing")
		}
		return pub.Publish(ctx, m.Causes(events.Audit{
			What: events.AuditUpdated, Account: e.EmployeeNo, Actor: events.Actor{Kind: "hr"}, Outcome: "done", Cause: m.ID,
		}, e.EmployeeNo))
	})
	return w.Run(ctx, lanes)
}

// employee is as much of the message as is looked at.
type employee struct {
	No   string `json:"employee_no"`
	Name struct {
		Family string `json:"family"`
	} `json:"name"`
	BirthDate   string           `json:"birth_date"`
	Employments []map[string]any `json:"employments"`
	Contact     struct {
		Email string `json:"email"`
	} `json:"contact"`
	Language string `json:"language"`
}

// byHand fetches, hands each person's messages to one of width goroutines, and
// acknowledges when the answer is stored.
func byHand(ctx context.Context, js jetstream.JetStream, width int) error {
	c, err := js.Consumer(ctx, "EVENTS", "loop")
	if err != nil {
		return err
	}
	shards := make([]chan jetstream.Msg, width)
	for i := range shards {
		shards[i] = make(chan jetstream.Msg, 64)
		go func() {
			for m := range shards[i] {
				if err := handle(ctx, js, m); err != nil && ctx.Err() == nil {
					fmt.Fprintln(os.Stderr, err)
					_ = m.Nak()
				}
			}
		}()
	}
	it, err := c.Messages(jetstream.PullMaxMessages(512))
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, it.Stop)
	for {
		m, err := it.Next()
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		h := fnv.New32a()
		_, _ = h.Write([]byte(m.Subject()))
		shards[h.Sum32()%uint32(width)] <- m //nolint:gosec // a small positive number
	}
}

func handle(ctx context.Context, js jetstream.JetStream, m jetstream.Msg) error {
	var e employee
	if err := json.Unmarshal(m.Data(), &e); err != nil {
		return err
	}
	if e.Name.Family == "" || e.BirthDate == "" || e.Contact.Email == "" || len(e.Employments) == 0 || e.Language == "" {
		return errors.New("something is missing")
	}
	id := m.Headers().Get("ce-id")
	out, err := json.Marshal(map[string]string{"account": e.No, "what": "account.updated", "outcome": "done", "cause": id})
	if err != nil {
		return err
	}
	if _, err := js.PublishMsg(ctx, &nats.Msg{Subject: "derived." + e.No, Data: out, Header: nats.Header{"Nats-Msg-Id": {id}}}); err != nil {
		return err
	}
	return m.DoubleAck(ctx)
}
