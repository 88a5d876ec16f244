// Package mailer turns a mail request into a letter and hands it to an SMTP
// relay, and sorts what the relay answers: sent, refused, again later, or
// nobody knows. It must not know accounts, windows or the directory: all it
// says about a person stands in the request.
package mailer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"usn.no/matricula/events"
)

// Marks keeps one mark per letter, durably: an answered Mark survives a crash.
// Stopped answers which address of an account takes no letters, the zero value
// where every one does.
type Marks interface {
	Sent(ctx context.Context, letter string) (events.LetterMark, bool, error)
	Mark(ctx context.Context, letter string, m events.LetterMark) error
	Stopped(ctx context.Context, account string) (events.StoppedAddress, error)
}

// Publisher publishes events, each exactly once however often it is called
// with the same event.
type Publisher interface {
	Publish(ctx context.Context, evs ...events.Event) error
}

// DefaultExpiry is how long a letter is tried after the relay's first answer.
const DefaultExpiry = 48 * time.Hour

// Mailer delivers letters. Every field but Expiry and Metrics must be filled in.
type Mailer struct {
	Templates *Templates
	Relay     *Relay
	From      Sender
	Marks     Marks
	Publisher Publisher

	// Ticket seals the ticket of an invitation for a purpose. The same
	// invitation gives the same ticket, so that a retry renders the same link.
	Ticket func(invitation, purpose string) string
	// Key opens the SO-number that a request brings sealed.
	Key events.SealKey
	Now func() time.Time

	// Expiry is how long a letter is tried after the relay's first answer, 0
	// means DefaultExpiry. A letter nobody answered for yet does not expire by
	// it: an outage of the relay is no reason to throw letters away.
	Expiry time.Duration

	Metrics *Metrics // nil: none

	// unsaved holds marks that could not be written: the letter is out, and
	// until its mark is written nothing may send it again.
	unsaved sync.Map // letter → events.LetterMark
	// busy holds the letters being sent here now: a message that comes again
	// while its first delivery still waits for the relay must not overtake it.
	busy sync.Map // letter → struct{}
}

// Deliver handles a mail request. It answers nil when the letter has found its
// end (sent, refused for good, expired), events.Later when the relay wants it
// later or fell silent, events.Unavailable when relay, marks or audit cannot be
// reached, and a rejection when the request cannot become a letter.
func (m *Mailer) Deliver(ctx context.Context, meta events.Meta, r events.MailRequest) error {
	if field, text := needs(r); field != "" {
		return events.Refuse(events.ReasonInvalid, field, text)
	}
	if _, taken := m.busy.LoadOrStore(r.Letter, struct{}{}); taken {
		return events.Unavailable(errors.New("letter " + r.Letter + ": is being sent"))
	}
	defer m.busy.Delete(r.Letter)

	mark, err := m.mark(ctx, r.Letter)
	if err != nil {
		return err
	}
	now := m.Now()
	switch {
	case mark.State == events.LetterSent || mark.State == events.LetterFailed:
		// The message came again after its end: only the audit fact can be missing.
		return m.audit(ctx, meta, r, mark)
	case mark.Next.Sub(now) > nextSlack:
		return m.auditThenLater(ctx, meta, r, mark)
	case m.expired(mark, r, now):
		return m.end(ctx, meta, r, mark, reasonExpired)
	}
	stopped, err := m.Marks.Stopped(ctx, r.Account)
	switch {
	case err != nil:
		return events.Unavailable(fmt.Errorf("letter %s: read stopped address: %w", r.Letter, err))
	case stopped.Stops(r.Account, r.Address, meta.Time):
		return m.end(ctx, meta, r, mark, reasonStopped)
	}
	if mark.First.IsZero() {
		mark.First = now.UTC().Truncate(time.Second)
	}
	mark.Account, mark.To = r.Account, events.AddressPrint(r.Letter, r.Address)
	return m.send(ctx, meta, r, mark)
}

// nextSlack forgives a scheduler that fires a little early.
const nextSlack = 2 * time.Second

// mark reads what is known of a letter; a mark that could not be written
// before is written first.
func (m *Mailer) mark(ctx context.Context, letter string) (events.LetterMark, error) {
	if kept, ok := m.unsaved.Load(letter); ok {
		mark := kept.(events.LetterMark)
		return mark, m.save(ctx, letter, mark)
	}
	mark, _, err := m.Marks.Sent(ctx, letter)
	if err != nil {
		return mark, events.Unavailable(fmt.Errorf("letter %s: read mark: %w", letter, err))
	}
	return mark, nil
}

// save writes a mark although ctx may be over: what happened at the relay
// cannot be taken back.
func (m *Mailer) save(ctx context.Context, letter string, mark events.LetterMark) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := m.Marks.Mark(ctx, letter, mark); err != nil {
		m.unsaved.Store(letter, mark)
		return events.Unavailable(fmt.Errorf("letter %s: write mark: %w", letter, err))
	}
	m.unsaved.Delete(letter)
	return nil
}

// send renders the letter and offers it to the relay.
func (m *Mailer) send(ctx context.Context, meta events.Meta, r events.MailRequest, mark events.LetterMark) error {
	to, err := checkAddress(r.Address)
	if err != nil {
		// 5.1.3: bad destination mailbox address syntax (RFC 3463).
		return m.settle(ctx, meta, r, mark, Reply{Outcome: Failed, Status: "5.1.3"}, reasonAddress)
	}
	msg, err := m.write(r, to, mark.First)
	if err != nil {
		return err
	}
	begun := time.Now()
	reply := m.Relay.Send(ctx, msg)
	m.Metrics.tried(r.Template, reply, time.Since(begun))
	if reply.Outcome == Connection {
		return events.Unavailable(fmt.Errorf("letter %s: relay: %w", r.Letter, reply.Err))
	}
	reply.Text = hidePerson(reply.Text, to, r.Address, r.Name, r.Username)
	return m.settle(ctx, meta, r, mark, reply, "")
}

// write makes the message of a letter.
func (m *Mailer) write(r events.MailRequest, to string, date time.Time) (*message, error) {
	l := Letter{Request: r}
	if r.Invitation != "" {
		purpose := r.Purpose
		if purpose == "" {
			purpose = "activate"
		}
		l.Link = m.Templates.institution.BaseURL + "/a/" + m.Ticket(r.Invitation, purpose)
	}
	if r.SONumber != "" {
		number, err := events.Open(m.Key, events.SONumberInfo(r.Letter), r.SONumber)
		if err != nil {
			return nil, events.Reject(&events.Rejection{Reason: events.ReasonInvalid, Field: "data.so_number",
				Text: "does not open with this mailer's key for this letter", Err: err})
		}
		l.SONumber = clean(string(number), 32)
	}
	rendered, err := m.Templates.Render(l)
	if err != nil {
		return nil, events.Reject(&events.Rejection{Reason: events.ReasonInvalid, Field: "data",
			Text: "no letter can be written from this request", Err: err})
	}
	return compose(m.From, to, r, rendered, date)
}

func (m *Mailer) expired(mark events.LetterMark, r events.MailRequest, now time.Time) bool {
	expiry := m.Expiry
	if expiry == 0 {
		expiry = DefaultExpiry
	}
	// It counts to the attempt that is due, not to now: a letter that comes late
	// from behind a backlog has its attempt first.
	return !mark.Next.IsZero() && mark.Next.Sub(mark.First) >= expiry ||
		r.Expire != nil && !now.Before(*r.Expire) ||
		r.Invitation != "" && r.Expires != nil && !now.Before(*r.Expires) // its link is dead
}
