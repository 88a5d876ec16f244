package table

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// way is one way from an event to an entry and on to a letter, and how long it
// took.
type way struct {
	entry, letter     func(person) time.Duration
	toEntry, toLetter []time.Duration
}

// latencyRows: one event alone on its way, beside the round trips that it
// consists of, made by hand one after the other. All ways take turns, and none
// is always the first, so that the disk's mood meets each of them.
func latencyRows(t testing.TB, r *report, binary string, n int) {
	box := newSink(t)
	p := newPlace(t, binary, box.addr, "2027-08-01")
	p.serve("worker", "worker")
	p.serve("mailer", "mailer")
	var people []person
	for _, q := range invent(500000, 12*(n+5)) {
		if q.Role == "employee" { // whose letter goes at once
			people = append(people, q)
		}
	}
	next := func() (q person) {
		q, people = people[0], people[1:]
		return q
	}
	conn := p.slapd.Conn(t, p.slapd.Worker)
	ours := &way{
		entry: func(q person) time.Duration {
			took := p.entry(q, conn)
			p.settled(q, box)
			return took
		},
		letter: func(q person) time.Duration { return p.letter(q, box) },
	}
	ours.letter(next()) // a letter to show by hand
	b := newBare(t, p, box, next())
	same, single := b.way(false), b.way(true)
	ways := []*way{ours, same, single}
	const warm = 3 // a process does some things only once
	for i := range n + warm {
		if i == warm {
			b.batches, b.singles = nil, nil
			for _, w := range ways {
				w.toEntry, w.toLetter = nil, nil
			}
		}
		for k := range ways {
			w := ways[(i+k)%len(ways)]
			w.toEntry, w.toLetter = append(w.toEntry, w.entry(next())), append(w.toLetter, w.letter(next()))
		}
	}
	r.value("latency.batch", millis(percentile(b.batches, .5)))
	r.value("latency.claim", millis(percentile(b.singles, .5)))
	r.beside("one event, nothing else: publish → pending entry visible", "entry",
		"publish, delivery, three claims in a batch, the same entry added, a search", ours.toEntry, same.toEntry, single.toEntry)
	r.beside("one event, nothing else: publish → letter accepted by the relay", "letter",
		"publish, delivery, three claims in a batch, the same entry added, the same letter stored, delivery, two look-ups, SMTP", ours.toLetter, same.toLetter, single.toLetter)
}

// beside puts what we need next to what the same round trips need by hand, and
// to what they would need with one claim instead of three all or none.
func (r *report) beside(work, name, trips string, ours, same, single []time.Duration) {
	p50, p99 := percentile(ours, .5), percentile(ours, .99)
	least, one := percentile(same, .5), percentile(single, .5)
	figure := func(of []time.Duration) string {
		return fmt.Sprintf("p50 %s, p99 %s", ms(percentile(of, .5)), ms(percentile(of, .99)))
	}
	r.wait("event to "+name, ours)
	r.wait("the same round trips to "+name, same)
	for value, x := range map[string]time.Duration{"": p50, ".p99": p99, ".bare": least, ".bare.p99": percentile(same, .99), ".single": one} {
		r.value("latency."+name+value, millis(x))
	}
	r.add(row{work: work, what: fmt.Sprintf("ours, %d times", len(ours)), figure: figure(ours)},
		row{
			work: work, what: "bare, the same round trips: " + trips, figure: figure(same),
			ratio: p50.Seconds() / least.Seconds(), goal: "ours: p50 ≤ 1.5 × this p50, p99 ≤ 3 × this p50",
			cost: fmt.Sprintf("ours: p99 is %.2f × this p50", p99.Seconds()/least.Seconds()),
			met:  p50.Seconds() <= 1.5*least.Seconds() && p99.Seconds() <= 3*least.Seconds(),
		},
		row{work: work, what: "bare, less than ours: one claim in one message, the rest the same", figure: figure(single), ratio: p50.Seconds() / one.Seconds()})
}

// entry is how long an event takes to a pending entry that others see.
func (p *place) entry(q person, conn *ldap.Conn) time.Duration {
	p.t.Helper()
	began := p.send(q)
	for !found(p.t, conn, p.slapd.Base, "(norEduPersonLIN="+p.lin(q)+")") {
		if time.Since(began) > 10*time.Second {
			p.t.Fatal("an event led to no entry within ten seconds")
		}
		time.Sleep(200 * time.Microsecond) // or looking would be most of the directory's work
	}
	return time.Since(began)
}

// letter is how long an event takes to a letter that the relay has accepted.
func (p *place) letter(q person, box *sink) time.Duration {
	p.t.Helper()
	began := p.send(q)
	return p.settled(q, box).Sub(began)
}

// rest follows each way, so that the next is alone: marks, facts and
// acknowledgements are written after what is measured.
const rest = 15 * time.Millisecond

// settled waits for the letter and answers when it was accepted.
func (p *place) settled(q person, box *sink) time.Time {
	p.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Microsecond) {
		if at, ok := box.at(q.email()); ok {
			time.Sleep(rest)
			return at
		}
		if time.Now().After(end) {
			p.t.Fatal("an event led to no letter within ten seconds")
		}
	}
}

// lin is the person's number as the directory has it.
func (p *place) lin(q person) string { return p.slapd.Realm + ":" + q.Role + ":" + q.No }

// send publishes the person's registration as the source does.
func (p *place) send(q person) time.Time {
	p.t.Helper()
	m := message(p.t, q.registered(time.Now()))
	if p.hr == nil {
		p.hr = p.broker.JetStream("hr")
	}
	began := time.Now()
	if _, err := p.hr.PublishMsg(context.Background(), m); err != nil {
		p.t.Fatal(err)
	}
	return began
}

func found(t testing.TB, conn *ldap.Conn, base, filter string) bool {
	t.Helper()
	got, err := conn.Search(ldap.NewSearchRequest("ou=people,"+base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, filter, []string{"uid"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	return len(got.Entries) > 0
}
