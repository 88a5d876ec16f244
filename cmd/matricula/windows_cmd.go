package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"usn.no/matricula/account"
	"usn.no/matricula/stream"
)

// windowRow is one opening: how many wait for it, how many could walk in, and
// what keeps the others.
type windowRow struct {
	Opens   *time.Time     `json:"opens,omitempty"` // absent: at once
	Pending int            `json:"pending"`
	Ready   int            `json:"ready"` // invited, with number and address
	Active  int            `json:"active"`
	Lacking map[string]int `json:"lacking,omitempty"`
}

func windowsCommand() *cobra.Command {
	var asJSON, who bool
	var actor, language string
	c := &cobra.Command{
		Use:   "windows",
		Short: "Show who opens when, and who is not ready and why",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, p, err := openPeople(c)
			if err != nil {
				return err
			}
			defer s.close()
			if who {
				return s.printUnready(c, p, actor, language, asJSON)
			}
			rows, err := windowRows(c, s, p)
			if err != nil {
				return err
			}
			groups, err := (&stream.Waiting{JS: s.js, Settings: s.settings()}).Groups(c.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), map[string]any{"openings": rows, "waiting_letters": groups})
			}
			return printWindows(c, rows, groups)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&who, "who", false, "list everybody who has not activated, with what stands in the way")
	c.Flags().StringVar(&language, "language", ownLanguage(os.Getenv), "of --who: nb, nn or en")
	_ = c.RegisterFlagCompletionFunc("language", cobra.FixedCompletions(languages(), cobra.ShellCompDirectiveNoFileComp))
	addActor(c, &actor)
	return c
}

func windowRows(c *cobra.Command, s *system, p people) ([]windowRow, error) {
	life := s.lifecycle()
	byTime := map[time.Time]*windowRow{}
	err := p.Each(c.Context(), account.Query{}, func(a account.Account) bool {
		at, ok := life.Opens(a)
		if !ok || a.State == account.Closed {
			return true
		}
		at = account.Known(at) // taken over long after it opened
		r := byTime[at]
		if r == nil {
			r = &windowRow{Lacking: map[string]int{}}
			if !at.IsZero() {
				r.Opens = &at
			}
			byTime[at] = r
		}
		switch lacks := life.Lacks(a); {
		case a.State != account.Pending:
			r.Active++
		case lacks != "":
			r.Pending++
			r.Lacking[lacks]++
		default:
			r.Pending++
			r.Ready++
		}
		return true
	})
	rows := make([]windowRow, 0, len(byTime))
	for _, r := range byTime {
		rows = append(rows, *r)
	}
	slices.SortFunc(rows, func(x, y windowRow) int { return openTime(x).Compare(openTime(y)) })
	return rows, err
}

func openTime(r windowRow) time.Time {
	if r.Opens == nil {
		return time.Time{}
	}
	return *r.Opens
}

func printWindows(c *cobra.Command, rows []windowRow, groups []stream.Group) error {
	out := make([][]any, 0, len(rows))
	for _, r := range rows {
		var lacking []string
		for what, n := range r.Lacking {
			lacking = append(lacking, fmt.Sprintf("%d %s", n, what))
		}
		slices.Sort(lacking)
		out = append(out, []any{openText(r.Opens), r.Pending, r.Ready, r.Active, orDash(strings.Join(lacking, ", "))})
	}
	if err := table(c.OutOrStdout(), []any{"OPENS", "PENDING", "READY", "ACTIVE", "LACKING"}, out); err != nil {
		return err
	}
	if len(groups) == 0 {
		return nil
	}
	_, _ = fmt.Fprintln(c.OutOrStdout())
	letters := make([][]any, 0, len(groups))
	for _, g := range groups {
		letters = append(letters, []any{g.Kind, g.Group, g.Letters, oslo(g.Due)})
	}
	return table(c.OutOrStdout(), []any{"WAITING LETTER", "GROUP", "LETTERS", "DUE"}, letters)
}
