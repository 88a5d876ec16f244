package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/policy"
	"usn.no/matricula/standalone"
)

// play is one run of demo --once: what is expected, what happened.
type play struct {
	*running
	out      io.Writer // the lines of the story
	began    time.Time // where the clock was set to
	cast     cast
	members  []*member // those who can activate
	people   people
	link     map[*member]string
	username map[*member]string
	password map[*member]string
	doors    *demoDoors
	log      *os.File // every answer of the portal, one JSON object a line
	want     summary
	problems []string
}

// answer is one line of the transcript that --keep leaves.
type answer struct {
	Who    string `json:"who"`
	Step   string `json:"step"`
	Status int    `json:"status"`
	Path   string `json:"path"`
	Opens  string `json:"opens,omitempty"`
}

// Steps of the transcript that count as refusals when the portal refuses.
const (
	stepLook    = "look"
	stepEmpty   = "empty form"
	stepEarly   = "before the window"
	stepWrong   = "wrong number"
	stepProve   = "own number"
	stepSet     = "password"
	stepAgain   = "second time"
	stepOldPass = "compromised password again"
)

func playOnce(ctx context.Context, w io.Writer, r *running, doors *demoDoors, f demoFlags, lines []line) error {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Minute)
	defer cancel()
	started := time.Now()
	p := &play{running: r, doors: doors, out: w, link: map[*member]string{}, username: map[*member]string{}, password: map[*member]string{}}
	if f.asJSON {
		p.out = io.Discard
	}
	var err error
	if p.began, err = time.Parse(time.RFC3339, f.at); err != nil {
		return err
	}
	p.notYet()
	if p.log, err = os.Create(filepath.Join(string(r.cfg.DataDir), "transcript.jsonl")); err != nil {
		return err
	}
	defer func() { _ = p.log.Close() }()
	if p.people, err = r.people(ctx, roleOperator, r.js); err != nil {
		return err
	}
	p.cast = newCast(lines, r.clock.Now())
	p.expect()
	p.say("%d events published, about %d people", len(lines), len(p.cast.Members))
	if err := publishAll(ctx, r, lines); err != nil {
		return err
	}
	if err := p.story(ctx); err != nil {
		return err
	}
	got, err := p.count(ctx)
	if err != nil {
		return err
	}
	p.problems = append(p.problems, got.differences(p.want)...)
	if f.lives {
		if got, err = p.liveOn(ctx); err != nil {
			return err
		}
	}
	got.OK, got.Problems, got.Seconds = len(p.problems) == 0, p.problems, time.Since(started).Seconds()
	if f.asJSON {
		err = printJSON(w, got)
	} else {
		err = got.print(w)
	}
	if err == nil && !got.OK {
		err = fmt.Errorf("%d expectations were not met", len(p.problems))
	}
	return err
}

func (p *play) say(format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, "%s  %s\n", p.clock.Now().In(osloZone()).Format("02 Jan 15:04:05"), fmt.Sprintf(format, args...))
}

func (p *play) fault(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	p.problems = append(p.problems, text)
	p.say("!! %s", text)
}

// story is the people's part, window after window.
func (p *play) story(ctx context.Context) error {
	for _, m := range p.cast.Members {
		if m.invitable() {
			p.members = append(p.members, m)
		}
	}
	slices.SortFunc(p.members, func(a, b *member) int { return strings.Compare(a.name(), b.name()) })
	if err := p.settled(ctx); err != nil {
		return err
	}
	waiting := slices.Clone(p.members)
	for first := true; ; first = false {
		var early []*member
		for _, m := range waiting {
			if m.opens(p.cfg.Windows()).After(p.clock.Now()) {
				early = append(early, m)
				if first && !m.due(p.system).After(p.clock.Now()) {
					if err := p.tooEarly(ctx, m); err != nil {
						return err
					}
				}
				continue
			}
			if err := p.activate(ctx, m); err != nil {
				return err
			}
		}
		if len(early) == 0 {
			break
		}
		waiting = early
		if err := p.openNext(ctx, early); err != nil {
			return err
		}
	}
	for _, m := range p.members {
		if err := p.secondTime(ctx, m); err != nil {
			return err
		}
	}
	if err := p.compromise(ctx); err != nil {
		return err
	}
	return p.pin(ctx)
}

// due is when the activation letter goes out.
func (m *member) due(s *system) time.Time {
	var recorded time.Time
	for i, a := range m.Admission {
		if i == 0 || a.Recorded.Before(recorded) {
			recorded = a.Recorded
		}
	}
	return policy.LetterDue(policy.Opening{At: m.opens(s.cfg.Windows())}, recorded, s.cfg.Letters.InviteBefore.Duration)
}

// settled waits until every person has an entry and everything that is refused
// lies among the dead letters.
func (p *play) settled(ctx context.Context) error {
	err := until(ctx, func() (bool, error) {
		n := 0
		err := p.people.Each(ctx, account.Query{}, func(account.Account) bool { n++; return true })
		if err != nil || n < p.want.People {
			return false, err
		}
		dead, err := p.countDead(ctx)
		return dead >= p.want.Dead, err
	})
	p.notYet()
	if err == nil {
		p.say("%d pending accounts, none can sign in; %d events refused to the dead letters", p.want.People, p.want.Dead)
	}
	return err
}

// openNext moves the clock to the next opening, as half a minute or half a
// year of waiting would, and everything that waits with it.
func (p *play) openNext(ctx context.Context, early []*member) error {
	next := early[0].opens(p.cfg.Windows())
	for _, m := range early {
		if at := m.opens(p.cfg.Windows()); at.Before(next) {
			next = at
		}
	}
	p.clock.set(next.Add(time.Second))
	p.say("the window opens")
	return p.worker.replan(ctx)
}

// letter waits for a letter to somebody.
func (p *play) letter(ctx context.Context, m *member, template string) (standalone.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, storyWaits)
	defer cancel()
	l, err := p.mailbox.Await(ctx, func(l standalone.Message) bool {
		return strings.EqualFold(l.To, m.Email) && l.Get("X-Matricula-Letter") == template
	})
	if err != nil {
		return l, fmt.Errorf("%s: no %s letter: %w", m.name(), template, err)
	}
	return l, nil
}

// linkOf is the address in a letter that leads to the portal's form.
func linkOf(l standalone.Message) string {
	for _, u := range l.Links {
		if strings.Contains(u, "/a/") {
			return u
		}
	}
	return ""
}

// number is what the person types: an SO-number as their letter has it.
func (p *play) number(ctx context.Context, m *member) (string, error) {
	n, _ := m.best()
	if n.Type != "so" {
		return n.Value, nil
	}
	l, err := p.letter(ctx, m, events.LetterSONumber)
	if err != nil {
		return "", err
	}
	if !strings.Contains(strings.ReplaceAll(l.Text, " ", ""), n.Value) {
		p.fault("%s: the letter does not hold the SO-number", m.name())
	}
	return n.Value, nil
}

func (m *member) role() string {
	if m.Employee {
		return account.Employee
	}
	return account.Student
}

// note keeps an answer of the portal.
func (p *play) note(m *member, step string, at page) {
	raw, err := json.Marshal(answer{Who: m.name(), Step: step, Status: at.Status, Path: at.Path, Opens: at.Opens})
	if err == nil {
		_, err = p.log.Write(append(raw, '\n'))
	}
	if err != nil {
		p.fault("transcript: %v", err)
	}
}

// open follows a link, twice as mail scanners do, and submits an empty form,
// as some of them do too. None of it may change anything.
func (p *play) open(ctx context.Context, m *member, link string) (*visitor, page, error) {
	v := newVisitor()
	var at page
	var err error
	for range 2 {
		if at, err = v.get(ctx, link); err != nil {
			return v, at, err
		}
		p.note(m, stepLook, at)
	}
	empty, err := v.submit(ctx, page{}, p.cfg.Portal.BaseURL, "/activate", url.Values{})
	if err == nil {
		p.note(m, stepEmpty, empty)
	}
	return v, at, err
}

func (p *play) prove(ctx context.Context, v *visitor, at page, m *member, number string) (page, error) {
	return v.submit(ctx, at, p.cfg.Portal.BaseURL, "/activate", url.Values{"role": {m.role()}, "number": {number}})
}
