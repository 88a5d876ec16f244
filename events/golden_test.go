package events_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

const examples = "../deploy/examples/events"

// opening is when the demo's clock starts.
var opening = time.Date(2027, 7, 31, 21, 59, 30, 0, time.UTC)

func read(t *testing.T, path string) []byte {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("the example is missing: %v", err)
	}
	return body
}

func lines(t *testing.T, name string) [][]byte {
	t.Helper()
	var all [][]byte
	sc := bufio.NewScanner(bytes.NewReader(read(t, filepath.Join(examples, name))))
	for sc.Scan() {
		all = append(all, bytes.Clone(sc.Bytes()))
	}
	if err := sc.Err(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return all
}

// shortType is "hr.employee.registered".
func shortType(d events.Data) string {
	return strings.TrimSuffix(strings.TrimPrefix(d.EventType(), "no.usn."), ".v1")
}

func exampleOf(d events.Data) string {
	short := shortType(d)
	switch area, _, _ := strings.Cut(short, "."); area {
	case "mail", "audit":
		return filepath.Join(examples, area, short+".json")
	}
	return filepath.Join(examples, short+".json")
}

func TestEveryContractHasAnExampleThatIsRead(t *testing.T) {
	t.Parallel()
	for _, d := range events.Known() {
		if _, internal := d.(events.WaitingLetter); internal {
			continue
		}
		t.Run(shortType(d), func(t *testing.T) {
			t.Parallel()
			body := read(t, exampleOf(d))
			subject := subjectOf(t, d, body)
			e, err := events.Decode(subject, structuredHeader, body, now)
			if err != nil {
				t.Fatalf("the example was refused: %v", err)
			}
			if reflect.TypeOf(e.Data) != reflect.TypeOf(d) || e.Data.EventType() != d.EventType() {
				t.Errorf("the example was read as %T", e.Data)
			}
			if len(e.Unknown) > 0 {
				t.Errorf("the example has fields that no contract knows: %v", e.Unknown)
			}
			again, err := events.EncodeStructured(e)
			if err != nil {
				t.Fatalf("the example cannot be written again: %v", err)
			}
			if got, want := tidy(t, again), tidy(t, body); !reflect.DeepEqual(got, want) {
				t.Errorf("written again the example says\n%v\nnot\n%v", got, want)
			}
		})
	}
}

// subjectOf is where an example is published.
func subjectOf(t *testing.T, d events.Data, body []byte) string {
	t.Helper()
	short := shortType(d)
	var e struct {
		ID   string
		Data struct{ Letter, Account, Campus string }
	}
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatalf("the example is not JSON: %v", err)
	}
	switch {
	case strings.HasPrefix(short, "mail."):
		return short + "." + e.Data.Letter
	case strings.HasPrefix(short, "audit."):
		return short + "." + e.ID
	case strings.HasPrefix(short, "secret."):
		return events.PINSubject(e.Data.Account, e.Data.Campus)
	}
	route, err := events.RouteOf(body)
	if err != nil {
		t.Fatalf("the example has no route: %v", err)
	}
	return route.Subject
}

// tidy is a JSON value in one form: no empty members, numbers and times alike.
func tidy(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("not a JSON object: %v", err)
	}
	out, _ := tidyValue(v).(map[string]any)
	if n, ok := out["sequence"].(float64); ok {
		b, _ := json.Marshal(n)
		out["sequence"] = string(b)
	}
	return out
}

func tidyValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			switch value {
			case nil, "", false:
				delete(v, name)
			default:
				v[name] = tidyValue(value)
			}
		}
	case []any:
		for i := range v {
			v[i] = tidyValue(v[i])
		}
	case string:
		if t, err := time.Parse(time.RFC3339, v); err == nil {
			return t.UTC().Format(time.RFC3339Nano)
		}
	}
	return v
}

func TestDemoPeopleAreReadAndOneIsNot(t *testing.T) {
	t.Parallel()
	type outcome struct{ typ, subject, field string }
	var got []outcome
	for _, line := range lines(t, "demo/people.jsonl") {
		route, err := events.RouteOf(line)
		if err != nil {
			t.Fatalf("a line has no route: %v", err)
		}
		e, err := events.Decode(route.Subject, structuredHeader, line, opening)
		o := outcome{typ: strings.Join(strings.Split(route.Subject, ".")[1:3], "."), subject: e.Meta.Subject}
		if r, ok := events.Rejected(err); ok {
			o.field = r.Field
		}
		got = append(got, o)
	}
	want := []outcome{
		{"employee.registered", "104711", ""},
		{"student.registered", "256801", ""},
		{"student.registered", "256789", ""},
		{"employee.registered", "104712", ""},
		{"student.registered", "256802", ""},
		{"student.registered", "256801", ""},
		{"student.updated", "256801", ""},
		{"student.registered", "256803", ""},
		{"employee.registered", "104714", "data.identifiers[0].value"},
		{"student.so-number-issued", "256789", ""},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the demo's lines were read as\n%v\nnot as\n%v", got, want)
	}
}

func TestIdentityNumbersOfTheExamplesAreSynthetic(t *testing.T) {
	t.Parallel()
	var bodies [][]byte
	for _, d := range events.Known() {
		if _, internal := d.(events.WaitingLetter); !internal {
			bodies = append(bodies, read(t, exampleOf(d)))
		}
	}
	bodies = append(bodies, lines(t, "demo/people.jsonl")...)
	checked := 0
	for _, body := range bodies {
		route, err := events.RouteOf(body)
		if err != nil {
			continue // letters and audit facts hold no numbers
		}
		e, err := events.Decode(route.Subject, structuredHeader, body, opening)
		if err != nil {
			continue
		}
		for _, id := range numbersOf(e.Data) {
			checked++
			if err := policy.CheckNumber(id.Type, id.Value, policy.NumberOptions{Synthetic: true}); err != nil {
				t.Errorf("%s: a %s number is not valid: %v", route.MsgID, id.Type, err)
			}
			var n *policy.NumberError
			err := policy.CheckNumber(id.Type, id.Value, policy.NumberOptions{})
			if id.Type != "so" && (!errors.As(err, &n) || n.Code != policy.CodeSynthetic) {
				t.Errorf("%s: a %s number could be a real person's", route.MsgID, id.Type)
			}
		}
	}
	if checked < 12 {
		t.Errorf("only %d identity numbers were found in the examples", checked)
	}
}

func numbersOf(d events.Data) []events.Identifier {
	switch d := d.(type) {
	case events.EmployeeRegistered:
		return d.Identifiers
	case events.EmployeeUpdated:
		return d.Identifiers
	case events.StudentRegistered:
		return d.Identifiers
	case events.StudentUpdated:
		return d.Identifiers
	case events.EmployeeIDChanged:
		return []events.Identifier{d.Old, d.New}
	case events.StudentIDChanged:
		return []events.Identifier{d.Old, d.New}
	case events.SONumberIssued:
		return []events.Identifier{{Type: "so", Value: d.SONumber}}
	}
	return nil
}

func TestEachPoisonedLineIsRefusedForItsOwnReason(t *testing.T) {
	t.Parallel()
	want := []struct{ reason, field string }{
		{"malformed", "data.identifiers[0].value"},
		{"malformed", "data.employee_no"},
		{"malformed", "data.employments"},
		{"malformed", "subject"},
		{"unknown_type", "type"},
		{"invalid", "time"},
		{"invalid", "data.name.given"},
		{"invalid", "data.name.family"},
		{"invalid", "data.contact.email"},
		{"malformed", "data.protection"},
		{"malformed", "source"},
		{"malformed", "time"},
		{"", ""}, // a wrong check digit: refused by policy, not here
	}
	all := lines(t, "poison/events.jsonl")
	if len(all) != len(want) {
		t.Fatalf("there are %d poisoned lines and %d expectations", len(all), len(want))
	}
	for i, line := range all {
		route, err := events.RouteOf(line)
		if err != nil {
			t.Errorf("line %d cannot be published: %v", i+1, err)
			continue
		}
		e, err := events.Decode(route.Subject, structuredHeader, line, now)
		if want[i].reason != "" {
			wantRejection(t, err, want[i].reason, want[i].field)
			continue
		}
		if err != nil {
			t.Errorf("line %d was refused: %v", i+1, err)
			continue
		}
		id := numbersOf(e.Data)[0]
		if err := policy.CheckNumber(id.Type, id.Value, policy.NumberOptions{Synthetic: true}); err == nil {
			t.Errorf("line %d has a valid number: it must have a wrong check digit", i+1)
		}
	}
}
