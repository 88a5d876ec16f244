package breach

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sort"
	"sync"
)

// The index file: a header, 2^20 + 1 offsets, and for each hash of the corpus
// the 4 bytes that follow its first 20 bits, sorted. A lookup reads two offsets
// and one bucket. 52 bits of each hash are kept: with 2·10^9 hashes a password
// that is not among them is taken for one with a chance of 5·10^-7.
//
//	0   8   magic "MTRBRCH1"
//	8   8   number of hashes
//	16  4   least count that was kept
//	20  4   CRC-32C of the offsets
//	24  4   CRC-32C of the tails
//	28  4   CRC-32C of bytes 0-27
//	32      offsets, 8 bytes each, in hashes: offset[p] is where bucket p begins
//	then    tails, 4 bytes each
//
// All numbers are big endian.
const (
	magic       = "MTRBRCH1"
	headerSize  = 32
	prefixes    = 1 << 20
	offsetsSize = (prefixes + 1) * 8
	tailsStart  = headerSize + offsetsSize
	tailSize    = 4
	// largestBucket bounds what one lookup reads. A corpus of 2·10^9 fills
	// about 1,900.
	largestBucket = 1 << 18
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Index is a whole corpus of breached passwords in a local file. It keeps
// nothing of the file in memory. It is safe for use by several goroutines.
type Index struct {
	file     *os.File
	count    uint64
	minCount uint32
	tailsCRC uint32
	buffers  sync.Pool
}

// OpenIndex opens an index that Build made. It reads the offsets (8 MB) and
// refuses a file that is cut, unfinished or changed; Verify reads the rest.
func OpenIndex(path string) (*Index, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("breach index: %w", err)
	}
	x := &Index{file: f}
	if err := x.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("breach index %s: %w", path, err), f.Close())
	}
	return x, nil
}

func (x *Index) open() error {
	head := make([]byte, headerSize)
	if _, err := x.file.ReadAt(head, 0); err != nil || string(head[:8]) != magic {
		return errors.New("is no finished index: build it again")
	}
	if crc32.Checksum(head[:28], castagnoli) != binary.BigEndian.Uint32(head[28:]) {
		return errors.New("header is damaged: build it again")
	}
	x.count = binary.BigEndian.Uint64(head[8:])
	x.minCount = binary.BigEndian.Uint32(head[16:])
	x.tailsCRC = binary.BigEndian.Uint32(head[24:])
	info, err := x.file.Stat()
	if err != nil {
		return err
	}
	if want := tailsStart + int64(x.count)*tailSize; info.Size() != want {
		return fmt.Errorf("has %d bytes, its header says %d: it is cut or grown, build it again", info.Size(), want)
	}
	return x.checkOffsets(binary.BigEndian.Uint32(head[20:]))
}

// checkOffsets sees that no bucket runs backward or past the end.
func (x *Index) checkOffsets(want uint32) error {
	r := bufio.NewReaderSize(io.NewSectionReader(x.file, headerSize, offsetsSize), 1<<16)
	var b [8]byte
	var last uint64
	crc := uint32(0)
	for p := 0; p <= prefixes; p++ {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return err
		}
		crc = crc32.Update(crc, castagnoli, b[:])
		at := binary.BigEndian.Uint64(b[:])
		if at < last || at > x.count || at-last > largestBucket {
			return fmt.Errorf("offset of prefix %05X is damaged: build it again", p)
		}
		last = at
	}
	if last != x.count || crc != want {
		return errors.New("offsets are damaged: build it again")
	}
	return nil
}

// Len is the number of hashes.
func (x *Index) Len() uint64 { return x.count }

// MinCount is how often a password must have been seen to be in the index.
func (x *Index) MinCount() uint32 { return x.minCount }

// Close closes the file.
func (x *Index) Close() error { return x.file.Close() }

// Count answers -1 when the SHA-1 sum is listed (an index holds no counts) and
// 0 when it is not. It reads two places of the file, about 8 KB.
func (x *Index) Count(_ context.Context, sum [sha1.Size]byte) (int, error) {
	prefix, tail := split(sum[:])
	var offsets [16]byte
	if _, err := x.file.ReadAt(offsets[:], headerSize+int64(prefix)*8); err != nil {
		return 0, fmt.Errorf("read offsets: %w", err)
	}
	from, to := binary.BigEndian.Uint64(offsets[:8]), binary.BigEndian.Uint64(offsets[8:])
	if from > to || to > x.count || to-from > largestBucket {
		return 0, fmt.Errorf("offset of prefix %05X is damaged", prefix)
	}
	bucket, release := x.buffer(int(to-from) * tailSize)
	defer release()
	if _, err := x.file.ReadAt(bucket, tailsStart+int64(from)*tailSize); err != nil {
		return 0, fmt.Errorf("read bucket %05X: %w", prefix, err)
	}
	n := len(bucket) / tailSize
	at := func(i int) uint32 { return binary.BigEndian.Uint32(bucket[i*tailSize:]) }
	if i := sort.Search(n, func(i int) bool { return at(i) >= tail }); i < n && at(i) == tail {
		return -1, nil
	}
	return 0, nil
}

func (x *Index) buffer(size int) (b []byte, release func()) {
	p, ok := x.buffers.Get().(*bytes.Buffer)
	if !ok {
		p = new(bytes.Buffer)
	}
	p.Reset()
	p.Grow(size)
	return p.AvailableBuffer()[:size], func() { x.buffers.Put(p) }
}

// Verify reads the whole file and compares it with its checksum: about 4 GB for
// a corpus of 10^9.
func (x *Index) Verify(ctx context.Context) error {
	r := io.NewSectionReader(x.file, tailsStart, int64(x.count)*tailSize)
	crc := uint32(0)
	buf := make([]byte, 1<<20)
	for {
		n, err := r.Read(buf)
		crc = crc32.Update(crc, castagnoli, buf[:n])
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == io.EOF && crc == x.tailsCRC:
			return nil
		case err == io.EOF:
			return errors.New("breach index: checksum differs, the file is damaged: build it again")
		case err != nil:
			return fmt.Errorf("breach index: %w", err)
		}
	}
}

// split cuts a SHA-1 sum into its first 20 bits and the 32 that follow.
func split(sum []byte) (prefix, tail uint32) {
	v := binary.BigEndian.Uint64(sum)
	return uint32(v >> 44), uint32(v >> 12)
}
