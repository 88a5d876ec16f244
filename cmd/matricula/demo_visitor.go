package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"
)

// visitor is a person at a browser: it keeps cookies, follows redirects and
// fills in the forms it finds. It knows the portal only from outside.
type visitor struct {
	client *http.Client
}

func newVisitor() *visitor {
	jar, _ := cookiejar.New(nil) // never fails with nil options
	return &visitor{client: &http.Client{Jar: jar, Timeout: time.Minute}}
}

// page is what the browser shows.
type page struct {
	Status int
	Path   string
	Opens  string // the opening time a closed window shows, RFC 3339
	Strong string // what stands out: the username on a receipt
	forms  map[string]url.Values
}

func (v *visitor) get(ctx context.Context, link string) (page, error) {
	return v.insist(ctx, func() (*http.Request, error) { return http.NewRequestWithContext(ctx, http.MethodGet, link, nil) })
}

// submit fills the form with this action: what stands in it, and fields over
// it.
func (v *visitor) submit(ctx context.Context, on page, base, action string, fields url.Values) (page, error) {
	form := url.Values{}
	for k, values := range on.forms[action] {
		form[k] = values
	}
	for k, values := range fields {
		form[k] = values
	}
	return v.insist(ctx, func() (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+action, strings.NewReader(form.Encode()))
		if err == nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			req.Header.Set("Origin", base)
		}
		return req, err
	})
}

// insist asks again for a minute where the portal says that it cannot answer
// just now: a machine that is busy enough cannot compare its clock with the
// broker's.
func (v *visitor) insist(ctx context.Context, ask func() (*http.Request, error)) (page, error) {
	for deadline := time.Now().Add(time.Minute); ; {
		req, err := ask()
		if err != nil {
			return page{}, err
		}
		p, err := v.do(req)
		if err != nil || p.Status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			return p, err
		}
		select {
		case <-ctx.Done():
			return p, nil
		case <-time.After(time.Second):
		}
		if shown := p.Path; shown != req.URL.Path { // what was sent was taken: only the page that follows is missing
			next := req.URL.ResolveReference(&url.URL{Path: shown}).String()
			ask = func() (*http.Request, error) { return http.NewRequestWithContext(ctx, http.MethodGet, next, nil) }
		}
	}
}

func (v *visitor) do(req *http.Request) (page, error) {
	resp, err := v.client.Do(req)
	if err != nil {
		return page{}, fmt.Errorf("portal: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	p := page{Status: resp.StatusCode, Path: resp.Request.URL.Path, forms: map[string]url.Values{}}
	root, err := html.Parse(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return page{}, fmt.Errorf("portal: %w", err)
	}
	p.read(root, "")
	return p, nil
}

// read collects forms, the opening time and what stands out.
func (p *page) read(n *html.Node, form string) {
	if n.Type == html.ElementNode {
		switch n.Data {
		case "form":
			form = attr(n, "action")
			p.forms[form] = url.Values{}
		case "input":
			p.input(n, form)
		case "time":
			if p.Opens == "" {
				p.Opens = attr(n, "datetime")
			}
		case "strong":
			if p.Strong == "" && n.FirstChild != nil {
				p.Strong = n.FirstChild.Data
			}
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		p.read(c, form)
	}
}

func (p *page) input(n *html.Node, form string) {
	name := attr(n, "name")
	if form == "" || name == "" {
		return
	}
	switch attr(n, "type") {
	case "radio", "checkbox":
		if !has(n, "checked") {
			return
		}
	}
	p.forms[form].Set(name, attr(n, "value"))
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}
