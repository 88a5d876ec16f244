package stream

import (
	"context"
	"errors"
	"sync"

	"github.com/nats-io/nats.go"
)

// commit writes a round and answers its effects, except those whose outcome is
// not known: they are to be tried again, which repeats nothing.
func (c *committer) commit(w *wire, round []*effect) (again []*effect) {
	if c.conn.IsClosed() {
		for _, e := range round {
			e.answer(nats.ErrConnectionClosed)
		}
		return nil
	}
	if c.asBatch(round) {
		return c.batch(w, round)
	}
	return singles(w, round)
}

func worthBatch(round []*effect) bool {
	n := 0
	for _, e := range round {
		if len(e.msgs) > 1 {
			return true
		}
		n += len(e.msgs)
	}
	return n >= batchFrom
}

func singles(w *wire, round []*effect) (again []*effect) {
	msgs := make([]*nats.Msg, len(round))
	for i, e := range round {
		msgs[i] = e.msgs[0]
	}
	ctx, cancel := anyOf(round)
	defer cancel()
	settled := make([]bool, len(round))
	w.singles(ctx, msgs, func(i int, err error) { settled[i] = round[i].settle(err) })
	for i, e := range round {
		if !settled[i] {
			again = append(again, e)
		}
	}
	return again
}

// settle answers an effect once the outcome is known.
func (e *effect) settle(err error) bool {
	var refused *apiError
	switch {
	case err == nil:
		e.answer(nil)
	case errors.As(err, &refused) && refused.told():
		e.answer(nil)
	case errors.As(err, &refused) && !refused.passing():
		e.answer(refused)
	default:
		e.last.Store(&err)
		return false
	}
	return true
}

// batch commits a round as one. A refusal is about one of them and does not
// say which: those that know themselves refused are answered, the rest goes
// again.
func (c *committer) batch(w *wire, round []*effect) (again []*effect) {
	var msgs []*nats.Msg
	for _, e := range round {
		msgs = append(msgs, e.msgs...)
	}
	ctx, cancel := anyOf(round)
	err := w.batch(ctx, msgs)
	cancel()
	var refused *apiError
	switch {
	case err == nil:
		for _, e := range round {
			e.answer(nil)
		}
		return nil
	case !errors.As(err, &refused) || refused.passing():
		for _, e := range round {
			e.last.Store(&err)
		}
		return round
	case len(round) == 1:
		round[0].answer(refused)
		return nil
	}
	return c.split(w, round)
}

// split writes by itself what a refused batch held.
func (c *committer) split(w *wire, round []*effect) (again []*effect) {
	var alone, groups []*effect
	for _, e := range round {
		if len(e.msgs) == 1 && e.stale == nil {
			alone = append(alone, e)
			continue
		}
		if e.stale != nil {
			if stale, err := e.stale(e.ctx); err == nil && stale {
				e.answer(&apiError{Code: 400, ErrCode: codeWrongLast, Description: "wrong last sequence"})
				continue
			}
		}
		groups = append(groups, e)
	}
	if len(alone) > 0 {
		again = singles(w, alone)
	}
	if len(groups) < len(round)-len(alone) && len(groups) > 1 {
		return append(again, c.batch(w, groups)...)
	}
	for _, e := range groups { // nobody owned up, so each for itself
		again = append(again, c.batch(w, []*effect{e})...)
	}
	return again
}

// anyOf lives as long as the longest of the callers.
func anyOf(round []*effect) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	var stops []func() bool
	var mu sync.Mutex
	left := len(round)
	for _, e := range round {
		stops = append(stops, context.AfterFunc(e.ctx, func() {
			mu.Lock()
			defer mu.Unlock()
			if left--; left == 0 {
				cancel()
			}
		}))
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}
