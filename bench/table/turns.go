package table

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// turns are those who do the same work in turns, each half of it at a time. A
// disk and a processor that others use as well are not always in the same mood:
// what is measured once, and next to it something else, differs by a quarter
// where nothing else does.
type turns struct {
	one, two registered
	tool     added
}

// takeTurns has two workers, the directory's own tool and one worker register
// the same n people, the first half in this order and the second half the other
// way round, so that a mood that gets better or worse meets all of them alike.
// The single worker's installation is one that is there.
func takeTurns(t testing.TB, r *report, binary string, one *place, n int) turns {
	t.Helper()
	people := invent(0, n)
	r.doing("registrations: %d that are not measured, whose entries ldapadd adds afterwards", n)
	first := newPlace(t, binary, "127.0.0.1:9", "2027-08-01")
	first.register(people, 1).hold(t)
	tool, pair := newLdapadd(t, first), newPlace(t, binary, "127.0.0.1:9", "2027-08-01")
	var x turns
	for i, half := range [][]person{people[:n/2], people[n/2:]} {
		all := []func(){
			func() { x.two = x.two.with(pair.register(half, 2)) },
			func() { x.tool = x.tool.with(tool.half(i)) },
			func() { x.one = x.one.with(one.register(half, 1)) },
		}
		if i > 0 {
			slices.Reverse(all)
		}
		r.doing("registrations: %d by two workers, by ldapadd and by one worker, turn %d of 2", len(half), i+1)
		for _, turn := range all {
			turn()
		}
	}
	x.one.hold(t)
	x.two.hold(t)
	return x
}

// with is two turns of the same as one.
func (r registered) with(x registered) registered {
	r.turns = append(r.turns, x.rate())
	r.n, r.took = r.n+x.n, r.took+x.took
	r.worker, r.broker, r.slapd = r.worker+x.worker, r.broker+x.broker, r.slapd+x.slapd
	r.peak = max(r.peak, x.peak)
	r.lost, r.doubled, r.dead = r.lost+x.lost, r.doubled+x.doubled, r.dead+x.dead
	r.said = append(r.said, x.said...)
	return r
}

// with is two turns of the same as one.
func (a added) with(x added) added {
	a.turns = append(a.turns, x.rate())
	a.n, a.took = a.n+x.n, a.took+x.took
	return a
}

func (r registered) speed() string { return inTurns(r.rate(), r.turns) }
func (a added) speed() string      { return inTurns(a.rate(), a.turns) }

// inTurns is a rate, and that of each turn.
func inTurns(rate float64, turns []float64) string {
	if len(turns) < 2 {
		return perSecond(rate)
	}
	each := make([]string, len(turns))
	for i, x := range turns {
		each[i] = perSecond(x)
	}
	return fmt.Sprintf("%s (%s)", perSecond(rate), strings.Join(each, ", then "))
}
