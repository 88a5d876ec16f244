package breach_test

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"usn.no/matricula/breach"
)

// rangeServer answers as the public service does, padding included.
type rangeServer struct {
	url    string
	asked  atomic.Int32
	counts map[string]int // 40 hex digits
	answer func(w http.ResponseWriter, prefix string)
}

func newRangeServer(t *testing.T) *rangeServer {
	t.Helper()
	s := &rangeServer{counts: map[string]int{}}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		prefix := strings.TrimPrefix(r.URL.Path, "/range/")
		switch {
		case s.answer != nil:
			s.answer(w, prefix)
		case len(prefix) != 5 || r.Header.Get("Add-Padding") != "true":
			w.WriteHeader(http.StatusBadRequest)
		default:
			_, _ = io.WriteString(w, s.lines(prefix))
		}
	}))
	t.Cleanup(h.Close)
	s.url = h.URL
	return s
}

func (s *rangeServer) put(password string, count int) {
	s.counts[fmt.Sprintf("%X", sha1.Sum([]byte(password)))] = count
}

func (s *rangeServer) lines(prefix string) string {
	var b strings.Builder
	for i := range 800 {
		fmt.Fprintf(&b, "%X:0\r\n", sha1.Sum(fmt.Append(nil, prefix, i)))
	}
	lines := ""
	for digits, n := range s.counts {
		if strings.HasPrefix(digits, prefix) {
			lines += fmt.Sprintf("%s:%d\r\n", digits[5:], n)
		}
	}
	// The padding's 40 digits become 35 like every other line.
	var padded []string
	for l := range strings.Lines(b.String()) {
		padded = append(padded, l[5:])
	}
	return strings.Join(padded, "") + lines + strings.Repeat("0", 35) + ":1"
}

func TestRangeAnswersTheCount(t *testing.T) {
	t.Parallel()
	s := newRangeServer(t)
	s.put("seen", 42)
	s.put("padding", 0)
	r := &breach.Range{URL: s.url + "/"}
	for password, want := range map[string]int{"seen": 42, "padding": 0, "unseen": 0} {
		if n, err := r.Count(t.Context(), sha1.Sum([]byte(password))); n != want || err != nil {
			t.Errorf("%s is answered %d, %v; want %d", password, n, err, want)
		}
	}
}

func TestForeignOrCutAnswerIsAnErrorAndNeverUnknown(t *testing.T) {
	t.Parallel()
	sum := sha1.Sum([]byte("seen"))
	good := strings.Repeat("A", 35) + ":1\r\n"
	for why, answer := range map[string]func(http.ResponseWriter, string){
		"a login page":      func(w http.ResponseWriter, _ string) { _, _ = io.WriteString(w, "<html>sign in</html>") },
		"nothing":           func(http.ResponseWriter, string) {},
		"not found":         func(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusNotFound) },
		"too many requests": func(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusTooManyRequests) },
		"a redirect": func(w http.ResponseWriter, _ string) {
			w.Header().Set("Location", "/x")
			w.WriteHeader(http.StatusFound)
		},
		"NTLM hashes":        func(w http.ResponseWriter, _ string) { _, _ = io.WriteString(w, strings.Repeat("A", 27)+":1\r\n") },
		"line without colon": func(w http.ResponseWriter, _ string) { _, _ = io.WriteString(w, good+strings.Repeat("B", 35)+"\r\n") },
		"line without count": func(w http.ResponseWriter, _ string) { _, _ = io.WriteString(w, good+strings.Repeat("B", 35)+":\r\n") },
		"count that is text": func(w http.ResponseWriter, _ string) { _, _ = io.WriteString(w, good+strings.Repeat("B", 35)+":x\r\n") },
		"endless":            func(w http.ResponseWriter, _ string) { _, _ = w.Write(bytes.Repeat([]byte(good), 60000)) },
		"cut in the middle": func(w http.ResponseWriter, _ string) {
			w.Header().Set("Content-Length", "100000")
			_, _ = io.WriteString(w, good)
		},
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			s := newRangeServer(t)
			s.answer = answer
			n, err := (&breach.Range{URL: s.url}).Count(t.Context(), sum)
			if err == nil {
				t.Fatalf("%s is taken for %d", why, n)
			}
			if strings.Contains(err.Error(), fmt.Sprintf("%X", sum)[:5]) {
				t.Errorf("the error holds a part of the sum: %v", err)
			}
		})
	}
}

func TestSlowRangeIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newRangeServer(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) }) // before the server's Close, which waits for its handlers
	s.answer = func(http.ResponseWriter, string) { <-release }
	r := &breach.Range{URL: s.url, Timeout: 50 * time.Millisecond}
	begin := time.Now()
	if _, err := r.Count(t.Context(), sha1.Sum([]byte("x"))); err == nil {
		t.Error("a server that never answers is taken for an answer")
	}
	if d := time.Since(begin); d > time.Minute {
		t.Errorf("gave up after %s, told to after 50 ms", d)
	}
}

func TestUnreachableRangeHidesWhatWasAsked(t *testing.T) {
	t.Parallel()
	sum := sha1.Sum([]byte("x"))
	_, err := (&breach.Range{URL: "http://127.0.0.1:1"}).Count(t.Context(), sum)
	if err == nil || strings.Contains(err.Error(), "/range/") || strings.Contains(err.Error(), fmt.Sprintf("%X", sum)[:5]) {
		t.Errorf("error of a refused connection: %v", err)
	}
}

func FuzzRangeAnswer(f *testing.F) {
	f.Add([]byte(strings.Repeat("A", 35) + ":1\r\n"))
	f.Add([]byte(""))
	f.Fuzz(func(t *testing.T, body []byte) {
		client := &http.Client{Transport: answer(body)}
		n, err := (&breach.Range{URL: "http://range.test", HTTP: client}).Count(t.Context(), sha1.Sum([]byte("x")))
		if n < 0 || err != nil && n != 0 {
			t.Fatalf("answers %d, %v", n, err)
		}
	})
}

type answer []byte

func (a answer) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(a))}, nil
}
