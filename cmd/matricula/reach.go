package main

import (
	"context"
	"fmt"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/stream"
)

// reachEvery is how often a worker remembers how far the streams have come.
const reachEvery = 10 * time.Second

// remember lets the broker's loss of a stream's end be known: who finds one says
// so in the log, every time it looks.
func (r *workerRole) remember(ctx context.Context) error {
	reach := &stream.Reach{JS: r.js, Publisher: r.pub}
	tick := time.NewTicker(reachEvery)
	defer tick.Stop()
	for {
		lost, err := reach.Note(ctx)
		if err != nil && ctx.Err() == nil {
			r.log.Warn().Err(err).Msg("how far the streams came could not be noted")
		}
		for _, l := range lost {
			r.log.Error().Str("what", l).Msg("the broker lost messages: see matricula audit verify")
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// checkClaims compares the claims with the directory: each entry holds the keys
// of its own. It tells of a damaged bucket, and of a damaged entry.
func (s *system) checkClaims(ctx context.Context, p people) finding {
	const what = "claims"
	life, err := s.claimant(p)
	if err != nil {
		return finding{What: what, Warn: true, Text: "cannot be compared with the directory here: " + err.Error()}
	}
	plan, all, err := (&account.Rebuild{Life: life, Ledger: &stream.Ledger{JS: s.js}}).Plan(ctx)
	if err != nil {
		return finding{What: what, Text: err.Error()}
	}
	missing, contradicted := 0, 0
	for _, e := range plan {
		missing += e.Missing
		if len(e.Conflict) > 0 {
			contradicted++
		}
	}
	if missing > 0 || contradicted > 0 {
		return finding{What: what, Text: fmt.Sprintf("%d are missing and %d of %d entries contradict theirs: run matricula claims rebuild", missing, contradicted, all)}
	}
	return finding{What: what, OK: true, Text: fmt.Sprintf("those of %d entries are there", all)}
}
