package directory

import (
	"runtime"
	"sync"
	"time"
)

// reclaimer gets back the memory of one hash, 19 MiB, before the next takes as
// much. Left to itself the collector lets several of them pile up, because they
// are most of what it counts; and what it frees later has gone back to the
// system meanwhile, which has to clear it anew. Collecting first costs less than
// that, and the process is no larger than the hashes under way.
//
// What a hash reads is scattered over its 19 MiB, which are more pages of 4 KB
// than a processor knows the places of at a time. The memory is asked for once
// before the first hash, on large pages where the system has them, and left to
// the collector: hashes then take it over and over.
type reclaimer struct {
	mu                sync.Mutex
	large             sync.Once
	left              int           // hashes done since the last collection
	hashed, collected time.Duration // what both took so far
}

// collectedMost is how much of the time of hashing collections may take, both by
// the clock. What else the process holds makes them longer, thousands of
// connections perhaps: then they are fewer, and it is larger.
const collectedMost = 40 // hundredths

// prepare makes room for n hashes of this many bytes on large pages, the first
// time. None of it is touched, so that the process is no larger for it.
func (r *reclaimer) prepare(n, size int) {
	r.large.Do(func() {
		askLarge(n, size)
		runtime.GC() // what was asked for is free to be taken
	})
}

func askLarge(n, size int) {
	room := make([][]byte, n) // held until all of it is there, or it would be the same each time
	for i := range room {
		room[i] = make([]byte, size)
		hugePages(room[i])
	}
	runtime.KeepAlive(room)
}

// use is called before a hash, done after it.
func (r *reclaimer) use() (done func()) {
	r.mu.Lock()
	if r.left > 0 && r.collected*100 <= r.hashed*collectedMost {
		began := time.Now()
		runtime.GC()
		r.left, r.collected = 0, r.collected+time.Since(began)
	}
	r.mu.Unlock()
	began := time.Now()
	return func() {
		r.mu.Lock()
		r.left, r.hashed = r.left+1, r.hashed+time.Since(began)
		r.mu.Unlock()
	}
}
