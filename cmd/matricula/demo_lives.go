package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/deploy"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// step is one line of a life: an event, or what a person does or must be found
// as.
type step struct {
	at   time.Time
	line line
	who  string // "employee:106001"
	what string // "activates", "is", "told"
	want string
}

// lives are the stories that ship, in the order of their times.
func lives() ([]step, []line, error) {
	raw, err := deploy.Demo.ReadFile(deploy.LivesFile)
	if err != nil {
		return nil, nil, err
	}
	var steps []step
	var evs []line
	for i, text := range strings.Split(string(raw), "\n") {
		l := line{File: filepath.Base(deploy.LivesFile), No: i + 1, Raw: []byte(text)}
		s, err := readStep(l)
		if err != nil {
			return nil, nil, fmt.Errorf("%s line %d: %w", l.File, l.No, err)
		}
		if s.at.IsZero() {
			continue
		}
		if steps = append(steps, s); s.what == "" {
			evs = append(evs, l)
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return a.at.Compare(b.at) })
	return steps, evs, nil
}

func readStep(l line) (s step, err error) {
	if text, ok := strings.CutPrefix(string(l.Raw), "#> "); ok {
		word := strings.SplitN(text, " ", 4)
		if len(word) < 3 {
			return s, errors.New("write #> TIME KIND:NUMBER and what")
		}
		s.who, s.what = word[1], word[2]
		if len(word) == 4 {
			s.want = word[3]
		}
		s.at, err = time.Parse(time.RFC3339, word[0])
		return s, err
	}
	if len(l.Raw) == 0 || l.Raw[0] == '#' {
		return s, nil
	}
	r, err := events.RouteOf(l.Raw)
	if err != nil {
		return s, err
	}
	e, err := events.Decode(r.Subject, map[string][]string{"Content-Type": {"application/cloudevents+json"}}, l.Raw, time.Now().AddDate(9, 0, 0))
	if err != nil {
		return s, err
	}
	kind := account.Employee
	if e.Source == events.SourceAdmissions {
		kind = account.Student
	}
	s.at, s.line, s.who = e.Time, l, kind+":"+e.Meta.Subject
	return s, nil
}

// playLives moves the clock through a year of a dozen people: each event when
// its time has come, and whatever time alone brings.
func (p *play) playLives(ctx context.Context) (turns map[string]int, want map[string]int, err error) {
	steps, evs, err := lives()
	if err != nil {
		return nil, nil, err
	}
	whom := newCast(evs, steps[len(steps)-1].at)
	p.say("a year passes for %d people more, in %d events", len(whom.Members), len(evs))
	turns, want = map[string]int{}, map[string]int{}
	for _, s := range steps {
		if err := p.quiet(ctx); err != nil {
			return nil, nil, err
		}
		if s.at.After(p.clock.Now()) {
			p.clock.set(s.at)
		}
		if _, err := p.worker.life.TakeTurns(ctx); err != nil {
			return nil, nil, err
		}
		switch s.what {
		case "":
			err = p.happens(ctx, s)
		case "activates":
			err = p.enters(ctx, s, whom.member(s.who))
		case "is":
			err = p.stands(ctx, s)
		case "told":
			err = p.toldOf(ctx, s, whom.member(s.who), turns, want)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s at %s: %w", s.who, s.at.Format(time.RFC3339), err)
		}
	}
	return turns, want, nil
}

// member is who a key is about.
func (c *cast) member(who string) *member {
	kind, number, _ := strings.Cut(who, ":")
	source := events.SourceHR
	if kind == account.Student {
		source = events.SourceAdmissions
	}
	i := slices.IndexFunc(c.Members, func(m *member) bool { return m.Keys[source+" "+number] })
	if i < 0 {
		return &member{}
	}
	return c.Members[i]
}

// happens publishes an event and waits until it is in the entry.
func (p *play) happens(ctx context.Context, s step) error {
	key := account.Key{Kind: account.ByLIN, Value: s.who}
	was, err := p.people.Find(ctx, key)
	if err != nil && !errors.Is(err, account.ErrNotFound) {
		return err
	}
	if err := publishAll(ctx, p.running, []line{s.line}); err != nil {
		return err
	}
	return until(ctx, func() (bool, error) {
		now, err := p.people.Find(ctx, key)
		if errors.Is(err, account.ErrNotFound) {
			return false, nil
		}
		return now.Revision > was.Revision, err
	})
}

// enters activates by the letter whose link holds; an earlier one may lie beside
// it.
func (p *play) enters(ctx context.Context, s step, m *member) error {
	tickets, err := p.tickets()
	if err != nil {
		return err
	}
	var a account.Account
	var link string
	err = until(ctx, func() (bool, error) {
		var err error
		if a, err = p.people.Find(ctx, account.Key{Kind: account.ByLIN, Value: s.who}); err != nil {
			return false, err
		}
		for _, l := range p.mailbox.Messages() {
			_, ticket, _ := strings.Cut(linkOf(l), "/a/")
			id, purpose, err := tickets.Open(ticket)
			if err != nil || purpose != account.PurposeActivate || !strings.EqualFold(l.To, a.Address) {
				continue
			}
			if _, holds := a.Invitation(id); holds {
				link = linkOf(l)
			}
		}
		return link != "", nil
	})
	if err != nil {
		return fmt.Errorf("no letter with a link that holds: %w", err)
	}
	p.link[m] = link
	number, _ := a.Current()
	v := newVisitor()
	at, err := v.get(ctx, link)
	if err != nil {
		return err
	}
	kind, _, _ := strings.Cut(s.who, ":")
	at, err = v.submit(ctx, at, p.cfg.Portal.BaseURL, "/activate", url.Values{"role": {kind}, "number": {number.Value}})
	if err != nil {
		return err
	}
	p.password[m] = fmt.Sprintf("Fjell-og-vidde-%d-vinter", len(p.password)+1)
	done, err := v.submit(ctx, at, p.cfg.Portal.BaseURL, "/activate/password", url.Values{"accept": {"yes"}, "password": {p.password[m]}})
	if err != nil {
		return err
	}
	if done.Path != "/activate/done" {
		p.fault("%s: activation ended on %s with %d", s.who, done.Path, done.Status)
		return nil
	}
	p.say("%s activates as %s", s.who, a.Username)
	return nil
}

// stands finds the account as the story says, and whether its password binds.
func (p *play) stands(ctx context.Context, s step) error {
	var a account.Account
	short, cancel := context.WithTimeout(ctx, storyWaits)
	defer cancel()
	err := until(short, func() (bool, error) {
		var err error
		a, err = p.people.Find(ctx, account.Key{Kind: account.ByLIN, Value: s.who})
		return string(a.State)+" "+a.Why.Reason == s.want, err
	})
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if got := string(a.State) + " " + a.Why.Reason; got != s.want {
		p.fault("%s is %s at %s, not %s", s.who, got, s.at.Format(time.RFC3339), s.want)
	}
	p.say("%s is %s (%s)", s.who, a.State, a.Why.Reason)
	return nil
}

// toldOf counts the transitions in the audit stream and the leaving letters.
func (p *play) toldOf(ctx context.Context, s step, m *member, turns, want map[string]int) error {
	if err := p.quiet(ctx); err != nil {
		return err
	}
	a, err := p.people.Find(ctx, account.Key{Kind: account.ByLIN, Value: s.who})
	if err != nil {
		return err
	}
	var got []string
	err = stream.Tail(ctx, p.js, stream.TailOptions{}, func(e events.Event) error {
		f, ok := e.Data.(events.Audit)
		if ok && f.Account == a.ID && slices.Contains([]string{events.AuditSuspended, events.AuditRestored, events.AuditClosed}, f.What) {
			got = append(got, f.What)
			turns[f.What]++
		}
		return nil
	})
	if err != nil {
		return err
	}
	leaving := 0
	for _, l := range p.mailbox.Messages() {
		if l.Get("X-Matricula-Letter") == events.LetterLeaving && strings.EqualFold(l.To, m.Email) {
			leaving++
		}
	}
	turns[events.LetterLeaving] += leaving
	facts, letters, _ := strings.Cut(s.want, "/")
	for _, f := range strings.Fields(facts) {
		want[f]++
	}
	var n int
	if _, err := fmt.Sscan(letters, &n); err != nil {
		return fmt.Errorf("how many leaving letters: %w", err)
	}
	want[events.LetterLeaving] += n
	if strings.Join(got, " ") != strings.TrimSpace(facts) || leaving != n {
		p.fault("%s: told %v and %d leaving letters, expected %s", s.who, got, leaving, s.want)
	}
	return nil
}

// liveOn plays the lives after the first act was counted, and counts the whole.
func (p *play) liveOn(ctx context.Context) (summary, error) {
	turns, want, err := p.playLives(ctx)
	if err != nil {
		return summary{}, err
	}
	for _, k := range []string{events.AuditSuspended, events.AuditRestored, events.AuditClosed, events.LetterLeaving} {
		if turns[k] != want[k] {
			p.fault("%s: %d in the lives, expected %d", k, turns[k], want[k])
		}
	}
	if err := p.quiet(ctx); err != nil {
		return summary{}, err
	}
	got, err := p.countNow(ctx)
	got.Turns, got.Lives = turns, got.People-p.want.People
	return got, err
}
