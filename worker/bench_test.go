package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"usn.no/matricula/events"
)

// BenchmarkConsume compares the worker with the shortest loop that does the
// same work on the same lanes: fetch one, decode, handle, acknowledge with an
// answer. The loop has no heartbeats, retries, dead letters, log or drain; the
// ratio is what those cost.
//
//	go test -run - -bench Consume -benchtime 20000x ./worker
func BenchmarkConsume(b *testing.B) {
	for _, lanes := range []int{1, 8} {
		b.Run(fmt.Sprintf("lanes=%d", lanes), func(b *testing.B) {
			loop := measure(b, lanes, func(ctx context.Context, r *rig, handled func()) { handWritten(ctx, r, handled) })
			worker := measure(b, lanes, func(ctx context.Context, r *rig, handled func()) {
				w, _ := r.worker()
				w.Log = zerolog.Nop()
				Handle(w, func(context.Context, events.Meta, events.SONumberIssued) error { handled(); return nil })
				_ = w.Run(ctx, r.lanes)
			})
			b.ReportMetric(loop, "loop/s")
			b.ReportMetric(worker, "worker/s")
			b.ReportMetric(worker/loop, "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func measure(b *testing.B, lanes int, consume func(context.Context, *rig, func())) float64 {
	b.Helper()
	r := newRig(b, lanes, 10*time.Second)
	e := events.Event{Meta: events.Meta{Source: events.SourceAdmissions, Time: time.Now()}}
	for i := range b.N {
		student := fmt.Sprintf("s%d", i)
		e.ID, e.Meta.Subject, e.Data = student, student, events.SONumberIssued{StudentNo: student, SONumber: "15532510071"}
		header, body, err := events.Encode(e)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.js.PublishMsgAsync(&nats.Msg{Subject: e.Subject(), Header: header, Data: body}, jetstream.WithStallWait(10*time.Second)); err != nil {
			b.Fatal(err)
		}
	}
	<-r.js.PublishAsyncComplete()
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var n atomic.Int64
	began := time.Now()
	consume(ctx, r, func() {
		if n.Add(1) == int64(b.N) {
			cancel()
		}
	})
	return float64(b.N) / time.Since(began).Seconds()
}

func handWritten(ctx context.Context, r *rig, handled func()) {
	var all sync.WaitGroup
	for _, c := range r.lanes {
		all.Go(func() {
			for ctx.Err() == nil {
				m, err := c.Next(jetstream.FetchMaxWait(200*time.Millisecond), jetstream.FetchPriorityGroup("workers"))
				if errors.Is(err, nats.ErrTimeout) {
					continue
				}
				if err != nil {
					r.t.Error(err)
					return
				}
				if _, err := events.Decode(m.Subject(), m.Headers(), m.Data(), time.Now()); err != nil {
					r.t.Error(err)
					return
				}
				handled()
				if err := m.DoubleAck(context.Background()); err != nil {
					r.t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}
