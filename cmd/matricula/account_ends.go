package main

import (
	"strings"
	"time"

	"usn.no/matricula/account"
)

// roleEnd is one role and its last day, by everything that was told of it.
type roleEnd struct {
	Role      string `json:"role"` // student | employee
	Until     string `json:"until,omitempty"`
	Cancelled bool   `json:"cancelled,omitempty"`
	Over      bool   `json:"over,omitempty"` // it ended before anybody wrote down when
}

func endsOf(a account.Account) []roleEnd {
	var out []roleEnd
	for _, s := range a.Standing() {
		end := roleEnd{Role: s.Kind, Until: s.End, Cancelled: !s.Cancelled.IsZero()}
		if !s.Over.IsZero() && account.Known(s.Over).IsZero() {
			end.Until, end.Over = "", true
		}
		out = append(out, end)
	}
	return out
}

// endsText is "employee until 2027-01-31, student".
func endsText(ends []roleEnd) string {
	var out []string
	for _, e := range ends {
		switch {
		case e.Cancelled:
			out = append(out, e.Role+" (cancelled)")
		case e.Over:
			out = append(out, e.Role+" (over)")
		case e.Until != "":
			out = append(out, e.Role+" until "+e.Until)
		default:
			out = append(out, e.Role)
		}
	}
	return orDash(strings.Join(out, ", "))
}

// turnOf is when time alone changes the account next.
func turnOf(a account.Account) *time.Time {
	if a.Turn.IsZero() {
		return nil
	}
	return &a.Turn
}

func turnText(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return oslo(*t)
}
