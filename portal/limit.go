package portal

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// generation bounds the addresses remembered: two generations of this many.
const generation = 8192

// limiter counts requests per client address in bounded memory. When a
// generation is full the older one is forgotten: whoever has many addresses
// can make us forget, and gains what the many addresses gave anyway.
type limiter struct {
	rate  rate.Limit
	burst int

	mu         sync.Mutex
	young, old map[netip.Addr]*rate.Limiter
}

func newLimiter(r Rate) *limiter {
	if r.PerSecond <= 0 {
		r.PerSecond = 30
	}
	if r.Burst <= 0 {
		r.Burst = 300
	}
	return &limiter{rate: rate.Limit(r.PerSecond), burst: r.Burst, young: map[netip.Addr]*rate.Limiter{}}
}

func (l *limiter) allow(a netip.Addr, now time.Time) bool {
	return l.of(a).AllowN(now, 1)
}

func (l *limiter) of(a netip.Addr) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lim, ok := l.young[a]; ok {
		return lim
	}
	lim, ok := l.old[a]
	if !ok {
		lim = rate.NewLimiter(l.rate, l.burst)
	}
	if len(l.young) >= generation {
		l.young, l.old = map[netip.Addr]*rate.Limiter{}, l.young
	}
	l.young[a] = lim
	return lim
}

// sender is the address the limit counts for: an IPv6 subscriber has a whole
// /64. X-Forwarded-For is read from the right, and only as far as our own
// proxies wrote it.
func (s *site) sender(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	a := at.Addr().Unmap()
	if s.proxy(a) {
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for _, hop := range slices.Backward(hops) {
			next, err := netip.ParseAddr(strings.TrimSpace(hop))
			if err != nil {
				break
			}
			if a = next.Unmap(); !s.proxy(a) {
				break
			}
		}
	}
	if a.Is6() {
		p, _ := a.WithZone("").Prefix(64)
		return p.Addr()
	}
	return a
}

func (s *site) proxy(a netip.Addr) bool {
	return slices.ContainsFunc(s.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}
