package table

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// person is somebody invented, with a synthetic number of their own.
type person struct {
	No, Role, Number, Given, Family string
}

// invent makes n people, from the given one on: every second one is a student.
func invent(from, n int) []person {
	out := make([]person, n)
	for i := range out {
		k := from + i
		p := person{Number: number(k), Given: syllables(k, 2), Family: syllables(k/7, 2) + "fjell", Role: "student", No: fmt.Sprint(3000000 + k)}
		if k%2 == 0 {
			p.Role, p.No = "employee", fmt.Sprint(1000000+k)
		}
		out[i] = p
	}
	return out
}

// number is the k-th synthetic identity number (month + 80): nobody has it.
func number(k int) string {
	base := fmt.Sprintf("%02d%02d%02d%03d", k%28+1, k/28%12+81, 70+k/336/500%30, k/336%500)
	for check := range 100 {
		s := fmt.Sprintf("%s%02d", base, check)
		if policy.CheckNumber("fnr", s, policy.NumberOptions{Synthetic: true}) == nil {
			return s
		}
	}
	return number(k + 168000*7) // this one has no check digits
}

// syllables is an invented name. Some people share the beginning of theirs, as
// people do: usernames are made of it.
func syllables(k, n int) string {
	parts := []string{"ka", "ne", "li", "to", "ma", "si", "ru", "ha", "be", "jo", "va", "te", "ki", "no", "la", "fre"}
	var b strings.Builder
	for x := uint32(k)*2654435761 + 12345; n > 0; n-- {
		b.WriteString(parts[x>>28])
		x = x*2654435761 + 1
	}
	name := b.String()
	return strings.ToUpper(name[:1]) + name[1:]
}

func (p person) email() string { return p.Role + "." + p.No + "@example.org" }

// registered is the event that announces the person.
func (p person) registered(at time.Time) events.Event {
	name, ids := events.Name{Given: p.Given, Family: p.Family}, []events.Identifier{{Type: "fnr", Value: p.Number}}
	m := events.Meta{ID: "t-" + p.No, Subject: p.No, Time: at, Source: events.SourceHR}
	contact := events.Contact{Email: p.email()}
	if p.Role == "employee" {
		return events.Event{Meta: m, Data: events.EmployeeRegistered{Employee: events.Employee{
			EmployeeNo: p.No, Name: name, BirthDate: "1984-03-02", Identifiers: ids, Language: "nb",
			Employments: []events.Employment{{ID: "1", Start: "2026-01-01", Unit: "USN-HH", Campus: "Drammen"}}, Contact: contact,
		}}}
	}
	m.Source = events.SourceAdmissions
	return events.Event{Meta: m, Data: events.StudentRegistered{Student: events.Student{
		StudentNo: p.No, Name: name, BirthDate: "1984-03-02", Identifiers: ids, Language: "nn",
		Programmes: []events.Programme{{ID: "1", Code: "MSC-SE", Intake: "national", Start: "2027-08-16", Campus: "Kongsberg"}}, Contact: contact,
	}}}
}

// publish hands events to the intake as their sources do, and waits until all
// are stored.
func (p *place) publish(evs []events.Event) {
	p.t.Helper()
	hr, adm := p.broker.JetStream("hr"), p.broker.JetStream("admissions")
	for _, e := range evs {
		js := hr
		if e.Source == events.SourceAdmissions {
			js = adm
		}
		if js.PublishAsyncPending() >= 1000 { // the client refuses more than it can wait for
			p.allStored(js)
		}
		if _, err := js.PublishMsgAsync(message(p.t, e), jetstream.WithRetryAttempts(3)); err != nil {
			p.t.Fatal(err)
		}
	}
	p.allStored(hr)
	p.allStored(adm)
}

// allStored waits until the broker has answered all that was published.
func (p *place) allStored(js jetstream.JetStream) {
	p.t.Helper()
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(2 * time.Minute):
		p.t.Fatal("the events were not stored within two minutes")
	}
}

func message(t testing.TB, e events.Event) *nats.Msg {
	t.Helper()
	header, body, err := events.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	m := &nats.Msg{Subject: e.Subject(), Header: header, Data: body}
	m.Header["Nats-Msg-Id"] = []string{e.Source + "/" + e.ID}
	return m
}
