package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Verify looks for gaps in the streams of record, INTAKE and AUDIT, and says in
// plain words what it finds. A server that lost part of its store comes up
// healthy by its own word and answers from what is left; the gap shows in the
// numbers only. Where messages were deleted on purpose (an erasure), the gap is
// theirs. With replicas, run it against each as the leader.
func Verify(ctx context.Context, js jetstream.JetStream) ([]string, error) {
	var out []string
	for _, name := range []string{Intake, Audit} {
		st, err := js.Stream(ctx, name)
		if err != nil {
			return out, broken("stream "+name, err)
		}
		s := st.CachedInfo().State
		if s.NumDeleted > 0 {
			out = append(out, fmt.Sprintf("stream %s: %d messages are missing between %d and %d", name, s.NumDeleted, s.FirstSeq, s.LastSeq))
		} else if s.Msgs > 0 && s.Msgs != s.LastSeq-s.FirstSeq+1 {
			out = append(out, fmt.Sprintf("stream %s: holds %d messages between %d and %d, should be %d",
				name, s.Msgs, s.FirstSeq, s.LastSeq, s.LastSeq-s.FirstSeq+1))
		}
	}
	return out, nil
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
