package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

// publish hands an event to the broker as a source does: written down first,
// repeated with the same ID until it is acknowledged or patience ends.
func (h *house) publish(ctx context.Context, e events.Event) (id string) {
	raw, err := events.EncodeStructured(e)
	if err != nil {
		h.t.Errorf("event cannot be encoded: %v", err)
		return ""
	}
	route, err := events.RouteOf(raw)
	if err != nil {
		h.t.Errorf("event has no route: %v", err)
		return ""
	}
	return h.send(ctx, route.Subject, route.MsgID, raw)
}

func (h *house) send(ctx context.Context, subject, id string, raw []byte) string {
	header := nats.Header{"Nats-Msg-Id": {id}, "Content-Type": {"application/cloudevents+json"}}
	return h.sendWith(ctx, &nats.Msg{Subject: subject, Data: raw, Header: header})
}

// sendWith is send with a header that a message had before.
func (h *house) sendWith(ctx context.Context, m *nats.Msg) string {
	area, _, _ := strings.Cut(m.Subject, ".")
	id := m.Header.Get("Nats-Msg-Id")
	h.ledger.publishing(id)
	for ctx.Err() == nil {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		_, err := h.sources[area].PublishMsg(try, m, jetstream.WithRetryAttempts(0))
		cancel()
		if err == nil {
			h.ledger.acknowledged(id)
			return id
		}
		h.unanswered.Add(1)
		pause(ctx, 50*time.Millisecond)
	}
	return id
}

// pause is a wait of the people's, not of the checker's.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// live is one person's part of a round, from the sources' first word on.
func (h *house) live(ctx context.Context, p *person, random *rand.Rand) {
	at := time.Now().Add(-time.Minute)
	order := random.Perm(len(p.Names)) // sources do not keep the order
	p.announced = make([]string, len(p.Names))
	for _, n := range order {
		e := p.announcement(n+1, at.Add(time.Duration(n)*time.Second))
		p.announced[n] = h.publish(ctx, e)
		if random.IntN(4) == 0 { // F18: once more, beyond what the broker remembers
			if raw, err := events.EncodeStructured(e); err == nil {
				if r, err := events.RouteOf(raw); err == nil {
					h.send(ctx, r.Subject, r.MsgID+"-again", raw)
				}
			}
		}
	}
	if p.Fate == waiting || p.Fate == silent || p.Fate == unknown {
		return
	}
	link := h.link(ctx, p, events.LetterActivation)
	if link == "" {
		return
	}
	if p.Fate == atNoon {
		h.tooEarly(ctx, p, link, random)
	}
	if !h.activate(ctx, p, link, p.Role, random) {
		return
	}
	switch p.Fate {
	case locked:
		h.lock(ctx, p)
	case left, gone, planned, prolonged, taken, back:
		h.leave(ctx, p, random)
	}
	if p.Fate != robbed {
		return
	}
	if h.rob(ctx, p, link) {
		if link := h.link(ctx, p, events.LetterReset); link != "" {
			h.activate(ctx, p, link, "", random)
		}
	}
}

// link waits for a letter and takes the address out of it.
func (h *house) link(ctx context.Context, p *person, template string) string {
	for ctx.Err() == nil {
		for _, l := range h.sink.to(p.Email, template) {
			if l.Link != "" {
				return l.Link
			}
		}
		pause(ctx, 50*time.Millisecond)
	}
	return ""
}

// tooEarly tries before the window opens.
func (h *house) tooEarly(ctx context.Context, p *person, link string, random *rand.Rand) {
	for ctx.Err() == nil && time.Now().Before(p.Opens.Add(-time.Second)) {
		b := newBrowser(h.base, h.portals, random)
		if at, ok := h.open(b, link); ok {
			proved, err := b.submit(at, "/activate", url.Values{"role": {p.Role}, "number": {p.Number}})
			if err == nil && proved.Status == http.StatusSeeOther && time.Now().Before(p.Opens.Add(-skewAllowed)) {
				h.violation("I8", "%s was let in %s before the opening", p.No, time.Until(p.Opens))
			}
		}
		pause(ctx, 700*time.Millisecond)
	}
	pause(ctx, time.Until(p.Opens)-20*time.Millisecond-skewAllowed) // whose clock is a little ahead lets them in
}

func (h *house) open(b *browser, link string) (page, bool) {
	if p, err := b.get(link); err != nil || p.Status != http.StatusSeeOther {
		return p, false
	}
	p, err := b.get(b.base + "/activate")
	return p, err == nil
}

// activate clicks until it is known that the link is used: in one tab or two,
// pressing the button once or twice. It says whether the person got in.
func (h *house) activate(ctx context.Context, p *person, link, role string, random *rand.Rand) bool {
	for n := 0; ctx.Err() == nil; n++ {
		tabs := 1 + random.IntN(2)
		var wg sync.WaitGroup
		answers := make([]string, tabs)
		for tab := range tabs {
			password := fmt.Sprintf("Fjord-%s-%d-%d-%x", spelled(random.IntN(1e6)), n, tab, random.Uint64())
			h.secret(password)
			own := rand.New(rand.NewPCG(random.Uint64(), 3))
			wg.Go(func() { answers[tab] = h.tab(p, link, role, password, own) })
		}
		wg.Wait()
		for _, a := range answers {
			if a == "done" || a == "spent" {
				return true
			}
		}
		pause(ctx, 100*time.Millisecond)
	}
	return false
}

// tab goes from the letter to the button and says what came of it.
func (h *house) tab(p *person, link, role, password string, random *rand.Rand) string {
	b := newBrowser(h.base, h.portals, random)
	at, ok := h.open(b, link)
	if !ok {
		return "no page"
	}
	if at.Status == http.StatusGone {
		return h.answered(p, act{invitation: link, password: password, began: time.Now(), answer: "spent"})
	}
	began := time.Now()
	proved, err := b.submit(at, "/activate", url.Values{"role": {role}, "number": {p.Number}})
	if err != nil || proved.Status != http.StatusSeeOther {
		if err == nil && proved.Status == http.StatusGone {
			return h.answered(p, act{invitation: link, password: password, began: began, answer: "spent"})
		}
		return "not proved"
	}
	form, err := b.get(h.base + "/activate/password")
	if err != nil || form.Status != http.StatusOK {
		return "no form"
	}
	clicks := 1 + random.IntN(2)
	answers := make([]string, clicks)
	var wg sync.WaitGroup
	for i := range clicks {
		wg.Go(func() { answers[i] = h.press(p, b, form, link, password) })
	}
	wg.Wait()
	for _, a := range answers {
		if a == "done" || a == "spent" {
			return a
		}
	}
	return answers[0]
}

// press presses the button that sets the password.
func (h *house) press(p *person, b *browser, form page, link, password string) string {
	a := act{invitation: link, password: password, began: time.Now()}
	h.ledger.clicked(p.No, "pressed")
	p.trying(password)
	got, err := b.submit(form, "/activate/password", url.Values{"accept": {"yes"}, "password": {password}})
	switch {
	case err != nil || got.Status >= 500:
		a.answer = "unknown"
	case got.Status == http.StatusSeeOther && strings.HasPrefix(got.Leads, "/activate/done"):
		a.answer = "done"
		if time.Now().Before(p.Opens.Add(-skewAllowed)) {
			h.violation("I8", "%s activated %s before the opening", p.No, time.Until(p.Opens))
		}
		h.bindsNow(p, password)
	case got.Status == http.StatusGone:
		a.answer = "spent"
	default:
		a.answer = fmt.Sprint(got.Status, " ", got.Leads)
	}
	return h.answered(p, a)
}

func (h *house) answered(p *person, a act) string {
	a.ended = time.Now()
	p.did(a)
	h.ledger.clicked(p.No, a.answer)
	return a.answer
}

// rob has IT report the password, once it is known which one binds.
func (h *house) rob(ctx context.Context, p *person, link string) bool {
	for ctx.Err() == nil {
		uid, password, err := h.binds(p)
		if err == nil && password != "" {
			now := time.Now()
			p.did(act{invitation: link, password: password, began: now, ended: now, answer: "binds"})
			e := events.Event{
				Meta: events.Meta{ID: "theft-" + p.No, Source: events.SourceIT, Subject: uid, Time: time.Now()},
				Data: events.PasswordCompromised{Username: uid, Reason: "found in a paste", ReportedBy: "csirt"},
			}
			p.mu.Lock()
			p.robbedAt, p.password = now, password
			p.mu.Unlock()
			id := h.publish(ctx, e)
			return h.ledger.took(id)
		}
		pause(ctx, 200*time.Millisecond)
	}
	return false
}

// secret remembers what no log may hold.
func (h *house) secret(s string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leaks = append(h.leaks, s)
}
