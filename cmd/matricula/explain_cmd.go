package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"usn.no/matricula/account"
	"usn.no/matricula/policy"
)

const explainHelp = `Say why somebody cannot activate, in one answer, and what to do next.

A person is named by username, by student or employee number, or by identity
number, which is read from standard input and never from the command line. No
name, no identity number and no role is shown, and of the address a little; of
protected persons still less. Every look-up is in the audit stream with the name
of whoever looked.

Exit code 3 where nobody of this name or number is known; the answer then says
what that may mean.`

func accountExplainCommand() *cobra.Command {
	var asJSON bool
	var actor, language, number string
	c := &cobra.Command{
		Use:   "explain USERNAME|student:NUMBER|employee:NUMBER|--number -",
		Short: "Say why somebody cannot activate, and what to do next",
		Long:  explainHelp,
		Example: "  matricula account explain karnor\n  matricula account explain student:256789 --language nn\n" +
			"  matricula account explain --number - < number.txt",
		RunE: func(c *cobra.Command, args []string) error {
			who, err := askedFor(c.InOrStdin(), args, number)
			if err != nil {
				return err
			}
			t, err := loadTexts(language)
			if err != nil {
				return err
			}
			s, p, err := openPeople(c)
			if err != nil {
				return err
			}
			defer s.close()
			e, err := s.explain(c.Context(), p, who, actor, t)
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(c.OutOrStdout(), e)
			} else {
				err = t.print(c.OutOrStdout(), who, e)
			}
			if err == nil && e.Account == "" {
				return notFound("%s", e.Answer)
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&number, "number", "", "`-`: read the person's identity number from standard input")
	c.Flags().StringVar(&language, "language", ownLanguage(os.Getenv), "nb, nn or en")
	_ = c.RegisterFlagCompletionFunc("language", cobra.FixedCompletions(languages(), cobra.ShellCompDirectiveNoFileComp))
	addActor(c, &actor)
	return c
}

// askedFor reads whom an operator means.
func askedFor(in io.Reader, args []string, number string) (asked, error) {
	switch {
	case number == "" && len(args) != 1, number != "" && len(args) > 0:
		return asked{}, usage("name one person, or give the identity number on standard input with --number -")
	case number == "":
		return asked{name: args[0]}, refuseNumber(args[0])
	case number != "-":
		return asked{}, usage("an identity number is read from standard input: write --number - and type it there")
	}
	line, err := bufio.NewReader(io.LimitReader(in, 100)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return asked{}, fmt.Errorf("standard input: %w", err)
	}
	if line = policy.NormalizeNumber(strings.TrimSpace(line)); line == "" {
		return asked{}, usage("there is no identity number on standard input")
	}
	return asked{number: line}, nil
}

// explain gathers, tells the audit stream, decides, and puts into words.
func (s *system) explain(ctx context.Context, p account.Directory, who asked, actor string, t texts) (explained, error) {
	i := s.investigate(p)
	situation, err := i.situation(ctx, who)
	if err != nil {
		return explained{}, err
	}
	var seen []account.Account
	if situation.Found {
		seen = append(seen, situation.Account)
	}
	if err := s.lookedUp(ctx, "account explain", actor, seen...); err != nil {
		return explained{}, err
	}
	at := surroundings{portal: s.cfg.Portal.BaseURL}
	if into := situation.Account.Merged; into != "" {
		heir, err := p.Find(ctx, account.Key{Kind: account.ByID, Value: into})
		if err != nil && !errors.Is(err, account.ErrNotFound) {
			return explained{}, err
		}
		at.into = heir.Username
	}
	e := account.Explain(situation)
	if e.Answer == account.AddressBounced {
		troubles, err := s.letterTroubles(ctx, situation.Account.ID)
		if err != nil {
			return explained{}, err
		}
		if len(troubles) > 0 {
			at.words = troubles[len(troubles)-1].Text
		}
	}
	return t.put(e, situation, at), nil
}

func (t texts) print(w io.Writer, who asked, e explained) error {
	name := who.name
	switch {
	case e.Username != "":
		name = e.Username
	case name == "":
		name = t.say("by_number")
	}
	_, _ = fmt.Fprintf(w, "%s\n\n%s\n%s\n", t.say("title", "{who}", name), e.Text, t.say("next", "{text}", e.Next))
	for _, further := range e.also {
		_, _ = fmt.Fprintln(w, t.say("also", "{text}", further))
	}
	if e.Protected {
		_, _ = fmt.Fprintf(w, "\n%s\n", t.say("protected_text"))
	}
	if e.Account == "" {
		return nil
	}
	_, _ = fmt.Fprintln(w)
	opens := t.say("at_once")
	if e.Opens != nil {
		opens = oslo(*e.Opens)
	}
	since := t.say("undated")
	if e.Since != nil {
		since = oslo(*e.Since)
	}
	return table(w, []any{t.say("username"), e.Username}, [][]any{
		{t.say("account"), e.Account},
		{t.say("state"), fmt.Sprintf("%s (%s) %s", e.State, orDash(e.Why), since)},
		{t.say("opens"), opens},
		{t.say("letters_to"), orDash(e.Address)},
	})
}
