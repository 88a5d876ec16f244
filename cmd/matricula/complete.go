package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"usn.no/matricula/account"
)

const (
	completions    = 50
	completeWithin = 2 * time.Second
)

// completeUsername completes the first argument of a command.
func completeUsername(c *cobra.Command, args []string, begin string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completeAnyUsername(c, args, begin)
}

// completeAnyUsername offers the usernames that begin so. It is a help and no
// more: a directory that does not answer at once offers none.
func completeAnyUsername(c *cobra.Command, _ []string, begin string) ([]string, cobra.ShellCompDirective) {
	s, p, err := openPeople(c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer s.close()
	ctx, cancel := context.WithTimeout(c.Context(), completeWithin)
	defer cancel()
	var out []string
	_ = p.Each(ctx, account.Query{}, func(a account.Account) bool {
		if strings.HasPrefix(a.Username, strings.ToLower(begin)) {
			out = append(out, a.Username)
		}
		return len(out) < completions
	})
	return out, cobra.ShellCompDirectiveNoFileComp
}
