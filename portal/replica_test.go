package portal_test

import (
	"net/http"
	"net/url"
	"testing"

	"usn.no/matricula/portal"
)

// Two replicas share the bucket of sessions and the secret, and nothing else:
// each serves what began at the other, and what ends at one has ended at both.
func TestAnyReplicaServesASessionAndEndsIt(t *testing.T) {
	t.Parallel()
	one := open(t)
	two := open(t, func(p *portal.Portal) {
		p.People, p.Changes, p.Sessions, p.Now = one.life, one.life, &one.life.sessions, one.life.clock
	})
	one.life.move("karnor", good)
	at, other := one.reader(t), two.reader(t)
	take := func(from, to *visitor) {
		for name, value := range from.cookies() {
			to.setCookie(name, value)
		}
	}
	at.signIn("karnor", good)
	take(at, other)
	expect(t, other.get("/account"), http.StatusOK, "karnor")
	if p := other.post("/password", url.Values{"old": {good}, "password": {fresh}}); p.location() != "/password/done" {
		t.Fatalf("a new password at the other replica is answered %d", p.status)
	}
	if p := at.get("/account"); p.location() != "/signin" {
		t.Errorf("the session from before the new password is answered %d", p.status)
	}
	take(other, at)
	expect(t, at.get("/account"), http.StatusOK, "karnor")
	if p := at.post("/signout", nil); p.location() != "/signout" {
		t.Fatalf("signing out is answered %d", p.status)
	}
	if p := other.get("/account"); p.location() != "/signin" {
		t.Errorf("after signing out at one replica the other answers %d", p.status)
	}
}

// A replica with another secret can read no session, so that none begins by
// itself: it asks for the password again and does not fail.
func TestReplicaWithAnotherSecretAsksAgain(t *testing.T) {
	t.Parallel()
	one := open(t)
	two := open(t, func(p *portal.Portal) {
		p.People, p.Changes, p.Sessions, p.Now = one.life, one.life, &one.life.sessions, one.life.clock
		p.Secrets = [][]byte{[]byte("another secret of 32 bytes or more")}
	})
	one.life.move("karnor", good)
	at, other := one.reader(t), two.reader(t)
	at.signIn("karnor", good)
	for name, value := range at.cookies() {
		other.setCookie(name, value)
	}
	if p := other.get("/account"); p.location() != "/signin" {
		t.Errorf("a session under another secret is answered %d", p.status)
	}
}
