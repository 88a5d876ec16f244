package portal_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"usn.no/matricula/portal"
)

// firstVisit is the most that the way from a link to the form of the password
// may load, pages, style and script together, as it goes over the wire.
const firstVisit = 40 << 10

// load asks for a page as a browser with an empty cache does: the page, and
// everything that it refers to. It answers the bytes and the requests.
func (v *visitor) load(path string) (page, int, int) {
	v.t.Helper()
	var all, requests int
	get := func(path string) page {
		p := v.do(http.MethodGet, path, nil, "Accept-Encoding", "gzip")
		all, requests = all+len(p.body), requests+1
		return p
	}
	p := get(path)
	for n := 0; p.status == http.StatusSeeOther; n++ {
		if n == 5 {
			v.t.Fatalf("%s leads in a circle", path)
		}
		p = get(p.location())
	}
	for _, m := range regexp.MustCompile(`<(?:link|script|img|iframe|source|object|embed|video|audio)\b[^>]*?(?:href|src|data)="([^"]*)"`).FindAllStringSubmatch(p.body, -1) {
		switch {
		case m[1] == "data:,":
		case !strings.HasPrefix(m[1], "/") || strings.HasPrefix(m[1], "//"):
			v.t.Fatalf("%s loads %q from somebody else", path, m[1])
		default:
			asset := get(m[1])
			if asset.status != http.StatusOK {
				v.t.Fatalf("%s is answered %d", m[1], asset.status)
			}
			if more := regexp.MustCompile(`@import|url\((?:['"]?)(?:https?:)?//`).FindString(asset.body); more != "" {
				v.t.Fatalf("%s loads more: %q", m[1], more)
			}
		}
	}
	return p, all, requests
}

// BenchmarkFirstVisit is what somebody who follows a link loads: the page that
// asks who it is, with its style and script, and then the page of the password.
//
//	go test ./portal -run '^$' -bench FirstVisit
func BenchmarkFirstVisit(b *testing.B) {
	h := start(b, true, func(p *portal.Portal) { p.Rate = portal.Rate{PerSecond: 1e6, Burst: 1 << 30} })
	var link, all, requests int
	for b.Loop() {
		b.StopTimer()
		ticket := h.life.invite("kari", nil)
		v := h.visitor(b)
		b.StartTimer()
		_, link, requests = v.load("/a/" + ticket)
		v.prove(ticket)
		p := v.get("/activate/password") // style and script are the browser's by now
		all = link + len(p.body)
	}
	if all > firstVisit {
		b.Errorf("a first visit loads %d bytes, more than %d", all, firstVisit)
	}
	b.ReportMetric(float64(link), "B/link")
	b.ReportMetric(float64(all), "B/visit")
	b.ReportMetric(float64(all)/firstVisit, "of-limit")
	b.ReportMetric(float64(requests), "requests")
}

// BenchmarkPasswordPage is the largest page alone: how long it takes here.
func BenchmarkPasswordPage(b *testing.B) {
	h := start(b, true, func(p *portal.Portal) { p.Rate = portal.Rate{PerSecond: 1e6, Burst: 1 << 30} })
	v := h.visitor(b)
	v.prove(h.life.invite("kari", nil))
	var n int
	for b.Loop() {
		n = len(v.get("/activate/password").body)
	}
	b.ReportMetric(float64(n), "B/page")
}
