package events

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// A small secret that must cross the bus (an SO-number, a PIN) is sealed
// to its one receiver's key with HPKE (RFC 9180, base mode): DHKEM(X25519,
// HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Neither the broker nor whoever may
// read the stream can open it, and it opens only for the letter it was made
// for.

// The first part of each text form. It says which key a file holds: both are
// 32 bytes, and a private key taken for a public one would seal without a word.
const (
	sealPrivatePrefix = "matricula-seal-private:"
	sealPublicPrefix  = "matricula-seal-public:"
	sealedPrefix      = "s1." // the suite above
)

// SealKey opens what was sealed to its public half. It shows itself to nobody;
// Text is the only way out.
type SealKey struct{ key hpke.PrivateKey }

// SealPublicKey seals. It is not secret.
type SealPublicKey struct{ key hpke.PublicKey }

// GenerateSealKey draws a new key.
func GenerateSealKey() (SealKey, error) {
	key, err := hpke.DHKEM(ecdh.X25519()).GenerateKey()
	if err != nil {
		return SealKey{}, fmt.Errorf("seal key: %w", err)
	}
	return SealKey{key}, nil
}

// DeriveSealKey makes the one key pair that belongs to a secret of 32 bytes or
// more and a purpose, so that who holds the secret needs no further file.
func DeriveSealKey(secret []byte, purpose string) (SealKey, error) {
	if len(secret) < 32 {
		return SealKey{}, errors.New("seal key: secret is shorter than 32 bytes")
	}
	material, err := hkdf.Key(sha256.New, secret, nil, "matricula seal key v1|"+purpose, 32)
	if err != nil {
		return SealKey{}, fmt.Errorf("seal key: %w", err)
	}
	key, err := hpke.DHKEM(ecdh.X25519()).DeriveKeyPair(material)
	if err != nil {
		return SealKey{}, fmt.Errorf("seal key: %w", err)
	}
	return SealKey{key}, nil
}

// ParseSealKey reads a private key file as Text wrote it.
func ParseSealKey(text string) (SealKey, error) {
	raw, err := keyBytes(text, sealPrivatePrefix, sealPublicPrefix)
	if err != nil {
		return SealKey{}, fmt.Errorf("private seal key: %w", err)
	}
	key, err := hpke.DHKEM(ecdh.X25519()).NewPrivateKey(raw)
	if err != nil {
		return SealKey{}, errors.New("private seal key: not an X25519 key")
	}
	return SealKey{key}, nil
}

// ParseSealPublicKey reads a public key file as Text wrote it.
func ParseSealPublicKey(text string) (SealPublicKey, error) {
	raw, err := keyBytes(text, sealPublicPrefix, sealPrivatePrefix)
	if err != nil {
		return SealPublicKey{}, fmt.Errorf("public seal key: %w", err)
	}
	key, err := hpke.DHKEM(ecdh.X25519()).NewPublicKey(raw)
	if err != nil {
		return SealPublicKey{}, errors.New("public seal key: not an X25519 key")
	}
	return SealPublicKey{key}, nil
}

func keyBytes(text, want, other string) ([]byte, error) {
	text = strings.TrimSpace(text)
	coded, ok := strings.CutPrefix(text, want)
	if !ok {
		if strings.HasPrefix(text, other) {
			return nil, fmt.Errorf("file holds the other half of the pair; use the one that begins with %q", want)
		}
		return nil, fmt.Errorf("file does not begin with %q", want)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(coded)
	if err != nil || len(raw) != 32 {
		return nil, errors.New("file is not 32 bytes in base64url; was it cut?")
	}
	return raw, nil
}

// Text is the content of a private key file: one line.
func (k SealKey) Text() (string, error) {
	if k.key == nil {
		return "", errNoKey
	}
	raw, err := k.key.Bytes()
	if err != nil {
		return "", fmt.Errorf("private seal key: %w", err)
	}
	return sealPrivatePrefix + base64.RawURLEncoding.EncodeToString(raw) + "\n", nil
}

// Public is the half that seals.
func (k SealKey) Public() SealPublicKey {
	if k.key == nil {
		return SealPublicKey{}
	}
	return SealPublicKey{k.key.PublicKey()}
}

// String hides the key.
func (SealKey) String() string { return "private seal key" }

// GoString hides the key.
func (SealKey) GoString() string { return "private seal key" }

// Text is the content of a public key file: one line.
func (k SealPublicKey) Text() string {
	if k.key == nil {
		return ""
	}
	return sealPublicPrefix + base64.RawURLEncoding.EncodeToString(k.key.Bytes()) + "\n"
}

// Print tells one public key from another, to people who compare two files and
// to programs that hold an old and a new key: 16 hexadecimal digits of its
// hash.
func (k SealPublicKey) Print() string {
	if k.key == nil {
		return ""
	}
	sum := sha256.Sum256(k.key.Bytes())
	return hex.EncodeToString(sum[:8])
}

var (
	errNoKey  = errors.New("seal key is not set")
	errSealed = errors.New("sealed text does not open: made for another key or for something else, or damaged")
)

// Seal closes plaintext to key. info says what it is for and must be the same
// when it is opened. The answer is ASCII without padding; sealing twice gives
// two texts. The length of plaintext shows.
func Seal(key SealPublicKey, info string, plaintext []byte) (string, error) {
	if key.key == nil {
		return "", errNoKey
	}
	sealed, err := hpke.Seal(key.key, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(info), plaintext)
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	return sealedPrefix + base64.RawURLEncoding.EncodeToString(sealed), nil
}

// Open opens what Seal closed with the same info. No retry mends its error.
func Open(key SealKey, info, sealed string) ([]byte, error) {
	if key.key == nil {
		return nil, errNoKey
	}
	coded, ok := strings.CutPrefix(sealed, sealedPrefix)
	if !ok {
		return nil, errSealed
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(coded)
	if err != nil {
		return nil, errSealed
	}
	plaintext, err := hpke.Open(key.key, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(info), raw)
	if err != nil {
		return nil, errSealed
	}
	return plaintext, nil
}

// SONumberInfo binds a sealed SO-number to the letter that brings it.
func SONumberInfo(letter string) string { return "matricula so-number v1|" + letter }

// LetterRequestInfo binds what somebody typed to the one request it was typed
// for.
func LetterRequestInfo(request string) string { return "matricula letter request v1|" + request }
