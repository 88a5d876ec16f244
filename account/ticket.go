package account

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"
)

// Tickets seals invitations into the 43 characters of a link and opens them
// again. Mailer and portal hold the keys and nobody else. The first key seals;
// every key opens, so that keys can be changed while letters are under way.
//
// A ticket is base64url(invitation, 16 bytes | MAC, 16 bytes). The MAC covers
// the purpose, so that a ticket of one purpose is none of another.
type Tickets struct{ Keys [][]byte }

const (
	invitationSize = 16
	macSize        = 16
	proofPurpose   = "proof"
)

// Seal makes the ticket of an invitation. It answers "" for an invitation ID
// that is none or when there is no key.
func (t Tickets) Seal(invitation, purpose string) string {
	raw, err := lowerBase32.DecodeString(strings.ToUpper(invitation))
	if err != nil || len(raw) != invitationSize || len(t.Keys) == 0 {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(raw, mac(t.Keys[0], purpose, raw)...))
}

// Open answers the invitation and the purpose a ticket was sealed for, or
// ErrTicket. It accepts exactly what Seal made: no prefix, suffix or other
// spelling of it.
func (t Tickets) Open(ticket string) (invitation, purpose string, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(ticket)
	if err != nil || len(raw) != invitationSize+macSize || len(ticket) != 43 {
		return "", "", ErrTicket
	}
	for _, key := range t.Keys {
		for _, p := range []string{PurposeActivate, PurposeReset} {
			if hmac.Equal(raw[invitationSize:], mac(key, p, raw[:invitationSize])) {
				return invitationText(raw[:invitationSize]), p, nil
			}
		}
	}
	return "", "", ErrTicket
}

func mac(key []byte, purpose string, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte("matricula ticket v1\x00" + purpose + "\x00"))
	_, _ = h.Write(data)
	return h.Sum(nil)[:macSize]
}

// sealProof makes the token that shows: whoever holds it has typed the
// person's own number, for this invitation, before expires.
func (t Tickets) sealProof(invitation, purpose string, expires time.Time) string {
	raw, err := lowerBase32.DecodeString(strings.ToUpper(invitation))
	if err != nil || len(raw) != invitationSize || len(t.Keys) == 0 {
		return ""
	}
	body := binary.BigEndian.AppendUint64(raw, uint64(expires.Unix()))
	return base64.RawURLEncoding.EncodeToString(append(body, mac(t.Keys[0], proofPurpose+purpose, body)...))
}

func (t Tickets) openProof(token string, now time.Time) (invitation, purpose string, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != invitationSize+8+macSize {
		return "", "", ErrProof
	}
	body, sum := raw[:invitationSize+8], raw[invitationSize+8:]
	for _, key := range t.Keys {
		for _, p := range []string{PurposeActivate, PurposeReset} {
			if !hmac.Equal(sum, mac(key, proofPurpose+p, body)) {
				continue
			}
			if now.Unix() > int64(binary.BigEndian.Uint64(body[invitationSize:])) {
				return "", "", ErrProof
			}
			return invitationText(body[:invitationSize]), p, nil
		}
	}
	return "", "", ErrProof
}
