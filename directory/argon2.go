package directory

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"usn.no/matricula/account"
)

// Argon2 are the costs of argon2id.
type Argon2 struct {
	Memory  uint32 // KiB
	Time    uint32 // passes
	Threads uint8
}

// DefaultArgon2 is one of OWASP's choices of equal strength, 19 MiB and two
// passes: about 25 ms of one core.
func DefaultArgon2() Argon2 { return Argon2{Memory: 19456, Time: 2, Threads: 1} }

func (p Argon2) orDefault() Argon2 {
	if p == (Argon2{}) {
		return DefaultArgon2()
	}
	return p
}

// The bounds of what a hash may cost, ours or one that stands in an entry.
func (p Argon2) check() error {
	p = p.orDefault()
	if p.Time < 1 || p.Time > 64 || p.Threads < 1 || p.Memory < 8*uint32(p.Threads) || p.Memory > 1<<20 {
		return invalid("argon2 costs")
	}
	return nil
}

// longest password in bytes. The rules allow less; this bounds the work.
const longest = 4096

const scheme = "{ARGON2}"

// Hasher makes and tries password hashes, no more at a time than it has slots.
type Hasher struct {
	argon2 Argon2
	slots  slots
	memory reclaimer
}

// NewHasher makes a Hasher. Zero costs are DefaultArgon2, zero slots as many
// as Go uses cores.
func NewHasher(p Argon2, n int) *Hasher { return &Hasher{argon2: p.orDefault(), slots: newSlots(n)} }

// slots bound how many do something at a time, and how long anybody waits for it.
type slots struct {
	free    chan struct{}
	waiting *atomic.Int64
	took    *atomic.Int64 // nanoseconds that a slot was held, lately
	noticed chan struct{} // somebody waits for longer than waitNoticed
}

// Whoever would wait longer than waitMost for a slot is told so at once, which is
// better than after as long as a browser waits. From waitFull on the portal lets
// nobody else begin: those between the door and the button are still to come. From
// waitNoticed on others who use the same machines had better hold back.
const (
	waitMost    = 2 * time.Second
	waitFull    = waitMost / 4
	waitNoticed = waitFull / 5
)

func newSlots(n int) slots {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	s := slots{make(chan struct{}, n), new(atomic.Int64), new(atomic.Int64), make(chan struct{}, 1)}
	s.took.Store(int64(25 * time.Millisecond))
	return s
}

// take waits for a slot until ctx ends, or not at all where that would be long:
// then it is ErrBusy. give gives it back.
func (s slots) take(ctx context.Context) (give func(), err error) {
	select {
	case s.free <- struct{}{}:
		return s.taken(), nil
	default:
	}
	defer s.waiting.Add(-1)
	n := s.waiting.Add(1)
	wait := s.wait(n)
	if wait >= waitNoticed {
		s.notice()
	}
	if n > int64(cap(s.free)) && wait > waitMost {
		return nil, account.ErrBusy
	}
	select {
	case s.free <- struct{}{}:
		return s.taken(), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", account.ErrBusy, ctx.Err())
	}
}

func (s slots) taken() (give func()) {
	began := time.Now()
	return func() {
		<-s.free
		last, now := s.took.Load(), min(time.Since(began), waitMost) // more is a process that stood still
		s.took.Store(last + (int64(now)-last)/8)                     // of two at once one may be lost: it is a mean
	}
}

// wait is how long the n-th in the queue waits.
func (s slots) wait(n int64) time.Duration {
	return time.Duration(n * s.took.Load() / int64(cap(s.free)))
}

func (s slots) notice() {
	select {
	case s.noticed <- struct{}{}:
	default: // it stands there already
	}
}

func (s slots) crowded() bool { return s.wait(s.waiting.Load()) >= waitFull }

// Crowded tells whether so many wait for a hash that nobody else should be led
// up to one: those who wait go first.
func (h *Hasher) Crowded() bool { return h.slots.crowded() }

// Waits has something to receive when somebody has had to wait noticeably for a
// hash since it was last received from, long before it is crowded. It has one
// receiver.
func (h *Hasher) Waits() <-chan struct{} { return h.slots.noticed }

// composed is the password as it is hashed and sent: one form for what
// keyboards spell in two.
func composed(password string) (string, bool) {
	if password == "" || len(password) > longest || !utf8.ValidString(password) {
		return "", false
	}
	return norm.NFC.String(password), true
}

// Matches tells whether hash was made of the password. A hash of another
// scheme matches nothing.
//
// Errors: account.ErrBusy.
func (h *Hasher) Matches(ctx context.Context, hash, password string) (bool, error) {
	p, ok := composed(password)
	if !ok {
		return false, nil
	}
	give, err := h.slots.take(ctx)
	if err != nil {
		return false, err
	}
	defer give()
	return h.matches(hash, p), nil
}

// key is argon2id; the caller has a slot.
func (h *Hasher) key(composed string, salt []byte, p Argon2, length uint32) []byte {
	h.memory.prepare(cap(h.slots.free)+2, int(h.argon2.Memory)<<10)
	done := h.memory.use()
	defer done()
	return argon2.IDKey([]byte(composed), salt, p.Time, p.Memory, p.Threads, length)
}

// hash is in the form that OpenLDAP's argon2 module verifies.
func (h *Hasher) hash(composed string) string {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	p := h.argon2
	sum := h.key(composed, salt, p, 32)
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("%s$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", scheme, argon2.Version, p.Memory, p.Time, p.Threads, b64(salt), b64(sum))
}

func (h *Hasher) matches(hash, composed string) bool {
	part := strings.Split(strings.TrimPrefix(hash, scheme), "$")
	if !strings.HasPrefix(hash, scheme) || len(part) != 6 || part[1] != "argon2id" || part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return false
	}
	var p Argon2
	if _, err := fmt.Sscanf(part[3], "m=%d,t=%d,p=%d", &p.Memory, &p.Time, &p.Threads); err != nil || p.check() != nil {
		return false
	}
	salt, err := base64.RawStdEncoding.DecodeString(part[4])
	if err != nil {
		return false
	}
	want, err := base64.RawStdEncoding.DecodeString(part[5])
	if err != nil || len(want) < 16 || len(want) > 128 {
		return false
	}
	got := h.key(composed, salt, p, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}
