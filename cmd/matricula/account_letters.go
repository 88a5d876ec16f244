package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// bounce is an address out of use.
type bounce struct {
	Address string    `json:"address"` // masked
	Since   time.Time `json:"since"`
}

// letters says where letters go, or why none do.
func (r accountRow) letters() string {
	if r.Bounced != nil {
		return fmt.Sprintf("nowhere: %s bounced %s; a new address from HR or admissions lifts it", r.Bounced.Address, oslo(r.Bounced.Since))
	}
	return orDash(r.Address)
}

// accountDetails is what `account show --json` prints.
type accountDetails struct {
	accountRow
	Letters []letterTrouble `json:"letters_in_trouble,omitempty"`
}

// letterTrouble is a letter that failed, came back, or may not have arrived,
// with the server's words as they are audited: they name nobody.
type letterTrouble struct {
	At       time.Time `json:"at"`
	What     string    `json:"what"` // letter.failed, letter.unknown, letter.bounced
	Template string    `json:"template,omitempty"`
	Letter   string    `json:"letter"`
	Reason   string    `json:"reason,omitempty"`
	Status   string    `json:"status,omitempty"` // enhanced status code, else the reply code
	Text     string    `json:"text,omitempty"`
}

// letterTroubles reads the facts of letters in trouble. Letters that went out
// well are the many, and are not read.
func (s *system) letterTroubles(ctx context.Context, account string) ([]letterTrouble, error) {
	var out []letterTrouble
	for _, what := range []string{events.AuditLetterFailed, events.AuditLetterUnknown, events.AuditLetterBounced} {
		err := stream.Tail(ctx, s.js, stream.TailOptions{Filter: "audit." + what + ".*"}, func(e events.Event) error {
			if a, ok := e.Data.(events.Audit); ok && a.Account == account {
				d := a.Details
				t := letterTrouble{At: e.Time, What: what, Template: d["template"], Letter: d["letter"], Reason: a.Reason, Status: d["status"], Text: d["text"]}
				if t.Status == "" {
					t.Status = d["code"]
				}
				out = append(out, t)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func printTroubles(w io.Writer, troubles []letterTrouble) error {
	if len(troubles) == 0 {
		return nil
	}
	_, _ = fmt.Fprintln(w)
	rows := make([][]any, 0, len(troubles))
	for _, t := range troubles {
		rows = append(rows, []any{t.What, orDash(t.Template), oslo(t.At), orDash(t.Reason), orDash(t.Status), orDash(t.Text)})
	}
	return table(w, []any{"LETTER IN TROUBLE", "TEMPLATE", "WHEN", "WHY", "STATUS", "THE SERVER'S WORDS"}, rows)
}
