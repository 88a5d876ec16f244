package account_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
)

// visitor is a person who opens a letter.
func (t *town) visitor() {
	t.visits--
	s := t.sim
	var with []letter
	for _, l := range s.pub.sent {
		if l.Invitation != "" {
			with = append(with, l)
		}
	}
	l := with[len(with)-1-s.rng.IntN(min(3, len(with)))]
	p := portals + s.rng.IntN(2)
	s.spawn("visitor", p, "", func(ctx context.Context) { t.visit(ctx, l, p) })
}

// numberOf is a number the person has typed before: any they ever had.
func (t *town) numberOf(id string) string {
	for _, e := range t.sim.dir.entries {
		if e.ID == id && len(e.Numbers) > 0 {
			return e.Numbers[t.sim.rng.IntN(len(e.Numbers))].Value
		}
	}
	return "none"
}

// visit goes from the link to the password, with slips, pauses and doubles.
func (t *town) visit(ctx context.Context, l letter, p int) {
	s := t.sim
	life := s.lives[p]
	ticket := life.Tickets.Seal(l.Invitation, l.Purpose)
	if _, err := life.Look(ctx, ticket); err != nil {
		t.again(ctx, p, ticket, err)
		return
	}
	number := t.numberOf(l.Account)
	if s.chance(0.15) {
		number = "01010112345"
	}
	proof, err := life.Prove(ctx, ticket, t.role(l.Account), number)
	if err != nil {
		t.again(ctx, p, ticket, err)
		return
	}
	if s.chance(0.4) {
		s.think(ctx, time.Duration(s.rng.IntN(45))*time.Minute)
	}
	for range 1 + s.rng.IntN(3) { // impatient people press twice, in two tabs, at two portals
		q := portals + s.rng.IntN(2)
		s.spawn("click", q, "", func(ctx context.Context) { t.press(ctx, q, l, proof.Token) })
	}
}

func (t *town) role(id string) string {
	for _, e := range t.sim.dir.entries {
		if e.ID == id && len(e.Roles) > 0 {
			return e.Roles[0].Kind
		}
	}
	return account.Student
}

// press sends the form, and again when there was no answer.
func (t *town) press(ctx context.Context, p int, l letter, proof string) {
	for range 3 {
		c := &click{
			invitation: l.Invitation, purpose: l.Purpose, account: l.Account, portal: p,
			password: fmt.Sprintf("Tolv trøtte bjørner %d", len(t.clicks)),
		}
		t.clicks = append(t.clicks, c)
		_, err := t.sim.lives[p].Activate(ctx, account.Choice{
			Proof: proof, Password: c.password, Rules: account.Acceptance{Version: "1", Hash: "ab", Language: "nb"},
		})
		c.err, c.answered = err, true
		t.sim.note("click %s at portal %d: %v", c.password[len(c.password)-2:], p, err)
		if !events.IsUnavailable(err) {
			return
		}
	}
}

// again asks for a new letter where the page offers it.
func (t *town) again(ctx context.Context, p int, ticket string, err error) {
	if errors.Is(err, account.ErrExpired) || errors.Is(err, account.ErrFrozen) || t.sim.chance(0.1) {
		_ = t.sim.lives[p].Again(ctx, ticket)
	}
}

// act is a person without haste or slips: the last letter, the right number,
// and a new letter where the page says that this one is over.
func (t *town) act(ctx context.Context, l letter) {
	life := t.sim.lives[portals]
	ticket := life.Tickets.Seal(l.Invitation, l.Purpose)
	proof, err := life.Prove(ctx, ticket, t.role(l.Account), t.numberOf(l.Account))
	if err != nil {
		t.sim.note("the patient visitor is answered %v", err)
		_ = life.Again(ctx, ticket)
		if e := t.sim.entry(l.Account); errors.Is(err, account.ErrSpent) && e != nil {
			_ = life.RequestLetter(ctx, account.LetterRequest{
				Number: t.numberOf(l.Account), Family: cmp.Or(e.Name.Family, e.Name.Given), From: "192.0.2.1",
			})
		}
		return
	}
	t.press(ctx, portals, l, proof.Token)
}
