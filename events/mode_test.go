package events_test

import (
	"reflect"
	"strings"
	"testing"

	"usn.no/matricula/events"
)

// binary is the registration of "good" in binary mode.
func binary() (map[string][]string, string) {
	header := map[string][]string{
		"ce-specversion":     {"1.0"},
		"ce-id":              {"hr-1"},
		"ce-source":          {"urn:usn:hr"},
		"ce-type":            {"no.usn.hr.employee.registered.v1"},
		"ce-subject":         {"104711"},
		"ce-time":            {"2026-06-14T09:12:00+02:00"},
		"ce-sequence":        {"7"},
		"ce-datacontenttype": {"application/json"},
	}
	body := strings.TrimSuffix(good[strings.Index(good, `"data":`)+len(`"data":`):], "}")
	return header, body
}

func TestBothModesGiveTheSameEvent(t *testing.T) {
	t.Parallel()
	want, err := decode(good)
	if err != nil {
		t.Fatalf("structured mode was refused: %v", err)
	}
	header, body := binary()
	got, err := events.Decode(goodSubject, header, []byte(body), now)
	if err != nil {
		t.Fatalf("binary mode was refused: %v", err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("binary mode gives\n%#v\nstructured mode\n%#v", got, want)
	}
}

func TestHeaderIsReadInEveryForm(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name   string
		change func(h map[string][]string)
		id     string
	}{
		{"names in capitals", func(h map[string][]string) { h["CE-ID"] = h["ce-id"]; delete(h, "ce-id") }, "hr-1"},
		{"names as HTTP writes them", func(h map[string][]string) { h["Ce-Id"] = h["ce-id"]; delete(h, "ce-id") }, "hr-1"},
		{"percent-encoding, the example of the specification", func(h map[string][]string) { h["ce-id"] = []string{"Euro%20%E2%82%AC%20%F0%9F%98%80"} }, "Euro € 😀"},
		{"an encoded percent sign is decoded once", func(h map[string][]string) { h["ce-id"] = []string{"100%2525"} }, "100%25"},
		{"a plus sign is a plus sign", func(h map[string][]string) { h["ce-id"] = []string{"a+b"} }, "a+b"},
		{"a quoted string", func(h map[string][]string) { h["ce-id"] = []string{`"hr \"1\" \\ %22"`} }, `hr "1" \ "`},
		{"UTF-8 that nobody encoded", func(h map[string][]string) { h["ce-id"] = []string{"blåbær"} }, "blåbær"},
		{"spaces around a value", func(h map[string][]string) { h["ce-id"] = []string{" hr-1\t"} }, "hr-1"},
		{"no content type", func(h map[string][]string) { delete(h, "ce-datacontenttype") }, "hr-1"},
		{"the content type where HTTP has it", func(h map[string][]string) {
			delete(h, "ce-datacontenttype")
			h["content-type"] = []string{"application/json; charset=UTF-8"}
		}, "hr-1"},
		{"an extension nobody knows", func(h map[string][]string) { h["ce-traceparent"] = []string{"00-1-2-01"} }, "hr-1"},
		{"a header that is none of ours", func(h map[string][]string) { h["Nats-Msg-Id"] = []string{"x", "y"} }, "hr-1"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			header, body := binary()
			row.change(header)
			e, err := events.Decode(goodSubject, header, []byte(body), now)
			if err != nil {
				t.Fatalf("the header was refused: %v", err)
			}
			if e.ID != row.id {
				t.Errorf("the id was read as %q, not %q", e.ID, row.id)
			}
		})
	}
}

func TestHeaderThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name   string
		change func(h map[string][]string)
		field  string
	}{
		{"a value twice", func(h map[string][]string) { h["ce-id"] = []string{"a", "b"} }, "ce-id"},
		{"a name twice in two cases", func(h map[string][]string) { h["CE-Id"] = []string{"hr-1"} }, "ce-id"},
		{"a name without a value", func(h map[string][]string) { h["ce-id"] = nil }, "ce-id"},
		{"an overlong space", func(h map[string][]string) { h["ce-id"] = []string{"%C0%A0"} }, "ce-id"},
		{"a lonely percent sign", func(h map[string][]string) { h["ce-id"] = []string{"100%"} }, "ce-id"},
		{"an encoded line break", func(h map[string][]string) { h["ce-id"] = []string{"a%0D%0Ab"} }, "id"},
		{"an encoded NUL", func(h map[string][]string) { h["ce-subject"] = []string{"104711%00"} }, "subject"},
		{"an empty id", func(h map[string][]string) { h["ce-id"] = []string{""} }, "id"},
		{"another specversion", func(h map[string][]string) { h["ce-specversion"] = []string{"0.3"} }, "specversion"},
		{"no specversion", func(h map[string][]string) { delete(h, "ce-specversion") }, "specversion"},
		{"data of XML", func(h map[string][]string) { h["ce-datacontenttype"] = []string{"application/xml"} }, "ce-datacontenttype"},
		{"data in Latin 1", func(h map[string][]string) {
			h["ce-datacontenttype"] = []string{"application/json; charset=iso-8859-1"}
		}, "ce-datacontenttype"},
		{"two content types", func(h map[string][]string) { h["Content-Type"] = []string{"text/plain"} }, "ce-datacontenttype"},
		{"a content type twice", func(h map[string][]string) {
			h["Content-Type"] = []string{"application/json"}
			h["content-type"] = []string{"application/json"}
		}, "Content-Type"},
		{"a batch", func(h map[string][]string) { h["Content-Type"] = []string{"application/cloudevents-batch+json"} }, "Content-Type"},
		{"an event in Avro", func(h map[string][]string) { h["Content-Type"] = []string{"application/cloudevents+avro"} }, "Content-Type"},
		{"no header at all", func(h map[string][]string) { clear(h) }, "Content-Type"},
		{"a name that is a number", func(h map[string][]string) { h["ce-12829499914"] = []string{"%"} }, "ce-?"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			header, body := binary()
			row.change(header)
			_, err := events.Decode(goodSubject, header, []byte(body), now)
			wantRejection(t, err, events.ReasonMalformed, row.field)
		})
	}
}

func TestBinaryBodyIsReadAsStrictly(t *testing.T) {
	t.Parallel()
	rows := []struct{ name, body, field string }{
		{"no body", "", "data"},
		{"null", "null", "data"},
		{"a list", "[]", "data"},
		{"text", `"x"`, "data"},
		{"a truncated object", `{"employee_no":"1047`, "data"},
		{"two objects", `{} {}`, "data"},
		{"a key twice", `{"a":1,"a":1}`, "data.a"},
		{"1 MB", strings.Repeat(" ", 1<<20), "body"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			header, _ := binary()
			_, err := events.Decode(goodSubject, header, []byte(row.body), now)
			wantRejection(t, err, events.ReasonMalformed, row.field)
		})
	}
}

func TestStructuredEventAndItsHeaderMustAgree(t *testing.T) {
	t.Parallel()
	header := map[string][]string{"Content-Type": {"application/cloudevents+json; charset=utf-8"}, "ce-id": {"hr-1"}}
	if _, err := events.Decode(goodSubject, header, []byte(good), now); err != nil {
		t.Errorf("a header that says the same as the body was refused: %v", err)
	}
	header["ce-id"] = []string{"hr-2"}
	_, err := events.Decode(goodSubject, header, []byte(good), now)
	wantRejection(t, err, events.ReasonMalformed, "ce-id")
}

func TestSubjectOfTheMessageMustFit(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{
		"", "hr.employee.registered", "hr.employee.registered.104712", "hr.employee.updated.104711",
		"admissions.employee.registered.104711", "hr.employee.registered.104711.x", "p.x.hr.employee.registered.104711",
		"p..hr.employee.registered.104711", "HR.employee.registered.104711",
	} {
		_, err := events.Decode(subject, structuredHeader, []byte(good), now)
		wantRejection(t, err, events.ReasonMalformed, "nats subject")
	}
	for _, subject := range []string{goodSubject, "p.0." + goodSubject, "p.63." + goodSubject} {
		if _, err := events.Decode(subject, structuredHeader, []byte(good), now); err != nil {
			t.Errorf("the event was refused on %s: %v", subject, err)
		}
	}
}

func TestPartitionIsTakenOffOnce(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"p.17.hr.a.b.c": "hr.a.b.c", "hr.a.b.c": "hr.a.b.c", "p.x.hr.a.b.c": "p.x.hr.a.b.c",
		"p.1.p.2.x": "p.2.x", "p.": "p.", "p.5": "p.5", "portal.a.b.c": "portal.a.b.c",
	} {
		if got := events.Unpartition(in); got != want {
			t.Errorf("%s without its partition is %s, not %s", in, got, want)
		}
	}
}

func TestOddSubjectTravelsAsItsHash(t *testing.T) {
	t.Parallel()
	const odd = "a b/ø"
	body := strings.Replace(good, `"subject":"104711"`, `"subject":"A/4711"`, 1)
	body = strings.Replace(body, `"employee_no":"104711"`, `"employee_no":"A/4711"`, 1)
	subject := "hr.employee.registered." + events.Key("A/4711")
	if _, err := events.Decode(subject, structuredHeader, []byte(body), now); err != nil {
		t.Errorf("an employee number with a slash was refused on %s: %v", subject, err)
	}
	if key := events.Key(odd); len(key) != 52 || events.Key(key) != key {
		t.Errorf("the key of an odd subject is %q: not 52 characters that are a key themselves", key)
	}
}

func TestIdentityNumberAsKeyOfAPersonIsRefused(t *testing.T) {
	t.Parallel()
	body := strings.ReplaceAll(good, `"104711"`, `"12829499914"`)
	_, err := events.Decode("hr.employee.registered.12829499914", structuredHeader, []byte(body), now)
	wantRejection(t, err, events.ReasonInvalid, "subject")
}
