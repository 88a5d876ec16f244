package portal

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

const (
	maxBody   = 16 << 10
	maxHeader = 16 << 10
)

// NewServer is an http.Server with the limits a public listener needs.
func NewServer(addr string, h http.Handler) *http.Server {
	all := &conns{}
	return &http.Server{
		Addr:              addr,
		Handler:           all.sparing(h),
		ConnState:         all.state,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      45 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    maxHeader,
		// The library's own lines hold client addresses; ours are enough.
		ErrorLog: log.New(io.Discard, "", 0),
	}
}

// request is what we know of a request beside the request itself.
type request struct {
	id     string
	status int
	err    error  // an error nobody expected, logged once at the end
	stack  string // where a panic came from
}

type requestKey struct{}

func requestOf(r *http.Request) *request {
	if q, ok := r.Context().Value(requestKey{}).(*request); ok {
		return q
	}
	return &request{}
}

// guard stands before every page: one log line, panics, headers, the rate
// limit, cross-origin requests, the size of the body.
func (s *site) guard(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	// The only origin that may post is ours, also where a proxy in front
	// changes the host. No bypass patterns (CVE-2025-47910).
	if err := cross.AddTrustedOrigin(s.base.Scheme + "://" + s.base.Host); err != nil {
		s.Log.Warn().Err(err).Msg("base url is no origin")
	}
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.refuse(w, r, otherOrigin) }))
	inner := s.limited(cross.Handler(bounded(next)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		q := &request{id: rand.Text()[:12], status: http.StatusOK}
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, q))
		out := &statusWriter{ResponseWriter: w, request: q}
		defer func() {
			if v := recover(); v != nil {
				s.panicked(out, r, q, v)
			}
			s.logged(q, s.pattern(r.URL.Path), time.Since(began))
		}()
		s.headers(out.Header())
		if strings.HasPrefix(r.URL.Path, staticPrefix) {
			s.static(out, r)
			return
		}
		inner.ServeHTTP(out, r)
	})
}

func (s *site) headers(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "+
		"font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "+
		"require-trusted-types-for 'script'; trusted-types 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	if s.https {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

func (s *site) limited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.limits.allow(s.sender(r), time.Now()) {
			w.Header().Set("Retry-After", "10")
			s.refuse(w, r, tooMany)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// panicked answers 500 where nothing has been written yet. What was panicked
// with may hold anything, so only the runtime's own words and the place are
// kept.
func (s *site) panicked(w *statusWriter, r *http.Request, q *request, v any) {
	q.err = errPanic
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v)
	}
	if err, ok := v.(runtime.Error); ok {
		q.err = err
	}
	q.stack = places()
	if !w.wrote {
		s.refuse(w, r, brokenDown)
	}
}

// places lists the functions of this goroutine without their arguments.
func places() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs)])
	var b strings.Builder
	for {
		f, more := frames.Next()
		b.WriteString(f.Function + ":" + strconv.Itoa(f.Line) + " ")
		if !more {
			return strings.TrimSpace(b.String())
		}
	}
}

// logged writes the one line of a request: route, status, duration, and an ID
// that the error page shows too. Nothing that the request brought with it.
func (s *site) logged(q *request, pattern string, took time.Duration) {
	level := zerolog.InfoLevel
	switch {
	case q.err != nil:
		level = zerolog.ErrorLevel
	case pattern == staticPattern:
		level = zerolog.DebugLevel
	}
	e := s.Log.WithLevel(level).Str("route", pattern).Int("status", q.status).Dur("took", took).Str("request", q.id)
	if q.err != nil {
		e = e.Err(q.err)
	}
	if q.stack != "" {
		e = e.Str("at", q.stack)
	}
	e.Msg("request answered")
}

type statusWriter struct {
	http.ResponseWriter
	request *request
	wrote   bool
}

func (w *statusWriter) WriteHeader(status int) {
	if !w.wrote {
		w.wrote, w.request.status = true, status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	w.wrote = true
	return w.ResponseWriter.Write(b)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
