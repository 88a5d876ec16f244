package stream

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func single(t *testing.T, name string) *effect {
	t.Helper()
	return &effect{ctx: t.Context(), msgs: []*nats.Msg{{Subject: "x." + name}}}
}

func TestWhatWaitsForOthersIsWhatIsCheaperTogether(t *testing.T) {
	t.Parallel()
	one, group := single(t, "a"), groups(t, "b")[0]
	for _, c := range []struct {
		name string
		c    *committer
		want time.Duration
	}{
		{"a single message", &committer{batches: true, queue: []*effect{one}}, singlesFor},
		{"a group", &committer{batches: true, queue: []*effect{group}}, gatherFor},
		{"a single message where a stream takes no batches", &committer{queue: []*effect{one}}, 0},
		{"what comes while a batch is under way", &committer{batches: true, batching: true, queue: []*effect{one}}, 0},
		{"a single message where few came just now", &committer{batches: true, queue: []*effect{one}, calm: time.Now().Add(time.Hour)}, 0},
		{"what is there when the committer is closed", &committer{batches: true, closed: true, queue: []*effect{group}}, 0},
		{"nothing", &committer{batches: true}, 0},
	} {
		if got := c.c.mayWait(); got != c.want {
			t.Errorf("%s waits %s, want %s", c.name, got, c.want)
		}
	}
}

func TestNoSingleMessageWaitsForAWhileWhereFewCame(t *testing.T) {
	t.Parallel()
	patient := true
	c := &committer{batches: true, wake: make(chan struct{}, 1), patient: func() bool { return patient }, queue: []*effect{single(t, "a")}}
	c.gather()
	if c.mayWait() != 0 {
		t.Error("after one that nobody joined the next waits as well")
	}
	c.calm = time.Time{}
	for range singlesFrom - 1 {
		c.queue = append(c.queue, single(t, "b"))
	}
	c.gather()
	if c.mayWait() == 0 {
		t.Error("after as many as are worth a batch the next does not wait")
	}
	c.queue, patient = c.queue[:1], false
	c.gather()
	if !c.calm.IsZero() {
		t.Error("it waited where nobody is patient")
	}
}
