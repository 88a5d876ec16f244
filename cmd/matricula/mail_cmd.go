package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/spf13/cobra"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

func mailCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "mail",
		Short: "See how far the letters have come",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(mailStatusCommand())
	return c
}

// mailStatus is how far the letters have come.
type mailStatus struct {
	Waiting        int            `json:"waiting"` // for their window
	Next           *time.Time     `json:"next_due,omitempty"`
	Groups         []waitingGroup `json:"groups,omitempty"`
	stream.Backlog                // due, urgent, retrying
	SentToday      int            `json:"sent_today"` // since midnight in Oslo
	FailedToday    int            `json:"failed_today"`
	UnknownToday   int            `json:"unknown_today"`
	PerMinute      float64        `json:"per_minute"`                  // since the backlog began, ten minutes at most
	Allowed        float64        `json:"allowed_per_minute,omitzero"` // by smtp.rate and smtp.daily; absent: no limit
	DoneBy         *time.Time     `json:"done_by,omitempty"`           // when what is due is out; absent: nothing is, or nobody can tell
}

type waitingGroup struct {
	Kind    string    `json:"kind"`
	Group   string    `json:"group"`
	Letters int       `json:"letters"`
	Due     time.Time `json:"due,omitzero"`
}

// The pace is measured over paceSpan at most, and never over a time in which
// no letter waited. A backlog younger than paceFirst has no pace yet.
const (
	paceSpan  = 10 * time.Minute
	paceFirst = time.Minute
)

func mailStatusCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Show how many letters wait, are due and went out, and when they are done",
		Long: `Show how many letters wait for their window, are due, wait for another attempt,
went out and failed today, and when all that are due will be out: at the pace
since the backlog began, of the last ten minutes at most, and never faster than
smtp.rate and smtp.daily allow. Where nothing went out yet, and in a backlog's
first minute, it is the pace they allow. The backlog is kept by the broker: mailers may be stopped
and started, and go on where they were.`,
		Example: "  matricula mail status\n  matricula mail status --json | jq .done_by",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := openAdmin(c)
			if err != nil {
				return err
			}
			defer s.close()
			status, err := s.mailStatus(c.Context(), time.Now())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c.OutOrStdout(), status)
			}
			return status.print(c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// mailStatus counts. now is the broker's time: that is what its facts are
// stored under, also where the product's clock is shifted.
func (s *system) mailStatus(ctx context.Context, now time.Time) (mailStatus, error) {
	var m mailStatus
	var err error
	if m.Backlog, err = stream.ReadBacklog(ctx, s.js); err != nil {
		return m, err
	}
	groups, err := (&stream.Waiting{JS: s.js, Settings: s.settings()}).Groups(ctx)
	if err != nil {
		return m, err
	}
	for _, g := range groups {
		if g.Letters == 0 {
			continue
		}
		m.Waiting += g.Letters
		m.Groups = append(m.Groups, waitingGroup{Kind: g.Kind, Group: g.Group, Letters: g.Letters, Due: g.Due})
		if !g.Due.IsZero() && (m.Next == nil || g.Due.Before(*m.Next)) {
			due := g.Due
			m.Next = &due
		}
	}
	local := now.In(osloZone())
	today := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, osloZone())
	lately, span := 0, measuredOver(m.Since, now)
	for _, count := range []struct {
		what  string
		since time.Time
		into  *int
	}{
		{events.AuditLetterSent, today, &m.SentToday},
		{events.AuditLetterFailed, today, &m.FailedToday},
		{events.AuditLetterUnknown, today, &m.UnknownToday},
		{events.AuditLetterSent, now.Add(-span), &lately},
	} {
		if *count.into, err = stream.Facts(ctx, s.js, count.what, count.since); err != nil {
			return m, err
		}
	}
	m.PerMinute = float64(lately) / span.Minutes()
	m.Allowed = allowedPace(s.cfg.SMTP)
	m.DoneBy = doneBy(m.Due+m.Retrying, expectedPace(m.PerMinute, m.Allowed, now.Sub(m.Since)), now)
	return m, nil
}

// measuredOver is how far back the pace of a backlog can be measured.
func measuredOver(since, now time.Time) time.Duration {
	if since.IsZero() {
		return paceSpan
	}
	return min(max(now.Sub(since), paceFirst), paceSpan)
}

// expectedPace is the one measured, which knows of a relay that refuses, held
// to the one allowed; and the one allowed where there is none to measure yet.
func expectedPace(measured, allowed float64, waited time.Duration) float64 {
	switch {
	case allowed == 0:
		return measured
	case measured == 0 || waited < paceFirst:
		return allowed
	}
	return min(measured, allowed)
}

// allowedPace is the letters a minute that the settings allow, 0 for no limit.
func allowedPace(c SMTPConfig) float64 {
	pace := math.Inf(1)
	if c.Rate > 0 {
		pace = float64(c.Rate)
	}
	if c.Daily > 0 {
		pace = min(pace, float64(c.Daily)/(24*60))
	}
	if math.IsInf(pace, 1) {
		return 0
	}
	return pace
}

// doneBy is when so many letters are out at a pace; nil where nobody can tell.
func doneBy(letters int, pace float64, now time.Time) *time.Time {
	if letters == 0 || pace == 0 {
		return nil
	}
	at := now.Add(time.Duration(float64(letters) / pace * float64(time.Minute))).Truncate(time.Second)
	return &at
}

func (m mailStatus) print(w io.Writer) error {
	done := "-"
	if m.DoneBy != nil {
		done = oslo(*m.DoneBy)
	} else if m.Due+m.Retrying > 0 {
		done = "nobody can tell: nothing went out in the last ten minutes"
	}
	allowed := "no limit"
	if m.Allowed > 0 {
		allowed = fmt.Sprintf("%.1f", m.Allowed)
	}
	next := ""
	if m.Next != nil {
		next = ", the next on " + oslo(*m.Next)
	}
	err := table(w, []any{"waiting", fmt.Sprintf("%d%s", m.Waiting, next)}, [][]any{
		{"due", fmt.Sprintf("%d, of them urgent %d", m.Due, m.Urgent)},
		{"to be tried again", m.Retrying},
		{"sent today", m.SentToday},
		{"failed today", m.FailedToday},
		{"unknown today", m.UnknownToday},
		{"letters a minute", fmt.Sprintf("%.1f (allowed: %s)", m.PerMinute, allowed)},
		{"done by", done},
	})
	if err != nil || len(m.Groups) == 0 {
		return err
	}
	_, _ = fmt.Fprintln(w)
	rows := make([][]any, 0, len(m.Groups))
	for _, g := range m.Groups {
		rows = append(rows, []any{g.Kind, g.Group, g.Letters, oslo(g.Due)})
	}
	return table(w, []any{"WAITING LETTER", "GROUP", "LETTERS", "DUE"}, rows)
}
