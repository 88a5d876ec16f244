package events

import "time"

// DeadLetter is a message that was refused, with its reason and where it came
// from. Body is the original up to 64 KiB; beyond that it is empty and BodyHash
// (hex SHA-256) with Stream and Sequence says which message it was.
type DeadLetter struct {
	ID       string              `json:"id"` // derived from stream and sequence
	Reason   string              `json:"reason"`
	Field    string              `json:"field,omitempty"`
	Text     string              `json:"text,omitempty"`
	Attempts int                 `json:"attempts"`
	Stream   string              `json:"stream"`
	Sequence uint64              `json:"sequence"`
	Subject  string              `json:"subject"` // as the sender published it, without the partition
	Consumer string              `json:"consumer,omitempty"`
	Time     time.Time           `json:"time"` // when it was buried
	Header   map[string][]string `json:"header,omitempty"`
	Body     []byte              `json:"body,omitempty"`
	BodySize int                 `json:"body_size"`
	BodyHash string              `json:"body_hash,omitempty"`
}
