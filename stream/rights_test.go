package stream

import (
	"context"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
)

var roleLine = regexp.MustCompile(`^\*\*([a-z]+)\*\*`)

// documentedRights reads what docs/broker-rights.md lets each role publish, and
// what it may hear beside its inbox.
func documentedRights(t *testing.T) (publish, hear map[string][]string) {
	t.Helper()
	doc, err := os.ReadFile("../docs/broker-rights.md")
	if err != nil {
		t.Fatal(err)
	}
	publish, hear = map[string][]string{}, map[string][]string{}
	rights, role := publish, ""
	for line := range strings.Lines(string(doc)) {
		if m := roleLine.FindStringSubmatch(line); m != nil {
			role = m[1]
		}
		if role == "" || !strings.HasPrefix(line, "    ") {
			continue
		}
		words := strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(words, "publish:"); ok {
			rights, words = publish, rest
		} else if rest, ok := strings.CutPrefix(words, "subscribe:"); ok {
			rights, words = hear, rest
		}
		for _, word := range strings.Fields(words) {
			if strings.HasPrefix(word, "(") {
				break // the rest of the line is prose
			}
			rights[role] = append(rights[role], word)
		}
	}
	return publish, hear
}

// refusals collects what the broker refused a connection.
type refusals struct {
	mu  sync.Mutex
	all []string
}

func (r *refusals) add(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, err.Error())
}

func (r *refusals) list() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.all, "\n")
}

// guarded is a broker with one user per role, each with the rights that are
// documented, and admin.
func guarded(t *testing.T) *broker {
	t.Helper()
	rights, hear := documentedRights(t)
	b := newBroker(t, false, func(o *server.Options) {
		acc := server.NewAccount("USN")
		o.Accounts = []*server.Account{acc}
		o.Users = []*server.User{{Username: "admin", Password: "x", Account: acc}}
		for role, publish := range rights {
			o.Users = append(o.Users, &server.User{Username: role, Password: "x", Account: acc, Permissions: &server.Permissions{
				Publish:   &server.SubjectPermission{Allow: publish},
				Subscribe: &server.SubjectPermission{Allow: append(hear[role], "_INBOX_"+role+".>")},
			}})
		}
	})
	acc, err := b.s.LookupAccount("USN")
	if err != nil {
		t.Fatal(err)
	}
	if err := acc.EnableJetStream(nil, nil); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *broker) as(role string) (jetstream.JetStream, *refusals) {
	b.t.Helper()
	r := &refusals{}
	nc, err := Connect(Options{
		Name: role, InboxPrefix: "_INBOX_" + role, ErrorLog: r.add,
		More: []nats.Option{nats.InProcessServer(b), nats.UserInfo(role, "x")},
	})
	if err != nil {
		b.t.Fatalf("connect as %s: %v", role, err)
	}
	b.t.Cleanup(nc.Close)
	js, err := JetStream(nc)
	if err != nil {
		b.t.Fatal(err)
	}
	return js, r
}

func (b *broker) publisherAs(role string) (jetstream.JetStream, *Publisher, *refusals) {
	js, r := b.as(role)
	p := NewPublisher(js)
	b.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = p.Close(ctx)
	})
	return js, p, r
}

func TestEachRoleDoesItsWorkWithTheDocumentedRights(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	admin, _ := b.as("admin")
	ctx, s := patience(t), testSettings()
	if err := Declare(ctx, admin, s, false); err != nil {
		t.Fatal(err)
	}
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	_, hr, hrRefused := b.publisherAs("hr")
	must("hr publishes", hr.Publish(ctx, ended()))

	wjs, wp, workerRefused := b.publisherAs("worker")
	drift, err := Drift(ctx, wjs, s, Intake, Wait, Audit, Dead, Secret, "KV_claims", "KV_pins")
	if err != nil || len(drift) > 0 {
		t.Errorf("worker's drift check: %q, %v", drift, err)
	}
	m := inLane(t, wjs)
	aside := &Aside{Publisher: wp}
	must("worker postpones", aside.Wait(ctx, time.Now(), m))
	must("worker acknowledges", m.DoubleAck(ctx))
	c, err := DueConsumer(ctx, wjs)
	must("worker reads what is due", next(t, c, err).DoubleAck(ctx))
	must("worker buries", aside.Bury(ctx, buriedLetter("d1", 3)))
	must("worker publishes", wp.Publish(ctx, fact("f1"), letter("l1"), waiting("g", "a1")))
	_, err = NewClaims(wp).Take(ctx, []string{"num.1", "src.1"}, []byte("a1"))
	must("worker claims", err)
	w := &Waiting{JS: wjs, Settings: s}
	must("worker plans", w.Plan(ctx, "g", kind, time.Now().Add(time.Hour)))
	must("worker replans", w.Replan(ctx, func(string, string) (time.Time, bool) { return time.Now(), true }))
	groups, err := wjs.Consumer(ctx, Wait, letterConsumer("g", kind))
	must("worker reads a letter", next(t, groups, err).DoubleAck(ctx))
	eventually(t, "the letter is acknowledged", func() bool { n, err := w.Sweep(ctx, time.Now()); return err == nil && n == 1 })

	mjs, mp, mailerRefused := b.publisherAs("mailer")
	c, err = MailConsumer(ctx, mjs)
	m = next(t, c, err)
	must("mailer postpones", (&Aside{Publisher: mp}).Wait(ctx, time.Now(), m))
	must("mailer acknowledges", m.DoubleAck(ctx))
	must("mailer acknowledges again", next(t, c, nil).DoubleAck(ctx))
	letters := &Letters{Publisher: mp}
	must("mailer marks", letters.Mark(ctx, "l1", events.LetterMark{State: events.LetterSent}))
	if _, found, err := letters.Sent(ctx, "l1"); err != nil || !found {
		t.Errorf("mailer reads its mark: %v, %v", found, err)
	}
	must("mailer buries", (&Aside{Publisher: mp}).Bury(ctx, buriedLetter("d2", 3)))

	if _, found, err := (&Letters{Publisher: wp}).Sent(ctx, "l1"); err != nil || !found {
		t.Errorf("worker reads whose letter came back: %v, %v", found, err)
	}
	must("worker stops an address", (&Letters{Publisher: wp}).StopAddress(ctx, "a1", events.StopAddress("a1", "kari@example.org", testTime)))
	if s, err := letters.Stopped(ctx, "a1"); err != nil || !s.Stops("a1", "kari@example.org", testTime) || s.Stops("a2", "kari@example.org", testTime) {
		t.Errorf("mailer reads the stopped address %+v, %v", s, err)
	}
	if s, err := letters.Stopped(ctx, "a2"); err != nil || s != (events.StoppedAddress{}) {
		t.Errorf("mailer reads a stopped address of an account that has none: %+v, %v", s, err)
	}
	back := events.Once("l1-refused", testTime, events.MailBounced{Letter: "l1", Status: "5.1.1"})
	back.Meta.Subject = "l1"
	must("mailer tells of a refused address", mp.Publish(ctx, back))

	pjs, pp, portalRefused := b.publisherAs("portal")
	acted := events.Event{
		Meta: events.Meta{ID: "c1", Source: events.SourcePortal, Subject: "a1", Time: testTime}, Data: events.AccountActed{Account: "a1"},
	}
	must("portal publishes", pp.Publish(ctx, acted))
	_, err = (&Counter{Publisher: pp}).Add(ctx, "i1")
	must("portal counts", err)
	stop, began := hearing(t, wjs.Conn())
	eventually(t, "worker hears that people wait", func() bool { return TellCrowded(pjs.Conn()) == nil && began() == 1 })
	stop()

	must("worker offers a PIN", (&PINs{Publisher: wp}).Offer(ctx, pin("a1", "Drammen", 1)))
	xjs, xp, accessRefused := b.publisherAs("access")
	c, err = AccessConsumer(ctx, xjs)
	m = next(t, c, err)
	must("access system confirms", (&PINs{Publisher: xp}).Receipt(ctx, "a1", "Drammen", events.PINMark{Sequence: 1, State: events.PINConfirmed}))
	must("access system acknowledges", m.DoubleAck(ctx))
	if mark, err := (&PINs{Publisher: pp}).Mark(ctx, "a1", "Drammen"); err != nil || mark.State != events.PINConfirmed {
		t.Errorf("portal reads %+v, %v", mark, err)
	}

	ajs, auditorRefused := b.as("auditor")
	n := 0
	must("auditor reads", Tail(ctx, ajs, TailOptions{}, func(events.Event) error { n++; return nil }))
	if n != 1 {
		t.Errorf("auditor read %d facts, want 1", n)
	}
	for role, r := range map[string]*refusals{
		"hr": hrRefused, "worker": workerRefused, "mailer": mailerRefused, "portal": portalRefused, "auditor": auditorRefused, "access": accessRefused,
	} {
		if got := r.list(); got != "" {
			t.Errorf("%s was refused:\n%s", role, got)
		}
	}
}

func TestForbiddenWritesAreRefused(t *testing.T) {
	t.Parallel()
	b := guarded(t)
	admin, _ := b.as("admin")
	if err := Declare(patience(t), admin, testSettings(), false); err != nil {
		t.Fatal(err)
	}
	for role, subjects := range map[string][]string{
		"hr":      {"crowd.portal", "it.password.compromised.x", "mail.activation.x", "audit.account.created.x", "wait.due.x", "$JS.API.STREAM.PURGE.INTAKE", "$KV.claims.x"},
		"worker":  {"crowd.portal", "wait.due.INTAKE.1.it.a.b.c", "mail.hold.a.b", "hr.a.b.c", "$JS.API.STREAM.UPDATE.WAIT", "$JS.API.STREAM.PURGE.AUDIT", "$JS.API.CONSUMER.CREATE.INTAKE.x", "$KV.letters.x"},
		"mailer":  {"crowd.portal", "mail.activation.x", "wait.letter.g.k.a", "audit.account.created.x", "$KV.claims.x", "$JS.ACK.INTAKE.x.1.1.1.1.1"},
		"portal":  {"crowd.worker", "hr.a.b.c", "mail.activation.x", "audit.account.activated.x", "$KV.claims.x", "$JS.API.STREAM.MSG.GET.MAIL", "secret.pin.a.b", "$KV.pins.asked.a.b", "$KV.pins.receipt.a.b", "$JS.API.STREAM.MSG.GET.SECRET"},
		"access":  {"crowd.portal", "secret.pin.a.b", "$KV.pins.asked.a.b", "$JS.API.STREAM.MSG.GET.SECRET", "$JS.API.CONSUMER.CREATE.SECRET.x", "hr.a.b.c", "audit.pin.set.x"},
		"auditor": {"crowd.portal", "audit.account.created.x", "$JS.API.STREAM.PURGE.AUDIT", "$JS.API.STREAM.MSG.GET.INTAKE", "$JS.API.CONSUMER.CREATE.DEAD.x.dead.>"},
	} {
		js, refused := b.as(role)
		for _, subject := range subjects {
			if err := js.Conn().Publish(subject, nil); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = js.Conn().SubscribeSync("_INBOX_admin.>")
		eventually(t, role+" is refused all of it", func() bool {
			got := strings.ToLower(refused.list())
			for _, subject := range subjects {
				if !strings.Contains(got, strings.ToLower(`publish to "`+subject+`"`)) {
					return false
				}
			}
			return strings.Contains(got, `subscription to "_inbox_admin.>"`)
		})
	}
}
