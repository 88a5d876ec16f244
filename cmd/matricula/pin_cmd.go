package main

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

const pinHelp = `PINs on their way from the portal to the access system of the doors. Nobody in
between can read one: it is sealed to the access system's key.`

const pinReceiveHelp = `Take PINs as an access system does: fetch each one that waits, open it with
pin.private_key_file, hand it over, and say that it was delivered and confirmed,
which the person sees in the portal. Here handing over is a line on standard
output: account and campus, and with --show the person and the PIN.

It runs as the broker's user "access" ([nats.access]), which can do nothing else.
docs/pin.md says what a program of your own has to do.

What does not open with the key at hand is left for later, and another attempt is
made after a minute. --discard takes it away instead, and the person is asked to
set another PIN.`

const pinKeyHelp = `Make the access system's key pair. Run it where PINs are to be received: the
private half is written to FILE and belongs in pin.private_key_file there; the
public half beside it, in FILE.pub, belongs in pin.public_key_file of the
portals. Without it the portal says that PINs are set elsewhere.`

func pinCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "pin",
		Short: "Take PINs as an access system does",
		Long:  pinHelp,
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(pinReceiveCommand(), pinKeyCommand())
	return c
}

type pinFlags struct{ once, show, asJSON, discard bool }

func pinReceiveCommand() *cobra.Command {
	var f pinFlags
	c := &cobra.Command{
		Use:     "receive",
		Short:   "Fetch PINs, open them, and confirm them",
		Long:    pinReceiveHelp,
		Example: "  matricula pin receive\n  matricula pin receive --once --json --show",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := openAs(c, roleAccess)
			if err != nil {
				return err
			}
			defer s.close()
			keys, err := s.cfg.PIN.private()
			if err != nil {
				return err
			}
			r := &pinReceiver{
				pins: &stream.PINs{Publisher: s.publisher(s.js)}, keys: keys, discard: f.discard, log: s.log, now: time.Now,
				take: func(p receivedPIN) error { return p.print(c.OutOrStdout(), f) },
			}
			return r.run(c.Context(), s.js, f.once)
		},
	}
	c.Flags().BoolVar(&f.once, "once", false, "take what waits now, and end")
	c.Flags().BoolVar(&f.show, "show", false, "print the person and the PIN too")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object a line")
	c.Flags().BoolVar(&f.discard, "discard", false, "take away what cannot be opened")
	return c
}

// receivedPIN is one PIN as it is handed over.
type receivedPIN struct {
	Account  string     `json:"account"`
	Campus   string     `json:"campus"`
	Sequence uint64     `json:"sequence"`
	Set      time.Time  `json:"set"`
	Holder   *pinHolder `json:"holder,omitempty"` // with --show only
}

// pinHolder is what is for whoever opens doors alone.
type pinHolder struct {
	Username string   `json:"username"`
	Numbers  []string `json:"numbers"`
	PIN      string   `json:"pin"`
}

// String shows neither the person nor the PIN, wherever one is printed.
func (p receivedPIN) String() string { return "PIN of account " + p.Account + " for " + p.Campus }

func (p receivedPIN) print(w io.Writer, f pinFlags) error {
	if !f.show {
		p.Holder = nil
	}
	if f.asJSON {
		return printJSON(w, p)
	}
	line := fmt.Sprintf("%s  %s  %s", oslo(p.Set), p.Account, p.Campus)
	if h := p.Holder; h != nil {
		line += fmt.Sprintf("  %s %v  %s", h.Username, h.Numbers, h.PIN)
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

func pinKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "key FILE",
		Short:   "Make the access system's key pair",
		Long:    pinKeyHelp,
		Example: "  matricula pin key /etc/access/pin.key",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			for _, p := range []string{path, path + ".pub"} {
				if exists(p) {
					return refused("%s is there already: a key is never replaced", p)
				}
			}
			name, err := makePINKey(path)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "key %s\nprivate half  %s\npublic half   %s.pub\n", name, path, path)
			return err
		},
	}
}

// makePINKey writes a new pair and answers its print.
func makePINKey(path string) (string, error) {
	key, err := events.GenerateSealKey()
	if err != nil {
		return "", err
	}
	text, err := key.Text()
	if err != nil {
		return "", err
	}
	if err := writeWhole(path, text, 0o600); err != nil {
		return "", err
	}
	return key.Public().Print(), writeWhole(path+".pub", key.Public().Text(), 0o644)
}
