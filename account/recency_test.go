package account

import (
	"testing"
	"time"

	"usn.no/matricula/events"
)

func TestRecencyIsDecidedByTheFirstMeasureBothHave(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 6, 1, 10, 0, 0, 0, time.UTC)
	rows := []struct {
		fact string
		m    events.Meta
		mark Mark
		want int
	}{
		{"a higher sequence is newer although it was recorded earlier", events.Meta{Sequence: 8, Time: at}, Mark{Sequence: 7, Time: at.Add(time.Hour)}, 1},
		{"a lower sequence is older although it came later", events.Meta{Sequence: 6, Time: at, Position: 99}, Mark{Sequence: 7, Time: at, Position: 1}, -1},
		{"the same sequence is the same event", events.Meta{Sequence: 7, Time: at, Position: 9}, Mark{Sequence: 7, Time: at, Position: 1}, 0},
		{"without a sequence on both sides time decides", events.Meta{Sequence: 9, Time: at}, Mark{Time: at.Add(time.Second)}, -1},
		{"a later time is newer", events.Meta{Time: at.Add(time.Second)}, Mark{Time: at, Position: 5}, 1},
		{"within one instant the position decides", events.Meta{Time: at, Position: 6}, Mark{Time: at, Position: 5}, 1},
		{"same time and position is the same message again", events.Meta{Time: at, Position: 5}, Mark{Time: at, Position: 5}, 0},
	}
	for _, r := range rows {
		if got := age(r.m, r.mark); got != r.want {
			t.Errorf("%s: got %d, want %d", r.fact, got, r.want)
		}
	}
}
