package worker

import "time"

// see brings the message at which the lane stands to its end, and others
// meanwhile.
func (a *ahead) see(m *message) {
	it := a.arrive(m)
	if !a.await(it, m) {
		return
	}
	a.w.pass("before ack")
	if !a.confirm(m) {
		a.w.Log.Warn().Str("worker", a.w.Name).Str("stream", it.origin.Stream).Uint64("sequence", it.origin.Sequence).Msg("acknowledgement unknown")
	}
	a.w.pass("after ack")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.items = a.items[1:]
	if a.last[it.person] == it {
		delete(a.last, it.person)
	}
}

// lookEvery is how soon those are seen who come while a message takes its time.
const lookEvery = 250 * time.Millisecond

// await keeps the delivered message ours until it is done, and looks after
// those behind it. False: it was left.
func (a *ahead) await(it *item, m *message) bool {
	select {
	case <-it.done:
	default:
		h := a.lane.hold(m)
		defer h.release()
		a.keep(h)
		defer a.keep(nil)
		look := time.NewTicker(lookEvery)
		defer look.Stop()
		for waits := true; waits; {
			select {
			case <-it.done:
				waits = false
			case <-look.C:
				a.look()
			}
		}
	}
	if it.verdict != left {
		return true
	}
	a.clear()
	if a.kept() { // else a Nak would take it from whoever has it now
		_ = m.raw.Nak()
	}
	return false
}

// look reads on where the broker says nothing of what has come since.
func (a *ahead) look() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.width == 0 || a.halted {
		return
	}
	a.pull.renew()
	a.unread = max(a.unread, 1)
	a.advance()
}

// confirm acknowledges. While the lane is leased the next message is the
// broker's word on it.
func (a *ahead) confirm(m *message) bool {
	if a.soft.Err() == nil {
		if a.pull.leased && m.raw.Ack() == nil {
			return true
		}
		if !a.pull.leased && a.pull.chain(m) == nil {
			return true
		}
	}
	c := course{lane: a.lane, message: m}
	c.acknowledge(a.hard)
	return !c.unacked
}
