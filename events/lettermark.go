package events

import "time"

// How far a letter has come.
const (
	LetterSent    = "sent"    // the relay took it
	LetterFailed  = "failed"  // refused for good, or no longer worth sending
	LetterUnknown = "unknown" // the relay fell silent after the last line: it may have taken it
	LetterRetry   = "retry"   // refused for now
)

// LetterMark is what is known of one letter. The mailer reads it before it
// sends and writes it after, so that a message that comes again sends nothing
// again. It holds no address, name or number.
type LetterMark struct {
	State    string    `json:"state"`
	Attempts int       `json:"attempts"`           // answers of the relay so far
	Unknowns int       `json:"unknowns,omitempty"` // of these, how many were silence
	First    time.Time `json:"first"`              // first attempt: the letter's Date, and what its expiry counts from
	Last     time.Time `json:"last"`
	Next     time.Time `json:"next,omitzero"`    // retry and unknown: not before this
	Reason   string    `json:"reason,omitempty"` // failed: refused | expired | address; else why it is tried again
	Code     int       `json:"code,omitempty"`   // SMTP reply code, 0 when there was none
	Status   string    `json:"status,omitempty"` // enhanced status code, "5.1.1"
	Text     string    `json:"text,omitempty"`   // the relay's words without what could name a person
}
