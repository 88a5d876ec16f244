package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"usn.no/matricula/breach"
)

const breachHelp = `Make a local index of breached passwords, so that no password's hash leaves the
house. The corpus is one file of "SHA1:COUNT" lines ordered by hash, or a folder
of range files. It is read as a stream (4 bytes of disk a hash, 8 MB of memory);
broken off, the same command goes on where it was. The finished index is checked,
then named in breach.index_file.`

func breachCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "breach",
		Short: "Make a local index of breached passwords",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(breachBuildCommand())
	return c
}

func breachBuildCommand() *cobra.Command {
	var b breach.Build
	var quiet bool
	c := &cobra.Command{
		Use:     "build --from FILE|FOLDER --to FILE",
		Short:   "Build or go on building the index",
		Long:    breachHelp,
		Example: "  matricula breach build --from pwned-passwords.txt --to /var/lib/matricula/breach.idx",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if b.From == "" || b.To == "" {
				return usage("name the corpus (--from) and the index (--to)\nsee: %s --help", c.CommandPath())
			}
			if !quiet {
				bar := progressbar.NewOptions64(1, progressbar.OptionSetWriter(c.ErrOrStderr()), progressbar.OptionSetDescription("reading"),
					progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish())
				b.Progress = func(p breach.Progress) {
					bar.ChangeMax64(max(p.Total, 1))
					_ = bar.Set64(p.Done)
				}
			}
			return buildIndex(c, b)
		},
	}
	c.Flags().StringVar(&b.From, "from", "", "the corpus: a `file` or a folder of range files")
	c.Flags().StringVar(&b.To, "to", "", "the index `file` to make")
	c.Flags().Uint32Var(&b.MinCount, "min-count", 1, "leave out what was seen less often")
	c.Flags().BoolVar(&b.Partial, "partial", false, "take a corpus that lacks prefixes; a password in one passes as unknown")
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "no progress bar")
	return c
}

// buildIndex builds, then reads the whole index back: a damaged one must not
// be found out on opening day.
func buildIndex(c *cobra.Command, b breach.Build) error {
	done, err := b.Run(c.Context())
	if err != nil {
		return fmt.Errorf("%w\nrun the same command again: it goes on from there", err)
	}
	index, err := breach.OpenIndex(b.To)
	if err != nil {
		return err
	}
	if err := errors.Join(index.Verify(c.Context()), index.Close()); err != nil {
		return fmt.Errorf("%w\ndelete %s and build it again", err, b.To)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%d passwords of %d lines in %s\nset breach.index_file = %q for the portal\n", done.Hashes, done.Lines, b.To, b.To)
	return err
}
