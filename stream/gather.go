package stream

import "time"

// How long groups wait for others, and for how many messages. Single messages
// wait longer, for as many as are cheaper as a batch; where so few come that they
// are not, none waits for a while.
const (
	gatherFor   = 40 * time.Millisecond
	gatherUntil = 96

	singlesFor   = 100 * time.Millisecond
	singlesFrom  = 40
	singlesAgain = time.Second
)

// gather waits for more where callers are patient.
func (c *committer) gather() {
	if c.patient == nil || !c.patient() {
		return
	}
	most := c.mayWait()
	if most == 0 {
		return
	}
	enough := time.NewTimer(most)
	defer enough.Stop()
	for c.waiting() < gatherUntil {
		select {
		case <-c.wake:
		case <-enough.C:
			if most == singlesFor && c.waiting() < singlesFrom {
				c.calm = time.Now().Add(singlesAgain)
			}
			return
		}
	}
}

// mayWait is how long what waits may wait for more; 0: not at all.
func (c *committer) mayWait() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed || c.batching || len(c.queue) == 0:
		return 0
	case len(c.queue[0].msgs) > 1:
		return gatherFor
	case c.batches && time.Now().After(c.calm):
		return singlesFor
	}
	return 0
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
