package portal

import (
	"net/http"
	"net/netip"
	"testing"
	"time"
)

func TestOneSubscriberIsOneSender(t *testing.T) {
	t.Parallel()
	s := &site{}
	at := func(remote string) netip.Addr {
		return s.sender(&http.Request{RemoteAddr: remote, Header: http.Header{}})
	}
	if at("[2001:db8:1:2:aaaa::1]:1") != at("[2001:db8:1:2:bbbb::2]:2") {
		t.Error("two addresses of one /64 are two senders")
	}
	if at("[2001:db8:1:2::1]:1") == at("[2001:db8:1:3::1]:1") {
		t.Error("two /64 are one sender")
	}
	if at("[::ffff:192.0.2.1]:1") != at("192.0.2.1:2") {
		t.Error("an IPv4 address is another sender when written as IPv6")
	}
}

func TestLimiterRemembersABoundedNumberOfSenders(t *testing.T) {
	t.Parallel()
	l := newLimiter(Rate{PerSecond: 0.001, Burst: 1})
	now := time.Now()
	a := netip.MustParseAddr("10.0.0.0")
	for range 5 * generation {
		l.allow(a, now)
		a = a.Next()
	}
	if n := len(l.young) + len(l.old); n > 2*generation {
		t.Errorf("the limiter remembers %d senders, more than %d", n, 2*generation)
	}
	if last := a.Prev(); l.allow(last, now) {
		t.Error("the limiter has forgotten the last sender")
	}
}
