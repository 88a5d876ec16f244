package events_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
)

// samples is one filled event of every contract.
func samples(t testing.TB) []events.Event {
	t.Helper()
	at := time.Date(2026, 7, 1, 8, 0, 0, 123456789, time.UTC)
	var all []events.Event
	for i, d := range events.Known() {
		e := events.Event{Meta: events.Meta{ID: fmt.Sprintf("e %d/ø%%\"", i), Source: events.SourceWorker, Subject: "104711", Time: at, Sequence: uint64(i)}}
		short := shortType(d)
		switch area, _, _ := strings.Cut(short, "."); area {
		case "hr":
			e.Source = events.SourceHR
		case "admissions":
			e.Source = events.SourceAdmissions
		case "it":
			e.Source = events.SourceIT
		case "portal":
			e.Source = events.SourcePortal
		}
		e.Data = filled(d, at)
		all = append(all, e)
	}
	return all
}

// filled sets every field of d to something that its contract allows.
func filled(d events.Data, at time.Time) events.Data {
	v := reflect.New(reflect.TypeOf(d)).Elem()
	fillAll(v, "", at)
	switch out := v.Interface().(type) {
	case events.MailRequest:
		in, _ := d.(events.MailRequest)
		out.Template = in.Template
		return out
	case events.Audit:
		in, _ := d.(events.Audit)
		out.What = in.What
		return out
	case events.AccountMerged:
		out.Into = "4712"
		return out
	case events.Data:
		return out
	}
	return nil
}

var words = map[string]string{
	"sealed":   "s1.c2VhbGVk",
	"language": "nn", "protection": "confidential", "citizenship": "NO", "type": "so", "birth_date": "2001-02-03",
	"start": "2027-08-16", "end": "2028-01-31", "email": "kari@example.org", "address": "kari@example.org",
	"reason": "resigned", "purpose": "reset", "role": "student", "kind": "worker", "outcome": "denied", "status": "5.1.1",
}

func fillAll(v reflect.Value, name string, at time.Time) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(at))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillAll(v.Elem(), name, at)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillAll(v.Index(0), name, at)
	case v.Kind() == reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"nb": "Å & <b>"}).Convert(v.Type()))
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			fillAll(v.Field(i), tag, at)
		}
	case words[name] != "":
		v.SetString(words[name])
	default:
		v.SetString("104711")
	}
	if w, ok := v.Interface().(events.WaitingLetter); ok {
		w.Kind = events.LetterActivation
		v.Set(reflect.ValueOf(w))
	}
}

func TestEveryContractSurvivesBothModes(t *testing.T) {
	t.Parallel()
	for _, e := range samples(t) {
		t.Run(shortType(e.Data), func(t *testing.T) {
			t.Parallel()
			header, body, err := events.Encode(e)
			if err != nil {
				t.Fatalf("the event cannot be written: %v", err)
			}
			got, err := events.Decode(e.Subject(), header, body, now)
			if err != nil {
				t.Fatalf("what Encode wrote was refused: %v", err)
			}
			if !reflect.DeepEqual(got, e) {
				t.Errorf("binary mode gives back\n%#v\nof\n%#v", got, e)
			}
			body, err = events.EncodeStructured(e)
			if err != nil {
				t.Fatalf("the event cannot be written as one object: %v", err)
			}
			got, err = events.Decode(e.Subject(), structuredHeader, body, now)
			if err != nil {
				t.Fatalf("what EncodeStructured wrote was refused: %v", err)
			}
			if !reflect.DeepEqual(got, e) {
				t.Errorf("structured mode gives back\n%#v\nof\n%#v", got, e)
			}
		})
	}
}

func TestEmptyListsAreWrittenAsLists(t *testing.T) {
	t.Parallel()
	for _, d := range []events.Data{
		events.EmployeeUpdated{Employee: events.Employee{EmployeeNo: "1", Name: events.Name{Given: "Kari"}}},
		events.StudentUpdated{Student: events.Student{StudentNo: "1", Name: events.Name{Given: "Kari"}}},
	} {
		body, err := json.Marshal(d)
		if err != nil {
			t.Fatalf("%T cannot be written: %v", d, err)
		}
		if bytes.Contains(body, []byte("null")) || !bytes.Contains(body, []byte(`"identifiers":[]`)) {
			t.Errorf("%T without lists is written as %s", d, body)
		}
	}
}

func TestIncompleteEventIsNotWritten(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name   string
		change func(e *events.Event)
	}{
		{"no data", func(e *events.Event) { e.Data = nil }},
		{"no id", func(e *events.Event) { e.ID = "" }},
		{"no source", func(e *events.Event) { e.Source = "" }},
		{"no time", func(e *events.Event) { e.Time = time.Time{} }},
		{"no subject", func(e *events.Event) { e.Meta.Subject = "" }},
		{"a source of another area", func(e *events.Event) { e.Source = events.SourceIT }},
		{"an audit fact nobody knows", func(e *events.Event) { e.Data = events.Audit{What: "account.renamed"} }},
		{"a letter nobody knows", func(e *events.Event) { e.Data = events.MailRequest{} }},
		{"more than fits", func(e *events.Event) {
			e.Data = events.EmployeeUpdated{Employee: events.Employee{Language: strings.Repeat("x", 64<<10)}}
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			e := samples(t)[0]
			row.change(&e)
			if _, _, err := events.Encode(e); err == nil {
				t.Error("Encode wrote it")
			}
			if _, err := events.EncodeStructured(e); err == nil {
				t.Error("EncodeStructured wrote it")
			}
		})
	}
}

func TestHeaderValuesArePercentEncoded(t *testing.T) {
	t.Parallel()
	e := samples(t)[0]
	e.ID = "Euro € \"😀\"\t%"
	header, _, err := events.Encode(e)
	if err != nil {
		t.Fatalf("the event cannot be written: %v", err)
	}
	const want = "Euro%20%E2%82%AC%20%22%F0%9F%98%80%22%09%25"
	if got := header["ce-id"][0]; got != want {
		t.Errorf("the id is written as %s, not %s", got, want)
	}
	if got := e.MsgID(); got != "urn:usn:hr/"+want {
		t.Errorf("the message ID is %s", got)
	}
}

func TestRouteIsFoundInWhatWillBeRefused(t *testing.T) {
	t.Parallel()
	const head = `{"id":"1","source":"urn:usn:hr","subject":"104711","type":`
	rows := []struct{ name, body, subject string }{
		{"a good event", good, goodSubject},
		{"data that is no object", head + `"no.usn.hr.employee.registered.v1","data":7}`, goodSubject},
		{"a type nobody knows", head + `"no.usn.hr.employee.promoted.v3"}`, "hr.employee.promoted.104711"},
		{"a subject that is no token", strings.Replace(head, "104711", "a b", 1) + `"no.usn.hr.employee.registered.v1"}`, "hr.employee.registered." + events.Key("a b")},
	}
	for _, row := range rows {
		got, err := events.RouteOf([]byte(row.body))
		if err != nil || got.Subject != row.subject {
			t.Errorf("%s: the route is %q with error %v, not %q", row.name, got.Subject, err, row.subject)
		}
	}
	for _, body := range []string{
		``, `[]`, `{"id":"1`, `{}`, head + `7}`, head + `"registered"}`, head + `"no.usn.hr.employee.v1"}`, head + `"no.usn.hr.employee.a.b.v1"}`,
		head + `"no.usn.hr.employee.*.v1"}`, head + `"no.usn.hr.employee.>.v1"}`, head + `"no.usn.hr.employee.registered"}`,
		head + `"no.usn.mail.so-number.x.v1"}`, head + `"no.usn.audit.account.created.v1"}`, head + `"com.usn.hr.employee.registered.v1"}`,
		strings.Replace(head, `"1"`, `1`, 1) + `"no.usn.hr.employee.registered.v1"}`,
	} {
		if got, err := events.RouteOf([]byte(body)); err == nil {
			t.Errorf("%s has the route %q", body, got.Subject)
		}
	}
}

func TestPersonalDataPrintsAsNothing(t *testing.T) {
	t.Parallel()
	secrets := []string{"Kari", "Nordmann", "12829499914", "kari@example.org", "+4790000000", "1994-02-12"}
	e, err := decode(good)
	if err != nil {
		t.Fatalf("a good registration was refused: %v", err)
	}
	d, _ := e.Data.(events.EmployeeRegistered)
	mail := events.MailRequest{Template: "reset", Address: "kari@example.org", Name: "Kari"}
	for _, v := range []any{
		e, d, d.Employee, d.Name, d.Identifiers, d.Contact, mail, events.Event{Meta: e.Meta, Data: mail},
		events.SONumberIssued{SONumber: "12829499914"}, events.StudentIDChanged{IDChange: events.IDChange{New: d.Identifiers[0]}},
		events.DeadLetter{ID: "x", Body: []byte(good)},
	} {
		for _, form := range []string{"%v", "%+v", "%s"} {
			text := fmt.Sprintf(form, v)
			for _, s := range secrets {
				if strings.Contains(text, s) {
					t.Errorf("%T printed with %s shows %q", v, form, s)
				}
			}
		}
	}
}
