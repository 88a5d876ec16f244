package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
)

// lookedUp publishes who looks at which people, before anything is shown: what
// cannot be told is not shown. A list is one fact, and one more for each
// protected person in it. What was searched for stands nowhere.
func (s *system) lookedUp(ctx context.Context, command, actor string, people ...account.Account) error {
	if actor == "" {
		return usage("nobody is named: say who looks with --actor")
	}
	now := s.clock.Now()
	fact := func(name, id string, details map[string]string) events.Event {
		details["command"] = command
		name += "looked-up-" + strconv.FormatInt(now.UnixNano(), 36)
		return events.Once(name, now, events.Audit{
			What: events.AuditLookedUp, Account: id, Actor: events.Actor{Kind: "it", ID: actor}, Outcome: "done", Details: details,
		})
	}
	var facts []events.Event
	if len(people) != 1 {
		facts = append(facts, fact("", "", map[string]string{"accounts": strconv.Itoa(len(people))}))
	}
	for _, a := range people {
		if len(people) == 1 || protected(a) {
			facts = append(facts, fact(a.ID+"-", a.ID, map[string]string{}))
		}
	}
	if err := s.publisher(s.js).Publish(ctx, facts...); err != nil {
		return fmt.Errorf("the look-up cannot be audited, so nothing is shown: %w", err)
	}
	return nil
}

// protected tells whether less is shown of a person than of others.
func protected(a account.Account) bool {
	return a.Reserved || a.Protection != "" && a.Protection != "none"
}

// addressOf is a person's address as it may be shown: of a protected person
// nothing, for a domain may tell where somebody is.
func addressOf(a account.Account, address string) string {
	if protected(a) && address != "" {
		return "***"
	}
	return maskedAddress(address)
}

// findPerson finds who an operator means by a username, an account ID, a
// student's or an employee's number.
func findPerson(ctx context.Context, p account.Directory, name string) (account.Account, error) {
	a, err := p.Find(ctx, keyOf(name))
	if !errors.Is(err, account.ErrNotFound) || !digits(name) {
		return a, err
	}
	var found []account.Account
	for _, kind := range []string{account.Student, account.Employee} {
		a, err := p.Find(ctx, account.Key{Kind: account.ByLIN, Value: kind + ":" + name})
		if err == nil {
			found = append(found, a)
		} else if !errors.Is(err, account.ErrNotFound) {
			return account.Account{}, err
		}
	}
	switch {
	case len(found) == 0:
		return account.Account{}, account.ErrNotFound
	case len(found) == 2 && found[0].ID != found[1].ID:
		return account.Account{}, usage("%s is a student and an employee: write student:%s or employee:%s", name, name, name)
	}
	return found[0], nil
}

func digits(s string) bool {
	for _, r := range s {
		if r < '0' || r > '9' {
			return false
		}
	}
	return s != ""
}

// refuseNumber refuses an identity number on the command line: it would stay in
// the shell's history and stand in the list of processes.
func refuseNumber(name string) error {
	if digits(name) && len(name) == 11 {
		return usage("this may be an identity number: it belongs on standard input, with --number -")
	}
	return nil
}
