package directory

import (
	"os"
	"regexp"
	"runtime"
	"testing"
	"time"
)

func TestMemoryOfAHashIsCollectedBeforeTheNext(t *testing.T) {
	t.Parallel()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var r reclaimer
	r.use()()
	if r.left != 1 || r.hashed <= 0 {
		t.Fatalf("after one hash %d are left, which took %s", r.left, r.hashed)
	}
	r.hashed = time.Minute
	r.use()
	runtime.ReadMemStats(&after)
	if r.left != 0 || after.NumForcedGC == before.NumForcedGC {
		t.Errorf("before the next hash nothing was collected: %d are left", r.left)
	}
}

func TestCollectionsTakeNoMoreThanTheirShare(t *testing.T) {
	t.Parallel()
	r := reclaimer{left: 1, hashed: time.Second, collected: time.Second}
	r.use()
	if r.left != 1 {
		t.Error("memory was collected although collecting had taken as long as hashing")
	}
}

func TestHashesAreGivenLargePagesWhereTheSystemHasThem(t *testing.T) {
	t.Parallel()
	var r reclaimer
	r.prepare(2, 8<<20)
	_, missing := os.Stat("/sys/kernel/mm/transparent_hugepage/enabled")
	maps, _ := os.ReadFile("/proc/self/smaps")
	asked := regexp.MustCompile(`(?m)^VmFlags:.* hg\b`).Match(maps)
	if has := missing == nil; asked != has {
		t.Errorf("memory on large pages: the system has them: %t, they were asked for: %t", has, asked)
	}
}
