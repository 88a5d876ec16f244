package account_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
)

// claims are the claims in memory, with the rules of stream.Claims.
type claims struct {
	sim  *sim
	held map[string][]byte
}

var _ account.Claims = (*claims)(nil)

func (c *claims) Take(ctx context.Context, keys []string, value []byte) (held map[string][]byte, err error) {
	err = c.sim.effect(ctx, "take", func() error {
		held = map[string][]byte{}
		mine := 0
		for _, k := range keys {
			if v, ok := c.held[k]; ok {
				held[k] = v
				if bytes.Equal(v, value) {
					mine++
				}
			}
		}
		switch {
		case mine == len(keys):
			held = nil
		case len(held) == 0:
			for _, k := range keys {
				c.held[k] = value
			}
			held = nil
		}
		return nil
	})
	if err != nil {
		held = nil
	}
	return held, err
}

func (c *claims) Read(ctx context.Context, keys []string) (map[string][]byte, error) {
	if err := c.sim.look(ctx, "read"); err != nil {
		return nil, err
	}
	held := map[string][]byte{}
	for _, k := range keys {
		if v, ok := c.held[k]; ok {
			held[k] = v
		}
	}
	return held, nil
}

func (c *claims) Move(ctx context.Context, keys, while []string, was, now []byte) (held map[string][]byte, err error) {
	err = c.sim.effect(ctx, "move", func() error {
		held = map[string][]byte{}
		for _, k := range keys {
			if v, ok := c.held[k]; ok && !bytes.Equal(v, was) && (now == nil || !bytes.Equal(v, now)) {
				held[k] = v
			}
		}
		for _, k := range while {
			if v, ok := c.held[k]; !ok || !bytes.Equal(v, now) {
				held[k] = v
			}
		}
		if len(held) > 0 {
			return nil
		}
		held = nil
		for _, k := range keys {
			if c.held[k] = now; now == nil {
				delete(c.held, k)
			}
		}
		return nil
	})
	if err != nil {
		held = nil
	}
	return held, err
}

// counter counts wrong numbers. A lost answer has counted.
type counter struct {
	sim    *sim
	counts map[string]int
}

var _ account.Attempts = (*counter)(nil)

func (c *counter) Add(ctx context.Context, key string) (n int, err error) {
	err = c.sim.effect(ctx, "count", func() error {
		c.counts[key]++
		n = c.counts[key]
		return nil
	})
	return n, err
}

func (c *counter) Count(ctx context.Context, key string) (int, error) {
	if err := c.sim.look(ctx, "counted"); err != nil {
		return 0, err
	}
	return c.counts[key], nil
}

// plans say when groups of letters are due.
type plans struct {
	sim    *sim
	groups []group
}

type group struct {
	group, kind string
	due         time.Time
}

var _ account.Waiting = (*plans)(nil)

func (p *plans) Plan(ctx context.Context, name, kind string, due time.Time) error {
	return p.sim.effect(ctx, "plan", func() error {
		for i := range p.groups {
			if p.groups[i].group == name && p.groups[i].kind == kind {
				p.groups[i].due = due
				return nil
			}
		}
		p.groups = append(p.groups, group{name, kind, due})
		return nil
	})
}

// due answers when a group's letters come; a group that nobody planned never
// does.
func (p *plans) due(name, kind string) (time.Time, bool) {
	for _, g := range p.groups {
		if g.group == name && g.kind == kind {
			return g.due, true
		}
	}
	return time.Time{}, false
}

// replan is what a worker does when it starts.
func (p *plans) replan(l *account.Lifecycle) {
	for i, g := range p.groups {
		p.groups[i].due = l.Due(g.group, g.kind)
	}
}

// Publish stores events one by one, streams in any order. An error leaves the
// rest unpublished.
func (b *bus) Publish(ctx context.Context, evs ...events.Event) error {
	evs = slices.Clone(evs)
	if b.sim.chance(0.3) {
		b.sim.rng.Shuffle(len(evs), func(i, j int) { evs[i], evs[j] = evs[j], evs[i] })
	}
	for _, e := range evs {
		if _, _, err := events.Encode(e); err != nil {
			return fmt.Errorf("event %s: %w", e.Data.EventType(), err)
		}
		if err := b.sim.effect(ctx, "publish", func() error { b.store(ctx, e); return nil }); err != nil {
			return err
		}
	}
	return nil
}

// store puts an event into its stream: an audit fact once and for ever, a
// letter once within its window of ten minutes, an intake event within an hour.
func (b *bus) store(ctx context.Context, e events.Event) {
	switch d := e.Data.(type) {
	case events.Audit:
		for _, f := range b.facts {
			if f.id == e.ID && f.What == d.What {
				return
			}
		}
		cause, _ := b.sim.causeOf(ctx)
		b.facts = append(b.facts, fact{Audit: d, id: e.ID, by: cause, at: b.sim.now()})
	case events.MailRequest:
		b.queue(e, 10*time.Minute)
	case events.WaitingLetter:
		b.queue(e, 0)
	default:
		b.intake(e)
	}
}

// queue keeps one message per subject; the last one stands.
func (b *bus) queue(e events.Event, window time.Duration) {
	subject := e.Subject()
	if at, ok := b.seen[subject]; ok && window > 0 && b.sim.now().Sub(at) < window {
		return
	}
	b.seen[subject] = b.sim.now()
	b.last++
	m := &message{Event: e, pos: b.last, subject: subject, received: b.sim.now()}
	i := slices.IndexFunc(b.waiting, func(o *message) bool { return o.subject == subject })
	if i < 0 {
		b.waiting = append(b.waiting, m)
		return
	}
	b.waiting[i] = m
}

func (b *bus) told(what, id string) bool {
	return slices.ContainsFunc(b.facts, func(f fact) bool { return f.id == id && f.What == what })
}
