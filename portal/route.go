package portal

import (
	"net/http"
	"slices"
	"strings"
)

// route is one address of the site. Addresses are compared whole, nothing is
// cleaned or redirected, so that no request can be turned into a redirect that
// its sender composed.
type route struct {
	get  http.HandlerFunc // also HEAD
	post http.HandlerFunc
}

func (s *site) table() map[string]route {
	return map[string]route{
		"/":                  {get: s.start},
		"/activate":          {get: showing(s.look), post: s.acting(s.prove, "role", "number")},
		"/activate/password": {get: s.choose, post: s.acting(s.activate, "username", "rules", "accept", "password")},
		"/activate/again":    {get: s.toActivate, post: s.acting(s.again)},
		"/activate/done":     {get: showing(s.done)},

		"/signin":               {get: showing(s.signIn), post: s.acting(s.enter, "username", "password")},
		"/signout":              {get: s.signedOut, post: s.acting(s.signOut)},
		"/signout/everywhere":   {get: s.toOwn, post: s.acting(s.signOutEverywhere)},
		"/account":              {get: showing(s.own)},
		"/password":             {get: showing(s.change), post: s.acting(s.changed, "username", "old", "password")},
		"/password/done":        {get: showing(s.changeDone)},
		"/pin":                  {get: showing(s.pin), post: s.acting(s.pinSet, "username", "old", "pin")},
		"/pin/done":             {get: showing(s.pinDone)},
		"/forgot":               {get: s.forgot, post: s.acting(s.ask, "number", "family")},
		"/forgot/asked":         {get: s.askedFor},
		"/compromised":          {get: showing(s.compromised), post: s.acting(s.report, "way", "username", "password")},
		"/compromised/password": {get: showing(s.renew), post: s.acting(s.renewed, "number", "password")},

		"/rules":         {get: s.document("/rules", s.rules)},
		"/rules/accept":  {get: showing(s.asksRules), post: s.acting(s.accepts, "rules", "accept")},
		"/privacy":       {get: s.document("/privacy", s.privacy)},
		"/accessibility": {get: s.document("/accessibility", s.access)},
		"/help":          {get: s.help},
	}
}

const (
	linkPrefix   = "/a/"
	staticPrefix = "/static/"

	staticPattern = "/static/{file}"
)

// pattern names the route for the log: never the path itself, which may hold
// a ticket.
func (s *site) pattern(path string) string {
	if _, ok := s.routes[path]; ok {
		return path
	}
	switch {
	case strings.HasPrefix(path, linkPrefix):
		return "/a/{ticket}"
	case strings.HasPrefix(path, staticPrefix):
		return staticPattern
	}
	return "other"
}

func (s *site) route(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	at, ok := s.routes[path]
	switch {
	case ok:
	case strings.HasPrefix(path, linkPrefix):
		at = route{get: s.link}
	default:
		s.refuse(w, r, pageNotFound)
		return
	}
	if !onlyOnce(r.URL.Query(), "lang") {
		s.refuse(w, r, badRequest)
		return
	}
	switch {
	case at.get != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		at.get(w, r)
	case at.post != nil && r.Method == http.MethodPost:
		at.post(w, r)
	default:
		w.Header().Set("Allow", at.allow())
		s.refuse(w, r, wrongMethod)
	}
}

func (at route) allow() string {
	var methods []string
	if at.get != nil {
		methods = append(methods, http.MethodGet, http.MethodHead)
	}
	if at.post != nil {
		methods = append(methods, http.MethodPost)
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

// seeOther sends the browser on to one of our own addresses.
func seeOther(w http.ResponseWriter, path string) {
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusSeeOther)
}
