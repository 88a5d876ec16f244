package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

const deadHelp = `What was refused, why, and from where. A dead letter keeps the original: mend the
cause, then replay it. It goes back to where it came from under its own ID, so
that replaying twice changes nothing.`

func deadCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "dead",
		Short: "List what was refused, and replay it",
		Long:  deadHelp,
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(deadListCommand(), deadShowCommand(), deadReplayCommand(), deadDropCommand())
	return c
}

// openDead is openAdmin with the dead letters.
func openDead(c *cobra.Command) (*system, *stream.DeadLetters, error) {
	s, err := openAdmin(c)
	if err != nil {
		return nil, nil, err
	}
	return s, &stream.DeadLetters{JS: s.js, Publisher: s.publisher(s.js)}, nil
}

func deadListCommand() *cobra.Command {
	var asJSON bool
	var reason string
	c := &cobra.Command{
		Use:     "list",
		Short:   "List dead letters, oldest first",
		Example: "  matricula dead list --reason parked",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, dead, err := openDead(c)
			if err != nil {
				return err
			}
			defer s.close()
			var rows [][]any
			err = dead.List(c.Context(), reason, func(d events.DeadLetter) bool {
				if asJSON {
					d.Body, d.Header = nil, nil
					return printJSON(c.OutOrStdout(), d) == nil
				}
				rows = append(rows, []any{d.ID, d.Reason, orDash(d.Field), d.Attempts, oslo(d.Time), orDash(d.Text)})
				return true
			})
			if err != nil || asJSON {
				return err
			}
			return table(c.OutOrStdout(), []any{"ID", "REASON", "FIELD", "ATTEMPTS", "TIME", "WHAT TO DO"}, rows)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line, without the original")
	c.Flags().StringVar(&reason, "reason", "", "only those with this `reason`")
	_ = c.RegisterFlagCompletionFunc("reason", cobra.FixedCompletions(deadReasons(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func deadReasons() []string {
	return []string{
		events.ReasonMalformed, events.ReasonUnknownType, events.ReasonUnhandled, events.ReasonInvalid,
		events.ReasonParked, events.ReasonOrphan, events.ReasonGaveUp, events.ReasonExpired,
	}
}

func deadShowCommand() *cobra.Command {
	var original bool
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Show one dead letter with its reason and origin",
		Long: `Show one dead letter. The original is printed with --original only: it may hold
names, addresses and identity numbers.`,
		Args: oneArg("name one dead letter: matricula dead list"),
		RunE: func(c *cobra.Command, args []string) error {
			s, dead, err := openDead(c)
			if err != nil {
				return err
			}
			defer s.close()
			d, err := dead.Show(c.Context(), args[0])
			if err != nil {
				return deadError(args[0], err)
			}
			if original {
				_, err := fmt.Fprintf(c.OutOrStdout(), "%s\n", d.Body)
				return err
			}
			d.Body, d.Header = nil, nil
			return printJSON(c.OutOrStdout(), d)
		},
	}
	c.Flags().BoolVar(&original, "original", false, "print the original message as it came")
	return c
}

func deadError(id string, err error) error {
	if errors.Is(err, stream.ErrNoDeadLetter) {
		return notFound("dead letter %s: %w", id, err)
	}
	return fmt.Errorf("dead letter %s: %w", id, err)
}

func deadReplayCommand() *cobra.Command {
	var all bool
	var reason string
	c := &cobra.Command{
		Use:     "replay ID...",
		Short:   "Send dead letters back to where they came from",
		Example: "  matricula dead replay INTAKE-17-9f3a2c11\n  matricula dead replay --all --reason unhandled",
		RunE: func(c *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return usage("name dead letters, or say --all\nsee: %s --help", c.CommandPath())
			}
			s, dead, err := openDead(c)
			if err != nil {
				return err
			}
			defer s.close()
			if all {
				if err := dead.List(c.Context(), reason, func(d events.DeadLetter) bool {
					args = append(args, d.ID)
					return true
				}); err != nil {
					return err
				}
			}
			return eachDead(c, args, "replayed", dead.Replay)
		},
	}
	c.Flags().BoolVar(&all, "all", false, "all of them")
	c.Flags().StringVar(&reason, "reason", "", "with --all: only those with this `reason`")
	_ = c.RegisterFlagCompletionFunc("reason", cobra.FixedCompletions(deadReasons(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func deadDropCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "drop ID...",
		Short: "Delete dead letters for good",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage("name dead letters\nsee: %s --help", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			s, dead, err := openDead(c)
			if err != nil {
				return err
			}
			defer s.close()
			return eachDead(c, args, "dropped", dead.Drop)
		},
	}
}

func eachDead(c *cobra.Command, ids []string, done string, do func(context.Context, string) error) error {
	slices.Sort(ids)
	var errs []error
	n := 0
	for _, id := range slices.Compact(ids) {
		if err := do(c.Context(), id); err != nil {
			errs = append(errs, deadError(id, err))
			continue
		}
		n++
	}
	_, _ = fmt.Fprintf(c.OutOrStdout(), "%d %s\n", n, done)
	return errors.Join(errs...)
}
