package breach

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Build makes an index file from a corpus of SHA-1 sums, streaming: it needs
// 8 MB of memory and 4 bytes of disk a hash. It writes To + ".partial" and
// To + ".state" and renames at the end, so that To is always whole. Started
// again after an interruption, with the same corpus, it goes on where it was.
type Build struct {
	// From is the corpus: one file of "<40 hex>:<count>" lines ordered by hash,
	// or a folder of range files ("0A1B2.txt" with "<35 hex>:<count>" lines).
	From string
	To   string
	// MinCount leaves out what was seen less often; zero: 1. Lines of count 0
	// are padding and never kept.
	MinCount uint32
	// Partial takes a corpus that lacks some of the 2^20 prefixes. Without it a
	// missing one is an error, as a password in it would be taken for unknown.
	Partial bool
	// Progress, optional, is called about every CheckEvery and at the end.
	Progress func(Progress)
	// CheckEvery is how many lines lie between two checkpoints; zero: 2^24.
	CheckEvery uint64
}

// Progress is how far a build is.
type Progress struct {
	Done, Total int64  // bytes of the file, or range files of the folder
	Lines       uint64 // read, in all runs
	Hashes      uint64 // kept
	Resumed     bool   // this run went on with an earlier one
}

// Run builds the index and answers what is in it. An error names the file and
// line that is wrong; what was built before stays for the next Run.
func (b *Build) Run(ctx context.Context) (Progress, error) {
	p, err := b.run(ctx)
	if err != nil {
		return p, fmt.Errorf("breach index: %w", err)
	}
	return p, nil
}

func (b *Build) run(ctx context.Context) (Progress, error) {
	info, err := os.Stat(b.From)
	if err != nil {
		return Progress{}, err
	}
	w, err := newWriter(b, info)
	if err != nil {
		return Progress{}, err
	}
	read := w.readFile
	if info.IsDir() {
		read = w.readFolder
	}
	err = read(ctx)
	switch {
	case err != nil: // keep what is done
		err = errors.Join(err, w.checkpoint())
	case w.Seen < prefixes && !b.Partial:
		err = fmt.Errorf("%s lacks %d of the %d prefixes, so it is cut or not yet loaded: load it again", b.From, prefixes-w.Seen, prefixes)
	default:
		err = w.finish()
	}
	return w.progress(), errors.Join(err, w.file.Close())
}

// readFile reads one file that is ordered by hash.
func (w *writer) readFile(ctx context.Context) error {
	f, err := os.Open(w.build.From)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	if _, err := f.Seek(w.Done, io.SeekStart); err != nil {
		return err
	}
	r := bufio.NewReaderSize(f, 1<<20)
	for {
		raw, err := r.ReadSlice('\n')
		if err == io.EOF && len(raw) == 0 {
			return nil
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("%s line %d: %w", w.build.From, w.Lines+1, err)
		}
		if err := w.fileLine(raw); err != nil {
			return fmt.Errorf("%s line %d: %w", w.build.From, w.Lines+1, err)
		}
		w.Done += int64(len(raw))
		if w.Lines++; w.Lines%w.every == 0 {
			if err := w.checkpoint(); err != nil {
				return err
			}
		}
		if w.Lines%(1<<14) == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

func (w *writer) fileLine(raw []byte) error {
	l, err := parseLine(bytes.TrimSuffix(raw, []byte{'\n'}), 40)
	if err != nil || l.count == 0 {
		return err
	}
	key := value(l.digits[:13])
	if key < w.Read {
		return errors.New("is out of order: take the corpus ordered by hash")
	}
	w.see(key)
	if l.count >= uint64(w.MinCount) {
		return w.add(key)
	}
	return nil
}

// readFolder reads a folder of range files, one a prefix, in order.
func (w *writer) readFolder(ctx context.Context) error {
	folder, err := listFolder(w.build.From)
	if err != nil {
		return err
	}
	if first, n := folder.missing(); n > 0 && !w.build.Partial {
		return fmt.Errorf("%s is missing, and %d more: load them, then start again", first, n-1)
	}
	for int(w.Done) < prefixes {
		if folder.has[w.Done] {
			if err := w.readRange(folder.path(int(w.Done))); err != nil {
				return err
			}
		}
		w.Done++
		if w.Lines-w.saved >= w.every || w.Done%(1<<18) == 0 {
			if err := w.checkpoint(); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// readRange reads the file of the prefix w.Done, whole or not at all. Padding
// may stand anywhere, so the file need not be in order.
func (w *writer) readRange(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var keys []uint64
	lines, seen := w.Lines, false
	for n := 1; len(b) > 0; n++ {
		raw, rest, _ := bytes.Cut(b, []byte{'\n'})
		b = rest
		l, err := parseLine(raw, 35)
		if err != nil {
			return fmt.Errorf("%s line %d: %w", path, n, err)
		}
		lines++
		seen = seen || l.count > 0
		if l.count > 0 && l.count >= uint64(w.MinCount) {
			keys = append(keys, uint64(w.Done)<<32|value(l.digits[:8]))
		}
	}
	if seen {
		w.see(uint64(w.Done) << 32)
	}
	w.Lines = lines
	slices.Sort(keys)
	for _, k := range keys {
		if err := w.add(k); err != nil {
			return err
		}
	}
	return nil
}
