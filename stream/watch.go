package stream

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Watch calls found once for each group's durable, in a goroutine of its own:
// for those there are, and for those that any process makes later, which it
// looks for at every interval. The context given to found ends when the durable
// is deleted, which it is only when empty, and when ctx ends. Watch returns
// when ctx has ended and every call of found has returned.
//
// An outage is told to failed, which may be nil, and outlived.
func (w *Waiting) Watch(ctx context.Context, every time.Duration, found func(context.Context, jetstream.Consumer), failed func(error)) {
	v := &watch{waiting: w, found: found, running: map[string]context.CancelFunc{}}
	defer v.calls.Wait()
	defer v.endAll()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := v.look(ctx); err != nil && ctx.Err() == nil && failed != nil {
			failed(err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

type watch struct {
	waiting *Waiting
	found   func(context.Context, jetstream.Consumer)
	running map[string]context.CancelFunc // by durable and when it was made
	calls   sync.WaitGroup
}

func (v *watch) endAll() {
	for _, end := range v.running {
		end()
	}
}

func (v *watch) look(ctx context.Context) error {
	infos, err := v.waiting.durables(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, info := range infos {
		// one that was deleted and made again is another one: whoever reads
		// the old one hears nothing any more
		key := info.Name + info.Created.String()
		there[key] = true
		if v.running[key] != nil {
			continue
		}
		c, err := v.waiting.JS.Consumer(ctx, Wait, info.Name)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			continue
		}
		if err != nil {
			return broken("consumer "+info.Name, err)
		}
		sub, end := context.WithCancel(ctx)
		v.running[key] = end
		v.calls.Go(func() { v.found(sub, c) })
	}
	for key, end := range v.running {
		if !there[key] {
			end()
			delete(v.running, key)
		}
	}
	return nil
}
