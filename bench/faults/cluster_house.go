package faults

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// town is the installations that the scenarios of one seed are played in: one
// with one broker, and one with three, each once it is needed.
type town struct {
	tb             testing.TB
	binary, server string
	seed           uint64
	houses         map[bool]*house // by whether it has a cluster
}

// clustered says whether the scenario is about three brokers.
func (s scenario) clustered() bool { return s.name == oneOfThree || s.name == oneCutOff }

// The scenarios with three brokers.
const (
	oneOfThree = "one of three"
	oneCutOff  = "one cut off"
)

// cannot says why a scenario cannot be played here; nil: it can.
func (s scenario) cannot() error {
	switch {
	case s.disks:
		return canMount()
	case s.name == oneCutOff:
		return canCutOff()
	case s.faults == "F22":
		_, err := oldRevision()
		return err
	}
	return nil
}

// house is where the scenario is played.
func (w *town) house(s scenario) *house {
	kind := s.clustered()
	if w.houses[kind] == nil {
		brokers := (*house).oneBroker
		if kind {
			brokers = (*house).threeBrokers
		}
		if w.houses == nil {
			w.houses = map[bool]*house{}
		}
		w.houses[kind] = openHouse(w.tb, w.binary, w.server, w.seed, "", brokers)
	}
	return w.houses[kind]
}

func (w *town) violations() int {
	n := 0
	for _, h := range w.houses {
		n += len(h.violated)
	}
	return n
}

// count adds what happened in a town.
func (t *totals) count(w *town) {
	t.seeds++
	if t.each == nil {
		t.each = map[string]int{}
	}
	for _, h := range w.houses {
		t.kills += h.total()
		t.cuts += h.count("F8")
		t.violations += len(h.violated)
		for k, n := range h.kills {
			t.each[k] += n
		}
	}
}

// oneBroker starts the house's only broker.
func (h *house) oneBroker() error {
	h.startBroker()
	h.t.Cleanup(func() { h.natsd.kill() })
	h.awaitConnections()
	return nil
}

// threeBrokers starts a cluster in its place.
func (h *house) threeBrokers() (err error) {
	h.cluster, err = newCluster(h)
	return err
}

// startBroker starts the broker and does not wait for it.
func (h *house) startBroker() {
	c, err := startChild(exec.Command(h.nats, "-c", filepath.Join(h.broker.Dir, "nats-server.conf")), filepath.Join(h.dir, "nats.log"))
	if err != nil {
		h.t.Errorf("nats-server: %v", err)
		return
	}
	h.natsd = c
}
