package mailer

import (
	"context"
	"hash/fnv"
	"strconv"
	"time"

	"usn.no/matricula/events"
)

// Why a letter failed or waits, in marks and audit facts.
const (
	reasonRefused = "refused"   // the relay refused it for good
	reasonExpired = "expired"   // not worth sending any more
	reasonStopped = "bounced"   // the address was taken out of use while the letter was due
	reasonAddress = "address"   // the address is none, or not one we would give to a relay
	reasonSilence = "no_answer" // the relay fell silent after the last line
	reasonBusy    = "busy"      // refused for now
)

// settle writes down what became of an attempt, audits it where it is an
// outcome, and answers the worker.
func (m *Mailer) settle(ctx context.Context, meta events.Meta, r events.MailRequest, mark events.LetterMark, reply Reply, reason string) error {
	now := m.Now().UTC()
	mark.Attempts++
	mark.Last, mark.Next = now, time.Time{}
	mark.Code, mark.Status, mark.Text = reply.Code, reply.Status, reply.Text
	switch reply.Outcome {
	case Sent:
		mark.State, mark.Reason = events.LetterSent, ""
	case Failed:
		mark.State, mark.Reason = events.LetterFailed, reasonRefused
	case Unknown:
		mark.State, mark.Reason = events.LetterUnknown, reasonSilence
		mark.Unknowns++
		mark.Next = now.Add(spread(firstUnknown, mark.Unknowns, r.Letter, mark.Attempts))
	default:
		// A letter that may be out already stays unknown until it is known to be.
		if mark.State != events.LetterUnknown {
			mark.State = events.LetterRetry
		}
		mark.Reason = reasonBusy
		mark.Next = now.Add(spread(firstRetry, mark.Attempts-mark.Unknowns, r.Letter, mark.Attempts))
	}
	if reason != "" {
		mark.Reason = reason
	}
	if err := m.save(ctx, r.Letter, mark); err != nil {
		return err
	}
	if mark.Next.IsZero() {
		return m.audit(ctx, meta, r, mark)
	}
	return m.auditThenLater(ctx, meta, r, mark)
}

// end ends a letter that is not sent any more. One that may be out already
// keeps "unknown" as its last word: nobody knows that it failed.
func (m *Mailer) end(ctx context.Context, meta events.Meta, r events.MailRequest, mark events.LetterMark, reason string) error {
	if mark.State == events.LetterUnknown {
		return m.audit(ctx, meta, r, mark)
	}
	if mark.First.IsZero() {
		mark.First = m.Now().UTC()
	}
	mark.State, mark.Reason, mark.Last, mark.Next = events.LetterFailed, reason, m.Now().UTC(), time.Time{}
	if err := m.save(ctx, r.Letter, mark); err != nil {
		return err
	}
	return m.audit(ctx, meta, r, mark)
}

func (m *Mailer) auditThenLater(ctx context.Context, meta events.Meta, r events.MailRequest, mark events.LetterMark) error {
	if mark.State == events.LetterUnknown {
		if err := m.audit(ctx, meta, r, mark); err != nil {
			return err
		}
	}
	return events.Later(mark.Next)
}

// audit publishes the fact of the letter's state, and what was learnt of its
// address. Both are named by the letter, so that each is told once however
// often the letter is handled.
func (m *Mailer) audit(ctx context.Context, meta events.Meta, r events.MailRequest, mark events.LetterMark) error {
	a := events.Audit{
		What: "letter." + mark.State, Account: r.Account, Actor: events.Actor{Kind: "worker", ID: "mailer"},
		Outcome: "failed", Reason: mark.Reason, Cause: meta.ID,
		Details: map[string]string{"letter": r.Letter, "template": r.Template, "attempts": strconv.Itoa(mark.Attempts)},
	}
	if mark.State == events.LetterSent {
		a.Outcome = "done"
	}
	if mark.Code != 0 {
		a.Details["code"] = strconv.Itoa(mark.Code)
	}
	if mark.Status != "" {
		a.Details["status"] = mark.Status
	}
	if mark.Text != "" {
		a.Details["text"] = mark.Text
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	told := []events.Event{events.Once(events.Key(r.Letter)+"-"+mark.State, mark.Last, a)}
	if nobodyThere(mark) {
		back := events.Once(events.Key(r.Letter)+"-refused", mark.Last, events.MailBounced{Letter: r.Letter, Status: mark.Status, Text: mark.Text})
		back.Meta.Subject = r.Letter
		told = append(told, back)
	}
	return events.Unavailable(m.Publisher.Publish(ctx, told...))
}

// Waits before the next attempt: they double from the first one to the cap.
// Silence waits longer, because the letter may have arrived.
const (
	firstRetry   = time.Minute
	firstUnknown = 15 * time.Minute
	longestWait  = 4 * time.Hour
)

// spread is first doubled n-1 times up to the cap, moved by up to a fifth
// either way. The move is derived from letter and attempt, so that letters
// refused together do not come back together and a repeated computation gives
// the same time.
func spread(first time.Duration, n int, letter string, attempt int) time.Duration {
	d := first
	for i := 1; i < n && d < longestWait; i++ {
		d *= 2
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(letter + "/" + strconv.Itoa(attempt)))
	move := float64(h.Sum32()%4001)/10000 - 0.2
	return min(longestWait, time.Duration(float64(d)*(1+move))).Round(time.Second)
}

// nobodyThere tells whether a letter was refused because of its recipient's
// address, which then is no use for other letters either. Only enhanced status
// codes tell that (RFC 3463, RFC 7505): a bare 550 can be anything. Policy and
// content (5.7), our own sender (5.1.7, 5.1.8), a full mailbox (5.2.2), routing
// (5.4) and "other" (5.1.0, which some servers say of the sender) are not about
// the address.
func nobodyThere(mark events.LetterMark) bool {
	if mark.State != events.LetterFailed || mark.Reason != reasonRefused && mark.Reason != reasonAddress {
		return false
	}
	switch mark.Status {
	case "5.1.1", // no such mailbox
		"5.1.2",  // no such host
		"5.1.3",  // not an address
		"5.1.6",  // moved, and nobody knows where to
		"5.1.10", // the domain takes no mail
		"5.2.1":  // the mailbox is disabled
		return true
	}
	return false
}
