package stream

import "time"

// How long groups wait for others, and for how many messages.
const (
	gatherFor   = 40 * time.Millisecond
	gatherUntil = 96
)

// gather waits for more groups where callers are patient. What would go singly
// never waits: it costs the server less than a commit that holds little.
func (c *committer) gather() {
	if c.patient == nil || !c.patient() || !c.grouped() {
		return
	}
	enough := time.NewTimer(gatherFor)
	defer enough.Stop()
	for c.waiting() < gatherUntil {
		select {
		case <-c.wake:
		case <-enough.C:
			return
		}
	}
}

// grouped tells whether a group that stands or falls together waits, and only
// for others.
func (c *committer) grouped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closed && !c.batching && len(c.queue) > 0 && len(c.queue[0].msgs) > 1
}

// waiting is how many messages wait; when nothing more comes, enough.
func (c *committer) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, e := range c.queue {
		n += len(e.msgs)
	}
	if c.closed {
		return gatherUntil
	}
	return n
}
