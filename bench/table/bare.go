package table

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/stream"
)

// bare does by hand what an event's way consists of, one after the other, over
// connections that are open already: on the streams, the consumers and the
// rights that ship, in a broker of its own, and in the directory that ours has.
// It judges nothing, keeps no facts and no marks, and would not survive a crash.
type bare struct {
	t             testing.TB
	p             *place
	box           *sink
	conn          *ldap.Conn
	worker        jetstream.JetStream
	mailer        *nats.Conn
	event, letter jetstream.MessagesContext
	relay         *textproto.Conn
	sample        sample

	batches, singles []time.Duration // how long claims took
}

// sample is what ours made of one person: the others get the same.
type sample struct {
	person
	entry  *ldap.Entry
	letter *jetstream.RawStreamMsg
	text   []byte // of the letter, as the relay got it
}

func newBare(t testing.TB, ours *place, box *sink, q person) *bare {
	t.Helper()
	p := newPlaceAt(t, ours.binary, ours.sink, "2027-08-01", ours.slapd)
	b := &bare{t: t, p: p, box: box, conn: p.slapd.Conn(t, p.slapd.Worker), sample: p.sample(q)}
	b.sample.text = box.last
	b.worker, b.mailer = p.broker.JetStream("worker"), p.broker.Connect("mailer")
	ctx := context.Background()
	lanes, err := stream.LaneConsumers(ctx, b.worker, stream.DefaultSettings())
	if err != nil {
		t.Fatal(err)
	}
	b.event = b.listen(lanes[0], jetstream.PullPriorityGroup(lanes[0].CachedInfo().Config.PriorityGroups[0]))
	mail, err := stream.MailConsumer(ctx, p.broker.JetStream("mailer"))
	if err != nil {
		t.Fatal(err)
	}
	b.letter = b.listen(mail)
	if b.relay, err = textproto.Dial("tcp", box.addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.relay.Close() })
	b.hear(220)
	b.say(250, "EHLO localhost")
	return b
}

// sample lets a worker make one account, keeps what became of it, and leaves
// nothing behind in the broker.
func (p *place) sample(q person) sample {
	p.t.Helper()
	w, _ := p.serve("worker", "worker-sample")
	p.send(q)
	p.until(30*time.Second, "a letter lies due", func() bool { return p.stored("MAIL", "") == 1 && p.pending() == 0 })
	w.stop()
	s := sample{person: q}
	found := p.slapd.Search(p.t, p.slapd.Admin, "(norEduPersonLIN="+p.lin(q)+")", "*")
	if len(found) != 1 {
		p.t.Fatalf("one event led to %d entries", len(found))
	}
	s.entry = found[0]
	ctx := context.Background()
	mail, err := p.js.Stream(ctx, "MAIL")
	if err == nil {
		s.letter, err = mail.GetMsg(ctx, p.state("MAIL", "").LastSeq)
	}
	if err == nil {
		err = mail.Purge(ctx)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return s
}

func (b *bare) listen(c jetstream.Consumer, opts ...jetstream.PullMessagesOpt) jetstream.MessagesContext {
	b.t.Helper()
	it, err := c.Messages(opts...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(it.Stop)
	return it
}

// way is how it is done by hand, with three claims all or none, or with a
// single one.
func (b *bare) way(single bool) *way {
	return &way{
		entry:  func(q person) time.Duration { return b.trips(b.make(q), single, false) },
		letter: func(q person) time.Duration { return b.trips(b.make(q), single, true) },
	}
}

// made is what is written for one person, ready to be sent.
type made struct {
	person
	id     string
	add    *ldap.AddRequest
	claims []*nats.Msg
	letter *nats.Msg
}

// make turns the sample into somebody else: everything has as many values, and
// they are as long.
func (b *bare) make(q person) made {
	b.t.Helper()
	s, e := b.sample, b.sample.entry
	uid, id := "b"+q.No, strings.ToLower(rand.Text())
	invitation, _, _ := strings.Cut(e.GetAttributeValue("matriculaInvitation"), ";")
	name := s.letter.Subject[strings.LastIndexByte(s.letter.Subject, '.')+1:]
	swap := []string{
		s.No, q.No, s.Number, q.Number, e.GetAttributeValue("uid"), uid, e.GetAttributeValue("matriculaId"), id,
		invitation, another(invitation), name, another(name), s.Given, q.Given, s.Family, q.Family,
	}
	handles := e.GetAttributeValues("matriculaHandle")
	keys := []string{"uid." + uid}
	for _, h := range handles {
		i := strings.LastIndexByte(h, '.') + 1
		keys = append(keys, h[:i]+another(h[i:]))
		swap = append(swap, h, keys[len(keys)-1])
	}
	change := strings.NewReplacer(swap...)
	m := made{person: q, id: id, add: ldap.NewAddRequest("uid="+uid+",ou=people,"+b.p.slapd.Base, nil)}
	for _, a := range e.Attributes {
		var values []string
		for _, v := range a.Values {
			values = append(values, change.Replace(v))
		}
		m.add.Attribute(a.Name, values)
	}
	value, err := json.Marshal(map[string]string{"account": id, "username": uid})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, k := range keys {
		m.claims = append(m.claims, &nats.Msg{Subject: "$KV.claims." + k, Data: value, Header: nats.Header{"Nats-Expected-Last-Subject-Sequence": {"0"}}})
	}
	m.letter = &nats.Msg{Subject: change.Replace(s.letter.Subject), Data: []byte(change.Replace(string(s.letter.Data))), Header: nats.Header{}}
	for k, vs := range s.letter.Header {
		m.letter.Header[k] = []string{change.Replace(vs[0])}
	}
	return m
}

// another is a string of chance as long as this one.
func another(s string) string {
	b := make([]byte, len(s)/2+1)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)[:len(s)]
}

// trips makes the way once: to the entry, or on to the letter. What was
// delivered is acknowledged afterwards, as ours is.
func (b *bare) trips(m made, single, letter bool) time.Duration {
	b.t.Helper()
	began := b.p.send(m.person)
	got := []jetstream.Msg{b.next(b.event)}
	b.claim(m.claims, single)
	if err := b.conn.Add(m.add); err != nil {
		b.t.Fatal(err)
	}
	var took time.Duration
	if letter {
		if _, err := b.worker.PublishMsg(context.Background(), m.letter); err != nil {
			b.t.Fatal(err)
		}
		got = append(got, b.next(b.letter))
		b.lookUp(m.letter.Subject[strings.LastIndexByte(m.letter.Subject, '.')+1:])
		b.lookUp("stopped." + m.id)
		b.handOver(m.email())
		at, _ := b.box.at(m.email())
		took = at.Sub(began)
	} else {
		if !found(b.t, b.conn, b.p.slapd.Base, "(norEduPersonLIN="+b.p.lin(m.person)+")") {
			b.t.Fatal("an entry that was added is not found")
		}
		took = time.Since(began)
	}
	for _, g := range got {
		if err := g.DoubleAck(context.Background()); err != nil {
			b.t.Fatal(err)
		}
	}
	time.Sleep(rest)
	return took
}

func (b *bare) next(from jetstream.MessagesContext) jetstream.Msg {
	b.t.Helper()
	m, err := from.Next()
	if err != nil {
		b.t.Fatal(err)
	}
	return m
}

// claim writes the claims all or none, or the first of them alone.
func (b *bare) claim(claims []*nats.Msg, single bool) {
	b.t.Helper()
	began := time.Now()
	if single {
		if _, err := b.worker.PublishMsg(context.Background(), claims[0]); err != nil {
			b.t.Fatal(err)
		}
		b.singles = append(b.singles, time.Since(began))
		return
	}
	nc, id := b.worker.Conn(), rand.Text()
	for i, c := range claims {
		m := &nats.Msg{Subject: c.Subject, Data: c.Data, Header: maps.Clone(c.Header)}
		m.Header["Nats-Batch-Id"], m.Header["Nats-Batch-Sequence"] = []string{id}, []string{fmt.Sprint(i + 1)}
		if i < len(claims)-1 {
			if err := nc.PublishMsg(m); err != nil {
				b.t.Fatal(err)
			}
			continue
		}
		m.Header["Nats-Batch-Commit"] = []string{"1"}
		answer, err := nc.RequestMsg(m, 10*time.Second)
		if err != nil || !strings.Contains(string(answer.Data), `"seq"`) {
			b.t.Fatalf("the claims were not stored: %v %s", err, answer.Data)
		}
	}
	b.batches = append(b.batches, time.Since(began))
}

// lookUp reads a mark that is not there.
func (b *bare) lookUp(key string) {
	b.t.Helper()
	msg, err := b.mailer.Request("$JS.API.STREAM.MSG.GET.KV_letters", []byte(`{"last_by_subj":"$KV.letters.`+key+`"}`), 5*time.Second)
	if err != nil || !strings.Contains(string(msg.Data), "no message found") {
		b.t.Fatalf("no answer about a mark: %v", err)
	}
}

// handOver gives the relay the letter in two round trips, as ours does where
// the relay takes commands together.
func (b *bare) handOver(to string) {
	b.t.Helper()
	b.say(250, "MAIL FROM:<no-reply@usn.example>\r\nRCPT TO:<"+to+">\r\nDATA")
	b.hear(250)
	b.hear(354)
	w := b.relay.DotWriter()
	_, err := w.Write(b.sample.text)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.hear(250)
}

// say sends commands and reads the answer to the first of them.
func (b *bare) say(want int, commands string) {
	b.t.Helper()
	if err := b.relay.PrintfLine("%s", commands); err != nil {
		b.t.Fatal(err)
	}
	b.hear(want)
}

func (b *bare) hear(want int) {
	b.t.Helper()
	if _, text, err := b.relay.ReadResponse(want); err != nil {
		b.t.Fatalf("the relay said %q: %v", text, err)
	}
}
