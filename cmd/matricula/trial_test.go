package main

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"usn.no/matricula/directory"
)

func TestTrialOfWritesIsSharedAndHoldsNoMissingRightAgainstTheDirectory(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	tries, answer := 0, directory.ErrNotTried
	w := &trial{log: zerolog.New(&log), try: func(context.Context) error { tries++; return answer }}
	for range 3 {
		if err := w.run(t.Context()); err != nil {
			t.Errorf("a trial that the access rules forbid is held against the directory: %v", err)
		}
	}
	if tries != 1 || strings.Count(log.String(), "warn") != 1 {
		t.Errorf("three questions at a time made %d trials and %d warnings", tries, strings.Count(log.String(), "warn"))
	}
	answer, w.at = errors.New("full"), w.at.Add(-trialEvery)
	given, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.run(given); !errors.Is(err, answer) || tries != 2 {
		t.Errorf("who gave up is answered %v after %d trials", err, tries)
	}
	for range 2 {
		if err := w.run(t.Context()); !errors.Is(err, answer) {
			t.Errorf("a full directory is answered %v", err)
		}
	}
	if tries != 3 {
		t.Errorf("the outcome for somebody who gave up counts for others, or none does: %d trials", tries)
	}
}
