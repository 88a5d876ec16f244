package portal

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"unicode/utf8"
)

// readForm reads the fields of a form out of the body. A field that is not
// asked for, one that comes twice, another content type or broken UTF-8 is no
// form of ours (CVE-2018-12421, CVE-2026-49448): the caller answers with the
// notice and asks the domain nothing. The query is never read.
func readForm(r *http.Request, fields ...string) (url.Values, *notice) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		// An empty body needs no type; it is a form with nothing filled in.
		if r.ContentLength != 0 || r.Header.Get("Content-Type") != "" {
			return nil, badRequest
		}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, tooLarge
		}
		return nil, badRequest
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, badRequest
	}
	for name, values := range form {
		if !slices.Contains(fields, name) || len(values) != 1 || !utf8.ValidString(values[0]) {
			return nil, badRequest
		}
	}
	return form, nil
}

func onlyOnce(v url.Values, name string) bool { return len(v[name]) <= 1 }
