package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"usn.no/matricula/stream"
)

const replayHelp = `Have the broker deliver the intake once more, from a time on. It is the second half
of a restore: first the directory is put back from its backup, then everything
that came since is handled again. Workers may be running, and need to be for
anything to happen.

Handling an event again changes nothing that is there: nobody gets a second
account, and no letter goes out twice. Say a time that is a little before the
backup rather than after it.`

func replayCommand() *cobra.Command {
	var since string
	c := &cobra.Command{
		Use:     "replay --since TIME",
		Short:   "Handle once more what came since a backup",
		Long:    replayHelp,
		Example: "  matricula replay --since 2027-07-30T02:55:00+02:00",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			at, err := time.Parse(time.RFC3339, since)
			if err != nil {
				return usage("--since %q is no time like 2027-07-30T02:55:00+02:00", since)
			}
			s, err := openAdmin(c)
			if err != nil {
				return err
			}
			defer s.close()
			from, n, err := stream.Again(c.Context(), s.js, s.settings(), s.clock.ToBroker(at))
			if err != nil {
				return err
			}
			if n == 0 {
				_, _ = fmt.Fprintf(c.OutOrStdout(), "nothing came since %s\n", oslo(at))
				return nil
			}
			_, _ = fmt.Fprintf(c.OutOrStdout(), "%d events from sequence %d on are delivered once more\n", n, from)
			return nil
		},
	}
	c.Flags().StringVar(&since, "since", "", "begin with what came at this `time` (RFC 3339)")
	return c
}
