package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// fair judges bounds of time on a machine that others use too. A wait counts
// without what it was starved: the larger of the share of the processors that
// went to others while nothing was left idle, and the time for which the rig's
// own pulse stood still, which is how a disk that others keep busy and a limit
// on a container's processors show. What is slow while nobody starved it is
// slow.
type fair struct {
	sample func() (load, error)
	now    func() time.Time
	stood  atomic.Int64 // ns that the pulse was late, since it began

	mu    sync.Mutex
	worst time.Duration // that was taken off one wait
}

// load is processor time since some beginning, in seconds.
type load struct {
	all, idle, ours float64
}

// mark is the beginning of a wait.
type mark struct {
	at    time.Time
	load  load
	err   error
	stood int64
}

func newFair() *fair { return &fair{sample: machineLoad, now: time.Now} }

func (f *fair) mark() mark {
	l, err := f.sample()
	return mark{at: f.now(), load: l, err: err, stood: f.stood.Load()}
}

// starved is how much of the time since m was not ours to use.
func (f *fair) starved(m mark) time.Duration {
	elapsed := f.now().Sub(m.at)
	out := time.Duration(f.stood.Load() - m.stood)
	if l, err := f.sample(); err == nil && m.err == nil && l.all > m.load.all {
		all, idle, ours := l.all-m.load.all, l.idle-m.load.idle, l.ours-m.load.ours
		others := all - idle - max(ours, 0)
		// What was idle could have been ours.
		out = max(out, time.Duration((others-idle)/all*float64(elapsed)))
	}
	out = min(out, elapsed)
	if out < elapsed/20 {
		return 0 // the machine's own housekeeping
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.worst = max(f.worst, out)
	return out
}

// longest is as long as a fair wait of a bound can be: beyond it a machine is
// too busy to say anything about.
const longest = 6

// over says whether a wait since m is longer than its bound, without what was
// starved of it.
func (f *fair) over(m mark, bound time.Duration) bool {
	elapsed := f.now().Sub(m.at)
	return elapsed > bound && (elapsed > longest*bound || elapsed-f.starved(m) > bound)
}

// said is how long a wait took, for a report.
func (f *fair) said(m mark) string {
	elapsed := f.now().Sub(m.at)
	if s := f.starved(m); s >= 100*time.Millisecond {
		return fmt.Sprintf("%.1f s (%.1f s of them starved)", elapsed.Seconds(), s.Seconds())
	}
	return fmt.Sprintf("%.1f s", elapsed.Seconds())
}

// The pulse: how often, and how late it may be without having stood still. A
// sync of a disk that servers sync to all the time takes its while.
const (
	pulse = 50 * time.Millisecond
	syncs = 8 // every so many pulses
	late  = 150 * time.Millisecond
)

// beat notes how long the rig itself stood still, in reaching the processor and
// in writing to the disk that its servers write to, until done is closed.
func (f *fair) beat(dir string, done <-chan struct{}) error {
	file, err := os.Create(filepath.Join(dir, "pulse"))
	if err != nil {
		return err
	}
	go func() {
		defer func() { _ = file.Close() }()
		for n := 0; ; n++ {
			began := time.Now()
			select {
			case <-done:
				return
			case <-time.After(pulse):
			}
			if n%syncs == 0 {
				_, err := file.WriteAt([]byte(began.String()), 0)
				if errors.Join(err, file.Sync()) != nil {
					return
				}
			}
			if d := time.Since(began) - pulse; d > late {
				f.stood.Add(int64(d))
			}
		}
	}()
	return nil
}

// machineLoad reads what the processors of this machine did, and what of it was
// the rig's: its own, that of every process it has started and waited for, and
// that of those that run.
func machineLoad() (load, error) {
	const tick = 100 // per second, on Linux everywhere
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return load{}, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	var l load
	for i, field := range strings.Fields(line)[1:] {
		n, err := strconv.ParseFloat(field, 64)
		if err != nil || i > 7 { // guests are in user time already
			break
		}
		l.all += n / tick
		if i == 3 || i == 4 { // idle, and idle for the disk
			l.idle += n / tick
		}
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var r syscall.Rusage
		if err := syscall.Getrusage(who, &r); err != nil {
			return load{}, err
		}
		l.ours += time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
	}
	for _, ticks := range descendants(os.Getpid()) {
		l.ours += ticks / tick
	}
	return l, nil
}

// descendants are the processes below one, with the ticks that each has used.
func descendants(of int) map[int]float64 {
	parent, used := map[int]int{}, map[int]float64{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		_, rest, ok := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if !ok || err != nil || len(fields) < 15 {
			continue
		}
		parent[pid], _ = strconv.Atoi(fields[1])
		for _, i := range []int{11, 12, 13, 14} { // user, system, and of children waited for
			n, _ := strconv.ParseFloat(fields[i], 64)
			used[pid] += n
		}
	}
	out := map[int]float64{}
	for pid := range parent {
		for up, deep := parent[pid], 0; up > 1 && deep < 50; up, deep = parent[up], deep+1 {
			if up == of {
				out[pid] = used[pid]
				break
			}
		}
	}
	return out
}
