package portal

import (
	"context"
	"net/http"
	"net/url"

	"usn.no/matricula/account"
)

// showing is a page that asks the domain, for as long as somebody waits.
func showing(page http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		page(w, r.WithContext(ctx))
	}
}

// acting is a form of the fields named and of no others. What it does is
// carried to its end also when the browser has gone.
func (s *site) acting(act func(http.ResponseWriter, *http.Request, url.Values), fields ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		values, bad := readForm(r, fields...)
		if bad != nil {
			s.refuse(w, r, bad)
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), patience)
		defer cancel()
		act(w, r.WithContext(ctx), values)
	}
}

// someone is who is signed in, if anybody: nobody is an empty Own. Whoever is
// to choose another password first, and an outage, are answered here.
func (s *site) someone(w http.ResponseWriter, r *http.Request) (session, account.Own, bool) {
	b, own, err := s.whose(r.Context(), w, r)
	switch {
	case err != nil:
		s.fail(w, r, b.Language, err)
	case b.Blocked:
		seeOther(w, "/compromised/password")
	default:
		return b, own, true
	}
	return session{}, account.Own{}, false
}
