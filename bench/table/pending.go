package table

import (
	"context"
	"strings"
	"time"
)

// laneState is how far one lane of the intake is.
type laneState struct {
	floor uint64 // up to here everything is acknowledged
	left  int    // how many messages are not finished
}

// open tells whether something is under way or waiting.
func (l laneState) open() bool { return l.left > 0 }

// lanes are those of the intake, of which there is at least one: where none was
// seen nothing would seem to be waiting.
func (p *place) lanes() map[string]laneState {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	s, err := p.js.Stream(ctx, "INTAKE")
	if err != nil {
		p.t.Fatal(err)
	}
	out := map[string]laneState{}
	list := s.ListConsumers(ctx)
	for c := range list.Info() {
		if strings.HasPrefix(c.Name, "lane-") {
			out[c.Name] = laneState{c.AckFloor.Stream, int(c.NumPending) + c.NumAckPending}
		}
	}
	if list.Err() != nil || len(out) == 0 {
		p.t.Fatalf("the intake has no lanes: %v", list.Err())
	}
	return out
}

// pending is how many messages of the intake are not finished.
func (p *place) pending() (n int) {
	p.t.Helper()
	for _, l := range p.lanes() {
		n += l.left
	}
	return n
}
