//go:build failpoints

package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/mailer"
	"usn.no/matricula/policy"
)

// With the build tag "failpoints" the process kills itself, as a power cut
// would, at the point that MATRICULA_FAILPOINTS names: "directory.create.after"
// or "directory.create.after=3" for the third time it gets there. There is a
// point before and after every side effect.
var failpoint = newFailpoint(os.Getenv(envPrefix + "FAILPOINTS"))

type killer struct {
	name    string
	left    atomic.Int64
	mutants []string
	clock   string // a file
	failing string // a family name: nothing can be done for whoever bears it
}

func newFailpoint(text string) *killer {
	k, point := &killer{}, ""
	for _, part := range strings.Split(text, ",") {
		file, clock := strings.CutPrefix(part, "clock=")
		name, failing := strings.CutPrefix(part, "failing=")
		switch {
		case failing:
			k.failing = name
		case clock:
			k.clock = file
		case strings.HasPrefix(part, "without."):
			k.mutants = append(k.mutants, part)
		default:
			point = part
		}
	}
	name, times, counted := strings.Cut(point, "=")
	k.name = name
	n := 1
	if counted {
		if v, err := strconv.Atoi(times); err == nil {
			n = v
		}
	}
	k.left.Store(int64(n))
	return k
}

func pass(name string) {
	if name == failpoint.name && failpoint.left.Add(-1) == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}

func around(name string, do func() error) error {
	pass(name + ".before")
	err := do()
	if err == nil {
		pass(name + ".after")
	}
	return err
}

type watchedDirectory struct{ account.Directory }

func (w watchedDirectory) Create(ctx context.Context, a account.Account) error {
	if failpoint.failing != "" && a.Name.Family == failpoint.failing {
		return errors.New("fails each time")
	}
	return around("directory.create", func() error { return w.Directory.Create(ctx, a) })
}

func (w watchedDirectory) Update(ctx context.Context, was, now account.Account) error {
	if mutant(withoutCompare) {
		return directly(ctx, w.Directory, was, now)
	}
	return around("directory.update", func() error { return w.Directory.Update(ctx, was, now) })
}

type watchedPasswords struct{ account.Passwords }

func (w watchedPasswords) SetPassword(ctx context.Context, was, now account.Account, password string) error {
	if mutant(withoutCompare) || mutant(withoutFacts) {
		return mutated(ctx, w.Passwords, was, now, password)
	}
	return around("directory.setpassword", func() error { return w.Passwords.SetPassword(ctx, was, now, password) })
}

type watchedClaims struct{ account.Claims }

func (w watchedClaims) Take(ctx context.Context, keys []string, value []byte) (held map[string][]byte, err error) {
	if mutant(withoutClaim) {
		return nil, nil
	}
	err = around("claims.take", func() error {
		held, err = w.Claims.Take(ctx, keys, value)
		return err
	})
	return held, err
}

func (w watchedClaims) Move(ctx context.Context, keys, while []string, was, now []byte) (held map[string][]byte, err error) {
	err = around("claims.move", func() error {
		held, err = w.Claims.Move(ctx, keys, while, was, now)
		return err
	})
	return held, err
}

type watchedPublisher struct{ account.Publisher }

func (w watchedPublisher) Publish(ctx context.Context, evs ...events.Event) error {
	if len(evs) == 0 {
		return nil
	}
	kind, _, _ := strings.Cut(evs[0].Subject(), ".")
	if mutant(withoutIdempotence) {
		evs = renamed(evs)
	}
	return around("publish."+kind, func() error { return w.Publisher.Publish(ctx, evs...) })
}

type watchedWaiting struct{ account.Waiting }

func (w watchedWaiting) Plan(ctx context.Context, group, kind string, due time.Time) error {
	return around("waiting.plan", func() error { return w.Waiting.Plan(ctx, group, kind, due) })
}

type watchedMarks struct{ mailer.Marks }

func (w watchedMarks) Mark(ctx context.Context, letter string, m events.LetterMark) error {
	return around("letters.mark", func() error { return w.Marks.Mark(ctx, letter, m) })
}

type watchedPINs struct{ account.PINs }

func (w watchedPINs) Offer(ctx context.Context, e events.Event) error {
	return around("pins.offer", func() error { return w.PINs.Offer(ctx, e) })
}

func watchDirectory(d account.Directory) account.Directory { return watchedDirectory{d} }
func watchPasswords(p account.Passwords) account.Passwords { return watchedPasswords{p} }
func watchClaims(c account.Claims) account.Claims          { return watchedClaims{c} }
func watchPublisher(p account.Publisher) account.Publisher { return watchedPublisher{p} }
func watchWaiting(w account.Waiting) account.Waiting       { return watchedWaiting{w} }
func watchMarks(m mailer.Marks) mailer.Marks               { return watchedMarks{m} }
func watchPINs(p account.PINs) account.PINs                { return watchedPINs{p} }

// portalWindows takes the portal's window check out at the failpoint "window":
// who watches the portal must then see that it lets people in too early.
func portalWindows(ws policy.Windows) policy.Windows {
	if failpoint.name != "window" {
		return ws
	}
	var open policy.Windows
	for _, w := range ws {
		open = append(open, policy.Window{Name: w.Name, Population: w.Population, Opens: "at-once"})
	}
	return open
}

// machineTime is the machine's clock, shifted by what the file of "clock=FILE"
// in MATRICULA_FAILPOINTS says at this moment: "-2h", "1500ms".
func machineTime() time.Time {
	if failpoint.clock == "" {
		return time.Now()
	}
	text, err := os.ReadFile(failpoint.clock)
	if err != nil {
		return time.Now()
	}
	by, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err != nil {
		return time.Now()
	}
	return time.Now().Add(by)
}
