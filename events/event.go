// Package events is what crosses the wire: the CloudEvents envelope, one Go
// type per contract, strict decoding, and the verdicts a handler answers with.
// It knows no broker, no directory and no rule of the university: it says what
// a message is, never what should follow from it.
package events

import (
	"crypto/sha256"
	"encoding/base32"
	"strconv"
	"strings"
	"time"
)

// Data is the payload of one event. EventType is the CloudEvents type, for
// example "no.usn.hr.employee.registered.v1".
type Data interface{ EventType() string }

// Meta holds the CloudEvents attributes that are read.
type Meta struct {
	// ID and Source together are the identity of the event.
	ID, Source string
	// Subject is the source's own opaque key of the person (an employee or
	// student number, a username), never an identity number.
	Subject string
	// Time is when the source recorded the fact.
	Time time.Time
	// Sequence says which of two events of one source and subject is newer;
	// 0 means the source sent none.
	Sequence uint64
	// Position is the message's sequence in its stream, 0 when it came from
	// none. It orders events only where neither Sequence nor Time can.
	Position uint64
	// Received is when the broker first stored the message; it survives being
	// put aside for later. Zero when it came from no stream.
	Received time.Time
}

// Event is a payload with its attributes.
type Event struct {
	Meta
	Data Data
	// Unknown names what Decode found in data and no contract knows, at most
	// 16 names such as "employments.percentage". They are ignored and counted.
	Unknown []string
}

// Source names of the events that are made here.
const (
	SourceHR         = "urn:usn:hr"
	SourceAdmissions = "urn:usn:admissions"
	SourceIT         = "urn:usn:it"
	SourcePortal     = "urn:usn:matricula:portal"
	SourceWorker     = "urn:usn:matricula:worker"
)

const typePrefix = "no.usn."

var tokenEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// token is 26 lower-case base32 characters (130 bits) of a SHA-256 over parts.
// A length stands before each part, so that no two lists of parts collide.
func token(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = h.Write([]byte(strconv.Itoa(len(p)) + ":" + p))
	}
	return strings.ToLower(tokenEncoding.EncodeToString(h.Sum(nil)))[:26]
}

// Causes makes the event that m leads to. Its ID is a hash of m's source and
// ID, the type of d and the target (an account, an invitation, a number), so
// that handling m again makes the same event again and nothing else.
func (m Meta) Causes(d Data, target string) Event {
	return Event{
		Meta: Meta{ID: token(m.Source, m.ID, d.EventType(), target), Source: SourceWorker, Subject: target, Time: m.Time},
		Data: d,
	}
}

// Once makes an event that happens once per life or per invitation, whatever
// announced it: its ID is the name of the fact, for example
// "<account>-created". The name must be made of letters, digits, "-" and "_".
func Once(name string, at time.Time, d Data) Event {
	return Event{Meta: Meta{ID: name, Source: SourceWorker, Subject: name, Time: at}, Data: d}
}

// Key is the subject token that keeps one person's events in order: the
// CloudEvents subject where it matches [A-Za-z0-9_-]{1,64}, else the base32 of
// its SHA-256.
func Key(subject string) string {
	if isToken(subject) {
		return subject
	}
	sum := sha256.Sum256([]byte(subject))
	return strings.ToLower(tokenEncoding.EncodeToString(sum[:]))
}

func isToken(s string) bool {
	if len(s) == 0 || len(s) > 64 {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// Subject is the NATS subject an event is published on:
// "<area>.<entity>.<what>.<key>" for intake, "mail.<template>.<letter>",
// "audit.<entity>.<what>.<fact>", "wait.letter.<group>.<kind>.<account>".
func (e Event) Subject() string {
	if s, ok := e.Data.(interface{ subject(Meta) string }); ok {
		return s.subject(e.Meta)
	}
	name := strings.TrimPrefix(e.Data.EventType(), typePrefix)
	if i := strings.LastIndex(name, ".v"); i > 0 {
		name = name[:i]
	}
	return name + "." + Key(e.Meta.Subject)
}
