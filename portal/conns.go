package portal

import (
	"net"
	"net/http"
	"sync/atomic"
)

// keptMost is how many connections stay open between two requests. One costs
// about 28 KiB, and a browser that has left keeps it for as long as IdleTimeout;
// a proxy in front has far fewer.
const keptMost = 256

// conns counts the connections of a server. While there are more than keptMost
// each answer is the last of its connection and says so: a browser, and a proxy,
// then sends what comes next over another one. A connection that is closed
// without a word instead, a shorter IdleTimeout for one, may be closed under a
// password that is just being sent, and a proxy does not send that again.
type conns struct{ open atomic.Int64 }

func (c *conns) state(_ net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		c.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.open.Add(-1)
	case http.StateActive, http.StateIdle:
	}
}

func (c *conns) sparing(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.open.Load() > keptMost {
			lastOf(w)
		}
		h.ServeHTTP(w, r)
	})
}

// lastOf makes an answer the last of its connection.
func lastOf(w http.ResponseWriter) { w.Header().Set("Connection", "close") }
