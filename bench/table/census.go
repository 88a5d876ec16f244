package table

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// census is what became of people, counted from outside: their entries in the
// directory, their letters where letters lie, and the facts about them. Each
// person has one of each; a fact of an invitation has who is mailed at once.
type census struct {
	lost, doubled, dead int
	said                []string // what is lost or doubled, by kind
}

// String is how it stands in the table. What was published once per person has
// no order that could be turned round.
func (c census) String() string {
	if len(c.said) > 0 {
		return fmt.Sprintf("%d, %d, – (%s); %d dead letters", c.lost, c.doubled, strings.Join(c.said, ", "), c.dead)
	}
	return fmt.Sprintf("%d, %d, –; %d dead letters", c.lost, c.doubled, c.dead)
}

// hold fails where a rate was bought with people.
func (c census) hold(t testing.TB) {
	t.Helper()
	if c.lost != 0 || c.doubled != 0 || c.dead != 0 {
		t.Errorf("registrations: lost, doubled, turned round: %s", c)
	}
}

// count adds what a kind has too little and too much of.
func (c *census) count(kind string, lost, doubled int) {
	c.lost, c.doubled = c.lost+lost, c.doubled+doubled
	if lost != 0 || doubled != 0 {
		c.said = append(c.said, fmt.Sprintf("%s: %d lost, %d doubled", kind, lost, doubled))
	}
}

// each compares how often something is there per person with the one time that
// it should be.
func (c *census) each(kind string, people []string, have map[string]int) {
	lost, doubled := 0, 0
	for _, who := range people {
		if n := have[who]; n > 0 {
			doubled += n - 1
		} else {
			lost++
		}
	}
	c.count(kind, lost, doubled)
}

// mark is how much there was before people were registered.
type mark struct {
	audit      uint64 // last sequence
	mail, dead int
}

func (p *place) mark() mark {
	return mark{audit: p.state("AUDIT", "").LastSeq, mail: p.stored("MAIL", "mail.activation.>"), dead: p.stored("DEAD", "")}
}

// census counts what became of people since the mark, with no mailer running.
func (p *place) census(people []person, since mark) census {
	p.t.Helper()
	var c census
	ids := p.accounts()
	var all, now, later []string
	lost, doubled := 0, 0
	for _, q := range people {
		got := ids[q.Role+":"+q.No]
		if len(got) == 0 {
			lost++
			continue
		}
		doubled += len(got) - 1
		all = append(all, got[0])
		if q.Role == "employee" {
			now = append(now, got[0])
		} else {
			later = append(later, got[0])
		}
	}
	c.count("accounts", lost, doubled)
	created, invited := map[string]int{}, map[string]int{}
	p.facts(since.audit, []string{"audit.account.created.>", "audit.account.invited.>"}, func(f fact) {
		if f.what == "created" {
			created[f.Account]++
		} else {
			invited[f.Account]++
		}
	})
	c.each("facts of an account", all, created)
	c.each("facts of an invitation", now, invited)
	c.each("letters that wait", later, p.waiting())
	due := p.stored("MAIL", "mail.activation.>") - since.mail
	c.count("letters that are due", max(0, len(now)-due), max(0, due-len(now)))
	c.dead = p.stored("DEAD", "") - since.dead
	return c
}

// accounts are the IDs of everybody's accounts, by role and number.
func (p *place) accounts() map[string][]string {
	p.t.Helper()
	out := map[string][]string{}
	text := p.slapd.LDAPSearch(p.t, p.slapd.Admin, "-E", "pr=1000/noprompt", "-LLL", "-o", "ldif-wrap=no", "-b", "ou=people,"+p.slapd.Base, "(objectClass=matriculaAccount)", "matriculaId", "norEduPersonLIN")
	for entry := range strings.SplitSeq(text, "\n\n") {
		var id string
		var who []string
		for line := range strings.Lines(entry) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch name {
			case "matriculaId":
				id = value
			case "norEduPersonLIN":
				if parts := strings.Split(value, ":"); len(parts) > 2 {
					who = append(who, strings.Join(parts[len(parts)-2:], ":"))
				}
			}
		}
		for _, w := range who {
			out[w] = append(out[w], id)
		}
	}
	return out
}

// waiting counts the letters that wait for a window, by account.
func (p *place) waiting() map[string]int {
	p.t.Helper()
	out := map[string]int{}
	for subject, n := range p.subjects("WAIT", "wait.letter.>") {
		out[subject[strings.LastIndexByte(subject, '.')+1:]] += int(n)
	}
	return out
}

// fact is one of the audit stream.
type fact struct {
	what           string // created, updated, invited
	at             time.Time
	Account, Cause string
}

// facts reads the audit stream after a sequence, in its order.
func (p *place) facts(after uint64, subjects []string, see func(fact)) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c, err := p.js.OrderedConsumer(ctx, "AUDIT", jetstream.OrderedConsumerConfig{
		FilterSubjects: subjects, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	info, err := c.Info(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	it, err := c.Messages()
	if err != nil {
		p.t.Fatal(err)
	}
	defer it.Stop()
	for range info.NumPending {
		m, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			p.t.Fatal(err)
		}
		meta, err := m.Metadata()
		if err != nil {
			p.t.Fatal(err)
		}
		f := fact{what: strings.Split(m.Subject(), ".")[2], at: meta.Timestamp}
		if err := json.Unmarshal(m.Data(), &f); err != nil {
			p.t.Fatal(err)
		}
		see(f)
	}
}

// state is how much a stream holds, and where a subject is given how many
// messages of it under each.
func (p *place) state(name, subject string) jetstream.StreamState {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := p.js.Stream(ctx, name)
	if err != nil {
		p.t.Fatal(err)
	}
	var of []jetstream.StreamInfoOpt
	if subject != "" {
		of = append(of, jetstream.WithSubjectFilter(subject))
	}
	info, err := s.Info(ctx, of...)
	if err != nil {
		p.t.Fatal(err)
	}
	return info.State
}

// subjects counts the messages of a stream by subject.
func (p *place) subjects(name, subject string) map[string]uint64 {
	p.t.Helper()
	return p.state(name, subject).Subjects
}

// stored counts the messages of a stream, or those under a subject.
func (p *place) stored(name, subject string) int {
	p.t.Helper()
	if subject == "" {
		return int(p.state(name, "").Msgs)
	}
	n := 0
	for _, k := range p.subjects(name, subject) {
		n += int(k)
	}
	return n
}
