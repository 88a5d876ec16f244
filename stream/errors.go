package stream

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// Codes of the server that decide what happens next.
const (
	codeNoMessage      = 10037
	codeTooLarge       = 10054
	codeWrongLast      = 10071
	codeStoreFailed    = 10077 // also "full"; the text tells which
	codeBatchCut       = 10176
	codeBatchDuplicate = 10201
	codeBatchTooMany   = 10210
)

// perSubject is the text of codeStoreFailed that means: this subject has its
// message already. Any other text means that nothing was stored, and that
// nothing with that ID may ever have been.
const perSubject = "maximum messages per subject exceeded"

// apiError is an error as the server writes it into its answers.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string { return fmt.Sprintf("%s (%d)", e.Description, e.ErrCode) }

// told is the refusal that means success: the fact is stored already.
func (e *apiError) told() bool {
	return e.ErrCode == codeBatchDuplicate || e.ErrCode == codeStoreFailed && strings.HasPrefix(e.Description, perSubject)
}

// passing tells whether the same request can succeed later, unchanged.
func (e *apiError) passing() bool {
	switch e.ErrCode {
	case codeBatchCut, codeBatchTooMany:
		return true
	case codeStoreFailed:
		return !e.told()
	}
	return e.Code >= 500
}

// broken wraps an error of the broker once: what the server refused on its
// merits stays as it is, all else (no answer, no connection, no leader, full)
// is an outage.
func broken(what string, err error) error {
	if err == nil {
		return nil
	}
	wrapped := fmt.Errorf("%s: %w", what, err)
	var api *jetstream.APIError
	if errors.As(err, &api) && api.Code < 500 && api.ErrorCode != codeStoreFailed {
		return wrapped
	}
	var own *apiError
	if errors.As(err, &own) && !own.passing() {
		return wrapped
	}
	return events.Unavailable(wrapped)
}
