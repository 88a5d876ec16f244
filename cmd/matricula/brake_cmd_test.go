package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"usn.no/matricula/account"
	"usn.no/matricula/directory"
	"usn.no/matricula/directory/kv"
	"usn.no/matricula/stream"
	"usn.no/matricula/testkit"
)

func TestHeldBrakeAlarmsSaysTheWayOutAndIsReleasedByName(t *testing.T) {
	t.Parallel()
	s := &system{cfg: DefaultConfig(), clock: &clock{}, js: testkit.NATS(t).JetStream()}
	s.cfg.Brake = BrakeConfig{MaxChanges: 2, Per: asSpan("24h")}
	if err := stream.Declare(t.Context(), s.js, s.settings(), false); err != nil {
		t.Fatal(err)
	}
	bucket, err := s.js.CreateOrUpdateKeyValue(t.Context(), kv.BucketConfig())
	if err != nil {
		t.Fatal(err)
	}
	p := &kv.Directory{Bucket: bucket, Hasher: directory.NewHasher(directory.Argon2{Memory: 64, Time: 1, Threads: 1}, 1)}
	pub := stream.NewPublisher(s.js)
	t.Cleanup(func() { _ = pub.Close(t.Context()) })
	b := s.newBrake(pub)
	for i := range 5 {
		a := account.Account{ID: fmt.Sprint("id", i), Username: fmt.Sprint("user", i), State: account.Active, Turn: time.Now().Add(-time.Minute)}
		if i == 4 {
			a.Turn = time.Time{} // the feed was corrected meanwhile
		}
		if err := p.Create(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if ok, err := b.Allow(t.Context(), account.BrakeSuspended, a.ID); err != nil || ok != (i < 2) {
			t.Fatalf("account %d of a brake of 2: %t, %v", i, ok, err)
		}
	}

	var log bytes.Buffer
	w := newBrakeWatch(b, pub, zerolog.New(&log))
	for range 2 {
		if err := w.look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := gauge(t, w, account.BrakeSuspended); n != 1 {
		t.Errorf("the metric says %v", n)
	}
	if n := strings.Count(log.String(), `"level":"warn"`); n != 1 || !strings.Contains(log.String(), "brake show") {
		t.Errorf("the log has %d warnings:\n%s", n, log.String())
	}
	findings := s.checkBrake(t.Context())
	if len(findings) != 1 || findings[0].OK || findings[0].Warn || !strings.Contains(findings[0].Text, "matricula brake release suspended") {
		t.Errorf("check is not red, or shows no way out: %+v", findings)
	}
	rows, err := s.brakeRows(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := printBrake(&out, rows); err != nil || !strings.Contains(out.String(), "2 wait, 1 no longer") || !strings.Contains(out.String(), "user2 user3") {
		t.Errorf("it is not shown who waits (%v):\n%s", err, out.String())
	}

	c := &cobra.Command{}
	c.SetContext(t.Context())
	c.SetOut(&out)
	if err := s.release(c, p, account.BrakeSuspended, "ola.drift"); err != nil || !strings.Contains(out.String(), "2 accounts go on") {
		t.Fatalf("it is not released: %v\n%s", err, out.String())
	}
	if err := s.release(c, p, account.BrakeSuspended, "ola.drift"); exitCode(err) != exitRefused {
		t.Errorf("releasing what is not held ends with %v", err)
	}
	if err := w.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := gauge(t, w, account.BrakeSuspended); n != 0 {
		t.Errorf("after the release the metric says %v", n)
	}
	if f := s.checkBrake(t.Context()); len(f) != 1 || !f[0].OK {
		t.Errorf("after the release check says %+v", f)
	}
	for _, what := range []string{"brake.held", "brake.released"} {
		if n, err := stream.Facts(t.Context(), s.js, what, time.Now().Add(-time.Hour)); err != nil || n != 1 {
			t.Errorf("%d facts %s, one is right: %v", n, what, err)
		}
	}
}

// gauge is what the metric says of a kind.
func gauge(t *testing.T, w *brakeWatch, kind string) float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(w.held)
	families, err := r.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "matricula_brake_held" {
		t.Fatalf("the metric is not there: %v, %v", families, err)
	}
	for _, m := range families[0].GetMetric() {
		if m.GetLabel()[0].GetValue() == kind {
			return m.GetGauge().GetValue()
		}
	}
	t.Fatalf("the metric does not know %s", kind)
	return 0
}
