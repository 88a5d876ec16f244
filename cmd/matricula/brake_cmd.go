package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

const brakeHelp = `Show what the brake has counted and holds, or let it go.

When more accounts than [brake] max_changes leave, are suspended, are closed or
lose an address that the relay refused within the period, that kind is held: those
accounts stay as they are, everything else goes on. Look at why first. If the feed was wrong, have it corrected: what the
sources take back happens to nobody, held or not. If it was right, release it.
What IT orders is never held.`

func brakeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "brake",
		Short:   "Show what a mass change is held for, or release it",
		Long:    brakeHelp,
		Example: "  matricula brake show\n  matricula brake release suspended",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(brakeShowCommand(), brakeReleaseCommand())
	return c
}

// newBrake is the brake as the settings have it; nil where there is none.
func (s *system) newBrake(p *stream.Publisher) *stream.Brake {
	if s.cfg.Brake.MaxChanges == 0 {
		return nil
	}
	return &stream.Brake{Publisher: p, Max: s.cfg.Brake.MaxChanges, Per: s.cfg.Brake.Per.Duration, Now: s.clock.Now}
}

// brakeRow is one kind of change.
type brakeRow struct {
	Kind     string       `json:"kind"`
	Counted  int          `json:"counted"` // within the period
	Max      int          `json:"max"`
	Per      string       `json:"per"`
	Held     *time.Time   `json:"held,omitempty"`
	Waiting  []heldPerson `json:"waiting,omitempty"`
	Mended   int          `json:"mended,omitempty"` // were held, and the sources have said otherwise
	Released *time.Time   `json:"released,omitempty"`
	By       string       `json:"by,omitempty"`
}

type heldPerson struct {
	Username string    `json:"username"`
	Account  string    `json:"account"`
	Since    time.Time `json:"since"`
}

func brakeShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "show",
		Short: "Show what is counted and what is held",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, p, err := openPeople(c)
			if err != nil {
				return err
			}
			defer s.close()
			if s.cfg.Brake.MaxChanges == 0 {
				return refused("there is no brake: brake.max_changes is 0")
			}
			rows, err := s.brakeRows(c.Context(), p)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), rows)
			}
			return printBrake(c.OutOrStdout(), rows)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, with everybody who is held")
	return c
}

func (s *system) brakeRows(ctx context.Context, p account.Directory) ([]brakeRow, error) {
	b := s.newBrake(s.publisher(s.js))
	var rows []brakeRow
	for _, kind := range account.Brakes() {
		state, err := b.State(ctx, kind)
		if err != nil {
			return nil, err
		}
		r := brakeRow{Kind: kind, Counted: len(state.Allowed), Max: b.Max, Per: s.cfg.Brake.Per.String(), By: state.By}
		if !state.Released.IsZero() {
			r.Released = &state.Released
		}
		if !state.Held.IsZero() {
			r.Held = &state.Held
			if err := s.waiting(ctx, p, &r, state.Upto); err != nil {
				return nil, err
			}
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// waiting fills in who is held. Who is not due any more has been corrected.
func (s *system) waiting(ctx context.Context, p account.Directory, r *brakeRow, upto uint64) error {
	noted, err := stream.BrakeWaits(ctx, s.js, r.Kind, upto)
	if err != nil {
		return err
	}
	timed := slices.Contains([]string{account.BrakeLeaving, account.BrakeSuspended, account.BrakeClosed}, r.Kind)
	for _, n := range noted {
		a, err := p.Find(ctx, account.Key{Kind: account.ByID, Value: n.Account})
		switch {
		case errors.Is(err, account.ErrNotFound), err == nil && timed && (a.Turn.IsZero() || a.Turn.After(s.clock.Now())):
			r.Mended++
		case err != nil:
			return err
		default:
			r.Waiting = append(r.Waiting, heldPerson{Username: a.Username, Account: a.ID, Since: n.Since})
		}
	}
	return nil
}

// shownHeld is how many of those held a table names.
const shownHeld = 20

func printBrake(w io.Writer, rows []brakeRow) error {
	var lines [][]any
	for _, r := range rows {
		held := "-"
		if r.Held != nil {
			held = fmt.Sprintf("since %s: %d wait", oslo(*r.Held), len(r.Waiting))
			if r.Mended > 0 {
				held += fmt.Sprintf(", %d no longer", r.Mended)
			}
		}
		released := "-"
		if r.Released != nil {
			released = oslo(*r.Released) + " by " + orDash(r.By)
		}
		lines = append(lines, []any{r.Kind, fmt.Sprintf("%d of %d in %s", r.Counted, r.Max, r.Per), held, released})
	}
	if err := table(w, []any{"KIND", "COUNTED", "HELD", "RELEASED"}, lines); err != nil {
		return err
	}
	for _, r := range rows {
		if r.Held == nil {
			continue
		}
		var names []string
		for _, p := range r.Waiting[:min(len(r.Waiting), shownHeld)] {
			names = append(names, p.Username)
		}
		more := ""
		if n := len(r.Waiting) - len(names); n > 0 {
			more = fmt.Sprintf(" and %d more (--json names all)", n)
		}
		_, _ = fmt.Fprintf(w, "\n%s: %s%s\nlet them go with: matricula brake release %s\n", r.Kind, orDash(strings.Join(names, " ")), more, r.Kind)
	}
	return nil
}

func brakeReleaseCommand() *cobra.Command {
	var actor string
	c := &cobra.Command{
		Use:       "release KIND",
		Short:     "Let go what is held of one kind, and count anew",
		Example:   "  matricula brake release suspended --actor ola.drift",
		ValidArgs: account.Brakes(),
		Args:      oneArg("name one kind: " + strings.Join(account.Brakes(), ", ")),
		RunE: func(c *cobra.Command, args []string) error {
			kind := args[0]
			if !slices.Contains(account.Brakes(), kind) {
				return usage("kind %q is not one of %s", kind, strings.Join(account.Brakes(), ", "))
			}
			if actor == "" {
				return usage("nobody is named: say who releases it with --actor")
			}
			s, p, err := openPeople(c)
			if err != nil {
				return err
			}
			defer s.close()
			return s.release(c, p, kind, actor)
		},
	}
	addActor(c, &actor)
	return c
}

func (s *system) release(c *cobra.Command, p account.Directory, kind, actor string) error {
	pub := s.publisher(s.js)
	b := s.newBrake(pub)
	if b == nil {
		return refused("there is no brake: brake.max_changes is 0")
	}
	before, err := b.State(c.Context(), kind)
	if err != nil {
		return err
	}
	r := brakeRow{Kind: kind}
	if err := s.waiting(c.Context(), p, &r, before.Upto); err != nil {
		return err
	}
	if _, err = b.Release(c.Context(), kind, actor); errors.Is(err, stream.ErrNotHeld) {
		return refused("nothing of kind %s is held", kind)
	} else if err != nil {
		return err
	}
	after, err := b.State(c.Context(), kind)
	if err != nil {
		return err
	}
	if err := pub.Publish(c.Context(), brakeReleased(kind, after)); err != nil {
		return fmt.Errorf("%s is released; a worker will publish the audit fact: %w", kind, err)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "released %s: %d accounts go on within seconds\n", kind, len(r.Waiting))
	return err
}

// brakeHeld and brakeReleased are named by kind and time, so that whoever
// notices publishes the same fact.
func brakeHeld(kind string, s stream.BrakeState, maximum int, per time.Duration) events.Event {
	return events.Once(fmt.Sprintf("brake-%s-held-%d", kind, s.Held.Unix()), s.Held, events.Audit{
		What: events.AuditBrakeHeld, Actor: events.Actor{Kind: "worker"}, Outcome: "done", Reason: kind,
		Details: map[string]string{"allowed": strconv.Itoa(maximum), "period": per.String()},
	})
}

func brakeReleased(kind string, s stream.BrakeState) events.Event {
	return events.Once(fmt.Sprintf("brake-%s-released-%d", kind, s.Released.Unix()), s.Released, events.Audit{
		What: events.AuditBrakeReleased, Actor: events.Actor{Kind: "it", ID: s.By}, Outcome: "done", Reason: kind,
	})
}
