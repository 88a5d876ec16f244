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
		"/activate":          {get: s.look, post: s.prove},
		"/activate/password": {get: s.choose, post: s.activate},
		"/activate/again":    {get: s.toActivate, post: s.again},
		"/activate/done":     {get: s.done},

		"/signin":               {get: s.signIn, post: s.enter},
		"/signout":              {get: s.signedOut, post: s.signOut},
		"/signout/everywhere":   {get: s.toOwn, post: s.signOutEverywhere},
		"/account":              {get: s.own},
		"/password":             {get: s.change, post: s.changed},
		"/password/done":        {get: s.changeDone},
		"/forgot":               {get: s.forgot, post: s.ask},
		"/forgot/asked":         {get: s.askedFor},
		"/compromised":          {get: s.compromised, post: s.report},
		"/compromised/password": {get: s.renew, post: s.renewed},

		"/rules":         {get: s.document("/rules", s.rules)},
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
