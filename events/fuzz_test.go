package events_test

import (
	"encoding/json"
	"errors"
	"net/textproto"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
)

// FuzzDecode gives Decode a subject, a header as lines of "name: value" and a
// body. It must never panic; what it accepts must come back the same from both
// modes, and what it refuses must be a rejection that repeats no number.
func FuzzDecode(f *testing.F) {
	const typed = "Content-Type: application/cloudevents+json"
	for _, e := range samples(f) {
		header, body, err := events.Encode(e)
		if err != nil {
			f.Fatalf("a sample cannot be written: %v", err)
		}
		var lines []string
		for name, values := range header {
			lines = append(lines, name+": "+values[0])
		}
		f.Add(e.Subject(), strings.Join(lines, "\n"), body)
	}
	for _, name := range []string{"demo/people.jsonl", "poison/events.jsonl"} {
		body, err := os.ReadFile(filepath.Join(examples, name))
		if err != nil {
			f.Fatalf("the corpus is missing: %v", err)
		}
		for line := range strings.Lines(string(body)) {
			if route, err := events.RouteOf([]byte(line)); err == nil {
				f.Add(route.Subject, typed, []byte(line))
			}
		}
	}
	f.Add(goodSubject, typed, []byte(good))
	f.Add(goodSubject, typed, []byte(strings.Replace(good, "Kari", `\ud83d\u0000\u202e`, 1)))
	f.Add(goodSubject, typed, []byte(strings.Replace(good, `"sequence":7`, `"sequence":1e400`, 1)))
	f.Add("p.7."+goodSubject, "ce-id: %C0%A0", []byte(`{"a":1,"a":2}`))
	f.Fuzz(func(t *testing.T, subject, lines string, body []byte) {
		header := map[string][]string{}
		for line := range strings.SplitSeq(lines, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			name = textproto.TrimString(name)
			header[name] = append(header[name], value)
		}
		_, _ = events.RouteOf(body)
		e, err := events.Decode(subject, header, body, now)
		if err != nil {
			var r *events.Rejection
			if !errors.As(err, &r) || r.Reason == "" || r.Field == "" || r.Text == "" || r.Err != nil {
				t.Fatalf("refused without reason, field or text: %v", err)
			}
			if elevenDigits.MatchString(r.Error()) {
				t.Fatalf("the rejection holds eleven digits in a row: %v", r)
			}
			return
		}
		e.Unknown = nil
		header, out, err := events.Encode(e)
		if err != nil {
			return // empty fields that the sender left out made it too large
		}
		comesBack(t, e, header, out)
		if out, err = events.EncodeStructured(e); err == nil {
			comesBack(t, e, structuredHeader, out)
		}
	})
}

func comesBack(t *testing.T, e events.Event, header map[string][]string, body []byte) {
	t.Helper()
	again, err := events.Decode(e.Subject(), header, body, now)
	if err != nil {
		t.Fatalf("what was accepted and written again is refused: %v\n%s", err, body)
	}
	if !reflect.DeepEqual(again, e) {
		t.Fatalf("what was accepted comes back as\n%#v\nnot\n%#v", again, e)
	}
}

// FuzzText puts arbitrary text where people write. What is accepted holds
// nothing that steers a line, and reading it again changes nothing.
func FuzzText(f *testing.F) {
	for _, s := range []string{"Kari", "A\u030ase", " a \u0301b", "\u200dx\u200c", "\u0958", "\u1100\u1161\u11a8", "a\r\nb", "\u202e", "\ufdfa", "\u00a0", "\U000e0041", "\ue000"} {
		f.Add(s, "kari@example.org", s)
	}
	f.Add("Kari", `"a b"@example.org`, "x")
	f.Add("Kari", "a@b.c", "x")
	f.Fuzz(func(t *testing.T, given, email, title string) {
		e := events.Event{
			Meta: events.Meta{ID: "1", Source: events.SourceHR, Subject: "104711", Time: now},
			Data: events.EmployeeRegistered{Employee: events.Employee{
				EmployeeNo: "104711", Name: events.Name{Given: given, Family: "x"}, Contact: events.Contact{Email: email},
				Identifiers: []events.Identifier{}, Employments: []events.Employment{{ID: "1", Start: "2027-08-16", Title: title}},
			}},
		}
		header, body, err := events.Encode(e)
		if err != nil {
			return
		}
		got, err := events.Decode(goodSubject, header, body, now)
		if err != nil {
			return
		}
		d, _ := got.Data.(events.EmployeeRegistered)
		for _, s := range []string{d.Name.Given, d.Employments[0].Title, d.Contact.Email} {
			if strings.ContainsFunc(s, func(r rune) bool {
				return r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r == '\ufffd'
			}) {
				t.Fatalf("%q was accepted", s)
			}
		}
		if header, body, err = events.Encode(got); err != nil {
			return
		}
		comesBack(t, got, header, body)
	})
}

// BenchmarkDecode reads an event strictly; right after that encoding/json reads
// the same body into the same type and judges nothing. of-peer is our speed
// beside that.
func BenchmarkDecode(b *testing.B) {
	header, body := binary()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := events.Decode(goodSubject, header, []byte(body), now); err != nil {
			b.Fatal(err)
		}
	}
	ours, began := b.Elapsed(), time.Now()
	for range b.N {
		var e events.EmployeeRegistered
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(time.Since(began).Seconds()/ours.Seconds(), "of-peer")
}
