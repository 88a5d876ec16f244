package table

import (
	"bytes"
	"context"
	"fmt"
	"net/smtp"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// latencyRows: one event alone on its way, beside the bare round trips that it
// cannot do without, one after the other.
func latencyRows(t testing.TB, r *report, binary string, n int) {
	box := newSink(t)
	p := newPlace(t, binary, box.addr, "2027-08-01")
	p.serve("worker", "worker")
	p.serve("mailer", "mailer")
	b := newBare(t, p, box)
	var people []person
	for _, q := range invent(500000, 4*(n+5)) {
		if q.Role == "employee" { // whose letter goes at once
			people = append(people, q)
		}
	}
	for i, q := range people[:10] { // a process does some things only once
		p.letter(q, box)
		b.trips(-1-i, true)
	}
	people = people[10:]
	var entry, letter, toEntry, toLetter []time.Duration
	for i := range n {
		entry = append(entry, p.entry(people[2*i], b.conn))
		p.settled(people[2*i], box)
		toEntry = append(toEntry, b.trips(2*i, false))
		letter = append(letter, p.letter(people[2*i+1], box))
		toLetter = append(toLetter, b.trips(2*i+1, true))
	}
	r.beside("one event, nothing else: publish → pending entry visible", "entry", "publish, deliver, claim, add, search", entry, toEntry)
	r.beside("one event, nothing else: publish → letter accepted by the relay", "letter", "the same without the search; letter stored, delivered, looked up, handed over by SMTP", letter, toLetter)
}

// beside puts what we need next to what the bare round trips do.
func (r *report) beside(work, name, trips string, ours, bare []time.Duration) {
	p50, p99 := percentile(ours, .5), percentile(ours, .99)
	least, worst := percentile(bare, .5), percentile(bare, .99)
	r.wait("event to "+name, ours)
	r.wait("bare round trips to "+name, bare)
	r.value("latency."+name, millis(p50))
	r.value("latency."+name+".p99", millis(p99))
	r.value("latency."+name+".bare", millis(least))
	r.add(row{work: work, what: "bare: " + trips, figure: fmt.Sprintf("p50 %s, p99 %s", ms(least), ms(worst))},
		row{
			work: work, what: fmt.Sprintf("ours, %d times", len(ours)), figure: fmt.Sprintf("p50 %s, p99 %s", ms(p50), ms(p99)),
			ratio: p50.Seconds() / least.Seconds(), goal: "p50 ≤ 1.5 × bare, p99 ≤ 3 × bare's p50",
			met: p50.Seconds() <= 1.5*least.Seconds() && p99.Seconds() <= 3*least.Seconds(),
		})
}

// entry is how long an event takes to a pending entry that others see.
func (p *place) entry(q person, conn *ldap.Conn) time.Duration {
	p.t.Helper()
	began := p.send(q)
	for !found(p.t, conn, p.slapd.Base, "(norEduPersonLIN="+p.slapd.Realm+":employee:"+q.No+")") {
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

// settled waits for the letter and answers when it was accepted.
func (p *place) settled(q person, box *sink) time.Time {
	p.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Microsecond) {
		if at, ok := box.at(q.email()); ok {
			time.Sleep(20 * time.Millisecond) // alone: marks and facts are written after it
			return at
		}
		if time.Now().After(end) {
			p.t.Fatal("an event led to no letter within ten seconds")
		}
	}
}

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

// bare does by hand what an event's way consists of, over connections that are
// open already.
type bare struct {
	t            testing.TB
	p            *place
	conn         *ldap.Conn
	event, stage jetstream.MessagesContext // where the event and its letter are delivered
	relay        *smtp.Client
	nc           *nats.Conn
	text         []byte // as long as a letter of ours
}

func newBare(t testing.TB, p *place, box *sink) *bare {
	t.Helper()
	b := &bare{t: t, p: p, conn: p.slapd.Conn(t, p.slapd.Worker), nc: p.broker.Connect("operator"), text: bytes.Repeat([]byte(strings.Repeat("x", 66)+"\r\n"), 100)}
	b.event, b.stage = b.consume("event"), b.consume("letter")
	var err error
	if b.relay, err = smtp.Dial(box.addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.relay.Close() })
	return b
}

// consume has what is stored under a name delivered, in a bucket that nobody
// else writes to meanwhile.
func (b *bare) consume(name string) jetstream.MessagesContext {
	b.t.Helper()
	c, err := b.p.js.CreateConsumer(context.Background(), "KV_limits", jetstream.ConsumerConfig{FilterSubject: "$KV.limits.bare." + name + ".>", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		b.t.Fatal(err)
	}
	it, err := c.Messages()
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(it.Stop)
	return it
}

// store publishes and, where somebody listens, waits for the delivery.
func (b *bare) store(subject string, size int, to jetstream.MessagesContext) {
	b.t.Helper()
	if _, err := b.p.js.Publish(context.Background(), subject, make([]byte, size)); err != nil {
		b.t.Fatal(err)
	}
	if to == nil {
		return
	}
	m, err := to.Next()
	if err == nil {
		err = m.Ack()
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// trips makes the way once: to the entry, or on to the letter.
func (b *bare) trips(no int, letter bool) time.Duration {
	b.t.Helper()
	uid := fmt.Sprint("bare", no+100)
	add := ldap.NewAddRequest("uid="+uid+",ou=people,"+b.p.slapd.Base, nil)
	for name, value := range map[string]string{
		"uid": uid, "cn": "Bare Nord", "sn": "Nord", "matriculaId": uid, "matriculaRevision": "1",
		"schacUserStatus": "urn:schac:userStatus:no:" + b.p.slapd.Realm + ":account:pending", "matriculaAddress": uid + "@example.org",
	} {
		add.Attribute(name, []string{value})
	}
	add.Attribute("objectClass", []string{"inetOrgPerson", "schacUserEntitlements", "matriculaAccount"})
	began := time.Now()
	b.store("$KV.limits.bare.event."+uid, 900, b.event)
	b.store("$KV.claims.bare."+uid, 80, nil)
	if err := b.conn.Add(add); err != nil {
		b.t.Fatal(err)
	}
	if !letter {
		if !found(b.t, b.conn, b.p.slapd.Base, "(uid="+uid+")") {
			b.t.Fatal("an entry that was added is not found")
		}
		return time.Since(began)
	}
	b.store("$KV.limits.bare.letter."+uid, 700, b.stage)
	b.lookUp("letters.bare." + uid)
	b.handOver(uid + "@example.org")
	return time.Since(began)
}

// lookUp reads a mark that is not there.
func (b *bare) lookUp(subject string) {
	b.t.Helper()
	msg, err := b.nc.Request("$JS.API.STREAM.MSG.GET.KV_letters", []byte(`{"last_by_subj":"$KV.`+subject+`"}`), 5*time.Second)
	if err != nil || len(msg.Data) == 0 {
		b.t.Fatalf("no answer about a mark: %v", err)
	}
}

// handOver gives the relay a letter as long as ours.
func (b *bare) handOver(to string) {
	b.t.Helper()
	err := b.relay.Mail("no-reply@usn.example")
	if err == nil {
		err = b.relay.Rcpt(to)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	w, err := b.relay.Data()
	if err == nil {
		_, err = w.Write(b.text)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
