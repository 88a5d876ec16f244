// Package breach answers one question: is this password known to be breached?
// It asks an embedded list first, then a local index of a whole corpus, then a
// range service, and says so when one of them could not be asked. It must not
// know accounts, events or the rules that a password also has to meet, and it
// keeps no password.
package breach

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"

	"golang.org/x/text/unicode/norm"
)

// Where a password was found.
const (
	SourceEmbedded = "embedded" // the list and the rules in this binary
	SourceIndex    = "index"
	SourceRange    = "range"
)

// Why a password is refused, for the person who typed it.
const (
	WhyListed   = "listed"   // it was in a breach as it stands
	WhyCommon   = "common"   // a common password, dressed up or typed twice
	WhyRepeated = "repeated" // a few characters over and over
	WhySequence = "sequence" // keys in a row
	WhyContext  = "context"  // words that everybody here would try first
)

// Checker asks its sources in order and stops at the first that knows the
// password. The zero Checker has the embedded list only and never fails. It is
// safe for use by several goroutines.
type Checker struct {
	Index *Index // nil: none
	Range *Range // nil: none
	// FailClosed refuses to answer when a source fails. Otherwise the password
	// passes and Result.Skipped says that it was not fully checked.
	FailClosed bool
	// Words are what everybody here would try first, beside DefaultWords: the
	// institution, its places, its systems.
	Words []string
}

// Result is the answer for one password. It holds nothing of the password.
type Result struct {
	Found  bool
	Source string // of the constants above; empty when not found
	Why    string // of the constants above; empty when not found
	Count  int    // how often it was seen in breaches; -1: unknown
	// Skipped: a source failed and the password passed without it. Err is why.
	Skipped bool
	Err     error
}

// Check looks for a password. Words are close to this person that
// belong to no name or username: study programme, unit, campus.
//
// The error is ctx's when ctx ended, and with FailClosed that of the source
// that failed; the Result is then empty.
func (c *Checker) Check(ctx context.Context, password string, words ...string) (Result, error) {
	p := norm.NFC.String(password)
	sum := sha1.Sum([]byte(p))
	if listed(sum) {
		return Result{Found: true, Source: SourceEmbedded, Why: WhyListed, Count: -1}, nil
	}
	if why := weakBase(p, append(words[:len(words):len(words)], c.Words...)); why != "" {
		return Result{Found: true, Source: SourceEmbedded, Why: why, Count: -1}, nil
	}
	var failed []error
	for _, s := range c.sources() {
		n, err := s.count(ctx, sum)
		switch {
		case ctx.Err() != nil:
			return Result{}, fmt.Errorf("breach check: %w", ctx.Err())
		case err != nil && c.FailClosed:
			return Result{}, fmt.Errorf("breach check: %s: %w", s.name, err)
		case err != nil:
			failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
		case n != 0:
			return Result{Found: true, Source: s.name, Why: WhyListed, Count: n}, nil
		}
	}
	return Result{Skipped: len(failed) > 0, Err: errors.Join(failed...)}, nil
}

type source struct {
	name  string
	count func(context.Context, [sha1.Size]byte) (int, error)
}

func (c *Checker) sources() (s []source) {
	if c.Index != nil {
		s = append(s, source{SourceIndex, c.Index.Count})
	}
	if c.Range != nil {
		s = append(s, source{SourceRange, c.Range.Count})
	}
	return s
}
