package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// PINSet brings a person's door code to the access system of one campus. The
// CloudEvents subject is the account, and the extension sequence says which of
// two codes of one account and campus is newer: an older one that comes late
// is to be ignored. Who the person is and the code itself are closed to the
// access system's key; see PINHolder.
type PINSet struct {
	Account string `json:"account"` // opaque account ID
	Campus  string `json:"campus"`  // as HR or admissions write it
	Key     string `json:"key"`     // which key it is sealed to, see SealPublicKey.Print
	// Sealed is closed with HPKE to the access system's key, bound to account,
	// campus and sequence.
	Sealed string `json:"sealed"`
}

// EventType is the one type on SECRET.
func (PINSet) EventType() string { return "no.usn.secret.pin.set.v1" }

func (p PINSet) subject(Meta) string { return PINSubject(p.Account, p.Campus) }

func (p *PINSet) check(c *checks) {
	c.key(p.Account, "account")
	c.text(&p.Campus, "campus")
	if p.Campus == "" {
		c.refuse(ReasonMalformed, "campus", "is missing; a code without a campus opens no door")
	}
	c.key(p.Key, "key")
	switch {
	case !strings.HasPrefix(p.Sealed, sealedPrefix):
		c.refuse(ReasonMalformed, "sealed", "is not sealed; no code may cross the bus readable")
	case len(p.Sealed) > maxSealedPIN:
		c.refuse(ReasonMalformed, "sealed", "is too long; is it the right field?")
	}
}

// PINSubject is where the code of an account waits for the access system of a
// campus: one message at a time, the newest.
func PINSubject(account, campus string) string {
	return "secret.pin." + CampusKey(campus) + "." + Key(account)
}

// CampusKey is a campus as a token of subjects: "Drammen" and "drammen " are
// one campus.
func CampusKey(campus string) string { return Key(strings.ToLower(strings.TrimSpace(campus))) }

// PINHolder is what a sealed code says, to the access system alone: whose it is
// in that system's own terms, and the code.
type PINHolder struct {
	PIN      string `json:"pin"`
	Username string `json:"username"`
	// Numbers are the person's own numbers in the roles at this campus, kind
	// first: "employee:104711", "student:256789".
	Numbers []string `json:"numbers"`
}

// String hides the code and the person.
func (PINHolder) String() string { return "PIN" }

// GoString hides the code and the person.
func (PINHolder) GoString() string { return "PIN" }

const (
	pinPadding   = 256  // sealed codes of nearly everybody have one length
	maxSealedPIN = 4096 // characters
)

// pinInfo binds a sealed code to whose it is, where, and when.
func pinInfo(account, campus string, sequence uint64) string {
	return "matricula pin v1|" + account + "|" + CampusKey(campus) + "|" + strconv.FormatUint(sequence, 10)
}

// SealPIN closes a code to an access system.
func SealPIN(key SealPublicKey, account, campus string, sequence uint64, h PINHolder) (string, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return "", fmt.Errorf("pin: %w", err)
	}
	text = append(text, bytes.Repeat([]byte(" "), (pinPadding-len(text)%pinPadding)%pinPadding)...)
	sealed, err := Seal(key, pinInfo(account, campus, sequence), text)
	if err == nil && len(sealed) > maxSealedPIN {
		err = errors.New("pin: the person has too many numbers for one message")
	}
	return sealed, err
}

// OpenPIN opens what SealPIN closed for this account, campus and sequence.
func OpenPIN(key SealKey, account, campus string, sequence uint64, sealed string) (PINHolder, error) {
	text, err := Open(key, pinInfo(account, campus, sequence), sealed)
	if err != nil {
		return PINHolder{}, err
	}
	var h PINHolder
	if err := json.Unmarshal(text, &h); err != nil || h.PIN == "" {
		return PINHolder{}, errors.New("sealed text holds no PIN")
	}
	return h, nil
}

// How far a PIN has come at a campus.
const (
	PINRequested = "requested" // it waits for the access system
	PINDelivered = "delivered" // the access system has it
	PINConfirmed = "confirmed" // it opens doors
	PINFailed    = "failed"    // the access system cannot read it
)

// PINMark is what is known of the newest PIN of an account at a campus. It
// holds neither the code nor who the person is.
type PINMark struct {
	Sequence uint64    `json:"sequence"` // of the event that it is about
	State    string    `json:"state"`    // requested | delivered | confirmed | failed
	At       time.Time `json:"at"`       // when it came so far
}
