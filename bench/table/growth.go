package table

import (
	"fmt"
	"testing"
)

// growthRows: what an event costs when there are many accounts already.
func growthRows(t testing.TB, r *report, binary string, sizes []int, n int) {
	const work = "cost of a registration as accounts grow"
	p := newPlace(t, binary, "127.0.0.1:9", "2027-08-01")
	have := 0
	var first registered
	for _, size := range sizes {
		for have < size { // a stream is not filled further than a disk would be
			more := min(size-have, 20000)
			r.doing("growth: %d of %d accounts are there", have, sizes[len(sizes)-1])
			p.register(invent(have, more), 1).hold(t)
			have += more
		}
		got := p.register(invent(have, n), 1)
		got.hold(t)
		line := row{work: work, what: fmt.Sprintf("at %d accounts", have), figure: perSecond(got.rate()), cost: got.cost(), harm: got.String()}
		r.value(fmt.Sprintf("growth.%d", size), got.rate())
		have += n
		if first.n == 0 {
			first = got
		} else {
			slower, dearer := first.rate()/got.rate(), got.each().Seconds()/first.each().Seconds()
			line.ratio, line.goal, line.met = max(slower, dearer), "time and processor ≤ 1.3", max(slower, dearer) <= 1.3
			r.value("growth.ratio", max(slower, dearer))
		}
		r.value("growth.most", float64(size))
		r.add(line)
	}
	if last := sizes[len(sizes)-1]; last < 100000 {
		r.add(row{work: work, what: "at 100000 accounts", figure: "not in this run: `make bench-long` does"})
	}
}
