package faults

import (
	"context"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// watchOpening tries, until the window opens, whether somebody who may not yet
// be let in can sign in with a password they have tried (I8).
func (h *house) watchOpening(ctx context.Context, noon time.Time) {
	for ctx.Err() == nil && time.Now().Before(noon.Add(-skewAllowed)) {
		for _, p := range h.crowd() {
			if !p.Opens.Equal(noon) {
				continue
			}
			for _, password := range p.passwords() {
				uid, ok := h.uid(p)
				if !ok {
					break
				}
				if _, err := h.slapd.Whoami(h.slapd.Person(uid, password)); err == nil && time.Now().Before(noon.Add(-skewAllowed)) {
					h.violation("I8", "%s can sign in %s before the opening", p.No, time.Until(noon))
				}
			}
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// bindsNow holds I7 at once: who was answered "done" can sign in that very
// moment, storm or not, unless the directory cannot be reached.
func (h *house) bindsNow(p *person, password string) {
	uid, ok := h.uid(p)
	if !ok {
		return
	}
	if _, err := h.slapd.Whoami(h.slapd.Person(uid, password)); ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
		h.violation("I7", "%s was answered that it is done, and cannot sign in", p.No)
	}
}

// uid is a person's username, where the directory can be asked.
func (h *house) uid(p *person) (string, bool) {
	p.mu.Lock()
	uid := p.uid
	p.mu.Unlock()
	if uid != "" {
		return uid, true
	}
	found, err := h.directory("(norEduPersonLIN=" + ldap.EscapeFilter(p.lin(h.slapd.Realm)) + ")")
	if err != nil || len(found) != 1 {
		return "", false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.uid = found[0].GetAttributeValue("uid")
	return p.uid, p.uid != ""
}

// crowd is everybody so far; it may be asked while people are invented.
func (h *house) crowd() []*person {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*person(nil), h.people...)
}

func (h *house) joins(p *person) {
	h.secret(p.Number)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.people = append(h.people, p)
}
