package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"usn.no/matricula/account"
	"usn.no/matricula/stream"
)

const importHelp = `Take over the people who are in the directory already, with the passwords they
have. Nothing is written without --apply: first it says what it would do.

Every entry below ou=people that is no account yet becomes one, in one Modify
that adds what is missing. Passwords, names and numbers stay as they are. Who
has a password is active; who is locked is suspended; who has none is pending
and will be invited by the feed. Nobody is written to. An identity number is
taken from norEduPersonNIN, student and employee numbers from norEduPersonLIN
(usn.no:employee:104711): by these the feed of HR and admissions finds the same
people, makes nobody twice and only fills in what is missing.

What contradicts itself is left alone and listed with the reason: mend it in the
directory and run the command again. Until then its names and numbers are
reserved, and an event about such a person becomes a dead letter "parked", to be
replayed afterwards. Exit code 4 says that there are such entries.

It needs the directory's administrator ([ldap.operator]), the operator's login to
the broker ([nats.operator]) and the workers' key (keys.claims_file). Run it
while nobody else writes to the directory. Broken off, it goes on where it
stopped. Step by step: docs/going-live.md.`

type importFlags struct {
	apply, unknown, unheard, asJSON, quiet bool
	retired                                string
}

func importCommand() *cobra.Command {
	var f importFlags
	c := &cobra.Command{
		Use:   "import",
		Short: "Take over an existing directory with its passwords; says first what it would do",
		Long:  importHelp,
		Example: "  matricula import --retired retired.txt\n  matricula import --retired retired.txt --json > plan.jsonl\n" +
			"  matricula import --retired retired.txt --apply\n  matricula import --unheard",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, p, err := openPeople(c)
			if err != nil {
				return err
			}
			defer s.close()
			if f.unheard {
				return listUnheard(c, p, f.asJSON)
			}
			return s.importPeople(c, p, f)
		},
	}
	c.Flags().BoolVar(&f.apply, "apply", false, "do it; without this nothing is written")
	c.Flags().StringVar(&f.retired, "retired", "", "`file` of usernames that nobody may have again, one a line; keep it for claims rebuild")
	c.Flags().BoolVar(&f.unknown, "unknown", false, "take over those, too, who have neither an identity number nor a student or employee number")
	c.Flags().BoolVar(&f.unheard, "unheard", false, "list who was taken over and is not in any feed yet, and nothing else")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object a line, for every entry")
	c.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "no progress bar")
	c.MarkFlagsMutuallyExclusive("apply", "unheard")
	_ = c.MarkFlagFilename("retired")
	return c
}

// claimant is a lifecycle for commands that judge claims.
func (s *system) claimant(p people) (*account.Lifecycle, error) {
	life := s.lifecycle()
	var err error
	life.Identity, err = s.identity()
	life.Directory, life.Claims = watchDirectory(p), watchClaims(stream.NewClaims(s.publisher(s.js)))
	return life, err
}

func (s *system) importPeople(c *cobra.Command, p people, f importFlags) error {
	estate, ok := p.(account.Estate)
	if !ok {
		return usage("ldap.url is empty: the embedded directory holds nobody from before")
	}
	life, err := s.claimant(p)
	if err != nil {
		return err
	}
	i := &account.Import{Life: life, Estate: estate, Ledger: &stream.Ledger{JS: s.js}, Unknown: f.unknown}
	if i.Retired, err = retiredNames(f.retired); err != nil {
		return err
	}
	begun := time.Now()
	plan, err := i.Plan(c.Context())
	if err != nil {
		return err
	}
	if f.apply {
		i.Progress = progress(c, f.quiet, "adopting", "people")
		if err := i.Adopt(c.Context(), plan); err != nil {
			return fmt.Errorf("broken off: %w\nrun the same command again: it goes on from there", err)
		}
	}
	if err := printPlan(c.OutOrStdout(), plan, f); err != nil {
		return err
	}
	sum := summed(plan, len(i.Retired))
	_, _ = fmt.Fprintf(c.ErrOrStderr(), "%s (%s)\n", sum.text(f.apply), time.Since(begun).Round(time.Millisecond))
	if sum.left > 0 {
		return refused("%d of %d entries are left alone: mend them and run the command again", sum.left, len(plan))
	}
	return nil
}

// retiredNames reads usernames, one a line; # begins a comment.
func retiredNames(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	var names []string
	lines := bufio.NewScanner(file)
	for no := 1; lines.Scan(); no++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if strings.TrimSpace(line) == "" {
			continue
		}
		if strings.ContainsAny(strings.TrimSpace(line), " \t,;") {
			return nil, usage("%s line %d: one username a line", path, no)
		}
		if name, ok := account.RetiredName(line); ok {
			names = append(names, name)
		}
	}
	return names, lines.Err()
}

// progress draws how far a long command is.
func progress(c *cobra.Command, quiet bool, doing, what string) func(done, of int) {
	if quiet {
		return nil
	}
	var bar *progressbar.ProgressBar
	return func(done, of int) {
		if bar == nil {
			bar = progressbar.NewOptions(of, progressbar.OptionSetWriter(c.ErrOrStderr()), progressbar.OptionSetDescription(doing),
				progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString(what),
				progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		}
		_ = bar.Set(done)
	}
}

// listUnheard lists whom no feed has told of: people who have left, or who are
// known there by other numbers.
func listUnheard(c *cobra.Command, p people, asJSON bool) error {
	var rows [][]any
	err := eachUnheard(c.Context(), p, func(a account.Account) error {
		r := unheardRow{Username: a.Username, Account: a.ID, State: string(a.State), PasswordSet: account.Known(a.PasswordSince), Adopted: a.Adopted}
		if asJSON {
			return printJSON(c.OutOrStdout(), r)
		}
		rows = append(rows, []any{r.Username, r.Account, r.State, setText(a.PasswordSince)})
		return nil
	})
	if err != nil || asJSON {
		return err
	}
	return table(c.OutOrStdout(), []any{"USERNAME", "ACCOUNT", "STATE", "PASSWORD SET"}, rows)
}

type unheardRow struct {
	Username    string    `json:"username"`
	Account     string    `json:"account"`
	State       string    `json:"state"`
	PasswordSet time.Time `json:"password_set,omitzero"`
	Adopted     time.Time `json:"adopted"`
}

// setText is when a password was set: never is "-".
func setText(t time.Time) string {
	if t.IsZero() {
		return oslo(t)
	}
	return orUnknown(timeOrNil(t))
}

func eachUnheard(ctx context.Context, p people, f func(account.Account) error) error {
	var failed error
	err := p.Each(ctx, account.Query{}, func(a account.Account) bool {
		if a.Unheard() && a.State != account.Closed {
			failed = f(a)
		}
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	return err
}

// planRow is one entry of `import --json`. It holds no identity number.
type planRow struct {
	Username string   `json:"username"`
	Outcome  string   `json:"outcome"` // adopted | would_adopt | left
	Account  string   `json:"account,omitempty"`
	State    string   `json:"state,omitempty"`
	Conflict string   `json:"conflict,omitempty"`
	With     []string `json:"with,omitempty"`
	Notes    []string `json:"notes,omitempty"`
}

func printPlan(w io.Writer, plan []*account.Adoption, f importFlags) error {
	var rows [][]any
	for _, a := range plan {
		if f.asJSON {
			if err := printJSON(w, rowOfPlan(a, f.apply)); err != nil {
				return err
			}
			continue
		}
		if a.Conflict != "" {
			rows = append(rows, []any{a.Username, a.Conflict, orDash(strings.Join(a.With, " ")), conflictTexts[a.Conflict]})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return table(w, []any{"LEFT ALONE", "WHY", "WITH", "WHAT TO DO"}, rows)
}

func rowOfPlan(a *account.Adoption, applied bool) planRow {
	r := planRow{Username: a.Username, Outcome: "would_adopt", Account: a.Account, State: string(a.State), Notes: a.Notes}
	switch {
	case a.Conflict != "":
		r = planRow{Username: a.Username, Outcome: "left", Conflict: a.Conflict, With: a.With, Notes: a.Notes}
	case applied:
		r.Outcome = "adopted"
	}
	return r
}
