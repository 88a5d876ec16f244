package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// orderOutcome is what became of an order, as --json prints it.
type orderOutcome struct {
	Username string     `json:"username"`
	Account  string     `json:"account"`
	Event    string     `json:"event"` // its ID; the cause of what it led to
	Outcome  string     `json:"outcome"`
	Reason   string     `json:"reason,omitempty"` // of one that was not done
	Text     string     `json:"text,omitempty"`
	Dead     string     `json:"dead_letter,omitempty"`
	Fact     string     `json:"fact,omitempty"` // the audit fact that says so
	State    string     `json:"state,omitempty"`
	Why      string     `json:"why,omitempty"`
	Since    *time.Time `json:"since,omitempty"`

	data events.Data
}

// outcomeUnknown is an order that nobody has been seen to handle; the others
// are those of audit facts.
const (
	outcomeDone    = "done"
	outcomeDenied  = "denied"
	outcomeFailed  = "failed"
	outcomeUnknown = "unknown"
)

// order publishes an event of IT's, waits for what becomes of it, and prints
// it.
func (s *system) order(c *cobra.Command, p account.Directory, a account.Account, d events.Data, f orderFlags) error {
	e := events.Event{
		Meta: events.Meta{ID: strings.ToLower(rand.Text()), Source: events.SourceIT, Subject: a.Username, Time: s.clock.Now()},
		Data: d,
	}
	next, err := s.auditNext(c.Context())
	if err != nil {
		return err
	}
	if err := s.publisher(s.js).Publish(c.Context(), e); err != nil {
		return err
	}
	o := orderOutcome{Username: a.Username, Account: a.ID, Event: e.ID, Outcome: outcomeUnknown, data: d}
	if err := s.await(c.Context(), &o, next, f.wait); err != nil {
		return err
	}
	if o.Outcome != outcomeUnknown {
		if now, err := p.Find(c.Context(), account.Key{Kind: account.ByID, Value: a.ID}); err == nil {
			o.State, o.Why, o.Since = string(now.State), now.Why.Reason, timeOrNil(now.Why.Since)
		}
	}
	return o.print(c, f)
}

// auditNext is where a reader must begin who wants what is written from now on.
func (s *system) auditNext(ctx context.Context) (uint64, error) {
	st, err := s.js.Stream(ctx, stream.Audit)
	if err != nil {
		return 0, fmt.Errorf("audit: %w", err)
	}
	return st.CachedInfo().State.LastSeq + 1, nil
}

// await reads the audit stream until a fact names the event as its cause.
func (s *system) await(ctx context.Context, o *orderOutcome, next uint64, wait time.Duration) error {
	if wait == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	seen := errors.New("seen")
	err := stream.Tail(ctx, s.js, stream.TailOptions{Sequence: next, Follow: true}, func(e events.Event) error {
		a, ok := e.Data.(events.Audit)
		if !ok || a.Cause != o.Event {
			return nil
		}
		if _, merger := o.data.(events.AccountMerged); merger && a.What == events.AuditUpdated {
			return nil // of the account that is kept; the other follows
		}
		o.take(a)
		return seen
	})
	if errors.Is(err, seen) {
		return s.because(context.WithoutCancel(ctx), o)
	}
	return err
}

func (o *orderOutcome) take(a events.Audit) {
	o.Fact, o.Outcome, o.Reason = a.What, a.Outcome, a.Reason
	if a.What == events.AuditEventRejected {
		o.Dead = a.Details["dead_letter"]
	}
}

// because adds what a dead letter says must be done.
func (s *system) because(ctx context.Context, o *orderOutcome) error {
	if o.Dead == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	d, err := (&stream.DeadLetters{JS: s.js}).Show(ctx, o.Dead)
	if errors.Is(err, stream.ErrNoDeadLetter) {
		return nil // replayed or dropped by somebody else already
	}
	o.Text = strings.TrimPrefix(d.Field+": "+d.Text, ": ")
	return err
}

// whyNot are the reasons an order was not done, in words.
func whyNot(reason string) string {
	text := map[string]string{
		account.DeniedAlready:    "it is so already",
		account.DeniedOlder:      "a newer order about the same stands",
		account.DeniedClosed:     "the account is closed, or the one that it was to be joined to",
		account.DeniedMerged:     "one of the two was merged into another account before",
		account.DeniedSuspended:  "the account is suspended for another reason",
		account.DeniedNoPassword: "the account has no password",
		account.DeniedNoNumber:   "the person has no identity number yet",
		account.DeniedNoAddress:  "there is no address that letters can go to",
		account.DeniedNoRole:     "the person has no role",
		account.DeniedNoWay:      "the only address lies inside the account itself",
	}[reason]
	if text == "" {
		return reason
	}
	return text
}

// print says what became of it, and answers the exit code.
func (o orderOutcome) print(c *cobra.Command, f orderFlags) error {
	if f.asJSON {
		if err := printJSON(c.OutOrStdout(), o); err != nil {
			return err
		}
	} else {
		_, _ = fmt.Fprintln(c.OutOrStdout(), o.line())
	}
	switch {
	case o.Outcome == outcomeDone, o.Outcome == outcomeDenied && o.Reason == account.DeniedAlready:
		return nil
	case o.Outcome == outcomeUnknown && f.wait == 0:
		return nil
	case o.Outcome == outcomeUnknown:
		return fmt.Errorf("event %s is published, and nobody has seen to it within %s: is a worker running? It is not lost; see matricula audit tail", o.Event, f.wait)
	case o.Dead != "":
		return refused("%s: %s\nmend it, then: matricula dead replay %s", o.Reason, o.Text, o.Dead)
	}
	return refused("%s: %s", o.Username, whyNot(o.Reason))
}

func (o orderOutcome) line() string {
	line := fmt.Sprintf("%s  %s", o.Username, o.Outcome)
	switch {
	case o.Outcome == outcomeUnknown:
		line = fmt.Sprintf("%s  published as %s", o.Username, o.Event)
	case o.Reason == account.DeniedAlready:
		line += "  nothing to do: " + whyNot(o.Reason)
	case o.Outcome == outcomeDone:
		line += "  " + o.Fact
	}
	if o.State != "" {
		line += fmt.Sprintf("  (%s: %s since %s)", o.State, o.Why, orUnknown(o.Since))
	}
	return line
}
