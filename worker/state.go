package worker

import (
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"
)

// Outage is a dependency that does not answer.
type Outage struct {
	Dependency string // what the error calls itself with a method Dependency() string, else "dependency"
	Since      time.Time
	Lanes      int // that wait for it
}

// state is what the lanes say of themselves.
type state struct {
	mu      sync.Mutex
	running bool
	waiting map[int]string // lane → dependency
	since   map[string]time.Time
	inHand  map[int]time.Time // lane → when its message was stored
}

func (s *state) start() { s.set(true) }
func (s *state) stop()  { s.set(false) }

func (s *state) set(running bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = running
}

// fails notes that a lane waits for a dependency, and whether it is the first.
func (s *state) fails(lane int, err error, now time.Time) (dependency string, first bool) {
	dependency = dependencyOf(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting == nil {
		s.waiting, s.since = map[int]string{}, map[string]time.Time{}
	}
	if was, ok := s.waiting[lane]; ok && was != dependency {
		s.end(lane)
	}
	s.waiting[lane] = dependency
	if _, known := s.since[dependency]; !known {
		s.since[dependency] = now
		first = true
	}
	return dependency, first
}

// works notes that a lane waits for nothing any more.
func (s *state) works(lane int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(lane)
}

func (s *state) end(lane int) {
	d, ok := s.waiting[lane]
	if !ok {
		return
	}
	delete(s.waiting, lane)
	for _, other := range s.waiting {
		if other == d {
			return
		}
	}
	delete(s.since, d)
}

func (s *state) takes(lane int, stored time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inHand == nil {
		s.inHand = map[int]time.Time{}
	}
	s.inHand[lane] = stored
}

func (s *state) drops(lane int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.inHand, lane)
}

// oldest is the age of the oldest message in hand.
func (s *state) oldest(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var age time.Duration
	for _, stored := range s.inHand {
		age = max(age, now.Sub(stored))
	}
	return age
}

// InHand is how many messages are being handled.
func (w *Worker) InHand() int {
	w.state.mu.Lock()
	defer w.state.mu.Unlock()
	return len(w.state.inHand)
}

// Outages lists what does not answer, the longest first.
func (w *Worker) Outages() []Outage {
	s := &w.state
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Outage
	for d, since := range s.since {
		o := Outage{Dependency: d, Since: since}
		for _, of := range s.waiting {
			if of == d {
				o.Lanes++
			}
		}
		list = append(list, o)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Since.Before(list[j].Since) })
	return list
}

// Ready says why the worker gets nothing done; nil when it does.
func (w *Worker) Ready() error {
	w.state.mu.Lock()
	running := w.state.running
	w.state.mu.Unlock()
	if !running {
		return errors.New("worker does not run")
	}
	if list := w.Outages(); len(list) > 0 {
		return fmt.Errorf("%s does not answer since %s", list[0].Dependency, time.Since(list[0].Since).Round(time.Second))
	}
	return nil
}

func dependencyOf(err error) string {
	var named interface{ Dependency() string }
	if errors.As(err, &named) {
		return named.Dependency()
	}
	return "dependency"
}
