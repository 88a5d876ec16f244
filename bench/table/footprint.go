package table

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"
)

// footprintRows: what a role needs when nothing happens, beside the broker.
func footprintRows(t testing.TB, r *report, binary string) {
	const work = "start, idle, size"
	p := newPlace(t, binary, newSink(t).addr, "2027-08-01")
	roles := []string{"worker", "mailer", "portal"}
	pids, ready := []int{p.brokerPID()}, map[string]time.Duration{}
	for _, role := range roles {
		warm, _ := p.serve(role, role+"-warm") // the file cache is warm from now on
		warm.stop()
		x, took := p.serve(role, role)
		pids, ready[role] = append(pids, x.cmd.Process.Pid), took
	}
	used := idle(pids)
	r.add(row{work: work, what: "nats-server", figure: fmt.Sprintf("idle %.1f %% of a core", used[0]), cost: fmt.Sprintf("%.0f MiB", memory(pids[0], false))})
	for i, role := range roles {
		r.add(row{
			work: work, what: role, figure: fmt.Sprintf("ready %s, idle %.1f %%", ms(ready[role]), used[i+1]), goal: "≤ 300 ms, < 1 %",
			met: ready[role] <= 300*time.Millisecond && used[i+1] < 1, cost: fmt.Sprintf("%.0f MiB", memory(pids[i+1], false)),
		})
		r.value("idle."+role, used[i+1])
	}
	if info, err := os.Stat(binary); err == nil {
		mib := float64(info.Size()) / (1 << 20)
		r.add(row{work: work, what: "program, stripped", figure: fmt.Sprintf("%.1f MiB", mib), goal: "≤ 40", met: mib <= 40})
	}
}

// idle is what processes use of a core while nothing happens, in percent.
func idle(pids []int) []float64 {
	const span = 8 * time.Second
	out := make([]float64, len(pids))
	for i, pid := range pids {
		out[i] = -cpu(pid).Seconds()
	}
	time.Sleep(span) // this is the measurement: seconds of nothing
	for i, pid := range pids {
		out[i] = (out[i] + cpu(pid).Seconds()) / span.Seconds() * 100
	}
	return out
}

// memory notes the most that a role's process ever had in memory under a load.
func (r *report) memory(role, load string, mib float64) {
	r.value("memory."+role, mib)
	r.add(row{work: "resident memory of a role under load, at its peak", what: role + ", " + load, figure: fmt.Sprintf("%.0f MiB", mib), goal: "≤ 100 MiB", met: mib <= 100})
}

// slowClients hold connections open and say next to nothing.
func slowClients(address string, n int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	for range n {
		go func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }()
			_, _ = c.Write([]byte("GET / HTTP/1.1\r\nHost: slow\r\n"))
			for i := 0; ; i++ {
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Second):
				}
				if _, err := fmt.Fprintf(c, "X-%d: y\r\n", i); err != nil {
					return
				}
			}
		}()
	}
	return cancel
}
