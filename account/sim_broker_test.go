package account_test

import (
	"context"
	"hash/fnv"
	"slices"
	"time"

	"usn.no/matricula/events"
)

const (
	partitions = 3
	ackWait    = 10 * time.Second
	attempts   = 5
)

// bus is the broker: an intake in partitions that have one unacknowledged
// message each, what waits, letters that are due, facts, and dead letters.
type bus struct {
	sim     *sim
	parts   [partitions][]*message
	waiting []*message // work queues: letters that wait, letters that are due, what was put aside
	facts   []fact
	dead    []dead
	sent    []letter
	marks   map[string]bool
	seen    map[string]time.Time // by subject or message ID, when it was last stored
	last    uint64
	taken   map[string]int // deliveries of each letter
}

type message struct {
	events.Event
	pos      uint64
	subject  string
	received time.Time
	aside    time.Time // put aside until
	acked    bool
	holder   *actor
	until    time.Time // end of the ack wait
	tries    int
}

type fact struct {
	events.Audit
	id, by string
	at     time.Time
}

type dead struct {
	events.Rejection
	id string
}

type letter struct {
	events.MailRequest
	at time.Time
}

// intake stores an event of a source or a portal.
func (b *bus) intake(e events.Event) {
	id := e.MsgID()
	if at, ok := b.seen[id]; ok && b.sim.now().Sub(at) < time.Hour {
		return
	}
	b.seen[id] = b.sim.now()
	b.last++
	h := fnv.New32a()
	_, _ = h.Write([]byte(events.Key(e.Meta.Subject))) // what keeps a person's events in order
	p := h.Sum32() % partitions
	b.parts[p] = append(b.parts[p], &message{Event: e, pos: b.last, received: b.sim.now()})
	b.sim.note("intake %d: %s of %s", b.last, e.Data.EventType(), e.Meta.Subject)
}

// free says whether the broker would deliver m now.
func (b *bus) free(m *message) bool {
	return !m.acked && (m.holder == nil || !b.sim.now().Before(m.until))
}

func (b *bus) head(p int) *message {
	for _, m := range b.parts[p] {
		if !m.acked {
			return m
		}
	}
	return nil
}

func (b *bus) heads() (n [partitions]int) {
	for p := range b.parts {
		for _, m := range b.parts[p] {
			if !m.acked {
				n[p]++
			}
		}
	}
	return n
}

// due says when a message of a work queue comes.
func (b *bus) due(m *message) (time.Time, bool) {
	if w, ok := m.Data.(events.WaitingLetter); ok {
		return b.sim.plans.due(w.Group, w.Kind)
	}
	return m.aside, true
}

// choices are the deliveries that are possible now.
func (b *bus) choices() []choice {
	var cs []choice
	for p := range b.parts {
		if m := b.head(p); m != nil && b.free(m) {
			cs = append(cs, choice{6, func() { b.deliver(m) }})
		}
	}
	for _, m := range b.waiting {
		if at, ok := b.due(m); ok && b.free(m) && !at.After(b.sim.now()) {
			cs = append(cs, choice{4, func() { b.deliver(m) }})
		}
	}
	return cs
}

// wakes are the times at which something may be delivered.
func (b *bus) wakes() []time.Time {
	var at []time.Time
	for p := range b.parts {
		if m := b.head(p); m != nil {
			at = append(at, m.until)
		}
	}
	for _, m := range b.waiting {
		at = append(at, m.until)
		if t, ok := b.due(m); ok {
			at = append(at, t)
		}
	}
	return at
}

// deliver gives a message to a worker, or a letter to the mailer. Whoever had
// it before may still be at it.
func (b *bus) deliver(m *message) {
	m.until = b.sim.now().Add(ackWait)
	if r, ok := m.Data.(events.MailRequest); ok {
		b.taken[r.Letter]++
		m.holder = b.sim.spawn("mailer "+r.Template, workers, "", func(ctx context.Context) { b.mail(ctx, m, r) })
		return
	}
	process := workers + b.sim.rng.IntN(2)
	m.holder = b.sim.spawn(m.Data.EventType(), process, m.ID, func(ctx context.Context) { b.work(ctx, process, m) })
}

// work is the worker: the handler's answer decides, the ack comes last.
func (b *bus) work(ctx context.Context, process int, m *message) {
	e := m.Event
	e.Position, e.Received = m.pos, m.received
	for {
		err := b.sim.handle(ctx, process, e)
		at, later := events.Postponed(err)
		r, rejected := events.Rejected(err)
		switch {
		case err == nil:
		case later:
			if b.sim.effect(ctx, "put aside", func() error { b.putAside(m, at); return nil }) != nil {
				continue
			}
		case rejected:
			if b.sim.effect(ctx, "bury", func() error { b.bury(m, *r); return nil }) != nil {
				continue
			}
		default:
			if !events.IsUnavailable(err) {
				if m.tries++; m.tries >= attempts {
					b.bury(m, events.Rejection{Reason: events.ReasonGaveUp, Err: err})
					break
				}
			}
			if a := ctx.Value(actorKey{}); m.holder == a && b.sim.chance(0.5) {
				m.holder = nil // nak
				return
			} else if m.holder != a {
				return // somebody else has it by now
			}
			continue
		}
		_ = b.sim.effect(ctx, "ack", func() error { b.ack(m); return nil })
		return
	}
}

func (b *bus) ack(m *message) {
	m.acked = true
	b.waiting = slices.DeleteFunc(b.waiting, func(o *message) bool { return o == m })
}

func (b *bus) putAside(m *message, at time.Time) {
	subject := "wait.due." + m.MsgID()
	b.waiting = slices.DeleteFunc(b.waiting, func(o *message) bool { return o.subject == subject })
	b.waiting = append(b.waiting, &message{Event: m.Event, pos: m.pos, received: m.received, subject: subject, aside: at})
}

func (b *bus) bury(m *message, r events.Rejection) {
	if !slices.ContainsFunc(b.dead, func(d dead) bool { return d.id == m.ID && d.Reason == r.Reason }) {
		b.dead = append(b.dead, dead{Rejection: r, id: m.ID})
		b.sim.note("dead letter: %v", r.Error())
	}
}

// mail is the mailer: a sent mark is read before the relay and written after.
func (b *bus) mail(ctx context.Context, m *message, r events.MailRequest) {
	if b.sim.look(ctx, "read sent mark") != nil {
		m.holder = nil
		return
	}
	if !b.marks[r.Letter] {
		if b.sim.effect(ctx, "hand to relay", func() error {
			b.sent = append(b.sent, letter{r, b.sim.now()})
			return nil
		}) != nil {
			m.holder = nil // nobody knows whether the relay has it
			return
		}
		if b.sim.effect(ctx, "write sent mark", func() error { b.marks[r.Letter] = true; return nil }) != nil {
			return
		}
	}
	_ = b.sim.effect(ctx, "ack", func() error { b.ack(m); return nil })
}

// replay makes the broker deliver the whole intake again, as a consumer does
// that was deleted and made anew.
func (b *bus) replay() {
	b.sim.note("full replay")
	for p := range b.parts {
		for _, m := range b.parts[p] {
			m.acked, m.holder, m.tries, m.until = false, nil, 0, time.Time{}
		}
	}
}

// handle is the table of cmd/matricula.
func (s *sim) handle(ctx context.Context, process int, e events.Event) error {
	l := s.lives[process]
	switch d := e.Data.(type) {
	case events.EmployeeRegistered:
		return l.EmployeeRegistered(ctx, e.Meta, d)
	case events.EmployeeUpdated:
		return l.EmployeeUpdated(ctx, e.Meta, d)
	case events.StudentRegistered:
		return l.StudentRegistered(ctx, e.Meta, d)
	case events.StudentUpdated:
		return l.StudentUpdated(ctx, e.Meta, d)
	case events.SONumberIssued:
		return l.SONumberIssued(ctx, e.Meta, d)
	case events.PasswordCompromised:
		return l.PasswordCompromised(ctx, e.Meta, d)
	case events.AccountActed:
		return l.AccountActed(ctx, e.Meta, d)
	case events.InvitationRequested:
		return l.InvitationRequested(ctx, e.Meta, d)
	case events.LetterRequested:
		return l.LetterRequested(ctx, e.Meta, d)
	case events.WaitingLetter:
		return l.LetterDue(ctx, e.Meta, d)
	}
	return events.Refuse(events.ReasonUnhandled, "type", "nothing handles this type")
}
