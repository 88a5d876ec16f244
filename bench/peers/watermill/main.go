// Command watermill does the same slice of work with Watermill's router and the
// middlewares that its documentation proposes for production.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	nc "github.com/nats-io/nats.go"
)

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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	width, err := strconv.Atoi(os.Getenv("CONCURRENCY"))
	if err != nil {
		return err
	}
	url, log := os.Getenv("NATS_URL"), watermill.NewStdLogger(false, false)
	opts := []nc.Option{nc.MaxReconnects(-1), nc.RetryOnFailedConnect(true)}
	js := nats.JetStreamConfig{
		AutoProvision: false, TrackMsgId: true, AckAsync: false, DurablePrefix: "loop",
		DurableCalculator: func(prefix, _ string) string { return prefix },
		SubscribeOptions:  []nc.SubOpt{nc.Bind("EVENTS", "loop"), nc.ManualAck()},
	}
	sub, err := nats.NewSubscriber(nats.SubscriberConfig{
		URL: url, NatsOptions: opts, JetStream: js, QueueGroupPrefix: "loop", SubscribersCount: width,
		AckWaitTimeout: 30 * time.Second, SubscribeTimeout: 30 * time.Second, Unmarshaler: &nats.NATSMarshaler{},
		SubjectCalculator: func(prefix, topic string) *nats.SubjectDetail {
			return &nats.SubjectDetail{Primary: topic, QueueGroup: prefix}
		},
	}, log)
	if err != nil {
		return err
	}
	pub, err := nats.NewPublisher(nats.PublisherConfig{URL: url, NatsOptions: opts, JetStream: js, Marshaler: &nats.NATSMarshaler{}}, log)
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{}, log)
	if err != nil {
		return err
	}
	poison, err := middleware.PoisonQueue(pub, "poison")
	if err != nil {
		return err
	}
	router.AddMiddleware(middleware.Recoverer, poison, middleware.Retry{MaxRetries: 3, InitialInterval: 100 * time.Millisecond}.Middleware)
	router.AddNoPublisherHandler("loop", "hr.employee.updated.*", sub, func(m *message.Message) error {
		var e employee
		if err := json.Unmarshal(m.Payload, &e); err != nil {
			return err
		}
		if e.Name.Family == "" || e.BirthDate == "" || e.Contact.Email == "" || len(e.Employments) == 0 || e.Language == "" {
			return errors.New("something is missing")
		}
		id := m.Metadata.Get("ce-id")
		out, err := json.Marshal(map[string]string{"account": e.No, "what": "account.updated", "outcome": "done", "cause": id})
		if err != nil {
			return err
		}
		follows := message.NewMessage(id, out)
		return pub.Publish("derived."+e.No, follows)
	})
	return router.Run(ctx)
}
