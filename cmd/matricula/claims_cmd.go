package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"usn.no/matricula/account"
	"usn.no/matricula/stream"
)

const claimsHelp = `A claim says whose an identity number, a student or employee number or a
username is, for ever. The bucket holds them under keyed handles, because a
number alone could be guessed; each entry in the directory holds its own too, so
that the bucket can be made again. The key is keys.claims_file: keep a copy apart
from the data.`

const rebuildHelp = `Make the claims again from the entries in the directory: after the bucket was
lost, or while the key is changed. Closed and merged accounts keep their names.
Nothing is written without --apply. What is somebody else's already stays so and
is listed; exit code 4 says that there is some.

After a loss: stop the workers, matricula setup, then this with --apply and with
the list that the import was given (--retired), then start the workers. Replaying
every event now finds everybody and makes nobody twice.

To change the key: matricula claims add-key, give the file to every worker and
restart them, then this with --apply; then take the old line out of the file,
restart the workers again, and run this with --key-version and the number of the
new key: the handles of the old one go, from entries and claims.`

func claimsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "claims",
		Short: "Make the claims again from the directory; change their key",
		Long:  claimsHelp,
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(claimsRebuildCommand(), claimsAddKeyCommand())
	return c
}

type rebuildFlags struct {
	apply, asJSON, quiet bool
	retired              string
	version              int
}

func claimsRebuildCommand() *cobra.Command {
	var f rebuildFlags
	c := &cobra.Command{
		Use:     "rebuild",
		Short:   "Make the claims again from the directory; says first what it would do",
		Long:    rebuildHelp,
		Example: "  matricula claims rebuild\n  matricula claims rebuild --retired retired.txt --apply\n  matricula claims rebuild --key-version 2 --apply",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, p, err := openPeople(c)
			if err != nil {
				return err
			}
			defer s.close()
			return s.rebuildClaims(c, p, f)
		},
	}
	c.Flags().BoolVar(&f.apply, "apply", false, "do it; without this nothing is written")
	c.Flags().StringVar(&f.retired, "retired", "", "`file` of usernames that nobody may have again, as the import was given it")
	c.Flags().IntVar(&f.version, "key-version", 0, "keep handles of this key alone; it must be the newest in keys.claims_file")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object a line, for every entry that changes or contradicts a claim")
	c.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "no progress bar")
	_ = c.MarkFlagFilename("retired")
	return c
}

// restoredRow is one entry of `claims rebuild --json`.
type restoredRow struct {
	Username string   `json:"username"`
	Account  string   `json:"account"`
	Claims   int      `json:"claims"`  // written
	Handles  int      `json:"handles"` // added to the entry
	Dropped  int      `json:"dropped"` // handles of older keys, gone
	Conflict []string `json:"conflict,omitempty"`
}

func (s *system) rebuildClaims(c *cobra.Command, p people, f rebuildFlags) error {
	life, err := s.claimant(p)
	if err != nil {
		return err
	}
	if f.version != 0 && f.version != life.Identity.Version {
		return usage("--key-version %d: the newest key in keys.claims_file is version %d", f.version, life.Identity.Version)
	}
	r := &account.Rebuild{Life: life, Ledger: &stream.Ledger{JS: s.js}, Only: f.version != 0}
	if r.Retired, err = retiredNames(f.retired); err != nil {
		return err
	}
	begun := time.Now()
	plan, all, err := r.Plan(c.Context())
	if err != nil {
		return err
	}
	if f.apply {
		r.Progress = progress(c, f.quiet, "claiming", "entries")
		if err := r.Apply(c.Context(), plan); err != nil {
			return fmt.Errorf("broken off: %w\nrun the same command again: it goes on from there", err)
		}
	}
	sum, err := printRestored(c, plan, f)
	if err != nil {
		return err
	}
	verb := "would be "
	if f.apply {
		verb = ""
	}
	_, _ = fmt.Fprintf(c.ErrOrStderr(), "%d entries: %s%d claims written, %d handles added, %d dropped, %d retired usernames kept (%s)\n",
		all, verb, sum.Claims, sum.Handles, sum.Dropped, len(r.Retired), time.Since(begun).Round(time.Millisecond))
	if len(sum.Conflict) > 0 {
		return refused("%d entries contradict each other or a claim: matricula account show, then account merge", len(sum.Conflict))
	}
	return nil
}

func printRestored(c *cobra.Command, plan []*account.Restored, f rebuildFlags) (sum restoredRow, err error) {
	var rows [][]any
	for _, e := range plan {
		row := restoredRow{e.Username, e.Account, e.Missing, e.Handles, e.Dropped, e.Conflict}
		sum.Claims, sum.Handles, sum.Dropped = sum.Claims+row.Claims, sum.Handles+row.Handles, sum.Dropped+row.Dropped
		if len(e.Conflict) > 0 {
			sum.Conflict = append(sum.Conflict, e.Username)
			rows = append(rows, []any{e.Username, e.Account, strings.Join(e.Conflict, " ")})
		}
		if f.asJSON {
			if err := printJSON(c.OutOrStdout(), row); err != nil {
				return sum, err
			}
		}
	}
	if f.asJSON || len(rows) == 0 {
		return sum, nil
	}
	return sum, table(c.OutOrStdout(), []any{"CONTRADICTS", "ACCOUNT", "WHAT HOLDS ITS CLAIMS"}, rows)
}

func claimsAddKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "add-key",
		Short: "Add the next version to keys.claims_file",
		Long: `Add a new key to keys.claims_file, as the next version. Old and new are both in
force from the next start of a worker on. See: matricula claims rebuild --help`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := loadConfig(c)
			if err != nil {
				return err
			}
			version, err := addClaimKey(cfg.Keys.ClaimsFile)
			if err != nil {
				return err
			}
			line, err := makeWorkerPublic(cfg)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "made  version %d in %s: back it up, give it to every worker, restart them\n%s\n",
				version, cfg.Keys.ClaimsFile.Path, line)
			return err
		},
	}
}
