package faults

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// inOrder holds I10 beyond what the directory can show: the facts that a
// person's events lead to stand in the audit stream in the order in which the
// events came, for nobody works on two of them at a time.
func (h *house) inOrder(v *view) {
	came, err := h.arrivals()
	for m := h.fair.mark(); err != nil && !h.fair.over(m, 20*time.Second); {
		came, err = h.arrivals()
	}
	if err != nil {
		h.violation("I13", "the intake cannot be read: %v", err)
		return
	}
	for account, facts := range v.facts {
		last, was := uint64(0), ""
		for _, e := range facts { // as they stand in the stream
			a := e.Data.(events.Audit)
			at, known := came[a.Cause]
			if !known || a.What != events.AuditCreated && a.What != events.AuditUpdated {
				continue
			}
			if at < last {
				h.violation("I10", "account %s: the fact of event %d (%s) stands after that of event %d (%s)", account, at, a.What, last, was)
			}
			last, was = max(last, at), a.What
		}
	}
}

// carried holds I6 at any moment, storm or not: whoever has a password is told
// of in the audit stream, or their entry still holds the fact that will. What
// is in neither can never be told. The directory was looked at first.
func (h *house) carried(v *view) {
	for _, e := range v.all {
		account := e.GetAttributeValue("matriculaId")
		if e.GetAttributeValue("matriculaPasswordSince") != "" && e.GetAttributeValue("matriculaUnsent") == "" && v.count(account, events.AuditActivated) == 0 {
			h.violation("I6", "%s has a password, and nothing tells or will tell of it", e.GetAttributeValue("uid"))
		}
	}
}

// arrivals are the places of our sources' events in the intake, by ID: the
// first, where one came twice.
func (h *house) arrivals() (map[string]uint64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	st, err := h.js.Stream(ctx, "INTAKE")
	if err != nil {
		return nil, err
	}
	out, last := map[string]uint64{}, st.CachedInfo().State.LastSeq
	if last == 0 {
		return out, nil
	}
	c, err := h.js.OrderedConsumer(ctx, "INTAKE", jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy, HeadersOnly: true})
	if err != nil {
		return nil, err
	}
	defer func() {
		if i := c.CachedInfo(); i != nil {
			_ = h.js.DeleteConsumer(ctx, "INTAKE", i.Name)
		}
	}()
	for seq := uint64(0); seq < last; {
		m, err := c.Next(jetstream.FetchMaxWait(5 * time.Second))
		if errors.Is(err, nats.ErrNoResponders) && ctx.Err() == nil {
			pause(ctx, 20*time.Millisecond) // a cluster's servers do not hear of a consumer in the same instant
			continue
		}
		if err != nil {
			return nil, err
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, err
		}
		seq = meta.Sequence.Stream
		_, id, _ := strings.Cut(strings.TrimSuffix(m.Headers().Get("Nats-Msg-Id"), "-again"), "/")
		if _, known := out[id]; !known && strings.HasPrefix(id, "f-") {
			out[id] = seq
		}
	}
	return out, nil
}

// chatters has sources announce many people at once.
func (h *house) chatters() (func(context.Context), error) { return h.chatter, nil }

// chatter announces many people at once, the newer word of each first: where two
// events of a person are worked on at the same time, the older one may make the
// account and the newer one change it, the other way round than they came.
func (h *house) chatter(ctx context.Context) {
	slots, all := make(chan struct{}, 8), sync.WaitGroup{}
	for range 100 {
		p := h.cast.invent(0, h.dice(), time.Now())
		p.Role, p.Fate, p.Opens, p.Email = "employee", silent, time.Time{}, "chatter."+p.No+"@example.org"
		p.Names = []string{"Prøve Ordrik", "Prøve Ordrikere"}
		h.joins(p)
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			at, ids := time.Now(), make([]string, len(p.Names))
			for n := len(p.Names); n > 0; n-- {
				ids[n-1] = h.publish(ctx, p.announcement(n, at))
			}
			p.announced = ids
		})
	}
	all.Wait()
}
