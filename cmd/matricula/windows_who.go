package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// unready is somebody who has not activated, and what stands in the way.
type unready struct {
	Opens    *time.Time `json:"opens,omitempty"` // absent: at once
	Username string     `json:"username"`
	Account  string     `json:"account"`
	Why      string     `json:"why"` // a code of account explain; can_activate: nothing
	Text     string     `json:"text"`
}

// printUnready lists who has not activated. What somebody's letter met is read
// once for all of them.
func (s *system) printUnready(c *cobra.Command, p account.Directory, actor, language string, asJSON bool) error {
	t, err := loadTexts(language)
	if err != nil {
		return err
	}
	var people []account.Account
	err = p.Each(c.Context(), account.Query{State: account.Pending}, func(a account.Account) bool {
		people = append(people, a)
		return true
	})
	if err != nil {
		return err
	}
	if err := s.lookedUp(c.Context(), "windows --who", actor, people...); err != nil {
		return err
	}
	rows, err := s.unready(c.Context(), people, t)
	if err != nil {
		return err
	}
	lines := make([][]any, 0, len(rows))
	for _, r := range rows {
		if asJSON {
			if err := printJSON(c.OutOrStdout(), r); err != nil {
				return err
			}
			continue
		}
		lines = append(lines, []any{openText(r.Opens), r.Username, r.Text})
	}
	if asJSON {
		return nil
	}
	return table(c.OutOrStdout(), []any{"OPENS", "USERNAME", "WHY NOT READY"}, lines)
}

func (s *system) unready(ctx context.Context, people []account.Account, t texts) ([]unready, error) {
	posted, err := s.posted(ctx)
	if err != nil {
		return nil, err
	}
	life := s.lifecycle()
	rows := make([]unready, 0, len(people))
	for _, a := range people {
		situation := life.Situate(a)
		situation.Letter = posted[a.ID]
		e := account.Explain(situation)
		if e.Answer == account.WindowClosed {
			e.Answer, e.At = account.CanActivate, situation.Letter.At // ready, and waiting for its day
		}
		words := t.put(e, situation, surroundings{portal: s.cfg.Portal.BaseURL, words: situation.Letter.Words})
		rows = append(rows, unready{Opens: timeOrNil(situation.Opening.At), Username: a.Username, Account: a.ID, Why: e.Answer, Text: words.Text})
	}
	slices.SortFunc(rows, func(x, y unready) int {
		opens := func(r unready) time.Time {
			if r.Opens == nil {
				return time.Time{}
			}
			return *r.Opens
		}
		return cmp.Or(opens(x).Compare(opens(y)), cmp.Compare(x.Username, y.Username))
	})
	return rows, nil
}

// posted is what became of the newest letter with a link of each account, by
// the audit stream.
func (s *system) posted(ctx context.Context) (map[string]account.Posted, error) {
	out := map[string]account.Posted{}
	for what, state := range map[string]string{
		events.AuditLetterSent: events.LetterSent, events.AuditLetterFailed: events.LetterFailed,
		events.AuditLetterUnknown: events.LetterUnknown, events.AuditLetterBounced: events.LetterFailed,
	} {
		err := stream.Tail(ctx, s.js, stream.TailOptions{Filter: "audit." + what + ".*"}, func(e events.Event) error {
			a, ok := e.Data.(events.Audit)
			template := a.Details["template"]
			if !ok || e.Time.Before(out[a.Account].At) || template != "" && template != events.LetterActivation && template != events.LetterReminder {
				return nil
			}
			out[a.Account] = account.Posted{State: state, At: e.Time, Status: a.Details["status"], Words: a.Details["text"]}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
