package account

import (
	"context"
	"errors"
	"time"

	"usn.no/matricula/events"
)

// denied publishes that an activation was refused, and why, and answers err
// unchanged. One fact per invitation, reason and minute: somebody who hammers
// a link does not fill the audit stream.
func (l *Lifecycle) denied(ctx context.Context, a Account, inv Invitation, err error) error {
	why := denial(err)
	if why == "" || inv.ID == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bestEffort)
	defer cancel()
	at := l.Now()
	e := events.Once(inv.ID+"-"+why+"-"+at.UTC().Format("20060102T1504"), at, events.Audit{
		What: events.AuditActivationDenied, Account: a.ID, Actor: events.Actor{Kind: "person"},
		Outcome: "denied", Reason: why, Cause: inv.ID,
	})
	if perr := l.Publisher.Publish(ctx, e); perr != nil {
		l.report("denied", perr)
	}
	return err
}

func denial(err error) string {
	var closed *NotOpenError
	var wrong *WrongNumberError
	switch {
	case errors.As(err, &closed):
		return deniedWindow
	case errors.As(err, &wrong), errors.Is(err, ErrFrozen):
		return deniedNumber
	case errors.Is(err, ErrSpent):
		return deniedSpent
	case errors.Is(err, ErrExpired):
		return deniedExpired
	}
	return ""
}

// Again asks for a new letter to the registered address: for a link that has
// expired or is frozen. Whatever comes of it, the answer to the person is the
// same; the worker decides.
//
// Errors: ErrTicket, ErrUnavailable.
func (l *Lifecycle) Again(ctx context.Context, ticket string) error {
	id, purpose, err := l.Tickets.Open(ticket)
	if err != nil {
		return err
	}
	a, err := l.Directory.Find(ctx, Key{ByInvitation, id})
	if errors.Is(err, ErrNotFound) {
		return nil // spent or replaced: there is nobody to write to
	}
	if err != nil {
		return err
	}
	held, _ := a.Invitation(id)
	wrong, err := l.Attempts.Count(ctx, attemptsKey(id))
	if err != nil {
		return err
	}
	at := l.Now()
	if err := l.clock(ctx); err != nil {
		return err
	}
	hour := at.UTC().Truncate(time.Hour)
	return l.Publisher.Publish(ctx, events.Event{
		Meta: events.Meta{
			ID: letterID("again", id, hour.Format(time.RFC3339)), Source: events.SourcePortal, Subject: a.ID, Time: at,
		},
		Data: events.InvitationRequested{Account: a.ID, Purpose: purpose, Frozen: wrong >= wrongNumbers && held.Purpose == purpose},
	})
}
