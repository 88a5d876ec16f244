package events_test

import (
	"errors"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
)

var now = time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)

var structuredHeader = map[string][]string{"Content-Type": {"application/cloudevents+json"}}

// good is a registration that is accepted; the rows below break one thing each.
const good = `{"specversion":"1.0","id":"hr-1","source":"urn:usn:hr","type":"no.usn.hr.employee.registered.v1",` +
	`"subject":"104711","time":"2026-06-14T09:12:00+02:00","sequence":7,"data":{"employee_no":"104711",` +
	`"name":{"given":"Kari","family":"Nordmann","preferred":"Kari N."},"birth_date":"1994-02-12",` +
	`"identifiers":[{"type":"fnr","value":"12829499914"}],` +
	`"employments":[{"id":"1","start":"2026-12-01","end":null,"title":"Lektor"}],` +
	`"contact":{"email":"kari@example.org","mobile":"+4790000000"},"language":"nb","protection":"none"}}`

const goodSubject = "hr.employee.registered.104711"

func decode(body string) (events.Event, error) {
	return events.Decode(goodSubject, structuredHeader, []byte(body), now)
}

var elevenDigits = regexp.MustCompile(`\d{11}`)

// wantRejection fails unless err is a rejection of this reason and field whose
// text helps and repeats nothing.
func wantRejection(t *testing.T, err error, reason, field string) {
	t.Helper()
	var r *events.Rejection
	if !errors.As(err, &r) {
		t.Fatalf("the event was not refused: error is %v", err)
	}
	if r.Reason != reason || r.Field != field {
		t.Errorf("refused as %s at %q (%s), not as %s at %q", r.Reason, r.Field, r.Text, reason, field)
	}
	if r.Text == "" || r.Err != nil {
		t.Errorf("the rejection of %q carries text %q and error %v: it needs a text, and an error could repeat a value", r.Field, r.Text, r.Err)
	}
	if elevenDigits.MatchString(r.Error()) {
		t.Errorf("the rejection of %q holds eleven digits in a row", r.Field)
	}
}

func TestRegistrationIsReadWhole(t *testing.T) {
	t.Parallel()
	e, err := decode(good)
	if err != nil {
		t.Fatalf("a good registration was refused: %v", err)
	}
	want := events.Event{
		Meta: events.Meta{
			ID: "hr-1", Source: events.SourceHR, Subject: "104711",
			Time: time.Date(2026, 6, 14, 7, 12, 0, 0, time.UTC), Sequence: 7,
		},
		Data: events.EmployeeRegistered{Employee: events.Employee{
			EmployeeNo:  "104711",
			Name:        events.Name{Given: "Kari", Family: "Nordmann", Preferred: "Kari N."},
			BirthDate:   "1994-02-12",
			Identifiers: []events.Identifier{{Type: "fnr", Value: "12829499914"}},
			Employments: []events.Employment{{ID: "1", Start: "2026-12-01", Title: "Lektor"}},
			Contact:     events.Contact{Email: "kari@example.org", Mobile: "+4790000000"},
			Language:    "nb", Protection: "none",
		}},
	}
	if !reflect.DeepEqual(e, want) {
		t.Errorf("the registration was read as\n%#v\nnot as\n%#v", e, want)
	}
}

func TestOneThingWrongIsNamed(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, old, new, reason, field string
	}{
		{"a key twice in the envelope", `"id":"hr-1"`, `"id":"hr-1","id":"hr-2"`, "malformed", "id"},
		{"a key twice in the data", `"language":"nb"`, `"language":"nb","language":"nb"`, "malformed", "data.language"},
		{"a key twice deep inside", `"type":"fnr"`, `"type":"fnr","type":"so"`, "malformed", "data.identifiers[0].type"},
		{"a key twice that nobody reads", `"language":"nb"`, `"language":"nb","x":[{"y":{"z":1,"z":2}}]`, "malformed", "data.x[0].y.z"},
		{"a number as a key, twice", `"language":"nb"`, `"language":"nb","12829499914":1,"12829499914":2`, "malformed", "data.?"},
		{"a number among the letters of a key", `"language":"nb"`, `"language":"nb","no12829499914":1,"no12829499914":2`, "malformed", "data.?"},
		{"something after the event", `"protection":"none"}}`, `"protection":"none"}} {}`, "malformed", "body"},
		{"a truncated event", `"protection":"none"}}`, `"protection":"no`, "malformed", "body"},
		{"a body that is not UTF-8", "Kari", "Kar\xff", "malformed", "body"},
		{"an overlong form of a space", "Kari", "Kar\xc0\xa0", "malformed", "body"},
		{"half a surrogate pair", "Nordmann", `Nord\ud83d`, "malformed", "data.name.family"},
		{"a byte order mark", `{"specversion"`, "\ufeff" + `{"specversion"`, "malformed", "body"},
		{"no specversion", `"specversion":"1.0",`, ``, "malformed", "specversion"},
		{"specversion 0.3", `"specversion":"1.0"`, `"specversion":"0.3"`, "malformed", "specversion"},
		{"specversion as a number", `"specversion":"1.0"`, `"specversion":1.0`, "malformed", "specversion"},
		{"no id", `"id":"hr-1",`, ``, "malformed", "id"},
		{"an empty id", `"id":"hr-1"`, `"id":""`, "malformed", "id"},
		{"an id with a line break", `"id":"hr-1"`, `"id":"hr\n1"`, "malformed", "id"},
		{"an id as a number", `"id":"hr-1"`, `"id":12829499914`, "malformed", "id"},
		{"an endless id", `"id":"hr-1"`, `"id":"` + strings.Repeat("x", 257) + `"`, "malformed", "id"},
		{"no source", `"source":"urn:usn:hr",`, ``, "malformed", "source"},
		{"a source of another area", `"source":"urn:usn:hr"`, `"source":"urn:usn:admissions"`, "malformed", "source"},
		{"no type", `"type":"no.usn.hr.employee.registered.v1",`, ``, "malformed", "type"},
		{"an unknown type", "employee.registered.v1", "employee.promoted.v1", "unknown_type", "type"},
		{"a version to come", "employee.registered.v1", "employee.registered.v2", "unknown_type", "type"},
		{"no time", `"time":"2026-06-14T09:12:00+02:00",`, ``, "malformed", "time"},
		{"a time without a zone", `2026-06-14T09:12:00+02:00`, `2026-06-14T09:12:00`, "malformed", "time"},
		{"a time with one digit", `2026-06-14T09:12:00+02:00`, `2026-06-14T9:12:00+02:00`, "malformed", "time"},
		{"a time with a decimal comma", `09:12:00+02:00`, `09:12:00,5+02:00`, "malformed", "time"},
		{"a zone that does not exist", `09:12:00+02:00`, `09:12:00+99:00`, "malformed", "time"},
		{"the year 1", `2026-06-14T09:12:00+02:00`, `0001-01-01T00:00:00Z`, "malformed", "time"},
		{"a time in 2099", `2026-06-14T09:12:00+02:00`, `2099-01-01T00:00:00Z`, "invalid", "time"},
		{"a time eleven minutes ahead", `2026-06-14T09:12:00+02:00`, `2026-08-01T12:11:00Z`, "invalid", "time"},
		{"sequence zero", `"sequence":7`, `"sequence":0`, "malformed", "sequence"},
		{"a negative sequence", `"sequence":7`, `"sequence":-7`, "malformed", "sequence"},
		{"half a sequence", `"sequence":7`, `"sequence":7.5`, "malformed", "sequence"},
		{"a sequence beyond 63 bits", `"sequence":7`, `"sequence":9223372036854775808`, "malformed", "sequence"},
		{"a sequence that is a list", `"sequence":7`, `"sequence":[7]`, "malformed", "sequence"},
		{"no subject", `"subject":"104711",`, ``, "malformed", "subject"},
		{"a subject that is not the data's", `"subject":"104711"`, `"subject":"104712"`, "malformed", "subject"},
		{"data of somebody else", `"employee_no":"104711"`, `"employee_no":"104712"`, "malformed", "subject"},
		{"data in base64", `"data":{`, `"data_base64":"e30=","data":{`, "malformed", "data_base64"},
		{"data of XML", `"data":{`, `"datacontenttype":"text/xml","data":{`, "malformed", "datacontenttype"},
		{"no employee number", `"employee_no":"104711",`, ``, "malformed", "data.employee_no"},
		{"a key in another case", `"employee_no"`, `"Employee_No"`, "malformed", "data.employee_no"},
		{"an employee number as a number", `"employee_no":"104711"`, `"employee_no":104711`, "malformed", "data.employee_no"},
		{"an employee number with a space", `"employee_no":"104711"`, `"employee_no":"104711 "`, "malformed", "data.employee_no"},
		{"no name at all", `"given":"Kari","family":"Nordmann",`, ``, "malformed", "data.name.given"},
		{"a name that is text", `{"given":"Kari","family":"Nordmann","preferred":"Kari N."}`, `"Kari"`, "malformed", "data.name"},
		{"a name with a line break", "Kari\"", `Kari\r\nBcc: all\"`, "malformed", "body"},
		{"a name with a header in it", `"given":"Kari"`, `"given":"Kari\r\nBcc: all@example.org"`, "invalid", "data.name.given"},
		{"a name with NUL", `"given":"Kari"`, `"given":"Kari\u0000"`, "invalid", "data.name.given"},
		{"a name that turns the line", `"given":"Kari"`, `"given":"\u202eiraK"`, "invalid", "data.name.given"},
		{"a name with a line separator", `"given":"Kari"`, `"given":"Ka\u2028ri"`, "invalid", "data.name.given"},
		{"a name of 300 letters", `"given":"Kari"`, `"given":"` + strings.Repeat("ø", 300) + `"`, "invalid", "data.name.given"},
		{"a birth date in another order", "1994-02-12", "12.02.1994", "malformed", "data.birth_date"},
		{"a 30 February", "1994-02-12", "1994-02-30", "malformed", "data.birth_date"},
		{"identifiers left out", `"identifiers":[{"type":"fnr","value":"12829499914"}],`, ``, "malformed", "data.identifiers"},
		{"identifiers null", `"identifiers":[{"type":"fnr","value":"12829499914"}]`, `"identifiers":null`, "malformed", "data.identifiers"},
		{"an identity number as a number", `"value":"12829499914"`, `"value":12829499914`, "malformed", "data.identifiers[0].value"},
		{"an empty identity number", `"value":"12829499914"`, `"value":""`, "malformed", "data.identifiers[0].value"},
		{"an identity number with a space", `"value":"12829499914"`, `"value":"128294 99914"`, "malformed", "data.identifiers[0].value"},
		{"an identity number without a type", `"type":"fnr",`, ``, "malformed", "data.identifiers[0].type"},
		{"an unknown kind of number", `"type":"fnr"`, `"type":"ssn"`, "malformed", "data.identifiers[0].type"},
		{"null among the identifiers", `"identifiers":[`, `"identifiers":[null,`, "malformed", "data.identifiers[0]"},
		{"employments left out", `"employments":[{"id":"1","start":"2026-12-01","end":null,"title":"Lektor"}],`, ``, "malformed", "data.employments"},
		{"an employment without an id", `"id":"1",`, ``, "malformed", "data.employments[0].id"},
		{"two employments with one id", `"employments":[`, `"employments":[{"id":"1","start":"2026-01-01"},`, "malformed", "data.employments[1].id"},
		{"an employment without a start", `"start":"2026-12-01",`, ``, "malformed", "data.employments[0].start"},
		{"an end that is a time", `"end":null`, `"end":"2027-01-31T00:00:00Z"`, "malformed", "data.employments[0].end"},
		{"contact left out", `"contact":{"email":"kari@example.org","mobile":"+4790000000"},`, ``, "malformed", "data.contact"},
		{"two addresses", "kari@example.org", "kari@example.org, ola@example.org", "invalid", "data.contact.email"},
		{"a quoted local part", "kari@example.org", `\"kari nordmann\"@example.org`, "invalid", "data.contact.email"},
		{"an address with parameters", "kari@example.org", "kari@example.org> SIZE=1", "invalid", "data.contact.email"},
		{"an address literal", "kari@example.org", "kari@[127.0.0.1]", "invalid", "data.contact.email"},
		{"an address with a line break", "kari@example.org", `kari@example.org\r\nRCPT TO:<a@example.org>`, "invalid", "data.contact.email"},
		{"a language we do not write", `"language":"nb"`, `"language":"sv"`, "malformed", "data.language"},
		{"a protection nobody knows", `"protection":"none"`, `"protection":"secret"`, "malformed", "data.protection"},
		{"a reservation that is text", `"protection":"none"`, `"publish_reservation":"no"`, "malformed", "data.publish_reservation"},
		{"nesting without end", `"language":"nb"`, `"language":"nb","x":` + strings.Repeat("[", 500) + strings.Repeat("]", 500), "malformed", "data.x" + strings.Repeat("[0]", 14)},
		{"more than 64 KiB", `"language":"nb"`, `"language":"nb","x":"` + strings.Repeat("x", 64<<10) + `"`, "malformed", "body"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			body := strings.Replace(good, row.old, row.new, 1)
			if body == good {
				t.Fatalf("the row changes nothing: %q is not in the event", row.old)
			}
			_, err := decode(body)
			wantRejection(t, err, row.reason, row.field)
		})
	}
}

func TestWhatIsUnusualButRightIsAccepted(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, old, new string
		look           func(events.EmployeeRegistered) bool
	}{
		{"a mononym", `"family":"Nordmann"`, `"family":""`, func(e events.EmployeeRegistered) bool { return e.Name.Family == "" }},
		{"a family name that is null", `"family":"Nordmann"`, `"family":null`, func(e events.EmployeeRegistered) bool { return e.Name.Family == "" }},
		{"a name in two code points", "Kari", `A\u030ase`, func(e events.EmployeeRegistered) bool { return e.Name.Given == "Åse" }},
		{"a name with stray spaces", `"given":"Kari"`, `"given":" Kari\u00a0  Anne "`, func(e events.EmployeeRegistered) bool { return e.Name.Given == "Kari Anne" }},
		{"a name with invisible marks", `"given":"Kari"`, `"given":"\ufeffKa\u200b\u200eri"`, func(e events.EmployeeRegistered) bool { return e.Name.Given == "Kari" }},
		{"a name that needs a joiner", `"given":"Kari"`, `"given":"می\u200cنا"`, func(e events.EmployeeRegistered) bool { return e.Name.Given == "می\u200cنا" }},
		{"a name from right to left", `"given":"Kari"`, `"given":"יעל"`, func(e events.EmployeeRegistered) bool { return e.Name.Given == "יעל" }},
		{"a name with ß and an emoji", `"given":"Kari"`, `"given":"Groß 😀"`, func(e events.EmployeeRegistered) bool { return e.Name.Given == "Groß 😀" }},
		{"a name with an apostrophe", `"given":"Kari"`, `"given":"D'Arcy-O’Neil"`, func(e events.EmployeeRegistered) bool { return e.Name.Given == "D'Arcy-O’Neil" }},
		{"no identifiers", `[{"type":"fnr","value":"12829499914"}]`, `[]`, func(e events.EmployeeRegistered) bool { return len(e.Identifiers) == 0 }},
		{"no address", `"email":"kari@example.org"`, `"email":""`, func(e events.EmployeeRegistered) bool { return e.Contact.Email == "" }},
		{"an empty contact", `{"email":"kari@example.org","mobile":"+4790000000"}`, `{}`, func(e events.EmployeeRegistered) bool { return e.Contact == events.Contact{} }},
		{"an address with a space behind", "kari@example.org", "kari@example.org ", func(e events.EmployeeRegistered) bool { return e.Contact.Email == "kari@example.org" }},
		{"an address with æøå", "kari@example.org", "kåre.æ+x@blåbær.example.org", func(e events.EmployeeRegistered) bool { return e.Contact.Email == "kåre.æ+x@blåbær.example.org" }},
		{"no language", `"language":"nb",`, ``, func(e events.EmployeeRegistered) bool { return e.Language == "" }},
		{"no birth date", `"birth_date":"1994-02-12",`, ``, func(e events.EmployeeRegistered) bool { return e.BirthDate == "" }},
		{"an employment without an end", `,"end":null`, ``, func(e events.EmployeeRegistered) bool { return e.Employments[0].End == "" }},
		{"a wrong check digit, which is for policy to see", "12829499914", "12829499915", func(events.EmployeeRegistered) bool { return true }},
		{"a number that policy will call a placeholder", "12829499914", "12029400100", func(events.EmployeeRegistered) bool { return true }},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			body := strings.Replace(good, row.old, row.new, 1)
			if body == good {
				t.Fatalf("the row changes nothing: %q is not in the event", row.old)
			}
			e, err := decode(body)
			if err != nil {
				t.Fatalf("the event was refused: %v", err)
			}
			d, ok := e.Data.(events.EmployeeRegistered)
			if !ok || !row.look(d) {
				t.Errorf("the data was read as %+v", d.Employments)
			}
		})
	}
}

func TestTimeWithinTenMinutesAheadIsAccepted(t *testing.T) {
	t.Parallel()
	body := strings.Replace(good, "2026-06-14T09:12:00+02:00", "2026-08-01T12:10:00Z", 1)
	if _, err := decode(body); err != nil {
		t.Errorf("an event of a clock ten minutes fast was refused: %v", err)
	}
}

func TestSequenceMayBeTextOrNumber(t *testing.T) {
	t.Parallel()
	for _, form := range []string{`7`, `"7"`, `"0000007"`} {
		e, err := decode(strings.Replace(good, `"sequence":7`, `"sequence":`+form, 1))
		if err != nil || e.Sequence != 7 {
			t.Errorf("sequence %s was read as %d with error %v", form, e.Sequence, err)
		}
	}
}

func TestUnknownFieldsAreIgnoredAndNamed(t *testing.T) {
	t.Parallel()
	body := strings.Replace(good, `"title":"Lektor"`, `"title":"Lektor","percentage":50`, 1)
	body = strings.Replace(body, `"employments":[`, `"employments":[{"id":"2","start":"2026-01-01","percentage":50},`, 1)
	body = strings.Replace(body, `"language":"nb"`, `"language":"nb","Language":"en","12829499914":true,"cost_center":{"a":1}`, 1)
	e, err := decode(body)
	if err != nil {
		t.Fatalf("unknown fields refused the event: %v", err)
	}
	// Keys that could be a number or a name in the wrong place are not repeated.
	if got := strings.Join(e.Unknown, " "); got != "? cost_center employments.percentage" {
		t.Errorf("the unknown fields are called %q", got)
	}
	if d, ok := e.Data.(events.EmployeeRegistered); !ok || d.Language != "nb" {
		t.Errorf("a key in another case was taken for the language")
	}
}

func TestRejectionStillTellsWhichEventItWas(t *testing.T) {
	t.Parallel()
	e, err := decode(strings.Replace(good, `"language":"nb"`, `"language":"sv"`, 1))
	wantRejection(t, err, events.ReasonMalformed, "data.language")
	if e.ID != "hr-1" || e.Source != events.SourceHR || e.Data != nil {
		t.Errorf("beside the rejection stands ID %q, source %q and data %v", e.ID, e.Source, e.Data)
	}
}
