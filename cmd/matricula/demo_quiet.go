package main

import (
	"context"
	"errors"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/stream"
)

// storyWaits is how long the story waits for something of its own installation: a
// machine may be busy with others.
const storyWaits = 90 * time.Second

// quiet waits until nothing is under way: every event is handled, every fact
// told, every letter out. Only then may the clock jump, for what is under way
// belongs to the time before. What has no end keeps nobody for ever: it shows
// where things are counted.
func (p *play) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storyWaits)
	defer cancel()
	err := until(ctx, func() (bool, error) {
		n, err := p.underWay(ctx)
		return n == 0, err
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// underWay counts what is not done, in the order in which one follows from the
// other, so that nothing moves on unseen behind the count.
func (p *play) underWay(ctx context.Context) (n uint64, err error) {
	intake, err := p.js.Stream(ctx, stream.Intake)
	if err != nil {
		return 0, err
	}
	lanes := intake.ListConsumers(ctx)
	for info := range lanes.Info() {
		n += info.NumPending + uint64(info.NumAckPending)
	}
	if err := lanes.Err(); err != nil || n > 0 {
		return n, err
	}
	err = p.people.Each(ctx, account.Query{Unsent: true}, func(account.Account) bool { n++; return true })
	if err != nil || n > 0 {
		return n, err
	}
	mail, err := p.js.Stream(ctx, stream.Mail)
	if err != nil {
		return 0, err
	}
	return mail.CachedInfo().State.Msgs, nil
}

// notYet keeps the time of the first clicks before the opening, which is half a
// minute ahead of where the clock was set to: a slow machine needs more than that
// to start everything and to come to them.
func (p *play) notYet() {
	if p.clock.Now().Sub(p.began) > 5*time.Second {
		p.clock.set(p.began)
	}
}

// until asks again and again; how long, ctx says.
func until(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
