package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"usn.no/matricula/deploy"
	"usn.no/matricula/events"
)

const demoHelp = `Run all of Matricula on this machine, without any server: broker, directory,
mailbox, worker, mailer and portal, with invented people. The clock starts half a
minute before the August window opens, so that one can be refused and then let
in. Everything lies in a temporary folder and is gone afterwards.

To see a relay in trouble, publish somebody whose address begins with 550-, 450-,
drop- or slow-, and ask "mail status" and "account explain". The mailbox shows every
letter in every language under /templates.

--once plays the people too: it reads their letters, clicks, is refused, waits for
the window, activates, has a password reported as compromised and sets a new one, and
sets a PIN that an access system takes.
Then it moves the clock through a year for a dozen others: they leave, are
cancelled, come back, die, graduate, change number and name. It prints what
happened line by line and a summary counted from outside, and ends with 0 only if
everything was as the events alone led to expect. With a FOLDER it plays the events
of that folder instead.`

// demoStart is half a minute before the main window opens.
const demoStart = "2027-07-31T23:59:30+02:00"

type demoFlags struct {
	once, asJSON, verbose bool
	at, keep, listen      string

	lives bool // with the people that ship: their year after it, too
}

func demoCommand() *cobra.Command {
	var f demoFlags
	c := &cobra.Command{
		Use:     "demo [FOLDER]",
		Short:   "See it work, without any server",
		Long:    demoHelp,
		Example: "  matricula demo\n  matricula demo --once\n  matricula demo --once --json --keep ./last-run",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			lines, err := demoLines(args)
			if err != nil {
				return err
			}
			at, err := time.Parse(time.RFC3339, f.at)
			if err != nil {
				return usage("--at %s: write it like %s", f.at, demoStart)
			}
			f.lives = len(args) == 0 && f.at == demoStart
			return demo(c, f, at, lines)
		},
	}
	c.Flags().BoolVar(&f.once, "once", false, "play the people too, print a summary, and end")
	c.Flags().BoolVar(&f.asJSON, "json", false, "with --once: print the summary as one JSON object")
	c.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "print the log too")
	c.Flags().StringVar(&f.at, "at", demoStart, "start the clock at this `time`")
	c.Flags().StringVar(&f.keep, "keep", "", "leave everything in this `folder`")
	c.Flags().StringVar(&f.listen, "listen", "127.0.0.1:8080", "portal's `address` (a free port with --once)")
	_ = c.MarkFlagDirname("keep")
	return c
}

func demoLines(args []string) ([]line, error) {
	if len(args) == 1 {
		lines, err := readLines(args[0])
		if err == nil && len(lines) == 0 {
			err = notFound("%s: no events (*.json, *.jsonl)", args[0])
		}
		return lines, err
	}
	raw, err := deploy.Demo.ReadFile(deploy.DemoFile)
	if err != nil {
		return nil, err
	}
	return splitLines(filepath.Base(deploy.DemoFile), raw)
}

// demo starts everything in a folder of its own and plays or waits.
func demo(c *cobra.Command, f demoFlags, at time.Time, lines []line) error {
	dir, remove, err := demoFolder(f.keep)
	if err != nil {
		return err
	}
	defer remove()
	s, err := demoSystem(c, f, dir, at)
	if err != nil {
		return err
	}
	defer s.close()
	ctx, stop := context.WithCancel(c.Context())
	defer stop()
	if err := s.embed(ctx, everyRole()); err != nil {
		return err
	}
	r, err := s.start(ctx, everyRole())
	if err != nil {
		return err
	}
	doors, err := r.openDoors(ctx)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx) }()
	if f.once {
		err = playOnce(ctx, c.OutOrStdout(), r, doors, f, lines)
	} else {
		err = playLive(ctx, c.OutOrStdout(), r, dir, lines)
	}
	stop()
	return errors.Join(err, <-ended)
}

func demoFolder(keep string) (dir string, remove func(), err error) {
	if keep != "" {
		if exists(filepath.Join(keep, "broker")) {
			return "", nil, refused("%s holds a demo already: name an empty folder", keep)
		}
		dir, err = filepath.Abs(keep)
		return dir, func() {}, errors.Join(err, os.MkdirAll(keep, 0o700))
	}
	dir, err = os.MkdirTemp("", "matricula-demo-")
	return dir, func() { _ = os.RemoveAll(dir) }, err
}

// demoSystem has the defaults of a new installation, but for what makes it a
// demo: embedded servers, test numbers, a clock of its own. The settings are
// left as a file, so that the other commands reach the running demo.
func demoSystem(c *cobra.Command, f demoFlags, dir string, at time.Time) (*system, error) {
	listen, level, web := f.listen, "error", ifFree("127.0.0.1:8025")
	if f.once {
		listen, web = "127.0.0.1:0", ""
	}
	// Opened now and kept: a port that is only looked up may be another's when
	// the portal comes to it.
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("portal: %w; name another address with --listen", err)
	}
	if f.verbose {
		level = "info"
	}
	file := filepath.Join(dir, "matricula.toml")
	text := fmt.Sprintf("# the running demo\ndata_dir = %q\nembedded = true\nallow_synthetic = true\n\n[portal]\nlisten = %q\n\n[institution]\nname_nb = \"Universitetet i Sørøst-Norge\"\nname_nn = \"Universitetet i Søraust-Noreg\"\n\n[log]\nlevel = %q\nformat = \"text\"\n",
		dir, listener.Addr(), level)
	pin, err := pinSettings(dir)
	if err == nil {
		err = os.WriteFile(file, []byte(text+pin), 0o600)
	}
	var cfg Config
	if err == nil {
		cfg, err = LoadConfig(file, nil)
	}
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	s := &system{cfg: cfg, log: newLog(cfg.Log, c), clock: &clock{}, mailboxWeb: web, listener: listener}
	s.onClose(func() { _ = listener.Close() })
	if !f.verbose {
		s.log = zerolog.Nop()
	}
	s.clock.set(at)
	s.onClose(func() { _ = os.Remove(filepath.Join(dir, clockFile)) })
	if err := s.clock.tell(dir); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// playLive publishes the people and waits, printing the audit stream.
func playLive(ctx context.Context, w io.Writer, r *running, dir string, lines []line) error {
	if err := publishAll(ctx, r, lines); err != nil {
		return err
	}
	_, _ = fmt.Fprintf(w, `
Matricula is running. Its clock: %s

  Letters   %s
  Portal    %s

Open a letter, follow its link, and type the number below. Students are let in
when the clock has passed 1 August 00:00.

`, r.clock.Now().In(osloZone()).Format("2006-01-02 15:04:05 MST"), r.mailbox.URL(), r.cfg.Portal.BaseURL)
	for _, m := range newCast(lines, r.clock.Now()).Members {
		number := "no number yet"
		if n, ok := m.best(); ok {
			number = n.Type + " " + n.Value
		}
		_, _ = fmt.Fprintf(w, "  %-40s %-28s %s\n", m.name(), orDash(m.Email), number)
	}
	_, _ = fmt.Fprintf(w, `
In another terminal:

  matricula account list --config %[1]s/matricula.toml
  matricula dead list    --config %[1]s/matricula.toml
  matricula windows      --config %[1]s/matricula.toml

Ctrl-C ends it. The audit stream, as it happens:

`, dir)
	p, err := r.people(ctx, roleOperator, r.js)
	if err != nil {
		return err
	}
	return tailAudit(ctx, r.system, tailFlags{follow: true}, usernames(ctx, p), w)
}

// ifFree is the address where nobody listens there yet, else empty: any other.
func ifFree(address string) string {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return ""
	}
	_ = l.Close()
	return address
}

// publishAll publishes the play's events; what is no event at all is published
// too, so that it can be seen among the dead letters.
func publishAll(ctx context.Context, r *running, lines []line) error {
	routes := make([]events.Route, len(lines))
	for i, l := range lines {
		route, err := events.RouteOf(l.Raw)
		if err != nil {
			return fmt.Errorf("%s line %d: %w", l.File, l.No, err)
		}
		routes[i] = route
	}
	for done := 0; done < len(lines); {
		n, _, err := publishSome(ctx, r.js, lines[done:], routes[done:])
		if err != nil {
			return err
		}
		done += n
	}
	return nil
}
