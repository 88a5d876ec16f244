package stream

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"usn.no/matricula/events"
)

func benchMsgs(prefix string, n int) []*nats.Msg {
	msgs := make([]*nats.Msg, n)
	for i := range msgs {
		msgs[i] = &nats.Msg{Subject: fmt.Sprintf("audit.account.created.%s-%d", prefix, i), Header: nats.Header{}, Data: make([]byte, 400)}
	}
	return msgs
}

// BenchmarkPublisher publishes facts from many callers on one durable server:
// singly as each caller comes, and grouped. It reports facts per second.
func BenchmarkPublisher(b *testing.B) {
	for _, callers := range []int{1, 8, 32, 128, 512} {
		for _, grouped := range []bool{false, true} {
			b.Run(fmt.Sprintf("callers=%d/grouped=%v", callers, grouped), func(b *testing.B) {
				_, js, p := declaredDurable(b)
				publish := func(ctx context.Context, e events.Event) error { return p.Publish(ctx, e) }
				if !grouped {
					publish = func(ctx context.Context, e events.Event) error {
						m, _, err := message(e)
						if err != nil {
							return err
						}
						_, err = js.PublishMsg(ctx, m)
						return err
					}
				}
				b.ResetTimer()
				var wait sync.WaitGroup
				next := make(chan int, callers)
				for range callers {
					wait.Go(func() {
						for i := range next {
							if err := publish(context.Background(), fact(fmt.Sprint("b", i))); err != nil {
								b.Errorf("publish: %v", err)
							}
						}
					})
				}
				for i := range b.N {
					next <- i
				}
				close(next)
				wait.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "facts/s")
			})
		}
	}
}

// BenchmarkBatchSize compares n messages in one batch with the same n sent
// singly at once; batchFrom is where the first becomes quicker.
func BenchmarkBatchSize(b *testing.B) {
	for _, n := range []int{2, 4, 8, 12, 16, 32, 128} {
		for _, batch := range []bool{false, true} {
			b.Run(fmt.Sprintf("n=%d/batch=%v", n, batch), func(b *testing.B) {
				_, js, _ := declaredDurable(b)
				w := wire{conn: js.Conn(), within: answerWithin}
				defer w.close()
				b.ResetTimer()
				for i := range b.N {
					msgs := benchMsgs(fmt.Sprint(i), n)
					if batch {
						if err := w.batch(context.Background(), msgs); err != nil {
							b.Fatal(err)
						}
						continue
					}
					stored := 0
					w.singles(context.Background(), msgs, func(_ int, err error) {
						if err != nil {
							b.Fatal(err)
						}
						stored++
					})
					if stored != n {
						b.Fatalf("%d of %d messages were answered", stored, n)
					}
				}
			})
		}
	}
}

// BenchmarkGrouping prints how much quicker 200 callers are when grouped.
func BenchmarkGrouping(b *testing.B) {
	_, js, p := declaredDurable(b)
	const callers, each = 200, 5
	run := func(name string, publish func(events.Event) error) time.Duration {
		start := time.Now()
		var wait sync.WaitGroup
		for c := range callers {
			wait.Go(func() {
				for i := range each {
					if err := publish(fact(fmt.Sprintf("%s-%d-%d", name, c, i))); err != nil {
						b.Errorf("publish: %v", err)
					}
				}
			})
		}
		wait.Wait()
		return time.Since(start)
	}
	var single, grouped time.Duration
	for n := range b.N {
		single += run(fmt.Sprint("single", n), func(e events.Event) error {
			m, _, err := message(e)
			if err != nil {
				return err
			}
			_, err = js.PublishMsg(context.Background(), m)
			return err
		})
		grouped += run(fmt.Sprint("grouped", n), func(e events.Event) error { return p.Publish(context.Background(), e) })
	}
	facts := float64(callers * each * b.N)
	b.ReportMetric(facts/single.Seconds(), "single/s")
	b.ReportMetric(facts/grouped.Seconds(), "grouped/s")
	b.ReportMetric(single.Seconds()/grouped.Seconds(), "ratio")
}
