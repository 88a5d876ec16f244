package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
	"usn.no/matricula/standalone"
	"usn.no/matricula/stream"
)

// tenor makes the n-th synthetic identity number (month + 80) of a day in
// 1984: nobody has such a number.
func tenor(t *testing.T, n int) string {
	t.Helper()
	for i := range 1000 {
		base := fmt.Sprintf("%02d%02d84%03d", n%28+1, n/28%12+81, i%500)
		for k := range 100 {
			number := fmt.Sprintf("%s%02d", base, k)
			if policy.CheckNumber("fnr", number, policy.NumberOptions{Synthetic: true}) == nil {
				return number
			}
		}
	}
	t.Fatalf("no synthetic number for %d", n)
	return ""
}

// someone is a person of a test.
type someone struct {
	no, number, email string
	role              string
}

func employeeNo(t *testing.T, n int) someone {
	return someone{no: fmt.Sprint(104000 + n), number: tenor(t, n), email: fmt.Sprintf("e%d@example.org", n), role: "employee"}
}

func studentNo(t *testing.T, n int) someone {
	return someone{no: fmt.Sprint(256000 + n), number: tenor(t, n), email: fmt.Sprintf("s%d@example.org", n), role: "student"}
}

// registered is the event that announces a person.
func (p someone) registered(at time.Time) events.Event {
	ids := []events.Identifier{{Type: "fnr", Value: p.number}}
	name := events.Name{Given: "Prøve" + word(p.no), Family: "Nordmann" + word(p.no)}
	m := events.Meta{ID: "reg-" + p.no, Subject: p.no, Time: at}
	if p.role == "employee" {
		m.Source = events.SourceHR
		return events.Event{Meta: m, Data: events.EmployeeRegistered{Employee: events.Employee{
			EmployeeNo: p.no, Name: name, BirthDate: "1984-03-02", Identifiers: ids, Language: "nb",
			Employments: []events.Employment{{ID: "1", Start: "2026-01-01"}}, Contact: events.Contact{Email: p.email},
		}}}
	}
	m.Source = events.SourceAdmissions
	return events.Event{Meta: m, Data: events.StudentRegistered{Student: events.Student{
		StudentNo: p.no, Name: name, BirthDate: "1984-03-02", Identifiers: ids, Language: "nn",
		Programmes: []events.Programme{{ID: "1", Code: "MSC-SE", Start: "2027-08-16"}}, Contact: events.Contact{Email: p.email},
	}}}
}

// word spells a number in letters, for names.
func word(no string) string {
	return strings.Map(func(r rune) rune { return 'a' + r - '0' }, no)
}

// publish publishes events through the command.
func (r *rig) publish(evs ...events.Event) {
	r.t.Helper()
	var lines []string
	for _, e := range evs {
		raw, err := events.EncodeStructured(e)
		if err != nil {
			r.t.Fatal(err)
		}
		lines = append(lines, string(raw))
	}
	r.publishRaw(strings.Join(lines, "\n"))
}

func (r *rig) publishRaw(text string) {
	r.t.Helper()
	path := r.file("events.jsonl", text)
	eventually(r.t, patience, "events are published", func() (bool, string) {
		out, code := r.run("publish", "--quiet", "--again", path)
		if code != exitDone && !strings.Contains(out, "the broker does not answer") { // within the command's own patience
			r.t.Fatalf("publish ended with %d:\n%s", code, out)
		}
		return code == exitDone, out
	})
}

// entries finds people in the directory as its administrator.
func (r *rig) entries(filter string) []*ldap.Entry {
	r.t.Helper()
	return r.slapd.Search(r.t, r.slapd.Admin, filter)
}

// entry waits until a person has exactly one entry.
func (r *rig) entry(p someone) *ldap.Entry {
	r.t.Helper()
	var found []*ldap.Entry
	eventually(r.t, 60*time.Second, "one entry of "+p.no, func() (bool, string) {
		found = r.entries("(norEduPersonLIN=" + r.slapd.Realm + ":" + p.role + ":" + p.no + ")")
		return len(found) == 1, fmt.Sprint(len(found), " entries")
	})
	return found[0]
}

func (r *rig) state(p someone) string {
	r.t.Helper()
	status := r.entry(p).GetAttributeValue("schacUserStatus")
	return status[strings.LastIndexByte(status, ':')+1:]
}

// letters are those to a person, of one template.
func (r *rig) letters(p someone, template string) []standalone.Message {
	var out []standalone.Message
	for _, m := range r.mailbox.Messages() {
		if m.To == p.email && m.Get("X-Matricula-Letter") == template {
			out = append(out, m)
		}
	}
	return out
}

// letter waits for the first letter of a template.
func (r *rig) letter(p someone, template string) standalone.Message {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	m, err := r.mailbox.Await(ctx, func(m standalone.Message) bool { return m.To == p.email && m.Get("X-Matricula-Letter") == template })
	if err != nil {
		r.t.Fatalf("%s letter to %s: %v", template, p.no, err)
	}
	return m
}

// facts counts audit facts by type and account, and checks that none is there
// twice.
func (r *rig) facts() map[string]int {
	r.t.Helper()
	js := r.operator()
	out, seen := map[string]int{}, map[string]bool{}
	err := stream.Tail(context.Background(), js, stream.TailOptions{}, func(e events.Event) error {
		a := e.Data.(events.Audit)
		if seen[e.ID] {
			r.t.Errorf("audit fact %s is there twice", e.ID)
		}
		seen[e.ID] = true
		out[a.What+" "+a.Account]++
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// operator is one connection for all that the tests look up.
func (r *rig) operator() jetstream.JetStream {
	if r.js == nil {
		r.js = r.broker.JetStream("operator")
	}
	return r.js
}

// awaitFact waits until a fact of an account is there exactly so often.
func (r *rig) awaitFact(what, account string, n int) {
	r.t.Helper()
	eventually(r.t, 60*time.Second, fmt.Sprintf("%d × %s", n, what), func() (bool, string) {
		got := r.facts()[what+" "+account]
		return got == n, fmt.Sprint(got)
	})
}

// snapshot is everything that must not change when everything is handled
// again: the directory but for what counts writes, the letters, the facts.
func (r *rig) snapshot() string {
	r.t.Helper()
	var lines []string
	for _, e := range r.entries("(objectClass=matriculaAccount)") {
		for _, a := range e.Attributes {
			if a.Name == "matriculaRevision" || a.Name == "matriculaMark" {
				continue
			}
			values := append([]string{}, a.Values...)
			sort.Strings(values)
			lines = append(lines, e.DN+" "+a.Name+" "+strings.Join(values, "|"))
		}
	}
	for _, m := range r.mailbox.Messages() {
		lines = append(lines, "mail "+m.To+" "+m.Get("Message-ID"))
	}
	raw, err := json.Marshal(r.facts())
	if err != nil {
		r.t.Fatal(err)
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n") + "\n" + string(raw)
}

// click is a person with a letter at a browser.
type click struct {
	t *testing.T
	v *visitor
	r *rig
	p someone
}

func (r *rig) click(p someone) *click { return &click{t: r.t, v: newVisitor(), r: r, p: p} }

func (c *click) must(at page, err error) page {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	return at
}

func (c *click) get(link string) page { return c.must(c.v.get(context.Background(), link)) }

func (c *click) prove(at page) page {
	return c.must(c.v.submit(context.Background(), at, c.r.base, "/activate", url.Values{"role": {c.p.role}, "number": {c.p.number}}))
}

func (c *click) set(at page, password string) (page, error) {
	return c.v.submit(context.Background(), at, c.r.base, "/activate/password", url.Values{"accept": {"yes"}, "password": {password}})
}

// activate is the whole trip from a link; it answers the receipt.
func (c *click) activate(link, password string) page {
	c.t.Helper()
	form := c.prove(c.get(link))
	if form.Path != "/activate/password" || form.Status != http.StatusOK {
		c.t.Fatalf("own number led to %s with %d", form.Path, form.Status)
	}
	return c.must(c.set(form, password))
}
