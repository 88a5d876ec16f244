package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Verify reads every message that others may read, too, and says in plain words
// what is missing. A server that lost part of its store comes up healthy by its
// own word and answers from what is left. What shows it: a sequence of INTAKE or
// AUDIT that is not there or cannot be read, the newest message of a bucket that
// is not, fewer messages than the stream counts, and an end before the one that
// was remembered ([Reach]). Gaps that were
// accepted, and those of an erasure once they are, are not told again.
//
// With replicas it reads one server's copy of each stream, the one that the
// broker puts the reader on, which need not be the leader's. It needs the admin
// identity and reads some hundred thousand messages a second.
func Verify(ctx context.Context, js jetstream.JetStream) ([]string, error) {
	var out []string
	for _, name := range reaching {
		s, err := scan(ctx, js, name)
		if err != nil {
			return out, err
		}
		known, _, err := readReached(ctx, js, name)
		if err != nil {
			return out, err
		}
		if s.last < known.Last {
			out = append(out, known.lost(name, s.last))
		}
		if n, from, to := s.unknown(known.Missing); n > 0 {
			out = append(out, fmt.Sprintf("stream %s: %d messages are missing between %d and %d", name, n, from, to))
		}
		if s.unreadable > 0 {
			out = append(out, fmt.Sprintf("stream %s: %d of %d messages cannot be read", name, s.unreadable, s.messages))
		}
	}
	return out, nil
}

// scanned is what reading a whole stream found.
type scanned struct {
	last, messages uint64
	unreadable     int         // of a stream with gaps of its own
	missing        [][2]uint64 // of a dense one: from, to
}

// scan reads a stream from its first message to the one that is its last now.
func scan(ctx context.Context, js jetstream.JetStream, name string) (scanned, error) {
	st, err := js.Stream(ctx, name)
	if err != nil {
		return scanned{}, broken("stream "+name, err)
	}
	state := st.CachedInfo().State
	out := scanned{last: state.LastSeq, messages: state.Msgs}
	if state.Msgs == 0 {
		return out, nil
	}
	var read uint64
	next := state.FirstSeq
	miss := func(until uint64) {
		if next < until {
			out.missing = append(out.missing, [2]uint64{next, until - 1})
		}
	}
	bodies := name == Audit || name == Dead
	err = each(ctx, js, name, jetstream.OrderedConsumerConfig{HeadersOnly: !bodies}, false, func(m jetstream.Msg) error {
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		// The broker's checksum does not cover where a subject ends and the body
		// begins; one with headers would not pass.
		if bodies && len(m.Headers()) == 0 && !json.Valid(m.Data()) {
			return nil
		}
		read++
		if seq := meta.Sequence.Stream; seq <= state.LastSeq {
			miss(seq)
			next = seq + 1
		}
		return nil
	})
	if err != nil {
		return out, err
	}
	if !slices.Contains(dense, name) {
		out.missing, out.unreadable = nil, int(max(state.Msgs, read)-read)
		if strings.HasPrefix(name, bucketStream("")) { // whose newest message nothing replaces
			miss(state.LastSeq + 1)
		}
		return out, nil
	}
	miss(state.LastSeq + 1)
	now, err := st.Info(ctx) // what became too old meanwhile is not missing
	if err != nil {
		return out, broken("stream "+name, err)
	}
	out.missing = from(now.State.FirstSeq, out.missing)
	return out, nil
}

// from leaves of the ranges what is not before first.
func from(first uint64, ranges [][2]uint64) (out [][2]uint64) {
	for _, r := range ranges {
		if r[1] >= first {
			out = append(out, [2]uint64{max(r[0], first), r[1]})
		}
	}
	return out
}

// unknown counts what is missing and was not accepted, and says where.
func (s scanned) unknown(accepted [][2]uint64) (n, first, last uint64) {
	for _, r := range s.missing {
		for seq := r[0]; seq <= r[1]; seq++ {
			if slices.ContainsFunc(accepted, func(a [2]uint64) bool { return a[0] <= seq && seq <= a[1] }) {
				continue
			}
			if n == 0 {
				first = seq
			}
			n, last = n+1, seq
		}
	}
	return n, first, last
}

// SyncAlways asks the server's monitoring address ("http://127.0.0.1:8222")
// whether it acknowledges only what the disk has. The client connection cannot
// tell.
func SyncAlways(ctx context.Context, monitoring string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, monitoring+"/varz", nil)
	if err != nil {
		return false, fmt.Errorf("broker monitoring: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, fmt.Errorf("broker monitoring: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	var varz struct {
		JetStream struct {
			Config *struct {
				SyncAlways bool `json:"sync_always"`
			} `json:"config"`
		} `json:"jetstream"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&varz); err != nil {
		return false, fmt.Errorf("broker monitoring: %w", err)
	}
	if varz.JetStream.Config == nil {
		return false, fmt.Errorf("broker monitoring: the server has no JetStream")
	}
	return varz.JetStream.Config.SyncAlways, nil
}
