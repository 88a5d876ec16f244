package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/policy"
	"usn.no/matricula/stream"
)

// asked is how an operator names a person: by name, or by identity number.
type asked struct{ name, number string }

// investigation gathers what account.Explain decides on.
type investigation struct {
	*system
	people account.Directory
	life   *account.Lifecycle
	pub    *stream.Publisher
}

func (s *system) investigate(p account.Directory) *investigation {
	return &investigation{system: s, people: p, life: s.lifecycle(), pub: s.publisher(s.js)}
}

// situation is everything there is to know about whether this person can
// activate.
func (i *investigation) situation(ctx context.Context, who asked) (account.Situation, error) {
	a, claimed, err := i.find(ctx, who)
	found := err == nil
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return account.Situation{}, err
	}
	s := account.Situation{Now: i.clock.Now(), Claimed: claimed}
	if found {
		s = i.life.Situate(a)
		if err := i.letter(ctx, &s); err != nil {
			return s, err
		}
		if s.Held, err = i.held(ctx, a); err != nil {
			return s, err
		}
	}
	s.Refused, err = i.refused(ctx, who, a)
	return s, err
}

// find answers the account, and whether anybody of this key is claimed.
func (i *investigation) find(ctx context.Context, who asked) (account.Account, bool, error) {
	var handles []string
	identity, err := i.identity()
	switch {
	case who.number != "" && err != nil:
		return account.Account{}, false, fmt.Errorf("a number is looked up by the key that hides it: %w", err)
	case who.number != "":
		for _, typ := range []string{policy.NumberFnr, policy.NumberDnr, policy.NumberSO, policy.NumberFS} {
			handles = append(handles, identity.NumberHandles(typ, policy.NormalizeNumber(who.number))...)
		}
	default:
		a, found := findPerson(ctx, i.people, who.name)
		if !errors.Is(found, account.ErrNotFound) || err != nil {
			return a, found == nil, found // without the key nobody can tell more
		}
		for _, s := range who.subjects() {
			handles = append(handles, identity.SourceHandles(sourceOf(s.Area), s.Key)...)
		}
	}
	held, err := stream.NewClaims(i.pub).Read(ctx, handles)
	if err != nil {
		return account.Account{}, false, err
	}
	for _, value := range held {
		var c account.Claim
		if err := json.Unmarshal(value, &c); err != nil {
			return account.Account{}, false, fmt.Errorf("claim: %w", err)
		}
		a, err := i.people.Find(ctx, account.Key{Kind: account.ByID, Value: c.Account})
		return a, true, err
	}
	return account.Account{}, false, account.ErrNotFound
}

// subjects are the sources' keys that a name may be.
func (w asked) subjects() []stream.Subject {
	kind, key, ok := strings.Cut(w.name, ":")
	if !ok {
		kind, key = "", w.name
	}
	var out []stream.Subject
	if key != "" && kind != account.Student {
		out = append(out, stream.Subject{Area: "hr", Key: key})
	}
	if key != "" && kind != account.Employee {
		out = append(out, stream.Subject{Area: "admissions", Key: key})
	}
	return out
}

func sourceOf(area string) string {
	if area == "hr" {
		return events.SourceHR
	}
	return events.SourceAdmissions
}

// subjectsOf are the keys by which the sources know somebody.
func subjectsOf(a account.Account) (out []stream.Subject) {
	add := func(area, key string) {
		if s := (stream.Subject{Area: area, Key: key}); key != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	areas := map[string]string{events.SourceHR: "hr", events.SourceAdmissions: "admissions"}
	for _, r := range a.Roles {
		add(map[string]string{account.Employee: "hr", account.Student: "admissions"}[r.Kind], r.Key)
	}
	for _, t := range a.Told {
		if area := areas[t.Source]; area != "" {
			add(area, t.Subject)
		}
	}
	for _, e := range a.Endings {
		if area := areas[e.Source]; area != "" {
			add(area, e.Subject)
		}
	}
	return out
}

// letter finds out what became of the letter with the link, and how many wrong
// numbers were typed on it.
func (i *investigation) letter(ctx context.Context, s *account.Situation) error {
	id, attempts, ok := i.life.InvitationLetter(s.Account)
	if !ok {
		return nil
	}
	mark, known, err := (&stream.Letters{Publisher: i.pub}).Sent(ctx, id)
	if err != nil {
		return err
	}
	if known {
		s.Letter = account.Posted{State: mark.State, At: mark.Last, Status: mark.Status, Words: mark.Text}
	}
	s.Wrong, err = (&stream.Counter{Publisher: i.pub}).Count(ctx, attempts)
	return err
}

// held are the kinds of change that the brake holds for an account.
func (i *investigation) held(ctx context.Context, a account.Account) (kinds []string, err error) {
	b := i.newBrake(i.pub)
	if b == nil || a.Turn.IsZero() || a.Turn.After(i.clock.Now()) {
		return nil, nil
	}
	for _, kind := range account.Brakes() {
		state, err := b.State(ctx, kind)
		if err != nil {
			return nil, err
		}
		if state.Held.IsZero() {
			continue
		}
		waits, err := stream.BrakeWaits(ctx, i.js, kind, state.Upto)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(waits, func(w stream.Waits) bool { return w.Account == a.ID }) {
			kinds = append(kinds, kind)
		}
	}
	return kinds, nil
}

// refused finds the dead letters about the person: sent about one of the
// sources' keys, or naming the account.
func (i *investigation) refused(ctx context.Context, who asked, a account.Account) (out []account.Refusal, err error) {
	subjects := who.subjects()
	if a.ID != "" {
		subjects = append(subjectsOf(a), stream.Subject{Area: "it", Key: a.Username})
	}
	err = (&stream.DeadLetters{JS: i.js}).List(ctx, "", func(d events.DeadLetter) bool {
		about := slices.ContainsFunc(subjects, func(s stream.Subject) bool {
			area, _, _ := strings.Cut(d.Subject, ".")
			return area == s.Area && strings.HasSuffix(d.Subject, "."+events.Key(s.Key))
		})
		if about || a.ID != "" && strings.Contains(d.Text, a.ID) {
			out = append(out, account.Refusal{ID: d.ID, Reason: d.Reason, At: d.Time})
		}
		return true
	})
	return out, err
}
