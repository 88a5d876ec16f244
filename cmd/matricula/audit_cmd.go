package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

func auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "Read the audit stream, verify that nothing is missing",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(auditTailCommand(), auditVerifyCommand())
	return c
}

// auditLine is one fact as `audit tail --json` prints it.
type auditLine struct {
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	What     string    `json:"what"`
	ID       string    `json:"id"`
	events.Audit
	Username string `json:"username,omitempty"` // looked up in the directory with --names
}

type tailFlags struct {
	asJSON, follow, names bool
	since                 time.Duration
}

func auditTailCommand() *cobra.Command {
	var f tailFlags
	c := &cobra.Command{
		Use:   "tail",
		Short: "Print audit facts as they happened",
		Long: `Print audit facts as they happened: oldest first, then, with --follow, each new
one. The stream names accounts by their opaque ID; --names looks the usernames up
in the directory, for those who may read it.`,
		Example: "  matricula audit tail --follow --names\n  matricula audit tail --since 1h --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := openAdmin(c)
			if err != nil {
				return err
			}
			defer s.close()
			var names func(string) string
			if f.names {
				p, err := s.people(c.Context(), roleOperator, s.js)
				if err != nil {
					return err
				}
				names = usernames(c.Context(), p)
			}
			return tailAudit(c.Context(), s, f, names, c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object a line")
	c.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on with each new fact")
	c.Flags().BoolVar(&f.names, "names", false, "show usernames")
	c.Flags().DurationVar(&f.since, "since", 0, "begin this long ago; 0 means with the oldest")
	return c
}

func tailAudit(ctx context.Context, s *system, f tailFlags, names func(string) string, w io.Writer) error {
	o := stream.TailOptions{Follow: f.follow}
	if f.since > 0 {
		o.Since = time.Now().Add(-f.since)
	}
	return stream.Tail(ctx, s.js, o, func(e events.Event) error {
		l := auditLine{Sequence: e.Position, Time: e.Time, ID: e.ID}
		if a, ok := e.Data.(events.Audit); ok {
			l.Audit, l.What = a, a.What
		}
		if names != nil {
			l.Username = names(l.Account)
		}
		if f.asJSON {
			return printJSON(w, l)
		}
		_, err := fmt.Fprintln(w, l.text())
		return err
	})
}

func (l auditLine) text() string {
	who := l.Account
	if l.Username != "" {
		who = l.Username
	}
	s := fmt.Sprintf("%s  %-22s %-26s %-7s by %s", oslo(l.Time), l.What, orDash(who), l.Outcome, l.Actor.Kind)
	if l.Actor.ID != "" {
		s += " (" + l.Actor.ID + ")"
	}
	if l.Reason != "" {
		s += "  " + l.Reason
	}
	return s
}

// usernames looks accounts up, each once.
func usernames(ctx context.Context, p account.Directory) func(string) string {
	known := map[string]string{}
	return func(id string) string {
		if id == "" {
			return ""
		}
		if name, ok := known[id]; ok {
			return name
		}
		a, err := p.Find(ctx, account.Key{Kind: account.ByID, Value: id})
		if err == nil {
			known[id] = a.Username
		}
		return a.Username
	}
}

const verifyHelp = `Read every message of the streams of record and say what is missing: sequences that
are gone or cannot be read, and an end before the one that the workers remember. A
broker that lost part of its store comes up healthy by its own word.

With replicas a run reads one server's copy of each stream, the one that the broker
picks, and not the leader's: repeat it to come round to the others.

--accept, once what can be had back is back, and after an erasure: what is missing
now is not reported again.`

func auditVerifyCommand() *cobra.Command {
	var accept bool
	c := &cobra.Command{
		Use:   "verify",
		Short: "Look for gaps in the streams of record",
		Long:  verifyHelp,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := openAdmin(c)
			if err != nil {
				return err
			}
			defer s.close()
			findings, err := stream.Verify(c.Context(), s.js)
			if err != nil {
				return err
			}
			for _, f := range findings {
				_, _ = fmt.Fprintln(c.OutOrStdout(), f)
			}
			switch {
			case len(findings) > 0 && accept:
				err := (&stream.Reach{JS: s.js, Publisher: s.publisher(s.js)}).Accept(c.Context())
				if err == nil {
					_, err = fmt.Fprintln(c.OutOrStdout(), "accepted")
				}
				return err
			case len(findings) > 0:
				return refused("%d findings", len(findings))
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), "no gaps")
			return err
		},
	}
	c.Flags().BoolVar(&accept, "accept", false, "do not report again what is missing now")
	return c
}
