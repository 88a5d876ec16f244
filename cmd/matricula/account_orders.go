package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"usn.no/matricula/events"
)

const ordersHelp = `

It publishes an event as IT's own systems do, waits until a worker has seen to
it, and prints what became of it. Given twice it changes nothing the second
time.`

// orderFlags are what every order takes.
type orderFlags struct {
	reason, actor string
	wait          time.Duration
	asJSON        bool
	reasonless    bool // a reason need not be given
}

// complete says which flag is missing.
func (f *orderFlags) complete(c *cobra.Command) error {
	switch {
	case strings.TrimSpace(f.actor) == "":
		return usage("--actor is empty: say who asks for it")
	case strings.TrimSpace(f.reason) == "" && !f.reasonless:
		return usage("--reason is missing: say why, for the record\nsee: %s --help", c.CommandPath())
	case f.wait < 0:
		return usage("--wait is negative")
	}
	return nil
}

// orderCommand is a command of IT's about one account. data makes its event; it
// is told the time.
func orderCommand(c *cobra.Command, f *orderFlags, data func(words, time.Time) (events.Data, error)) *cobra.Command {
	c.Long += ordersHelp
	c.Args = oneArg("name one account")
	c.ValidArgsFunction = completeUsername
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.complete(c); err != nil {
			return err
		}
		s, p, err := openPeople(c)
		if err != nil {
			return err
		}
		defer s.close()
		a, err := find(c, p, args[0])
		if err != nil {
			return err
		}
		d, err := data(words{Username: a.Username, Reason: f.reason, Actor: f.actor}, s.clock.Now())
		if err != nil {
			return err
		}
		return s.order(c, p, a, d, *f)
	}
	c.Flags().StringVar(&f.reason, "reason", "", "why, for the record: one `sentence` without anybody's name")
	addActor(c, &f.actor)
	c.Flags().DurationVar(&f.wait, "wait", 30*time.Second, "how long to wait for the outcome; 0 does not wait")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print the outcome as JSON")
	return c
}

// words are what all of IT's plain commands say.
type words = events.Command

func accountSuspendCommand() *cobra.Command {
	var f orderFlags
	return orderCommand(&cobra.Command{
		Use:   "suspend USERNAME",
		Short: "Lock an account until it is restored",
		Long: `Lock an account at once: its password no longer signs in anywhere, its sessions
are over and its links are refused. Nothing is deleted; restore lifts it.`,
		Example: `  matricula account suspend karnor --reason "case 4711"`,
	}, &f, func(w words, _ time.Time) (events.Data, error) { return events.AccountSuspended{Command: w}, nil })
}

func accountRestoreCommand() *cobra.Command {
	var f orderFlags
	return orderCommand(&cobra.Command{
		Use:   "restore USERNAME",
		Short: "Lift IT's lock, or a report of death that was wrong",
		Long: `Lift what suspend locked, and a report of death that was wrong. What else keeps
somebody out stays: a compromised password leads back by the letter, and who has
left is let in by a new role.`,
		Example: `  matricula account restore karnor --reason "case 4711 is closed"`,
	}, &f, func(w words, _ time.Time) (events.Data, error) { return events.AccountRestored{Command: w}, nil })
}

func accountResendCommand() *cobra.Command {
	f := orderFlags{reasonless: true}
	return orderCommand(&cobra.Command{
		Use:   "resend USERNAME",
		Short: "Send a new link, and end the one before",
		Long: `Make a new invitation and send it to the registered address. Links sent before
are refused from then on. A pending account gets the link to activate, also ahead
of its letter's day; one that is active or whose password was compromised gets the
link to a new password.`,
		Example: "  matricula account resend 256789\n  matricula account resend student:256789 --reason \"letter did not arrive\"",
	}, &f, func(w words, _ time.Time) (events.Data, error) { return events.AccountInvited{Command: w}, nil })
}

func accountRequireChangeCommand() *cobra.Command {
	var f orderFlags
	var deadline string
	c := orderCommand(&cobra.Command{
		Use:   "require-change USERNAME --deadline WHEN",
		Short: "Require a new password before a deadline",
		Long: `Ask for a new password: the person is told by letter and on signing in. When the
deadline passes without one, the password signs in nowhere any more; in the portal
it still serves to set a new one. A later deadline given afterwards counts instead.`,
		Example: `  matricula account require-change karnor --deadline 2027-01-15 --reason "seen on a shared machine"
  matricula account require-change karnor --deadline 14d --reason "yearly change"`,
	}, &f, func(w words, now time.Time) (events.Data, error) {
		at, err := endOf(deadline, now)
		if err != nil {
			return nil, usage("--deadline: %w", err)
		}
		return events.ChangeRequired{Username: w.Username, Deadline: at, Reason: w.Reason, Actor: w.Actor}, nil
	})
	c.Flags().StringVar(&deadline, "deadline", "", "`when` it must be done: a day (to its end), a time (2027-01-15T12:00:00+01:00), or from now (14d, 36h)")
	return c
}

func accountOpenCommand() *cobra.Command {
	var f orderFlags
	var until string
	c := orderCommand(&cobra.Command{
		Use:   "open USERNAME --until WHEN",
		Short: "Let somebody activate ahead of the window",
		Long: `Open an account's window until a time, whatever the settings say about its
population: for somebody who starts early or comes late. The letter with the link
goes out at once where it has not yet. A time that is past takes it back.`,
		Example: `  matricula account open 256789 --until 2027-07-20 --reason "summer course"`,
	}, &f, func(w words, now time.Time) (events.Data, error) {
		at, err := endOf(until, now)
		if err != nil {
			return nil, usage("--until: %w", err)
		}
		return events.AccountOpened{Command: w, Until: at}, nil
	})
	c.Flags().StringVar(&until, "until", "", "`when` it ends: a day (to its end), a time (2027-01-15T12:00:00+01:00), or from now (14d, 36h)")
	return c
}
