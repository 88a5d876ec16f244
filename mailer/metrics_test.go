package mailer_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"usn.no/matricula/events"
)

// counted reads the attempts counted, by outcome and status.
func counted(t *testing.T, c prometheus.Collector) (map[string]float64, map[string]float64) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(c)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	attempts, gauges := map[string]float64{}, map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			switch {
			case m.GetCounter() != nil:
				attempts[labels["template"]+" "+labels["outcome"]+" "+labels["status"]] = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				gauges[f.GetName()] = m.GetGauge().GetValue()
			}
		}
	}
	return attempts, gauges
}

func TestAttemptsAreCountedByOutcomeAndStatus(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{faults: []fault{
		{At: "RCPT", To: "later", Times: 1, Do: "451 4.7.1 slow down"},
		{At: "RCPT", To: "gone", Do: "550 5.1.1 nobody"},
		{At: "RCPT", To: "bare", Do: "550 nobody"},
		{At: "DOT", To: "cut", Times: 1, Do: takeAndCut},
	}})
	r := newRig(t, s.settings())
	for _, who := range []string{"fine", "later", "gone", "bare", "cut"} {
		r.finish(t, request(who, who+"@example.org"))
	}
	got, gauges := counted(t, r.Metrics)
	for name, want := range map[string]float64{
		"sent 2.0.0": 3, "retry 4.7.1": 1, "failed 5.1.1": 1, "failed 550": 1, "unknown none": 1,
	} {
		sum := got[events.LetterActivation+" "+name]
		if name == "sent 2.0.0" {
			sum += got[events.LetterActivation+" sent 250"]
		}
		if sum != want {
			t.Errorf("%q is counted %v times, not %v: %v", name, sum, want, got)
		}
	}
	if gauges["matricula_relay_letters_per_minute"] == 0 {
		t.Error("a relay that asked for less is sent letters without limit, say the metrics")
	}
	if gauges["matricula_relay_paused"] != 0 {
		t.Error("a relay that works is said to be left alone")
	}
}

func TestDSNIsAskedForFailuresWithHeadersOnly(t *testing.T) {
	t.Parallel()
	for offered, want := range map[string][2]string{
		"250-relay.example.no\r\n250-DSN\r\n250 8BITMIME": {" RET=HDRS", " NOTIFY=FAILURE,DELAY"},
		"250-relay.example.no\r\n250 8BITMIME":            {"", ""},
	} {
		s := serve(t, &server{faults: []fault{{At: "EHLO", Do: offered}}})
		r := newRig(t, s.settings())
		r.finish(t, request("l1", "kari@example.org"))
		if len(s.mails("")) != 1 {
			t.Fatal("the letter was not taken")
		}
		for i, verb := range []string{"MAIL FROM:", "RCPT TO:"} {
			if got := suffix(s, verb); got != want[i] {
				t.Errorf("where the relay offers %q, %s ends in %q, not %q", offered, verb, got, want[i])
			}
		}
	}
}

// suffix is what stands behind the address of the first command of that verb,
// but for the coding of the body.
func suffix(s *server, verb string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.commands {
		if strings.HasPrefix(c, verb) {
			_, rest, _ := strings.Cut(c, ">")
			return strings.ReplaceAll(rest, " BODY=8BITMIME", "")
		}
	}
	return "no such command"
}
