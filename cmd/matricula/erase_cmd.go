package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"usn.no/matricula/account"
	"usn.no/matricula/directory/kv"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

const eraseHelp = `Remove everything that is known of one person, now.

Directory: name, numbers, birth date, address, roles, password; streams: events,
letters, dead letters, overwritten on the disk; buckets: claims of numbers, sent
marks. What stays is a tombstone (opaque ID, username, that it is closed, since
when) and the audit stream, which knows the opaque ID only. The username is never
given again, and events about the person raise nobody: older ones are ignored,
newer ones become dead letters.

It cannot be undone, and asks for the username first. An active account is not
erased (exit code 4, also of a dry run): suspend it, or have its roles ended at
their source. Erasing again changes nothing; do so if it was cut off, and when a
source has published about the person since: then by the source's key
(employee:NUMBER, student:NUMBER), which the tombstone does not hold.

The directory's own file keeps the bytes until it is compacted, and backups keep
theirs: see docs/operating.md.`

type eraseFlags struct {
	actor    string
	dry, yes bool
	asJSON   bool
	wait     time.Duration
}

// erasure is what went, or would go, as --json prints it.
type erasure struct {
	Username string         `json:"username"`
	Account  string         `json:"account"`
	Dry      bool           `json:"dry_run,omitempty"`
	Entry    bool           `json:"entry"` // it holds personal data
	Streams  []stream.Found `json:"streams,omitempty"`
	Erased   *time.Time     `json:"erased,omitempty"`
	Refused  string         `json:"refused,omitempty"` // of a dry run: why it would not be done now
}

func accountEraseCommand() *cobra.Command {
	var f eraseFlags
	c := &cobra.Command{
		Use:     "erase USERNAME|ACCOUNT-ID|student:NUMBER|employee:NUMBER",
		Short:   "Remove the personal data of somebody who has left, now",
		Long:    eraseHelp,
		Example: "  matricula account erase karnor --dry-run\n  matricula account erase karnor --actor ola.drift",
		Args:    oneArg("name one account"),
		RunE: func(c *cobra.Command, args []string) error {
			switch err := refuseNumber(args[0]); {
			case err != nil:
				return err
			case f.actor == "":
				return usage("nobody is named: say who erases with --actor")
			}
			s, p, err := openPeople(c)
			if err != nil {
				return err
			}
			defer s.close()
			a, err := findPerson(c.Context(), p, args[0])
			traces := tracesOf(a)
			if errors.Is(err, account.ErrNotFound) {
				a, traces, err = s.tombstone(c.Context(), p, args[0])
			}
			if err != nil {
				return fmt.Errorf("account %s: %w", args[0], err)
			}
			return s.eraseOne(c, p, a, traces, f)
		},
	}
	c.Flags().BoolVar(&f.dry, "dry-run", false, "say what would go, and remove nothing")
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask for the username")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	c.Flags().DurationVar(&f.wait, "wait", 30*time.Second, "how long to wait until a worker has told of it")
	addActor(c, &f.actor)
	return c
}

func (s *system) eraseOne(c *cobra.Command, p account.Directory, a account.Account, traces stream.Traces, f eraseFlags) error {
	e := &stream.Eraser{JS: s.js}
	found, err := e.Find(c.Context(), traces)
	if err != nil {
		return err
	}
	out := erasure{Username: a.Username, Account: a.ID, Dry: f.dry, Entry: a.Erased.IsZero(), Streams: found}
	var inUse error
	if a.State == account.Active {
		inUse = refused("%s is active: suspend it (matricula account suspend %s), or have its roles ended at their source", a.Username, a.Username)
		out.Refused = "active"
	}
	if f.dry {
		if err := s.lookedUp(c.Context(), "account erase --dry-run", f.actor, a); err != nil {
			return err
		}
		return errors.Join(out.print(c.OutOrStdout(), f.asJSON), inUse)
	}
	if inUse != nil {
		return inUse
	}
	if !f.yes {
		if err := confirm(c.InOrStdin(), c.ErrOrStderr(), a.Username); err != nil {
			return err
		}
	}
	// The streams first: what finds them again stands in the entry.
	if out.Streams, err = e.Erase(c.Context(), traces); err != nil {
		return err
	}
	a, err = (&account.Lifecycle{Directory: p, Now: s.clock.Now}).Erase(c.Context(), a.ID, events.Actor{Kind: "it", ID: f.actor})
	if errors.Is(err, account.ErrInUse) {
		return refused("%s has become active meanwhile", a.Username)
	}
	if err != nil {
		return err
	}
	// Once more, for what came between; and the claims when a worker has let
	// them go.
	told := s.awaitTold(c.Context(), p, a.ID, f.wait)
	if _, err := e.Erase(c.Context(), traces); err != nil {
		return err
	}
	if err := s.wipe(c.Context(), e); err != nil {
		return err
	}
	out.Erased = &a.Erased
	if err := out.print(c.OutOrStdout(), f.asJSON); err != nil {
		return err
	}
	if !told {
		return fmt.Errorf("everything is erased, and no worker has told the audit stream of it within %s: is one running?", f.wait)
	}
	return nil
}

// tombstone finds somebody who is erased by a source's key, which only the claims
// know any more, and what the source has published since lies under that key.
//
// Errors: ErrNotFound, also without the key of the claims.
func (s *system) tombstone(ctx context.Context, p account.Directory, name string) (a account.Account, t stream.Traces, err error) {
	identity, err := s.identity()
	if err != nil {
		return a, t, account.ErrNotFound
	}
	var subjects []stream.Subject
	for _, subject := range (asked{name: name}).subjects() {
		erased, err := s.erasedBy(ctx, p, identity.SourceHandles(sourceOf(subject.Area), subject.Key))
		switch {
		case errors.Is(err, account.ErrNotFound):
			continue
		case err != nil:
			return a, t, err
		case a.ID != "" && a.ID != erased.ID:
			return a, t, usage("%s was a student and an employee: write student:%s or employee:%s", name, name, name)
		}
		a, subjects = erased, append(subjects, subject)
	}
	if a.ID == "" {
		return a, t, account.ErrNotFound
	}
	t = tracesOf(a)
	t.Subjects = append(t.Subjects, subjects...)
	return a, t, nil
}

// erasedBy is the erased person whose claims these are.
func (s *system) erasedBy(ctx context.Context, p account.Directory, handles []string) (account.Account, error) {
	held, err := stream.NewClaims(s.publisher(s.js)).Read(ctx, handles)
	if err != nil {
		return account.Account{}, err
	}
	for _, value := range held {
		var c account.Claim
		if err := json.Unmarshal(value, &c); err != nil {
			return account.Account{}, fmt.Errorf("claim: %w", err)
		}
		a, err := p.Find(ctx, account.Key{Kind: account.ByID, Value: c.Account})
		if err != nil || !a.Erased.IsZero() {
			return a, err
		}
	}
	return account.Account{}, account.ErrNotFound
}

// tracesOf is what a person's messages are known by. It holds identity numbers
// and is printed nowhere.
func tracesOf(a account.Account) stream.Traces {
	t := stream.Traces{Account: a.ID, Username: a.Username, Subjects: subjectsOf(a)}
	for _, n := range a.Numbers {
		t.Numbers = append(t.Numbers, n.Value)
	}
	for _, h := range a.Handles {
		if strings.HasPrefix(h, "num.") {
			t.Claims = append(t.Claims, h)
		}
	}
	return t
}

// confirm asks for the username.
func confirm(in io.Reader, out io.Writer, username string) error {
	_, _ = fmt.Fprintf(out, "This removes everything that is known of %s and cannot be undone.\nType the username to go on: ", username)
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("standard input: %w", err)
	}
	if strings.TrimSpace(line) != username {
		return refused("that is not the username: nothing was removed")
	}
	return nil
}

// awaitTold waits until a worker has published what the tombstone carries.
func (s *system) awaitTold(ctx context.Context, p account.Directory, id string, wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return until(ctx, func() (bool, error) {
		a, err := p.Find(ctx, account.Key{Kind: account.ByID, Value: id})
		return err == nil && len(a.Unsent) == 0, nil
	}) == nil
}

// wipe has the broker rewrite where messages lay that were done with.
func (s *system) wipe(ctx context.Context, e *stream.Eraser) error {
	streams := stream.Wiped()
	if s.cfg.LDAP.URL == "" {
		bucket := kv.BucketConfig().Bucket
		if err := e.Markers(ctx, bucket); err != nil {
			return err
		}
		streams = append(streams, "KV_"+bucket)
	}
	return e.Wipe(ctx, streams...)
}

func (e erasure) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, e)
	}
	line := "%s (%s) is erased: a tombstone stays\n"
	switch {
	case e.Refused != "":
		line = "of %s (%s) this would go, once the account is no longer active:\n"
	case e.Dry:
		line = "of %s (%s) this would go:\n"
	}
	_, _ = fmt.Fprintf(w, line, e.Username, e.Account)
	rows := [][]any{}
	for _, f := range e.Streams {
		rows = append(rows, []any{f.Stream, f.Messages})
	}
	entry := "nothing: it is a tombstone already, which holds no key of a source"
	if e.Entry {
		entry = "name, numbers, address, roles, password, profile, marks"
	}
	return table(w, []any{"directory", entry}, rows)
}
