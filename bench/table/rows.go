package table

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// goalWidth is how many messages are under way where most goals are set. There
// each is measured twice.
const goalWidth = 16

// loopRows: the same slice of work in our loop, by hand and in two frameworks.
func loopRows(t testing.TB, r *report, server string, peers map[string][]string, widths []int, n, kills int) {
	const work = "consume → validate → publish → ack, 1 KB"
	goals := map[string]float64{"keyed": 0.9, "benthos": 1.3, "watermill": 1.5}
	all := slices.DeleteFunc([]string{"ours", "keyed", "benthos", "watermill"}, func(how string) bool { return peers[how] == nil })
	for i, width := range widths {
		got := map[string]looped{}
		order := slices.Concat(all[i%len(all):], all[:i%len(all)]) // each time another one is the first
		if width == goalWidth {                                    // once more, the other way round
			back := slices.Clone(order)
			slices.Reverse(back)
			order = slices.Concat(order, back)
		}
		for _, how := range order {
			r.doing("loops: %s at %d", how, width)
			got[how] = got[how].with(newSlice(t, server, how, width, n).run(peers[how], 0))
		}
		ours := got["ours"]
		ours.hold(t)
		for _, how := range all {
			x := got[how]
			var line row
			switch {
			case how == "ours":
				line = x.row(work, 0, "")
			case how == "keyed" || width == goalWidth:
				line = x.row(work, ours.rate/x.rate, fmt.Sprintf("ours ≥ %.1f × this", goals[how]))
				line.met = ours.rate >= goals[how]*x.rate
			default:
				line = x.row(work, ours.rate/x.rate, "")
			}
			r.add(line)
			r.rate(how, width, x.rate)
			r.value(fmt.Sprintf("loops.%s.%d", how, width), x.rate)
			r.value(fmt.Sprintf("loops.%s.%d.cost", how, width), millis(x.loop+x.broker))
			r.value(fmt.Sprintf("loops.%s.%d.turned", how, width), float64(x.inversions))
		}
	}
	for _, how := range all {
		r.doing("loops: %s at 16, killed %d times", how, kills)
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

// with is two runs of the same as one: the rate over both, the costs' mean, and
// all that was lost, doubled or turned round.
func (l looped) with(x looped) looped {
	if l.runs == 0 {
		x.runs, x.between = 1, [2]float64{x.rate, x.rate}
		return x
	}
	l.runs++
	n := float64(l.runs)
	l.rate = n / ((n-1)/l.rate + 1/x.rate)
	l.loop, l.broker = l.loop+(x.loop-l.loop)/time.Duration(l.runs), l.broker+(x.broker-l.broker)/time.Duration(l.runs)
	l.peak = max(l.peak, x.peak)
	l.lost, l.doubled, l.inversions = l.lost+x.lost, l.doubled+x.doubled, l.inversions+x.inversions
	l.between = [2]float64{min(l.between[0], x.rate), max(l.between[1], x.rate)}
	return l
}

// speed is the rate, and of several runs the slowest and the fastest.
func (l looped) speed() string {
	if l.runs < 2 {
		return perSecond(l.rate)
	}
	return fmt.Sprintf("%s (%.0f to %.0f)", perSecond(l.rate), l.between[0], l.between[1])
}

func (l looped) row(work string, ratio float64, goal string) row {
	return row{
		work: work, what: fmt.Sprintf("%s at %d", l.how, l.width), figure: l.speed(), ratio: ratio, goal: goal,
		cost: fmt.Sprintf("loop %s, broker %s; %.0f MiB", ms(l.loop), ms(l.broker), l.peak),
		harm: fmt.Sprintf("%d, %d, %d", l.lost, l.doubled, l.inversions),
	}
}
