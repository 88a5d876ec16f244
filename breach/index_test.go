package breach_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"usn.no/matricula/breach"
)

type entry struct {
	sum   [sha1.Size]byte
	count int
}

// corpus writes entries as the downloadable file has them.
func corpus(entries []entry) string {
	slices.SortFunc(entries, func(a, b entry) int { return bytes.Compare(a.sum[:], b.sum[:]) })
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%X:%d\r\n", e.sum, e.count)
	}
	return b.String()
}

func some(n int) (entries []entry) {
	for i := range n {
		entries = append(entries, entry{sha1.Sum(binary.BigEndian.AppendUint64(nil, uint64(i))), i % 5})
	}
	return entries
}

func write(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "corpus.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t testing.TB, path string) *breach.Index {
	t.Helper()
	x, err := breach.OpenIndex(path)
	if err != nil {
		t.Fatalf("index just built does not open: %v", err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

func build(t testing.TB, text string) *breach.Index {
	t.Helper()
	to := filepath.Join(t.TempDir(), "pwned.idx")
	if _, err := (&breach.Build{From: write(t, text), To: to, Partial: true}).Run(t.Context()); err != nil {
		t.Fatalf("build: %v", err)
	}
	return open(t, to)
}

func listed(t testing.TB, x *breach.Index, sum [sha1.Size]byte) bool {
	t.Helper()
	n, err := x.Count(t.Context(), sum)
	if err != nil || n != 0 && n != -1 {
		t.Fatalf("count answers %d, %v", n, err)
	}
	return n == -1
}

func TestIndexHoldsTheCorpusAndNothingElse(t *testing.T) {
	t.Parallel()
	entries := some(5000)
	x := build(t, corpus(slices.Clone(entries)))
	kept := uint64(0)
	for _, e := range entries {
		if got, want := listed(t, x, e.sum), e.count > 0; got != want {
			t.Fatalf("an entry of count %d is listed: %v", e.count, got)
		}
		if e.count > 0 {
			kept++
		}
	}
	if x.Len() != kept || x.MinCount() != 1 {
		t.Errorf("index says %d hashes from count %d, want %d from 1", x.Len(), x.MinCount(), kept)
	}
	for i := range 5000 {
		if listed(t, x, sha1.Sum(fmt.Append(nil, "unseen", i))) {
			t.Fatal("a password that is not in the corpus is listed")
		}
	}
	if err := x.Verify(t.Context()); err != nil {
		t.Errorf("verify: %v", err)
	}
}

func TestIndexHoldsTheEdgesOfItsBuckets(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2) {
		draw := rand.New(rand.NewPCG(seed, 0))
		var entries []entry
		want := map[[sha1.Size]byte]bool{}
		for _, prefix := range []uint64{0, 1, 2, 1<<19 - 1, 1 << 19, 1<<20 - 2, 1<<20 - 1} {
			for _, tail := range []uint64{0, 1, 12345, 1<<32 - 1} {
				var e entry
				binary.BigEndian.PutUint64(e.sum[:], prefix<<44|tail<<12)
				want[e.sum] = false
				if draw.IntN(3) > 0 {
					e.count = draw.IntN(3)
					want[e.sum] = e.count > 0
					entries = append(entries, e)
				}
			}
		}
		x := build(t, corpus(entries))
		for sum, want := range want {
			if got := listed(t, x, sum); got != want {
				t.Fatalf("seed %d: %X is listed: %v, want %v", seed, sum[:8], got, want)
			}
		}
	}
}

func TestMinCountLeavesOutTheRare(t *testing.T) {
	t.Parallel()
	entries := some(1000)
	to := filepath.Join(t.TempDir(), "pwned.idx")
	if _, err := (&breach.Build{From: write(t, corpus(slices.Clone(entries))), To: to, MinCount: 3, Partial: true}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	x := open(t, to)
	for _, e := range entries {
		if got, want := listed(t, x, e.sum), e.count >= 3; got != want {
			t.Fatalf("an entry of count %d is listed: %v", e.count, got)
		}
	}
}

func TestMalformedCorpusIsRefusedWithItsLine(t *testing.T) {
	t.Parallel()
	good := corpus(some(3))
	for why, row := range map[string]struct{ text, want string }{
		"NTLM hashes":   {good + strings.Repeat("F", 32) + ":1\n", "line 4: hash of 32 digits is NTLM"},
		"no colon":      {good + strings.Repeat("F", 40) + "\n", "line 4: no colon"},
		"out of order":  {good + strings.Repeat("0", 40) + ":1\n", "line 4: is out of order"},
		"short hash":    {good + strings.Repeat("F", 39) + ":1\n", "line 4: hash has 39 digits"},
		"not hex":       {good + strings.Repeat("G", 40) + ":1\n", "line 4: something other than hex"},
		"no count":      {good + strings.Repeat("F", 40) + ":\n", "line 4: count is missing"},
		"count is text": {good + strings.Repeat("F", 40) + ":1e9\n", "line 4: count is no number"},
		"huge count":    {good + strings.Repeat("F", 40) + ":99999999999999999999999\n", "line 4: count is no number"},
		"empty line":    {good + "\n" + strings.Repeat("F", 40) + ":1\n", "line 4: no colon"},
		"too long":      {good + strings.Repeat("F", 2<<20), "line 4"},
		"incomplete":    {good, "lacks 1048574 of the 1048576 prefixes"},
		"empty":         {"", "lacks 1048576"},
	} {
		to := filepath.Join(t.TempDir(), "pwned.idx")
		_, err := (&breach.Build{From: write(t, row.text), To: to}).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: answers %v, want %q", why, err, row.want)
		}
		if _, err := os.Stat(to); err == nil {
			t.Errorf("%s: leaves an index behind", why)
		}
		if _, err := breach.OpenIndex(to + ".partial"); err == nil {
			t.Errorf("%s: the unfinished index opens", why)
		}
	}
}

func TestInterruptedBuildGoesOnAndEndsTheSame(t *testing.T) {
	t.Parallel()
	text := corpus(some(40000))
	from := write(t, text)
	whole := filepath.Join(t.TempDir(), "whole.idx")
	if _, err := (&breach.Build{From: from, To: whole, Partial: true}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "pwned.idx")
	var last breach.Progress
	runs := 0
	for ; runs < 20; runs++ {
		ctx, cancel := context.WithCancel(t.Context())
		b := &breach.Build{From: from, To: to, Partial: true, CheckEvery: 16384, Progress: func(p breach.Progress) { cancel() }}
		p, err := b.Run(ctx)
		cancel()
		if p.Resumed != (runs > 0) || p.Lines < last.Lines || p.Done < last.Done {
			t.Fatalf("run %d is at %+v after %+v", runs, p, last)
		}
		if last = p; err == nil {
			break
		}
	}
	if runs < 2 || last.Lines != 40000 || last.Done != last.Total {
		t.Fatalf("after %d runs the build is at %+v", runs, last)
	}
	a, errA := os.ReadFile(whole)
	b, errB := os.ReadFile(to)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("the index built in %d runs differs from the one built at once (%v, %v)", runs+1, errA, errB)
	}
	left, _ := filepath.Glob(to + ".*")
	if len(left) > 0 {
		t.Errorf("the finished build leaves %v", left)
	}
}

func TestBuildStartsAnewWhenTheCorpusChanged(t *testing.T) {
	t.Parallel()
	from := write(t, corpus(some(20000))+"broken")
	to := filepath.Join(t.TempDir(), "pwned.idx")
	b := &breach.Build{From: from, To: to, Partial: true, CheckEvery: 1000}
	if _, err := b.Run(t.Context()); err == nil {
		t.Fatal("a broken line is accepted")
	}
	if err := os.WriteFile(from, []byte(corpus(some(300))), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := b.Run(t.Context())
	if err != nil || p.Resumed || p.Lines != 300 {
		t.Fatalf("over a new corpus the build says %+v, %v", p, err)
	}
	if x := open(t, to); x.Len() != 240 {
		t.Errorf("index holds %d hashes, want those of the new corpus", x.Len())
	}
}

// folder writes a corpus as range files, each line before the ones below it.
func folder(t *testing.T, text, name string) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string]string{}
	for l := range strings.Lines(text) {
		files[l[:5]] = l[5:] + files[l[:5]]
	}
	for prefix, lines := range files {
		path := filepath.Join(dir, fmt.Sprintf(name, prefix))
		if err := os.WriteFile(path, []byte(strings.TrimSuffix(lines, "\r\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFolderOfRangesBuildsTheSameIndex(t *testing.T) {
	t.Parallel()
	text := corpus(some(2000))
	whole := filepath.Join(t.TempDir(), "whole.idx")
	if _, err := (&breach.Build{From: write(t, text), To: whole, Partial: true}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"%s.txt", "%s"} {
		to := filepath.Join(t.TempDir(), "pwned.idx")
		b := &breach.Build{From: folder(t, text, name), To: to}
		if _, err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "00000") {
			t.Errorf("a folder without prefix 00000 answers %v", err)
		}
		b.Partial, b.CheckEvery = true, 700
		var p breach.Progress
		for range 20 { // each run is stopped at its first checkpoint
			ctx, cancel := context.WithCancel(t.Context())
			b.Progress = func(breach.Progress) { cancel() }
			p, err = b.Run(ctx)
			if cancel(); err == nil {
				break
			}
		}
		if err != nil || !p.Resumed || p.Lines != 2000 || p.Done != 1<<20 {
			t.Fatalf("folder build says %+v, %v", p, err)
		}
		if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, want) {
			t.Errorf("the index of the folder %s differs from that of the file (%v)", name, err)
		}
	}
}

func TestBadRangeFileIsNamed(t *testing.T) {
	t.Parallel()
	dir := folder(t, corpus(some(20)), "%s.txt")
	path := filepath.Join(dir, "ABCDE.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("0", 35)+":1\n"+strings.Repeat("0", 27)+":1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &breach.Build{From: dir, To: filepath.Join(t.TempDir(), "x"), Partial: true}
	if _, err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "ABCDE.txt line 2: hash of 27 digits is NTLM") {
		t.Errorf("a range file of NTLM hashes answers %v", err)
	}
}

func TestEmptyFolderIsRefused(t *testing.T) {
	t.Parallel()
	b := &breach.Build{From: t.TempDir(), To: filepath.Join(t.TempDir(), "x"), Partial: true}
	if _, err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "holds no range file") {
		t.Errorf("an empty folder answers %v", err)
	}
}

func TestDamagedIndexIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pwned.idx")
	if _, err := (&breach.Build{From: write(t, corpus(some(5000))), To: path, Partial: true}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for why, damage := range map[string]func([]byte) []byte{
		"cut":             func(b []byte) []byte { return b[:len(b)-4] },
		"grown":           func(b []byte) []byte { return append(b, 0, 0, 0, 0) },
		"empty":           func([]byte) []byte { return nil },
		"another magic":   func(b []byte) []byte { b[0] ^= 1; return b },
		"another count":   func(b []byte) []byte { b[15] ^= 1; return b },
		"another header":  func(b []byte) []byte { b[19] ^= 1; return b },
		"offset too far":  func(b []byte) []byte { b[32+8*1000] = 0xff; return b },
		"offset off by 1": func(b []byte) []byte { b[32+8*1000+7] ^= 1; return b },
	} {
		bad := filepath.Join(t.TempDir(), "bad.idx")
		if err := os.WriteFile(bad, damage(bytes.Clone(good)), 0o600); err != nil {
			t.Fatal(err)
		}
		if x, err := breach.OpenIndex(bad); err == nil {
			_ = x.Close()
			t.Errorf("%s: the index opens", why)
		}
	}
	bad := filepath.Join(t.TempDir(), "tail.idx")
	good[len(good)-1] ^= 1
	if err := os.WriteFile(bad, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, bad).Verify(t.Context()); err == nil {
		t.Error("a changed hash passes Verify")
	}
}

func BenchmarkIndexCount(b *testing.B) {
	x := build(b, corpus(some(200000)))
	var sum [sha1.Size]byte
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		binary.BigEndian.PutUint64(sum[:], i*0x9E3779B97F4A7C15)
		if _, err := x.Count(b.Context(), sum); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	text := corpus(some(500000))
	from, to := write(b, text), filepath.Join(b.TempDir(), "pwned.idx")
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, err := (&breach.Build{From: from, To: to, Partial: true}).Run(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*500000/b.Elapsed().Seconds(), "lines/s")
}
