package table

import (
	"fmt"
	"testing"
)

// loopRows: the same slice of work in our loop, by hand and in two frameworks.
func loopRows(t testing.TB, r *report, server string, peers map[string][]string, widths []int, n, kills int) {
	const work = "consume → validate → publish → ack, 1 KB"
	goals := map[string]float64{"keyed": 0.9, "benthos": 1.3, "watermill": 1.5}
	for _, width := range widths {
		ours := newSlice(t, server, "ours", width, n).run(peers["ours"], 0)
		ours.hold(t)
		r.add(ours.row(work, 0, ""))
		r.rate("ours", width, ours.rate)
		r.value(fmt.Sprintf("loops.ours.%d", width), ours.rate)
		for _, how := range []string{"keyed", "benthos", "watermill"} {
			if peers[how] == nil {
				continue
			}
			got := newSlice(t, server, how, width, n).run(peers[how], 0)
			line := got.row(work, ours.rate/got.rate, fmt.Sprintf("≥ %.1f", goals[how]))
			line.met = ours.rate >= goals[how]*got.rate
			if width != 16 && how != "keyed" {
				line.goal = "" // the goal is set at 16
			}
			r.add(line)
			r.rate(how, width, got.rate)
			r.value(fmt.Sprintf("loops.%s.%d", how, width), got.rate)
			r.value(fmt.Sprintf("loops.%s.%d.turned", how, width), float64(got.inversions))
		}
	}
	for _, how := range []string{"ours", "keyed", "benthos", "watermill"} {
		if peers[how] == nil {
			continue
		}
		got := newSlice(t, server, how, 16, n/2).run(peers[how], kills)
		line := got.row(work+", killed with SIGKILL over and over, every third time the broker too", 0, "")
		line.what += fmt.Sprintf(", %d kills", got.kills)
		if how == "ours" {
			line.goal, line.met = "0 turned round", got.inversions == 0 && got.lost == 0
			got.hold(t)
		}
		r.add(line)
	}
}

func (l looped) row(work string, ratio float64, goal string) row {
	return row{
		work: work, what: fmt.Sprintf("%s at %d", l.how, l.width), figure: perSecond(l.rate), ratio: ratio, goal: goal,
		cost: fmt.Sprintf("loop %s, broker %s; %.0f MiB", ms(l.loop), ms(l.broker), l.peak),
		harm: fmt.Sprintf("%d, %d, %d", l.lost, l.doubled, l.inversions),
	}
}
