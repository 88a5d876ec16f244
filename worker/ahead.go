package worker

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// ahead handles messages of a lane before the broker delivers them. The broker
// still delivers one at a time, and never past one that is not acknowledged:
// whoever has a message delivered knows that all before it are done. From there
// on the stream is read, each person's messages are handled in their order, and
// those of different persons at the same time. When the broker comes to them
// they are done already, and only acknowledged.
//
// So each process begins where all that was before is done and leaves nothing
// out, whether or not another one does the same at the same time: that costs
// work and no order. A process that dies leaves the lane where it stood, and
// the next one begins there.
type ahead struct {
	*lane
	reader   *reader
	consumer string
	prefixes map[string]bool // how the subjects of the lane begin: "p.3."; none: it has all
	soft     context.Context
	hard     context.Context

	mu        sync.Mutex
	rest      *sync.Cond       // nothing is in hand
	items     []*item          // in their order; the lane stands at the first
	last      map[string]*item // of each person
	next      uint64           // where to read on
	delivered uint64           // the consumer's own count at the last delivery
	unread    int              // how many messages are known to be there
	reads     int              // reading goes on for this list of items only
	reading   bool
	quiet     time.Time // no reading before
	running   int
	halted    bool // begin nothing more: one was left
	width     int  // how many may be in hand; 0: the delivered one alone
	careful   int  // for so many messages width stays less than it might be
	hold      *hold
}

// item is one message of the list.
type item struct {
	course
	person   string
	before   *item // of the same person
	begun    bool
	finished bool
	done     chan struct{}
}

// newAhead makes the reading ahead of a lane, or nil where it is not wanted or
// cannot be: the consumer must have one message under way at most and know
// priorities, and its filters must be whole partitions.
func newAhead(l *lane, info *jetstream.ConsumerInfo) *ahead {
	if l.w.AtOnce < 1 || !l.alone || l.pull.group == "" {
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
		lane: l, width: l.w.AtOnce, prefixes: prefixes, last: map[string]*item{}, consumer: info.Name, reader: l.w.reader(info.Stream),
	}
	a.rest = sync.NewCond(&a.mu)
	return a
}

// most is how long the list may become: so far do others go past a message that
// takes its time.
func (a *ahead) most() int { return 8 * max(a.w.AtOnce, readSoon) }

// heed makes the lane careful for as long as the list may have been when a
// message was delivered in vain: one in it may be what the process died of, and
// of a message ahead nobody counts how often it was tried. With each delivery
// fewer are in hand, in the end one alone, which the broker counts.
func (a *ahead) heed(m *message) {
	switch n := m.meta.NumDelivered; {
	case n > 1:
		a.width, a.careful = a.w.AtOnce>>min(2*(n-1), 63), a.most()
	case a.careful > 0:
		a.careful--
	}
	if a.careful == 0 {
		a.width = a.w.AtOnce
	}
}

// arrive finds the delivered message in the list, or begins a new list with it.
func (a *ahead) arrive(m *message) *item {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heed(m)
	if a.pull.leased && m.meta.Sequence.Consumer != a.delivered+1 {
		a.pull.yield() // another one has had something meanwhile
		a.halted = true
	}
	a.delivered = m.meta.Sequence.Consumer
	if a.halted || len(a.items) == 0 || place(a.items[0].message) != place(m) {
		a.empty()
		a.next = place(m) + 1
		a.append(m)
	}
	a.unread = int(m.meta.NumPending) - len(a.items) + 1
	if a.unread > 0 && a.width > 0 {
		a.pull.lease()
	}
	it := a.items[0]
	a.advance()
	return it
}

// append puts a message at the end of the list. With the lock.
func (a *ahead) append(m *message) {
	it := &item{person: a.w.key(m.origin.Subject), done: make(chan struct{})}
	it.course = course{lane: a.lane, message: m, slot: int(a.w.slots.Add(1)), kept: a.kept}
	it.before = a.last[it.person]
	a.last[it.person] = it
	a.items = append(a.items, it)
}

// advance begins what may be begun, and reads on when little is left. With the
// lock.
func (a *ahead) advance() {
	waiting := 0
	for _, it := range a.items {
		switch {
		case it.begun:
		case a.halted || a.running >= max(a.width, 1) || a.soft.Err() != nil:
			waiting++
		case it.before != nil && !it.before.finished:
			waiting++
		default:
			it.begun, it.before = true, nil
			a.running++
			go a.work(it)
		}
	}
	if a.reading || a.halted || a.unread <= 0 || waiting >= max(a.width, readSoon) || len(a.items) >= a.most() ||
		!a.pull.lasts() || a.soft.Err() != nil || time.Now().Before(a.quiet) {
		return
	}
	a.reading = true
	go a.read(a.next, a.reads)
}

// read appends what is stored from a sequence on, as far as it is the lane's.
func (a *ahead) read(sequence uint64, of int) {
	found, err := a.reader.from(a.soft, sequence)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reading = false
	if err != nil {
		a.quiet = time.Now().Add(readFor) // it goes on one by one
	}
	if of == a.reads {
		if len(found) == 0 {
			a.unread = 0
		}
		for _, m := range found {
			a.next = place(m) + 1
			if len(a.prefixes) == 0 || a.prefixes[partition(m.raw.Subject)] {
				a.append(m.copyFor(a.consumer))
				a.unread--
			}
		}
	}
	a.advance()
	a.rest.Broadcast()
}

// work brings one message to its end but for the acknowledgement.
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
	it.finished = true
	it.raw.Data, it.event = nil, events.Event{} // the list is long
	a.halted = a.halted || it.verdict == left
	a.running--
	close(it.done)
	a.advance()
	a.rest.Broadcast()
}

// kept tells whether the lane is ours for certain.
func (a *ahead) kept() bool {
	a.mu.Lock()
	h := a.hold
	a.mu.Unlock()
	return h == nil || h.kept()
}

func (a *ahead) keep(h *hold) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hold = h
}

// clear waits for what is in hand and forgets the list.
func (a *ahead) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.empty()
}

// empty is clear with the lock, which it gives up while it waits.
func (a *ahead) empty() {
	a.halted = true
	for a.running > 0 || a.reading {
		a.rest.Wait()
	}
	a.items, a.last, a.halted = nil, map[string]*item{}, false
	a.reads++
}

// close lets what is in hand finish.
func (a *ahead) close() { a.clear() }
