package faults

import (
	"context"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// ldapDouble stands between our roles and slapd and answers some requests
// itself: with codes of a server in trouble, with what a second provider knew a
// moment ago, or not at all, before or after slapd has done the work.
type ldapDouble struct {
	h      *house
	listen net.Listener
	target string
	lies   atomic.Pointer[lies]

	mu     sync.Mutex
	random *rand.Rand
	known  map[string]memory // searches and what was answered
}

// lies are how often what goes wrong, of one request each.
type lies struct {
	codes map[int64][]int64 // by operation; one of them
	code  float64
	drop  float64       // the connection, half of the time after the work is done
	lag   time.Duration // searches are answered from what was so long ago
	fault string
}

type memory struct {
	at      time.Time
	answers []*ber.Packet
}

// answers to operations of a client.
var answerTo = map[int64]ber.Tag{ //nolint:gochecknoglobals // a constant table
	ldap.ApplicationBindRequest: ldap.ApplicationBindResponse, ldap.ApplicationSearchRequest: ldap.ApplicationSearchResultDone,
	ldap.ApplicationModifyRequest: ldap.ApplicationModifyResponse, ldap.ApplicationAddRequest: ldap.ApplicationAddResponse,
}

func (h *house) newLDAPDouble() (*ldapDouble, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &ldapDouble{h: h, listen: l, target: strings.TrimPrefix(h.slapd.URL, "ldap://"), random: h.dice(), known: map[string]memory{}}
	d.lies.Store(&lies{})
	h.t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go d.carry(client)
		}
	}()
	for _, r := range h.roles {
		r.wires = append(r.wires, "MATRICULA_LDAP_URL=ldap://"+l.Addr().String())
	}
	return d, nil
}

func (d *ldapDouble) rolls(p float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.Float64() < p
}

func (d *ldapDouble) pick(codes []int64) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return codes[d.random.IntN(len(codes))]
}

// line is one client's connection.
type line struct {
	client, server net.Conn
	mu             sync.Mutex       // writes to the client
	asked          map[int64]string // searches under way, by message
	found          map[int64]*[]*ber.Packet
}

func (l *line) hangUp() { _, _ = l.client.Close(), l.server.Close() }

func (l *line) tell(p *ber.Packet) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.client.Write(p.Bytes())
	return err
}

func (d *ldapDouble) carry(client net.Conn) {
	server, err := net.Dial("tcp", d.target)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &line{client: client, server: server, asked: map[int64]string{}, found: map[int64]*[]*ber.Packet{}}
	go d.answers(l)
	defer l.hangUp()
	for {
		p, err := ber.ReadPacket(client)
		if err != nil || len(p.Children) < 2 {
			return
		}
		if !d.request(l, p) {
			return
		}
	}
}

// request passes a request on, or not. It answers false when the line is cut.
func (d *ldapDouble) request(l *line, p *ber.Packet) bool {
	now, id, op := d.lies.Load(), p.Children[0].Value.(int64), p.Children[1]
	kind := int64(op.Tag)
	if codes := now.codes[kind]; len(codes) > 0 && d.rolls(now.code) {
		code := d.pick(codes)
		if code == ldap.LDAPResultNoSuchObject && kind == ldap.ApplicationSearchRequest && op.Children[1].Value == int64(ldap.ScopeBaseObject) {
			code = ldap.LDAPResultBusy // of one entry it would be true or a lie, no trouble
		}
		d.h.killed(now.fault)
		return l.tell(verdictOf(id, answerTo[kind], code)) == nil
	}
	if kind == ldap.ApplicationSearchRequest {
		question := string(op.Bytes())
		if said, ok := d.remembers(question, now.lag); ok {
			d.h.killed(now.fault)
			for _, a := range said {
				if l.tell(renumbered(a, id)) != nil {
					return false
				}
			}
			return true
		}
		l.mu.Lock()
		l.asked[id], l.found[id] = question, &[]*ber.Packet{}
		l.mu.Unlock()
	}
	if (kind == ldap.ApplicationAddRequest || kind == ldap.ApplicationModifyRequest) && d.rolls(now.drop) {
		d.h.killed(now.fault)
		if d.rolls(0.5) {
			_, _ = l.server.Write(p.Bytes())
			time.Sleep(20 * time.Millisecond) // slapd does it, and nobody hears
		}
		return false
	}
	_, err := l.server.Write(p.Bytes())
	return err == nil
}

// answers carries what slapd says, and remembers what it found.
func (d *ldapDouble) answers(l *line) {
	defer l.hangUp()
	for {
		p, err := ber.ReadPacket(l.server)
		if err != nil || len(p.Children) < 2 {
			return
		}
		id, _ := p.Children[0].Value.(int64)
		l.mu.Lock()
		question, search := l.asked[id]
		if search {
			*l.found[id] = append(*l.found[id], p)
			if p.Children[1].Tag == ldap.ApplicationSearchResultDone {
				d.remember(question, *l.found[id])
				delete(l.asked, id)
				delete(l.found, id)
			}
		}
		l.mu.Unlock()
		if l.tell(p) != nil {
			return
		}
	}
}

func (d *ldapDouble) remember(question string, answers []*ber.Packet) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if m, ok := d.known[question]; ok && time.Since(m.at) < d.lies.Load().lag {
		return // the second provider is still there
	}
	d.known[question] = memory{time.Now(), answers}
}

// remembers answers what a search found up to lag ago, half of the time: the
// other half reaches the provider that is written to.
func (d *ldapDouble) remembers(question string, lag time.Duration) ([]*ber.Packet, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, ok := d.known[question]
	return m.answers, ok && time.Since(m.at) < lag && d.random.IntN(2) == 0
}

func verdictOf(id int64, answer ber.Tag, code int64) *ber.Packet {
	p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	a := ber.Encode(ber.ClassApplication, ber.TypeConstructed, answer, nil, "")
	a.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	a.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	a.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "in trouble", ""))
	p.AppendChild(a)
	return p
}

func renumbered(a *ber.Packet, id int64) *ber.Packet {
	p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	for _, c := range a.Children[1:] {
		p.AppendChild(c)
	}
	return p
}

// answersWrong has slapd's answers replaced by those of a server in trouble.
func (h *house) answersWrong() (func(context.Context), error) {
	d, err := h.newLDAPDouble()
	return func(ctx context.Context) {
		const busy, unavailable, unwilling, timeLimit, exists, noSuch, referral, sizeLimit = 51, 52, 53, 3, 68, 32, 10, 4
		d.lies.Store(&lies{fault: "F15", code: 0.15, drop: 0.05, codes: map[int64][]int64{
			ldap.ApplicationAddRequest:    {busy, unavailable, unwilling, timeLimit, exists, noSuch, referral},
			ldap.ApplicationModifyRequest: {busy, unavailable, unwilling, timeLimit, referral},
			ldap.ApplicationSearchRequest: {busy, unavailable, unwilling, timeLimit, noSuch, referral, sizeLimit},
		}})
		h.disturbed()
		<-ctx.Done()
		d.lies.Store(&lies{})
		h.disturbed()
	}, err
}

// readsStale has half of the searches answered by a provider that is behind.
func (h *house) readsStale() (func(context.Context), error) {
	d, err := h.newLDAPDouble()
	return func(ctx context.Context) {
		d.lies.Store(&lies{fault: "F16", lag: 3 * time.Second})
		h.disturbed()
		<-ctx.Done()
		d.lies.Store(&lies{})
		h.disturbed()
	}, err
}
