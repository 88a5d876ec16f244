package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/policy"
)

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table prints rows under a header, columns aligned.
func table(w io.Writer, header []any, rows [][]any) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, row := range append([][]any{header}, rows...) {
		for i, cell := range row {
			if i > 0 {
				_, _ = fmt.Fprint(t, "\t")
			}
			_, _ = fmt.Fprint(t, cell)
		}
		_, _ = fmt.Fprintln(t)
	}
	return t.Flush()
}

// oslo is the university's clock; times are shown in it and kept in UTC.
func oslo(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(osloZone()).Format("2006-01-02 15:04 MST")
}

// timeOrNil is for JSON, which leaves out what is not known.
func timeOrNil(t time.Time) *time.Time {
	if t = account.Known(t); t.IsZero() {
		return nil
	}
	return &t
}

// orUnknown is a time that may be from before anybody wrote it down.
func orUnknown(t *time.Time) string {
	if t == nil {
		return "unknown"
	}
	return oslo(*t)
}

func osloZone() *time.Location { return policy.Oslo() }

// maskedAddress shows enough of an address for a help desk to recognise it.
func maskedAddress(a string) string {
	if a == "" {
		return "-"
	}
	at := len(a)
	for i := range a {
		if a[i] == '@' {
			at = i
		}
	}
	first := []rune(a)[0]
	return string(first) + "***" + a[at:]
}
