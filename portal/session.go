package portal

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"usn.no/matricula/account"
)

// Sessions keeps what a session is, under a key that says nothing, where every
// replica finds it. What it keeps is sealed: whoever can write there still
// makes no session.
type Sessions interface {
	Load(ctx context.Context, key string) ([]byte, bool, error)
	Store(ctx context.Context, key string, state []byte) error
	Delete(ctx context.Context, key string) error
}

// Times bound a session.
type Times struct {
	Idle     time.Duration // without a page: 30 minutes
	Absolute time.Duration // whatever happens: 8 hours
}

const (
	sessionCookie = "matricula-session"
	knownCookie   = "matricula-known"

	knownAge = 90 * 24 * time.Hour
)

// session is a browser that has shown a password. Blocked: of an account that
// is blocked since, so that it can do one thing only, which is to choose
// another password.
type session struct {
	Account  string
	Language string
	From     time.Time // see account.Own
	Began    time.Time
	Seen     time.Time
	Blocked  bool
	Names    []string // of somebody blocked: what a password must not hold parts of

	key string
}

// known is a browser that has been signed in as a person before: what
// strangers try elsewhere does not count against it.
type known struct{ Browser, Username string }

// sessionKey is where a session is kept: who reads the bucket can use none.
func sessionKey(id string) string {
	sum := sha256.Sum256([]byte("matricula session v1|" + id))
	return hex.EncodeToString(sum[:])
}

// begin gives the browser a new session, with a new ID, in place of the one it
// may have: an ID from before a step up is worth nothing after it.
func (s *site) begin(ctx context.Context, w http.ResponseWriter, r *http.Request, own account.Own, blocked bool) error {
	if err := s.end(ctx, w, r); err != nil {
		return err
	}
	id, now := rand.Text()+rand.Text(), s.Now()
	b := session{Account: own.ID, Language: own.Language, From: own.From, Began: now, Seen: now, Blocked: blocked, key: sessionKey(id)}
	if blocked {
		b.Names = own.Names
	}
	if err := s.store(ctx, b); err != nil {
		return err
	}
	s.setCookie(w, sessionCookie, id, s.Times.Absolute)
	return nil
}

func (s *site) store(ctx context.Context, b session) error {
	sealed, err := s.seals.seal(sessionCookie+b.key, b)
	if err != nil {
		return err
	}
	return s.Sessions.Store(ctx, b.key, []byte(sealed))
}

// end forgets the session of this browser here and there.
func (s *site) end(ctx context.Context, w http.ResponseWriter, r *http.Request) error {
	id := s.cookie(r, sessionCookie)
	s.forget(w, r, sessionCookie)
	if id == "" {
		return nil
	}
	return s.Sessions.Delete(ctx, sessionKey(id))
}

// held is the session of this browser, if its time is not over.
func (s *site) held(ctx context.Context, r *http.Request) (session, bool, error) {
	id := s.cookie(r, sessionCookie)
	if id == "" || len(id) > 64 {
		return session{}, false, nil
	}
	key := sessionKey(id)
	sealed, found, err := s.Sessions.Load(ctx, key)
	if err != nil || !found {
		return session{}, false, err
	}
	var b session
	if !s.seals.open(string(sealed), sessionCookie+key, &b) {
		return session{}, false, nil
	}
	b.key = key
	now := s.Now()
	if !now.Before(b.Seen.Add(s.Times.Idle)) || !now.Before(b.Began.Add(s.Times.Absolute)) {
		return session{}, false, nil
	}
	if now.Sub(b.Seen) > s.Times.Idle/10 { // not a write for every page
		b.Seen = now
		err = s.store(ctx, b)
	}
	return b, true, err
}

// signedIn is the session and the account as it is now. Without one it has
// answered: it leads to where one signs in, or accepts the rules first.
// Sessions die by comparison with the account, so that it is asked every time.
func (s *site) signedIn(ctx context.Context, w http.ResponseWriter, r *http.Request) (session, account.Own, bool) {
	b, own, ok := s.someone(w, r.WithContext(ctx))
	switch {
	case !ok:
	case own.ID == "":
		seeOther(w, "/signin")
	case !s.accepted(own):
		seeOther(w, "/rules/accept")
	default:
		return b, own, true
	}
	return session{}, account.Own{}, false
}

// whose is signedIn for pages that do without: nobody is no error.
func (s *site) whose(ctx context.Context, w http.ResponseWriter, r *http.Request) (session, account.Own, error) {
	b, ok, err := s.held(ctx, r)
	if err != nil {
		return b, account.Own{}, err
	}
	if !ok {
		s.forget(w, r, sessionCookie)
		return session{}, account.Own{}, nil
	}
	if b.Blocked {
		return b, account.Own{}, nil
	}
	own, err := s.People.Own(ctx, b.Account, b.From)
	if errors.Is(err, account.ErrSignedOut) {
		return session{}, account.Own{}, s.end(ctx, w, r)
	}
	return b, own, err
}

// remember makes this browser one that the person uses.
func (s *site) remember(w http.ResponseWriter, r *http.Request, username string) error {
	k, _ := s.knows(r)
	if k.Username == username {
		return nil
	}
	return s.keep(w, knownCookie, known{Browser: rand.Text(), Username: username}, knownAge)
}

func (s *site) knows(r *http.Request) (known, bool) {
	var k known
	ok := s.seals.open(s.cookie(r, knownCookie), knownCookie, &k)
	return k, ok
}

// try is an attempt as the limits count it.
func (s *site) try(r *http.Request, username, password string) account.Try {
	t := account.Try{Username: username, Password: password, From: s.sender(r).String()}
	if k, ok := s.knows(r); ok && strings.EqualFold(k.Username, strings.TrimSpace(username)) {
		t.From, t.Known = k.Browser, true
	}
	return t
}

// steady waits until a whole number of paces has passed, and a little more by
// chance, which the edges of the steps drown in: whether somebody exists does
// not show in how long an answer takes.
func (s *site) steady(ctx context.Context, began time.Time) {
	if s.Pace <= 0 {
		return
	}
	over := time.Since(began) % s.Pace
	var chance [1]byte
	_, _ = rand.Read(chance[:]) // never fails since Go 1.24
	t := time.NewTimer(s.Pace - over + s.Pace/16*time.Duration(chance[0])/256)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
