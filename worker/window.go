package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// lookEvery is how often a lane looks after what only time brings.
const lookEvery = 250 * time.Millisecond

// run reads until soft ends and lets what is in hand finish. hard ends when the
// grace period is over.
func (a *ahead) run(soft, hard context.Context) {
	a.soft, a.hard = soft, hard
	stop := a.beats()
	defer stop()
	a.again = time.AfterFunc(lookEvery, a.stir)
	defer a.again.Stop()
	defer a.clear()
	for failed := 0; soft.Err() == nil; {
		m, err := a.pull.next(soft, a.room(), a.wake)
		switch {
		case err == nil:
			failed = 0
			a.w.state.works(a.number)
			a.arrive(m)
		case errors.Is(err, errNothing):
			failed = 0
			a.w.state.works(a.number)
		case errors.Is(err, errLook):
		case soft.Err() != nil:
			a.pull.leave()
			return
		default:
			a.fails(brokerDown{err})
			failed++
			pause(soft, a.w.Backoff.after(failed))
		}
		a.look()
	}
	a.pull.leave()
}

// room tells whether one more may be asked for.
func (a *ahead) room() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.halted:
		return false
	case a.bytes >= windowBytes: // what all of it waits for may be nobody's any more
		return len(a.items) == 0 && time.Since(a.busy) > a.ackWait/3
	case len(a.parked) > 0 && a.floor.wait < lookEvery: // somebody else may be at work: what more came would wait as well
		return false
	case a.careful > 0 && len(a.items) > 0:
		return len(a.items)+len(a.parked) < max(a.width, 1)
	}
	return true
}

// arrive puts a delivered message in its place.
func (a *ahead) arrive(m *message) {
	a.busy = time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	var i int
	for _, list := range [][]*item{a.items, a.parked} {
		var here bool
		if i, here = search(list, m.place()); !here {
			continue
		}
		if list[i].meta.Timestamp.Equal(m.meta.Timestamp) {
			list[i].sure = a.busy // the broker counts from anew
			return
		}
		a.halted = true
	}
	a.heed(m)
	a.bytes += len(m.raw.Data)
	it := a.newItem(m)
	switch known := a.known && !a.halted && m.place() <= a.tail; {
	case known && m.meta.NumDelivered > 1: // it is done, and the broker has lost the word
		a.insert(it)
		a.advance()
		return
	case known: // the consumer begins again, or it is another stream's
		a.halted = true
	}
	a.parked = slices.Insert(a.parked, i, it)
}

// look takes up what was delivered, lets go of what was left, and sees to it
// that more comes.
func (a *ahead) look() {
	a.mu.Lock()
	halted := a.halted
	a.mu.Unlock()
	if halted {
		a.clear()
		return
	}
	waits := a.settle()
	if waits && a.giveBack() {
		a.pull.yield()
	}
	if waits {
		a.again.Reset(a.floor.wait)
	}
	a.mu.Lock()
	alone := waits || a.careful > 0 || a.bytes >= windowBytes
	a.mu.Unlock()
	if !alone && time.Since(a.busy) < leaseFor {
		a.pull.lease()
	}
}

// settle moves what was delivered to the list, as far as nothing is missing
// before it, and tells whether something waits.
func (a *ahead) settle() (waits bool) {
	for {
		a.mu.Lock()
		for len(a.parked) > 0 && a.known && a.parked[0].place() <= a.tail {
			a.bytes -= len(a.parked[0].raw.Data) // somebody else has done it
			a.parked = a.parked[1:]
		}
		if len(a.parked) == 0 {
			if len(a.items) == 0 && time.Since(a.busy) > leaseFor {
				a.known = false // the consumer may begin again meanwhile, with somebody else
			}
			a.mu.Unlock()
			return false
		}
		it, next := a.parked[0], a.known && a.parked[0].place() == a.tail+1
		a.mu.Unlock()
		if !next && !a.reaches(it) {
			return true
		}
		a.mu.Lock()
		if it.place() > a.tail {
			a.parked = a.parked[1:]
			a.insert(it)
			a.tail = it.place()
			a.advance()
		}
		a.mu.Unlock()
	}
}

// floorAsked is when the broker was asked up to where a lane is done.
type floorAsked struct {
	of   uint64 // for this message
	at   time.Time
	wait time.Duration // before it is asked again
}

// reaches tells whether everything of the lane before a message is in the list
// or done. Adjacent numbers say so; else there are those of other lanes, or
// erased ones, between, or somebody else has something.
func (a *ahead) reaches(it *item) bool {
	shared := len(a.prefixes) > 0
	if shared && a.follows(it) {
		return true
	}
	return a.askFloor(it.place()) && a.follows(it)
}

// askFloor asks the broker up to where the lane is done: at once for a message
// that was not asked for, then less and less often.
func (a *ahead) askFloor(place uint64) bool {
	now := time.Now()
	if a.floor.of != place {
		a.floor = floorAsked{of: place, wait: time.Millisecond}
	} else if now.Before(a.floor.at.Add(a.floor.wait)) {
		return false
	}
	a.floor.at, a.floor.wait = now, min(2*a.floor.wait, lookEvery)
	done, err := a.done()
	if err != nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !a.known:
		a.known, a.tail, a.acked = true, done, done
	case done > a.tail:
		a.tail = done
	}
	if done > a.acked {
		a.pull.standBack()
	}
	return true
}

// done asks the broker up to where the lane is acknowledged without a gap.
func (a *ahead) done() (uint64, error) {
	ctx, cancel := context.WithTimeout(a.soft, readFor)
	defer cancel()
	m, err := a.w.Conn.RequestWithContext(ctx, a.pull.info, nil)
	if err != nil {
		return 0, err
	}
	var info struct {
		AckFloor *struct {
			Stream uint64 `json:"stream_seq"`
		} `json:"ack_floor"`
	}
	if err := json.Unmarshal(m.Data, &info); err != nil {
		return 0, fmt.Errorf("read consumer info: %w", err)
	}
	if info.AckFloor == nil {
		return 0, errors.New("consumer info without an ack floor")
	}
	return info.AckFloor.Stream, nil
}

// follows tells whether nothing of the lane is stored between tail and a message.
func (a *ahead) follows(it *item) bool {
	a.mu.Lock()
	known, from, place := a.known, a.tail+1, it.place()
	a.mu.Unlock()
	for known && from < place {
		found, err := a.reader.from(a.soft, from)
		if err != nil || len(found) == 0 {
			return false // a copy that lags behind, or an outage
		}
		for _, m := range found {
			if from = m.place(); from >= place {
				return a.genuine(m, it)
			}
			if len(a.prefixes) == 0 || a.prefixes[partition(m.raw.Subject)] {
				return false
			}
			from++
		}
	}
	return known
}

// genuine tells whether what was read at a message's place, or behind it where
// it has been erased, is of the stream that it came from.
func (a *ahead) genuine(m *message, it *item) bool {
	at := m.meta.Timestamp
	if at.Equal(it.meta.Timestamp) || m.place() > it.place() && at.After(it.meta.Timestamp) {
		return true
	}
	a.reader.forget()
	return false
}

// giveBack hands what waits to whoever else is at work on the lane, and tells
// whether there is somebody: that shows in what is done and was not
// acknowledged here. Where nobody is, what is missing comes when the broker
// takes it from who had it.
func (a *ahead) giveBack() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tail <= a.acked || len(a.items) > 0 || a.floor.wait < lookEvery {
		return false
	}
	kept := a.parked[:0]
	for _, it := range a.parked {
		if it.meta.NumDelivered > 1 || !a.ours(it) { // each time counts, see suspect
			kept = append(kept, it)
			continue
		}
		a.bytes -= len(it.raw.Data)
		_ = it.raw.Nak()
	}
	clear(a.parked[len(kept):])
	a.parked, a.acked = kept, a.tail
	return true
}

// clear lets what is in hand finish and forgets the list. What could not be
// acknowledged goes back, also what is done behind something that is not.
func (a *ahead) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.halted = true
	for a.running > 0 {
		a.quiet.Wait()
	}
	for _, it := range append(a.items, a.parked...) {
		if a.ours(it) { // else it would be taken from whoever has it now
			_ = it.raw.Nak()
		}
	}
	_ = a.w.Conn.FlushTimeout(time.Second)
	a.items, a.parked, a.ready, a.last, a.bytes = nil, nil, nil, map[string]*item{}, 0
	a.known, a.halted = false, false
}
