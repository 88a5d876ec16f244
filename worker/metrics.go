package worker

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what workers do. One Metrics serves any number of workers;
// register it as a prometheus.Collector.
type Metrics struct {
	messages *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	unknown  *prometheus.CounterVec
	oldest   *prometheus.Desc
	outage   *prometheus.Desc

	mu      sync.Mutex
	workers map[*Worker]bool
}

// NewMetrics makes the metrics, with nothing counted.
func NewMetrics() *Metrics {
	return &Metrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "matricula_messages_total", Help: "Messages by event type and verdict.",
		}, []string{"worker", "type", "verdict"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "matricula_message_seconds", Help: "From delivery to acknowledgement, retries included.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60},
		}, []string{"worker", "type"}),
		unknown: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "matricula_unknown_fields_total", Help: "Fields of events that no contract knows, which are ignored.",
		}, []string{"worker", "type"}),
		oldest: prometheus.NewDesc("matricula_oldest_message_seconds",
			"Age of the oldest message in hand since the broker stored it; 0 when there is none.", []string{"worker"}, nil),
		outage: prometheus.NewDesc("matricula_outage_seconds",
			"How long a dependency has not answered.", []string{"worker", "dependency"}, nil),
		workers: map[*Worker]bool{},
	}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.messages.Describe(ch)
	m.seconds.Describe(ch)
	m.unknown.Describe(ch)
	ch <- m.oldest
	ch <- m.outage
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.messages.Collect(ch)
	m.seconds.Collect(ch)
	m.unknown.Collect(ch)
	m.mu.Lock()
	defer m.mu.Unlock()
	for w := range m.workers {
		ch <- prometheus.MustNewConstMetric(m.oldest, prometheus.GaugeValue, w.state.oldest(time.Now()).Seconds(), w.Name)
		for _, o := range w.Outages() {
			ch <- prometheus.MustNewConstMetric(m.outage, prometheus.GaugeValue, time.Since(o.Since).Seconds(), w.Name, o.Dependency)
		}
	}
}

// watch includes a worker for as long as it runs.
func (m *Metrics) watch(w *Worker) (forget func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.workers[w] = true
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.workers, w)
	}
}

func (m *Metrics) handled(w *Worker, eventType string, v verdict, took time.Duration, unknown int) {
	if m == nil {
		return
	}
	m.messages.WithLabelValues(w.Name, eventType, string(v)).Inc()
	m.seconds.WithLabelValues(w.Name, eventType).Observe(took.Seconds())
	if unknown > 0 {
		m.unknown.WithLabelValues(w.Name, eventType).Add(float64(unknown))
	}
}
