package mailer

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what became of attempts and says how the relay is treated.
// Register it as a prometheus.Collector. It holds nothing about persons.
type Metrics struct {
	relay    *Relay
	attempts *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	pace     *prometheus.Desc
	paused   *prometheus.Desc
}

// NewMetrics makes the metrics of letters to a relay, with nothing counted.
func NewMetrics(relay *Relay) *Metrics {
	return &Metrics{
		relay: relay,
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "matricula_letter_attempts_total",
			Help: "Attempts to hand a letter over, by outcome and by the relay's enhanced status code (else its reply code, else none).",
		}, []string{"template", "outcome", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "matricula_letter_seconds", Help: "From a letter's first wait for its turn to the relay's answer.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"outcome"}),
		pace: prometheus.NewDesc("matricula_relay_letters_per_minute",
			"Letters a minute that the relay is sent at most now; 0: no limit.", nil, nil),
		paused: prometheus.NewDesc("matricula_relay_paused",
			"1 while the relay is left alone because connections or the login fail.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.attempts.Describe(ch)
	m.seconds.Describe(ch)
	ch <- m.pace
	ch <- m.paused
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.attempts.Collect(ch)
	m.seconds.Collect(ch)
	s := m.relay.State()
	paused := 0.0
	if s.Paused {
		paused = 1
	}
	ch <- prometheus.MustNewConstMetric(m.pace, prometheus.GaugeValue, s.PerMinute)
	ch <- prometheus.MustNewConstMetric(m.paused, prometheus.GaugeValue, paused)
}

func (m *Metrics) tried(template string, r Reply, took time.Duration) {
	if m == nil {
		return
	}
	status := r.Status
	switch {
	case status != "":
	case r.Code != 0:
		status = strconv.Itoa(r.Code)
	default:
		status = "none"
	}
	m.attempts.WithLabelValues(template, r.Outcome.String(), status).Inc()
	m.seconds.WithLabelValues(r.Outcome.String()).Observe(took.Seconds())
}

// String is the word of an outcome in metrics.
func (o Outcome) String() string {
	switch o {
	case Sent:
		return "sent"
	case Failed:
		return "failed"
	case Retry:
		return "retry"
	case Unknown:
		return "unknown"
	case Connection:
		return "connection"
	}
	return "none"
}
