package portal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"usn.no/matricula/account"
)

// What the browser keeps for us. The ticket is a bearer already; proof and
// receipt are sealed, because they hold a username.
const (
	ticketCookie   = "matricula-ticket"
	proofCookie    = "matricula-proof"
	receiptCookie  = "matricula-receipt"
	languageCookie = "matricula-language"
)

const (
	ticketAge   = time.Hour
	receiptAge  = 15 * time.Minute
	languageAge = 365 * 24 * time.Hour
)

// kept is a proof as the browser keeps it: bound to the ticket it was made
// with, so that a link opened in another tab does not inherit it.
type kept struct {
	account.Proof
	Ticket [sha256.Size]byte
}

// __Host- forbids a neighbour on another host to plant the cookie; the prefix
// needs Secure, so plain http in development goes without both.
func (s *site) cookieName(name string) string {
	if s.https {
		return "__Host-" + name
	}
	return name
}

// setCookie keeps value for age; zero age deletes it. Lax, because the link in
// a letter is a navigation from another site.
func (s *site) setCookie(w http.ResponseWriter, name, value string, age time.Duration) {
	c := &http.Cookie{ //nolint:gosec // Secure is left out over plain http only, in development
		Name: s.cookieName(name), Value: value, Path: "/", MaxAge: int(age.Seconds()),
		Secure: s.https, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if age <= 0 {
		c.MaxAge = -1
	}
	if line := c.String(); !slices.Contains(w.Header()["Set-Cookie"], line) {
		w.Header().Add("Set-Cookie", line)
	}
}

// cookie reads a cookie. Two of one name mean that somebody planted one:
// neither counts.
func (s *site) cookie(r *http.Request, name string) string {
	if found := r.CookiesNamed(s.cookieName(name)); len(found) == 1 {
		return found[0].Value
	}
	return ""
}

func (s *site) ticket(r *http.Request) string {
	if t := s.cookie(r, ticketCookie); wellFormed(t) {
		return t
	}
	return ""
}

// wellFormed says whether t can be a ticket at all: base64url, of a length
// that fits one line of a letter. Whether it is one the domain decides.
func wellFormed(t string) bool {
	if len(t) < 16 || len(t) > 128 {
		return false
	}
	for _, c := range []byte(t) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

func (s *site) keepProof(w http.ResponseWriter, ticket string, p account.Proof) error {
	return s.keep(w, proofCookie, kept{p, sha256.Sum256([]byte(ticket))}, p.Expires.Sub(s.Now()))
}

// proof is the proof this browser holds for the ticket it holds, if its time
// is not over.
func (s *site) proof(r *http.Request) (account.Proof, bool) {
	var k kept
	ok := s.seals.open(s.cookie(r, proofCookie), proofCookie, &k) &&
		s.Now().Before(k.Expires) && k.Ticket == sha256.Sum256([]byte(s.ticket(r)))
	return k.Proof, ok
}

func (s *site) receipt(r *http.Request) (account.Receipt, bool) {
	var rec account.Receipt
	ok := s.seals.open(s.cookie(r, receiptCookie), receiptCookie, &rec) && s.Now().Before(rec.At.Add(receiptAge))
	return rec, ok
}

func (s *site) keep(w http.ResponseWriter, name string, v any, age time.Duration) error {
	sealed, err := s.seals.seal(name, v)
	if err != nil {
		return err
	}
	s.setCookie(w, name, sealed, age)
	return nil
}

func (s *site) forget(w http.ResponseWriter, r *http.Request, names ...string) {
	for _, name := range names {
		if _, err := r.Cookie(s.cookieName(name)); err == nil {
			s.setCookie(w, name, "", 0)
		}
	}
}

// seals encrypts what a cookie holds. The name is bound in, so that one cookie
// cannot be used as another.
type seals []cipher.AEAD

func newSeals(secrets [][]byte) (seals, error) {
	if len(secrets) == 0 {
		return nil, errors.New("secret is missing")
	}
	var all seals
	for _, secret := range secrets {
		if len(secret) < 32 {
			return nil, errors.New("secret is shorter than 32 bytes")
		}
		key, err := hkdf.Key(sha256.New, secret, nil, "matricula portal cookie v1", 32)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		all = append(all, aead)
	}
	return all, nil
}

func (all seals) seal(name string, v any) (string, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	// Padded, so that the length does not tell how long a name is.
	for len(plain)%128 != 0 {
		plain = append(plain, ' ')
	}
	sealed := all[0].Seal(nil, nil, plain, []byte(name)) //nolint:gosec // this AEAD draws its own nonce
	return base64.RawURLEncoding.EncodeToString(sealed), nil
}

func (all seals) open(sealed, name string, v any) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil {
		return false
	}
	for _, aead := range all {
		if plain, err := aead.Open(nil, nil, raw, []byte(name)); err == nil {
			return json.Unmarshal(plain, v) == nil
		}
	}
	return false
}
