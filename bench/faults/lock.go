package faults

import (
	"context"
	"time"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/events"
)

// lock has IT suspend an account, and restore it once its password lets nobody
// in any more.
func (h *house) lock(ctx context.Context, p *person) {
	uid, password := h.signsIn(ctx, p)
	if ctx.Err() != nil {
		return
	}
	order := events.Command{Username: uid, Reason: "asked for by the help desk", Actor: "operator"}
	meta := func(what string) events.Meta {
		return events.Meta{ID: what + "-" + p.No, Source: events.SourceIT, Subject: uid, Time: time.Now()}
	}
	h.publish(ctx, events.Event{Meta: meta("lock"), Data: events.AccountSuspended{Command: order}})
	for ctx.Err() == nil {
		_, err := h.slapd.Whoami(h.slapd.Person(uid, password))
		if ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) {
			break
		}
		pause(ctx, 100*time.Millisecond)
	}
	h.publish(ctx, events.Event{Meta: meta("unlock"), Data: events.AccountRestored{Command: order}})
}
