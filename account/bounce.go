package account

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"usn.no/matricula/events"
)

// FacetAddress is the mark of an address that letters came back from: Subject
// is the address, Time when it was told. It stands in place of the address, so
// that nothing is sent there, and goes when a source announces another one.
const FacetAddress = "address"

// Bounced answers the address that letters came back from, and since when.
func (a Account) Bounced() (address string, since time.Time, ok bool) {
	for _, m := range a.Marks {
		if m.Facet == FacetAddress {
			return m.Subject, m.Time, true
		}
	}
	return "", time.Time{}, false
}

func (a *Account) forgetBounce() {
	a.Marks = slices.DeleteFunc(a.Marks, func(m Mark) bool { return m.Facet == FacetAddress })
}

var permanent = regexp.MustCompile(`^5\.\d{1,3}\.\d{1,3}$`)

// heldAddress is how long the word of a refusal waits before it is looked at
// again while the brake holds.
const heldAddress = 15 * time.Minute

// MailBounced takes an address out of use at the word that a letter came back
// for good, or that the relay refused it as one that nobody has. The letter
// says whose it is; word of a letter to an address that is no longer the
// account's changes nothing, and so does word of a delay. A relay that suddenly
// knows hardly anybody is rather broken than right: its word is held by the
// brake, a person's of IT is not.
func (l *Lifecycle) MailBounced(ctx context.Context, m events.Meta, e events.MailBounced) error {
	if strings.HasPrefix(e.Status, "4.") || strings.HasPrefix(e.Status, "2.") {
		return nil // still being tried, or delivered
	}
	if e.Status != "" && !permanent.MatchString(e.Status) {
		return events.Refuse(events.ReasonInvalid, "data.status", `write the enhanced status code, for example "5.1.1"`)
	}
	mark, known, err := l.Sent.Sent(ctx, e.Letter)
	if err != nil {
		return err
	}
	if !known || mark.Account == "" {
		return l.orWait(m, ErrNotFound)
	}
	if m.Source == events.SourceWorker {
		if ok, err := l.unbraked(ctx, BrakeAddresses, mark.Account); err != nil {
			return err
		} else if !ok {
			return events.Later(l.Now().Add(heldAddress))
		}
	}
	var name Name
	var address string
	did := false
	a, err := l.updateHeir(ctx, mark.Account, func(now *Account) (bool, error) {
		gone, since, bounced := now.Bounced()
		name, address, did = now.Name, gone, bounced && since.Equal(m.Time) && mark.SentTo(e.Letter, gone)
		if now.State == Closed || now.Address == "" || !mark.SentTo(e.Letter, now.Address) {
			return false, nil
		}
		did, address = true, now.Address
		now.forgetBounce()
		now.Marks = append(now.Marks, Mark{
			Source: m.Source, Subject: now.Address, Facet: FacetAddress,
			Time: m.Time, Sequence: m.Sequence, Position: m.Position, Changed: true,
		})
		now.Address = ""
		return true, nil
	})
	if err != nil {
		return l.orWait(m, err)
	}
	if !did {
		return nil
	}
	// Those that are due already were asked for with this address.
	if err := l.Sent.StopAddress(ctx, a.ID, events.StopAddress(a.ID, address, l.Now())); err != nil {
		return err
	}
	return l.Publisher.Publish(ctx, events.Once(events.Key(e.Letter)+"-bounced", m.Time, events.Audit{
		What: events.AuditLetterBounced, Account: a.ID, Actor: actorOf(m.Source), Outcome: "failed",
		Reason: bounceReason(m.Source), Cause: m.ID,
		Details: map[string]string{"letter": e.Letter, "status": e.Status, "text": serverWords(e.Text, name)},
	}))
}

// bounceReason tells a letter that came back from one that the relay refused.
func bounceReason(source string) string {
	if source == events.SourceWorker {
		return "refused"
	}
	return "bounced"
}

const maxWords = 160

// serverWords keeps of what a mail server said what names nobody: addresses,
// long numbers and the person's own names go.
func serverWords(text string, n Name) string {
	parts := strings.FieldsFunc(strings.ToLower(n.Given+" "+n.Family+" "+n.Preferred), notLetter)
	words := strings.Fields(strings.ToValidUTF8(text, " "))
	for i, w := range words {
		digits := strings.IndexFunc(w, unicode.IsDigit) >= 0 && len(strings.FieldsFunc(w, unicode.IsDigit)) <= 1 && len(w) > 5
		own := slices.ContainsFunc(parts, func(p string) bool { return len(p) > 2 && strings.Contains(strings.ToLower(w), p) })
		if strings.Contains(w, "@") || digits || own {
			words[i] = "…"
		}
	}
	clean := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, strings.Join(words, " "))
	if r := []rune(clean); len(r) > maxWords {
		clean = string(r[:maxWords])
	}
	return clean
}

func notLetter(r rune) bool { return !unicode.IsLetter(r) }
