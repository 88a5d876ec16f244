// Command matricula turns what a university's HR system and admissions publish
// into accounts that people can activate. One binary, a subcommand per role
// and per operator task. It is the only place where the packages meet; it must
// hold no rule of its own about accounts, letters or windows.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"usn.no/matricula/account"
)

// Exit codes are part of the contract.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitNotFound = 3
	exitRefused  = 4
)

// exitError carries an exit code with an error.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &exitError{exitNotFound, fmt.Errorf(format, args...)}
}

func refused(format string, args ...any) error {
	return &exitError{exitRefused, fmt.Errorf(format, args...)}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run is main without the process: tests call it.
func run(ctx context.Context, args []string) int {
	root := rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	_, _ = fmt.Fprintf(root.ErrOrStderr(), "matricula: %v\n", err)
	return exitCode(err)
}

func exitCode(err error) int {
	var e *exitError
	var c *ConfigError
	switch {
	case errors.As(err, &e):
		return e.code
	case errors.As(err, &c):
		return exitUsage
	case errors.Is(err, account.ErrNotFound):
		return exitNotFound
	}
	return exitFailed
}

const rootHelp = `Matricula turns what HR and admissions publish into accounts that people can
activate: events arrive on NATS JetStream, a worker makes pending accounts in
LDAP, letters go out by SMTP, and people activate in the portal when their
window opens. IT reads the audit stream.

  See it work, without any server:      matricula demo
  Run it:                               matricula setup, then matricula serve
  Find out what is wrong:               matricula check

Settings come from one file (--config, or MATRICULA_CONFIG) and from the
environment: the key nats.url is MATRICULA_NATS_URL.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 not found, 4 refused by a rule.`

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "matricula",
		Short:         "From HR and admissions events to accounts that people activate",
		Long:          rootHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.PersistentFlags().String("config", os.Getenv(envPrefix+"CONFIG"), "configuration `file` (TOML)")
	_ = root.MarkPersistentFlagFilename("config", "toml")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%w\nsee: %s --help", err, c.CommandPath())
	})
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run it:"},
		&cobra.Group{ID: "look", Title: "Look and mend:"},
	)
	for _, c := range []*cobra.Command{demoCommand(), serveCommand(), setupCommand(), checkCommand(), publishCommand(), importCommand()} {
		c.GroupID = "run"
		root.AddCommand(c)
	}
	for _, c := range []*cobra.Command{accountCommand(), windowsCommand(), mailCommand(), breachCommand(), pinCommand(), deadCommand(), replayCommand(), brakeCommand(), claimsCommand(), auditCommand(), configCommand(), versionCommand()} {
		c.GroupID = "look"
		root.AddCommand(c)
	}
	return root
}
