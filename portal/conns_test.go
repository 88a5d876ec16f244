package portal_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"usn.no/matricula/portal"
)

// line is a connection that asks for one page at a time.
type line struct {
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, h *house) line {
	t.Helper()
	c, err := net.Dial("tcp", h.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return line{c, bufio.NewReaderSize(c, 512)}
}

// ask answers the status, and whether it was the last answer of the connection.
func (l line) ask(t *testing.T, path string) (status int, last bool) {
	t.Helper()
	if _, err := io.WriteString(l, "GET "+path+" HTTP/1.1\r\nHost: konto.example.no\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(l.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Close
}

// ended reads the end that the server made.
func (l line) ended(t *testing.T) {
	t.Helper()
	if b, err := l.in.ReadByte(); err != io.EOF {
		t.Errorf("a connection that was said to be over goes on with %q, %v", b, err)
	}
}

func TestManyConnectionsAreNotKept(t *testing.T) {
	t.Parallel()
	h := start(t, false)
	first := dial(t, h)
	for range 3 {
		if status, last := first.ask(t, "/help"); status != http.StatusOK || last {
			t.Fatalf("one of few connections was answered %d, last %v", status, last)
		}
	}
	kept, over := []line{first}, 0
	for range 300 {
		l := dial(t, h)
		if _, last := l.ask(t, "/help"); last {
			over++
			l.ended(t)
			continue
		}
		if kept = append(kept, l); over > 0 {
			t.Fatalf("connection %d is kept, and one before it was not", len(kept)+over)
		}
	}
	if over == 0 || len(kept) < 100 {
		t.Fatalf("%d connections are kept and %d were not", len(kept), over)
	}

	// With one of them more they are too many again, and it is said to those, too.
	more := dial(t, h)
	eventually(t, "whoever comes is counted, and it is said on a connection that was kept", func() bool {
		if _, last := kept[0].ask(t, "/help"); !last {
			return false
		}
		kept[0].ended(t)
		return true
	})
	_ = more.Close()
	for _, l := range kept[100:] {
		_ = l.Close()
	}
	eventually(t, "with few left they are kept as before", func() bool {
		_, last := dial(t, h).ask(t, "/help")
		return !last
	})
}

func TestWhoeverIsToComeAgainKeepsNoConnection(t *testing.T) {
	t.Parallel()
	var full atomic.Bool
	h := start(t, false, func(p *portal.Portal) { p.Crowded = full.Load })
	ticket := h.life.invite("kari", nil)
	l := dial(t, h)
	if status, last := l.ask(t, "/a/"+ticket); status != http.StatusSeeOther || last {
		t.Fatalf("an open door answers %d, last %v", status, last)
	}
	full.Store(true)
	if status, last := l.ask(t, "/a/"+ticket); status != http.StatusServiceUnavailable || !last {
		t.Fatalf("a full house answers %d, last %v", status, last)
	}
	l.ended(t)
}

// eventually asks for a fact until it is one.
func eventually(t *testing.T, what string, fact func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !fact(); {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
		runtime.Gosched()
	}
}
