package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
)

const mergeHelp = `Say that two accounts are one person's. Everything that HR and admissions told of
USERNAME, its numbers among it, belongs to the account given with --into from
then on, and so does what they tell later. That one keeps its username, its
password and its state. USERNAME is closed: its password, sessions and links are
gone, and its name is never given to anybody again.

It cannot be undone: two persons in one account are for their registers to take
apart. An event that was parked because a number stood on both accounts is then
done again with: matricula dead replay ID.`

func accountMergeCommand() *cobra.Command {
	var f orderFlags
	var into string
	c := &cobra.Command{
		Use:   "merge USERNAME --into USERNAME",
		Short: "Join two accounts of one person",
		Long:  mergeHelp,
		Example: `  matricula dead list --reason parked
  matricula account merge 256789 --into asharao --reason "one person, two numbers"
  matricula dead replay INTAKE-17-9f3a2c11`,
	}
	orderCommand(c, &f, nil)
	c.RunE = func(c *cobra.Command, args []string) error {
		if into == "" {
			return usage("--into is missing: name the account that is kept")
		}
		if err := f.complete(c); err != nil {
			return err
		}
		s, p, err := openPeople(c)
		if err != nil {
			return err
		}
		defer s.close()
		from, err := find(c, p, args[0])
		if err != nil {
			return err
		}
		kept, err := find(c, p, into)
		if err != nil {
			return err
		}
		if from.ID == kept.ID {
			return usage("%s and %s are the same account", args[0], into)
		}
		if from.State == account.Active && kept.State == account.Pending {
			_, _ = fmt.Fprintf(c.ErrOrStderr(), "note: %s is pending: nobody can sign in until its letter has been used\n", kept.Username)
		}
		return s.order(c, p, from, events.AccountMerged{
			Username: from.Username, Into: kept.Username, Reason: f.reason, Actor: f.actor,
		}, f)
	}
	c.Flags().StringVar(&into, "into", "", "the account that is kept, by `username`")
	_ = c.RegisterFlagCompletionFunc("into", completeAnyUsername)
	return c
}

// find is the account that an operator names, with the exit code of one that
// is not there.
func find(c *cobra.Command, p account.Directory, name string) (account.Account, error) {
	a, err := p.Find(c.Context(), keyOf(name))
	if errors.Is(err, account.ErrNotFound) {
		return a, notFound("account %s: %w", name, err)
	}
	if err != nil {
		return a, fmt.Errorf("account %s: %w", name, err)
	}
	return a, nil
}
