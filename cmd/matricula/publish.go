package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"usn.no/matricula/events"
)

const publishHelp = `Publish events to the intake: JSON Lines from a file or from standard input (-),
or every .json and .jsonl file of a folder. Each event is a CloudEvent in
structured form; lines that begin with # are comments.

What an event says is not judged here: the worker does that, and refuses it to
the dead letters, where it can be seen and replayed. Only lines that are no
event at all stop the run, before anything is published.

A run that was broken off goes on where it stopped: how far each file got is
kept under data_dir/publish. --again forgets that and publishes everything
anew, which changes nothing that is there: an event is known by source and id.`

// inFlight is how many events may wait for the broker's word at once.
const inFlight = 256

type publishFlags struct {
	dryRun, again, quiet bool
}

func publishCommand() *cobra.Command {
	var f publishFlags
	c := &cobra.Command{
		Use:     "publish FILE|FOLDER|-",
		Short:   "Publish events to the intake",
		Long:    publishHelp,
		Example: "  matricula publish registrations.jsonl\n  export-from-hr | matricula publish -\n  matricula publish --dry-run events/",
		Args:    oneArg("name one file or folder, or - for standard input"),
		RunE: func(c *cobra.Command, args []string) error {
			lines, err := linesFrom(args[0], c.InOrStdin())
			if err != nil {
				return err
			}
			routes, err := routesOf(lines)
			if err != nil {
				return err
			}
			if f.dryRun {
				return listRoutes(c.OutOrStdout(), lines, routes)
			}
			return publishFile(c, args[0], f, lines, routes)
		},
	}
	c.Flags().BoolVarP(&f.dryRun, "dry-run", "n", false, "print the subjects, publish nothing")
	c.Flags().BoolVar(&f.again, "again", false, "publish all of it again")
	c.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "no progress bar")
	return c
}

// oneArg is cobra.ExactArgs(1) with a sentence and the exit code for wrong use.
func oneArg(text string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usage("%s\nsee: %s --help", text, c.CommandPath())
		}
		return nil
	}
}

func linesFrom(path string, stdin io.Reader) ([]line, error) {
	if path != "-" {
		return readLines(path)
	}
	raw, err := io.ReadAll(stdin)
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	return splitLines("-", raw)
}

// routesOf finds where each line goes, and everything that is no event.
func routesOf(lines []line) ([]events.Route, error) {
	routes := make([]events.Route, len(lines))
	var errs []error
	for i, l := range lines {
		r, err := events.RouteOf(l.Raw)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s line %d: %w", l.File, l.No, err))
			continue
		}
		routes[i] = r
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("nothing was published, %d of %d lines are no events:\n%w", len(errs), len(lines), errors.Join(errs...))
	}
	return routes, nil
}

func listRoutes(w io.Writer, lines []line, routes []events.Route) error {
	rows := make([][]any, len(lines))
	for i, l := range lines {
		rows[i] = []any{fmt.Sprintf("%s:%d", l.File, l.No), routes[i].Subject, routes[i].MsgID, len(l.Raw)}
	}
	return table(w, []any{"LINE", "SUBJECT", "ID", "BYTES"}, rows)
}

func publishFile(c *cobra.Command, path string, f publishFlags, lines []line, routes []events.Route) error {
	s, err := openAdmin(c)
	if err != nil {
		return err
	}
	defer s.close()
	progress := newProgressFile(s.cfg.DataDir, path, lines)
	done := 0
	if !f.again {
		done = min(progress.read(), len(lines))
	}
	started := time.Now()
	bar := progressbar.DefaultSilent(int64(len(lines)))
	if !f.quiet {
		bar = progressbar.NewOptions(len(lines), progressbar.OptionSetWriter(c.ErrOrStderr()), progressbar.OptionSetDescription("publishing"),
			progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("events"),
			progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	}
	_ = bar.Set(done)
	skipped, known := done, 0
	for done < len(lines) && err == nil {
		var n, k int
		n, k, err = publishSome(c.Context(), s.js, lines[done:], routes[done:])
		done, known = done+n, known+k
		_ = bar.Set(done)
		progress.write(done)
	}
	_ = bar.Finish()
	if err != nil {
		return fmt.Errorf("%d of %d events published, then %s line %d: %w\nrun the same command again: it goes on from there",
			done, len(lines), lines[done].File, lines[done].No, err)
	}
	progress.clear()
	_, err = fmt.Fprintln(c.OutOrStdout(), publishedText(len(lines)-skipped, skipped, known, time.Since(started)))
	return err
}

func publishedText(n, before, known int, took time.Duration) string {
	text := fmt.Sprintf("%d events published in %s", n, took.Round(time.Millisecond))
	if before > 0 {
		text += fmt.Sprintf(", %d before", before)
	}
	if known > 0 {
		text += fmt.Sprintf("; %d of them the broker took for repeats and did not store: it got messages of the same ID within the last hour (docs/broker-rights.md)", known)
	}
	return text
}

// publishSome publishes the next events together and answers how many of them,
// counted from the first, the broker has, and how many of these it took for
// repeats of what it had.
func publishSome(ctx context.Context, js jetstream.JetStream, lines []line, routes []events.Route) (n, known int, err error) {
	lines = lines[:min(len(lines), inFlight)]
	futures := make([]jetstream.PubAckFuture, 0, len(lines))
	for i, l := range lines {
		m := nats.NewMsg(routes[i].Subject)
		m.Header.Set("Content-Type", "application/cloudevents+json")
		m.Data = l.Raw
		f, err := js.PublishMsgAsync(m, jetstream.WithMsgID(routes[i].MsgID))
		if err != nil {
			break
		}
		futures = append(futures, f)
	}
	for i, f := range futures {
		select {
		case ack := <-f.Ok():
			if ack.Duplicate {
				known++
			}
		case err := <-f.Err():
			return i, known, err
		case <-ctx.Done():
			return i, known, ctx.Err()
		case <-time.After(10 * time.Second):
			return i, known, errors.New("the broker does not answer")
		}
	}
	if len(futures) == 0 {
		return 0, 0, errors.New("the broker does not take events")
	}
	return len(futures), known, nil
}

// progressFile says how far a file got. It is named by the file's place and
// content, so that a changed file begins anew.
type progressFile string

func newProgressFile(dataDir File, path string, lines []line) progressFile {
	if path == "-" || dataDir == "" {
		return ""
	}
	h := sha256.New()
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	_, _ = io.WriteString(h, path)
	for _, l := range lines {
		_, _ = h.Write(l.Raw)
	}
	return progressFile(filepath.Join(string(dataDir), "publish", hex.EncodeToString(h.Sum(nil)[:12])))
}

func (p progressFile) read() int {
	if p == "" {
		return 0
	}
	raw, err := os.ReadFile(string(p))
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// write is best effort: without it a run that is broken off begins anew, and
// publishing an event again changes nothing.
func (p progressFile) write(done int) {
	if p == "" {
		return
	}
	if err := os.MkdirAll(filepath.Dir(string(p)), 0o700); err != nil {
		return
	}
	temporary := string(p) + ".new"
	if err := os.WriteFile(temporary, []byte(strconv.Itoa(done)), 0o600); err == nil {
		_ = os.Rename(temporary, string(p))
	}
}

func (p progressFile) clear() {
	if p != "" {
		_ = os.Remove(string(p))
	}
}
