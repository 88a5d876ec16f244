package faults

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"
)

// browser is a person at a browser behind a load balancer that gives each
// request to any of the portals.
type browser struct {
	base   string
	client *http.Client
}

// page is what came back, without following where it leads.
type page struct {
	Status int
	Leads  string // Location
	Opens  string // the time a closed window shows
	Body   string
	forms  map[string]url.Values
}

func newBrowser(base string, portals []string, random *rand.Rand) *browser {
	jar, _ := cookiejar.New(nil) // never fails with nil options
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		d := net.Dialer{Timeout: 2 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(rand.IntN(250)), byte(rand.IntN(250)+1))}}
		first := random.IntN(len(portals))
		var err error
		for i := range portals { // the balancer goes on to one that answers
			var c net.Conn
			if c, err = d.DialContext(ctx, network, portals[(first+i)%len(portals)]); err == nil {
				return c, nil
			}
		}
		return nil, err
	}
	return &browser{base: base, client: &http.Client{
		Jar: jar, Timeout: 30 * time.Second,
		Transport:     &http.Transport{DialContext: dial, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (b *browser) get(link string) (page, error) {
	req, err := http.NewRequest(http.MethodGet, link, nil)
	if err != nil {
		return page{}, err
	}
	return b.do(req)
}

// submit fills in the form with this action: what stands in it and more.
func (b *browser) submit(on page, action string, fields url.Values) (page, error) {
	form := url.Values{}
	for k, v := range on.forms[action] {
		form[k] = v
	}
	for k, v := range fields {
		form[k] = v
	}
	req, err := http.NewRequest(http.MethodPost, b.base+action, strings.NewReader(form.Encode()))
	if err != nil {
		return page{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", b.base)
	return b.do(req)
}

func (b *browser) do(req *http.Request) (page, error) {
	resp, err := b.client.Do(req)
	if err != nil {
		return page{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return page{}, err
	}
	p := page{Status: resp.StatusCode, Leads: resp.Header.Get("Location"), Body: string(raw), forms: map[string]url.Values{}}
	root, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		return page{}, err
	}
	p.read(root, "")
	return p, nil
}

func (p *page) read(n *html.Node, form string) {
	if n.Type == html.ElementNode {
		at := map[string]string{}
		for _, a := range n.Attr {
			at[a.Key] = a.Val
		}
		_, checked := at["checked"]
		box := at["type"] == "radio" || at["type"] == "checkbox"
		switch {
		case n.Data == "form":
			form = at["action"]
			p.forms[form] = url.Values{}
		case n.Data == "input" && form != "" && at["name"] != "" && (!box || checked):
			p.forms[form].Set(at["name"], at["value"])
		case n.Data == "time" && p.Opens == "":
			p.Opens = at["datetime"]
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		p.read(c, form)
	}
}
