package events

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

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
	Account  string    `json:"account,omitempty"`  // opaque account ID: whose letter it is
	To       string    `json:"to,omitempty"`       // tells one address of a person from another, see SentTo
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

// AddressPrint tells whether two addresses of one letter's person, or of one
// account, are the same and nothing else: it is 16 bits of a hash, so that many
// of a million addresses somebody may try have the same.
func AddressPrint(of, address string) string {
	sum := sha256.Sum256([]byte(of + "\x00" + strings.ToLower(address)))
	return hex.EncodeToString(sum[:2])
}

// StoppedAddress says that an address of an account takes no letters, of those
// that were asked for up to a time. The worker writes it; the mailer, which
// sees no directory, reads it before a letter that was already on its way. It
// holds no address.
type StoppedAddress struct {
	Account string    `json:"account"`
	To      string    `json:"to"` // AddressPrint of the account
	At      time.Time `json:"at"`
}

// StopAddress stops letters to an address that were asked for up to then. A
// later letter was asked for with an address that was in use then, whatever its
// print.
func StopAddress(account, address string, at time.Time) StoppedAddress {
	return StoppedAddress{Account: account, To: AddressPrint(account, address), At: at}
}

// Stops tells whether a letter that was asked for then must not go out.
func (s StoppedAddress) Stops(account, address string, asked time.Time) bool {
	return s.To != "" && !asked.After(s.At) && s.To == AddressPrint(account, address)
}

// SentTo tells whether the letter went to this address. A mark that does not
// say counts as one that did.
func (m LetterMark) SentTo(letter, address string) bool {
	return m.To == "" || m.To == AddressPrint(letter, address)
}
