package mailer_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"usn.no/matricula/mailer"
)

// BenchmarkLetters delivers letters, each rendered, marked and audited, into a
// sink on this machine, and right after that the same letters over a connection
// of their own each: the figures of one run can be compared.
func BenchmarkLetters(b *testing.B) {
	for _, connections := range []int{1, 4, 16} {
		b.Run(fmt.Sprintf("connections=%d", connections), func(b *testing.B) {
			const letters = 1000
			var kept, dialled time.Duration
			for b.Loop() {
				kept += deliverAll(b, letters, connections, 100)
				dialled += deliverAll(b, letters, connections, 1)
			}
			perSecond := func(d time.Duration) float64 { return float64(letters*b.N) / d.Seconds() }
			b.ReportMetric(perSecond(kept), "letters/s")
			b.ReportMetric(perSecond(dialled), "dialled/s")
			b.ReportMetric(dialled.Seconds()/kept.Seconds(), "ratio")
		})
	}
}

func deliverAll(b *testing.B, letters, connections, perConnection int) time.Duration {
	b.Helper()
	s := serve(b, &server{})
	settings := s.settings()
	settings.Connections, settings.MaxLetters = connections, perConnection
	r := newRig(b, settings)
	begun := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(letters); i = next.Add(1) {
				q := request(fmt.Sprintf("l%d", i), fmt.Sprintf("p%d@example.org", i))
				if err := r.Deliver(context.Background(), meta(q), q); err != nil {
					b.Errorf("letter %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	d := time.Since(begun)
	if n := len(s.mails("")); n != letters {
		b.Errorf("%d of %d letters arrived", n, letters)
	}
	return d
}

// BenchmarkRender writes one letter in both forms: filled in, and as where an
// institution has its own template, which html/template and text/template
// execute for each letter. of-peer is the speed of the first beside the second,
// taken right after.
func BenchmarkRender(b *testing.B) {
	raw, err := os.ReadFile("templates/letters/activation.tmpl")
	if err != nil {
		b.Fatal(err)
	}
	own, err := mailer.NewTemplates(institution, mailer.NumberFull, fstest.MapFS{"letters/activation.tmpl": {Data: raw}})
	if err != nil {
		b.Fatal(err)
	}
	shipped, l := templates(b), mailer.Letter{Request: request("l1", "kari@example.org"), Link: institution.BaseURL + "/a/x"}
	render := func(b *testing.B, t *mailer.Templates) {
		b.Helper()
		if _, err := t.Render(l); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("shipped", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			render(b, shipped)
		}
		ours, began := b.Elapsed(), time.Now()
		for range b.N {
			render(b, own)
		}
		b.ReportMetric(time.Since(began).Seconds()/ours.Seconds(), "of-peer")
	})
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			render(b, own)
		}
	})
}

// BenchmarkNewTemplates is what the check of every letter costs a start.
func BenchmarkNewTemplates(b *testing.B) {
	for b.Loop() {
		if _, err := mailer.NewTemplates(institution, mailer.NumberFull, nil); err != nil {
			b.Fatal(err)
		}
	}
}
