package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"usn.no/matricula/account"
	"usn.no/matricula/stream"
)

const checkHelp = `Look at everything the roles need and say what is wrong and what to do: settings,
keys, broker, streams, directory, relay. Nothing is changed.

Exit code 0 when all is well, 1 when something is not.`

// finding is one line of check. A warning does not fail it.
type finding struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	Warn bool   `json:"warn,omitempty"`
	Text string `json:"text,omitempty"`
}

func checkCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong and what to do",
		Long:  checkHelp,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			bad := 0
			for _, f := range checkAll(c) {
				if !f.OK && !f.Warn {
					bad++
				}
				if asJSON {
					_ = printJSON(c.OutOrStdout(), f)
					continue
				}
				mark := "ok   "
				switch {
				case f.Warn:
					mark = "warn "
				case !f.OK:
					mark = "FAIL "
				}
				_, _ = fmt.Fprintf(c.OutOrStdout(), "%s %-22s %s\n", mark, f.What, f.Text)
			}
			if bad > 0 {
				return fmt.Errorf("%d checks failed", bad)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return c
}

func checkAll(c *cobra.Command) []finding {
	cfg, err := loadConfig(c)
	if err != nil {
		return []finding{{What: "settings", Text: err.Error()}}
	}
	out := []finding{{What: "settings", OK: true}}
	if cfg.AllowSynthetic {
		out = append(out, finding{What: "allow_synthetic", Warn: true, Text: "test numbers are accepted: never in production"})
	}
	for _, role := range everyRole() {
		f := finding{What: "ready as " + role, OK: true}
		if err := cfg.ReadyFor(role); err != nil && !cfg.Embedded {
			f.OK, f.Text = false, err.Error()
		}
		out = append(out, f)
	}
	s, err := openAdmin(c)
	if err != nil {
		return append(out, finding{What: "broker", Text: err.Error()})
	}
	defer s.close()
	out = append(out, finding{What: "broker", OK: true, Text: s.js.Conn().ConnectedServerVersion()})
	out = append(out, s.checkClock(c.Context()))
	out = append(out, s.checkStreams(c.Context())...)
	out = append(out, s.checkPeople(c.Context())...)
	out = append(out, s.checkBrake(c.Context())...)
	out = append(out, s.checkPINs(c.Context()))
	return append(out, s.checkRelay(c.Context())...)
}

// checkClock compares this machine's clock with the broker's, as a portal does
// before it decides about a window.
func (s *system) checkClock(ctx context.Context) finding {
	w := s.witness(s.js, stream.Intake)
	err := w.agrees(ctx)
	for tries := 1; err != nil && w.last.Load() == nil && tries < 4; tries++ { // an answer that took too long says nothing
		err = w.agrees(ctx)
	}
	if err != nil {
		return finding{What: "clock", Text: err.Error()}
	}
	return finding{What: "clock", OK: true, Text: fmt.Sprintf("%s, the limit is %s", *w.last.Load(), clockLimit)}
}

func (s *system) checkStreams(ctx context.Context) []finding {
	diffs, err := stream.Drift(ctx, s.js, s.settings())
	if err != nil {
		return []finding{{What: "streams", Text: err.Error()}}
	}
	out := []finding{{What: "streams", OK: len(diffs) == 0}}
	for _, d := range diffs {
		out = append(out, finding{What: "streams", Text: d + ": run matricula setup"})
	}
	if s.cfg.NATS.MonitorURL != "" {
		out = append(out, checkSync(ctx, s.cfg.NATS.MonitorURL))
	}
	gaps, err := stream.Verify(ctx, s.js)
	if err != nil {
		return append(out, finding{What: "streams of record", Text: err.Error()})
	}
	for _, g := range gaps {
		out = append(out, finding{What: "streams of record", Text: g})
	}
	if len(gaps) == 0 {
		out = append(out, finding{What: "streams of record", OK: true, Text: "no gaps"})
	}
	return out
}

// checkSync tells whether an acknowledged event is on the broker's disk. Only
// the monitoring address knows.
func checkSync(ctx context.Context, url string) finding {
	always, err := stream.SyncAlways(ctx, url)
	switch {
	case err != nil:
		return finding{What: "broker's disk", Text: err.Error()}
	case !always:
		return finding{What: "broker's disk", Text: "acknowledges before it has synced: set jetstream { sync_interval: always } and restart it"}
	}
	return finding{What: "broker's disk", OK: true, Text: "everything acknowledged is synced"}
}

func (s *system) checkPeople(ctx context.Context) []finding {
	p, err := s.people(ctx, roleOperator, s.js)
	if err == nil {
		err = p.Ping(ctx)
	}
	if err != nil {
		return []finding{{What: "directory", Text: err.Error()}}
	}
	pending, unsent := 0, 0
	err = p.Each(ctx, account.Query{}, func(a account.Account) bool {
		if a.State == account.Pending {
			pending++
		}
		if len(a.Unsent) > 0 {
			unsent++
		}
		return true
	})
	if err != nil {
		return []finding{{What: "directory", Text: err.Error()}}
	}
	return []finding{
		{What: "directory", OK: true, Text: fmt.Sprintf("%d pending accounts, %d with facts not yet published", pending, unsent)},
		s.checkClaims(ctx, p),
	}
}

func (s *system) checkRelay(ctx context.Context) []finding {
	if s.cfg.SMTP.Host == "" {
		return nil
	}
	d := net.Dialer{Timeout: 5 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(s.cfg.SMTP.Host, strconv.Itoa(s.cfg.SMTP.Port)))
	if err != nil {
		return []finding{{What: "relay", Text: err.Error()}}
	}
	_ = conn.Close()
	return []finding{{What: "relay", OK: true, Text: "accepts connections"}}
}
