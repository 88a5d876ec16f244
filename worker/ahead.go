package worker

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// ahead handles many messages of a lane at the same time, each person's in
// their order. The broker delivers a window of them; a message is taken into the
// list only when everything of the lane before it is in the list or known to be
// done, and the list is acknowledged from its beginning on. So whatever
// somebody else has not finished holds back what comes behind it, also after a
// crash, when the broker delivers newer messages before those that the dead
// process had.
//
// So each process begins where all that was before is done and leaves nothing
// out, whether or not another one does the same at the same time: that costs
// work and no order.
type ahead struct {
	*lane
	reader   *reader
	prefixes map[string]bool // how the subjects of the lane begin: "p.3."; none: it has all
	soft     context.Context
	hard     context.Context
	wake     chan struct{} // the list was halted, or has room again

	most int // messages that the broker may have under way

	// Only the goroutine that reads touches these.
	busy  time.Time // when the lane last brought something
	floor floorAsked
	again *time.Timer // it is to be asked again

	mu      sync.Mutex
	quiet   *sync.Cond // nothing is in hand
	items   []*item    // in their order and without a gap
	parked  []*item    // in their order: something before them is not here
	known   bool       // all of the lane up to tail is in items or done
	tail    uint64
	acked   uint64 // this process has acknowledged all up to here that it had
	last    map[string]*item
	ready   []*item // may begin, the oldest first
	bytes   int     // of what is in the list and not done
	running int
	halted  bool // begin nothing more: one was left
	width   int  // how many may be in hand; 0: the oldest alone
	careful int  // for so many messages width stays less than it might be
}

// item is one message of the list.
type item struct {
	course
	person   string
	before   *item // of the same person, not done
	after    *item
	finished bool
	sure     time.Time // when the broker last counted from anew how long it is ours
}

// windowBytes is how much a lane asks for, and how much may lie in its list
// when it asks again.
const windowBytes = 8 << 20

// newAhead makes the list of a lane, or nil where none is wanted or can be: the
// consumer must know priorities, and its filters must be whole partitions.
func newAhead(l *lane, info *jetstream.ConsumerInfo) *ahead {
	if l.w.AtOnce < 1 || info.Config.PriorityPolicy != jetstream.PriorityPolicyPrioritized {
		return nil
	}
	prefixes := map[string]bool{}
	for _, f := range append(info.Config.FilterSubjects, info.Config.FilterSubject) {
		if f == "" {
			continue
		}
		prefix, ok := strings.CutSuffix(f, ">")
		if !ok || prefix != partition(prefix) {
			return nil
		}
		prefixes[prefix] = true
	}
	a := &ahead{
		lane: l, width: l.w.AtOnce, prefixes: prefixes, last: map[string]*item{}, reader: l.w.reader(info.Stream, info.Name),
		wake: make(chan struct{}, 1), most: max(info.Config.MaxAckPending, 1),
	}
	a.quiet = sync.NewCond(&a.mu)
	return a
}

// heed makes the lane careful for as many messages as the broker may have had
// under way when one of them comes again: one of those may be what a process
// died of. With each delivery fewer are asked for, in the end one alone, so that
// only what kills is counted.
func (a *ahead) heed(m *message) {
	switch n := m.meta.NumDelivered; {
	case n > 1:
		a.width, a.careful = a.w.AtOnce>>min(2*(n-1), 63), a.most
	case a.careful > 0:
		a.careful--
	}
	if a.careful == 0 {
		a.width = a.w.AtOnce
	}
}

// newItem is a delivered message.
func (a *ahead) newItem(m *message) *item {
	it := &item{person: a.w.key(m.origin.Subject), sure: time.Now()}
	it.course = course{lane: a.lane, message: m, slot: int(a.w.slots.Add(1)), kept: func() bool { return a.kept(it) }}
	return it
}

// insert puts a message in the list. With the lock.
func (a *ahead) insert(it *item) {
	it.before = a.last[it.person]
	if it.before != nil {
		it.before.after = it
	} else {
		i, _ := search(a.ready, it.place())
		a.ready = slices.Insert(a.ready, i, it)
	}
	a.last[it.person] = it
	i, _ := search(a.items, it.place())
	a.items = slices.Insert(a.items, i, it)
}

// advance begins what may be begun. With the lock.
func (a *ahead) advance() {
	for len(a.ready) > 0 && !a.halted && a.soft.Err() == nil && a.running < max(a.width, 1) {
		it := a.ready[0]
		if !a.ours(it) { // who has it now has all behind it
			a.halted = true
			a.stir()
			return
		}
		a.ready = a.ready[1:]
		a.running++
		go a.work(it)
	}
}

// work brings one message to its end. The acknowledgement waits for those
// before it.
func (a *ahead) work(it *item) {
	it.began = time.Now()
	a.w.state.takes(it.slot, it.meta.Timestamp)
	a.w.pass("received")
	it.decide(a.soft, a.hard)
	it.out()
	a.w.state.works(it.slot)
	a.w.state.drops(it.slot)
	it.report()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running--
	a.bytes -= len(it.raw.Data)
	it.raw.Data, it.event = nil, events.Event{} // the list is long
	if it.verdict == left {
		a.halted = true
	} else {
		a.finish(it)
	}
	a.advance()
	if a.running == 0 {
		a.quiet.Broadcast()
	}
	if a.halted || a.careful > 0 || a.bytes >= windowBytes/2 {
		a.stir()
	}
}

// finish lets the next message of the person begin, and acknowledges what is
// done without a gap. With the lock.
func (a *ahead) finish(it *item) {
	it.finished = true
	if next := it.after; next != nil {
		next.before = nil
		i, _ := search(a.ready, next.place())
		a.ready = slices.Insert(a.ready, i, next)
	} else {
		delete(a.last, it.person)
	}
	for len(a.items) > 0 && a.items[0].finished {
		first := a.items[0]
		a.w.pass("before ack")
		if first.raw.Ack() != nil {
			a.w.Log.Warn().Str("worker", a.w.Name).Str("stream", first.origin.Stream).Uint64("sequence", first.origin.Sequence).Msg("acknowledgement unknown")
		}
		a.w.pass("after ack")
		a.acked = max(a.acked, first.place())
		a.items[0] = nil
		a.items = a.items[1:]
	}
}

func (m *message) place() uint64 { return m.meta.Sequence.Stream }

// search finds a place in a list, or where it would be.
func search(list []*item, place uint64) (int, bool) {
	return slices.BinarySearchFunc(list, place, func(it *item, s uint64) int { return cmp.Compare(it.place(), s) })
}

// stir wakes the goroutine that reads.
func (a *ahead) stir() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}
