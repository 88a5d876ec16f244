package breach

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// state is what a build needs to go on: where it is in the corpus and in the
// file. It is written after what it speaks of is on disk.
type state struct {
	Corpus   string    // absolute path
	Size     int64     // of the file; 0 for a folder
	Modified time.Time // of the file; zero for a folder
	MinCount uint32

	Done  int64  // bytes of the file, or range files, that are read
	Lines uint64 // read
	Seen  int    // prefixes that the corpus has
	Read  uint64 // the last key read: 52 bits of the hash
	Last  uint64 // the last key written
	Next  uint32 // the first prefix without an offset
	Count uint64 // hashes written
	CRC   uint32 // of the tails written
}

// writer writes an index from keys in rising order.
type writer struct {
	state
	build   *Build
	every   uint64
	saved   uint64 // lines at the last checkpoint
	written uint32 // offsets on disk
	resumed bool
	total   int64
	file    *os.File
	tails   *bufio.Writer
	offsets []byte
	scratch []byte // tails not yet in CRC
}

func newWriter(b *Build, corpus os.FileInfo) (*writer, error) {
	path, err := filepath.Abs(b.From)
	if err != nil {
		return nil, err
	}
	w := &writer{build: b, every: b.CheckEvery, total: prefixes, offsets: make([]byte, offsetsSize)}
	if w.every == 0 {
		w.every = 1 << 24
	}
	want := state{Corpus: path, MinCount: max(b.MinCount, 1)}
	if !corpus.IsDir() {
		want.Size, want.Modified = corpus.Size(), corpus.ModTime().UTC()
		w.total = corpus.Size()
	}
	if w.file, err = os.OpenFile(b.To+".partial", os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	if err := w.resume(want); err != nil {
		return nil, errors.Join(err, w.file.Close())
	}
	w.tails = bufio.NewWriterSize(w.file, 1<<20)
	w.saved, w.written = w.Lines, w.Next
	return w, nil
}

// resume goes on with an earlier run over the same corpus, or starts anew.
func (w *writer) resume(want state) error {
	b, err := os.ReadFile(w.build.To + ".state")
	if err == nil {
		err = json.Unmarshal(b, &w.state)
	}
	s := w.state
	same := err == nil && s.Corpus == want.Corpus && s.Size == want.Size && s.Modified.Equal(want.Modified) && s.MinCount == want.MinCount
	if same {
		_, err = w.file.ReadAt(w.offsets[:int64(s.Next)*8], headerSize)
		info, statErr := w.file.Stat()
		same = err == nil && statErr == nil && info.Size() >= w.end()
	}
	if !same {
		w.state = want
		clear(w.offsets)
		if err := os.Remove(w.build.To + ".state"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	w.resumed = same
	if err := w.file.Truncate(w.end()); err != nil {
		return err
	}
	_, err = w.file.Seek(w.end(), 0)
	return err
}

func (w *writer) end() int64 { return tailsStart + int64(w.Count)*tailSize }

func (w *writer) progress() Progress {
	return Progress{Done: w.Done, Total: w.total, Lines: w.Lines, Hashes: w.Count, Resumed: w.resumed}
}

// see notes that the corpus has the prefix of key.
func (w *writer) see(key uint64) {
	if w.Seen == 0 || key>>32 != w.Read>>32 {
		w.Seen++
	}
	w.Read = key
}

// add writes a key that is not below the last one; a repeat is written once.
func (w *writer) add(key uint64) error {
	if w.Count > 0 && key == w.Last {
		return nil
	}
	w.fill(uint32(key >> 32))
	w.scratch = binary.BigEndian.AppendUint32(w.scratch, uint32(key))
	w.Count++
	w.Last = key
	if len(w.scratch) >= 1<<15 {
		return w.flush()
	}
	return nil
}

// fill sets the offsets up to and with a prefix.
func (w *writer) fill(prefix uint32) {
	for ; w.Next <= prefix; w.Next++ {
		binary.BigEndian.PutUint64(w.offsets[int(w.Next)*8:], w.Count)
	}
}

func (w *writer) flush() error {
	w.CRC = crc32.Update(w.CRC, castagnoli, w.scratch)
	_, err := w.tails.Write(w.scratch)
	w.scratch = w.scratch[:0]
	return err
}

// sync brings tails and offsets to disk.
func (w *writer) sync() error {
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.tails.Flush(); err != nil {
		return err
	}
	if _, err := w.file.WriteAt(w.offsets[int(w.written)*8:int(w.Next)*8], headerSize+int64(w.written)*8); err != nil {
		return err
	}
	w.written = w.Next
	return w.file.Sync()
}

// checkpoint writes the state, after everything it speaks of.
func (w *writer) checkpoint() error {
	if err := w.sync(); err != nil {
		return err
	}
	b, err := json.Marshal(w.state)
	if err != nil {
		return err
	}
	if err := replace(w.build.To+".state", b); err != nil {
		return err
	}
	w.saved = w.Lines
	if w.build.Progress != nil {
		w.build.Progress(w.progress())
	}
	return nil
}

// finish completes the file and gives it its name.
func (w *writer) finish() error {
	w.fill(prefixes)
	if err := w.sync(); err != nil {
		return err
	}
	head := append(make([]byte, 0, headerSize), magic...)
	head = binary.BigEndian.AppendUint64(head, w.Count)
	head = binary.BigEndian.AppendUint32(head, w.MinCount)
	head = binary.BigEndian.AppendUint32(head, crc32.Checksum(w.offsets, castagnoli))
	head = binary.BigEndian.AppendUint32(head, w.CRC)
	head = binary.BigEndian.AppendUint32(head, crc32.Checksum(head, castagnoli))
	if _, err := w.file.WriteAt(head, 0); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil {
		return err
	}
	if err := os.Rename(w.build.To+".partial", w.build.To); err != nil {
		return err
	}
	if err := syncFolder(w.build.To); err != nil {
		return err
	}
	if w.build.Progress != nil {
		w.build.Progress(w.progress())
	}
	if err := os.Remove(w.build.To + ".state"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// replace writes a file so that it is there whole or as it was.
func replace(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncFolder(path)
}

func syncFolder(of string) error {
	d, err := os.Open(filepath.Dir(of))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
