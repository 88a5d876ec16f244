package events_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
)

// asyncHead is what the document says before its channels.
const asyncHead = `# Written by the tests of package events from its Go types: change those, then
# run "go test ./events -update".
asyncapi: 3.0.0
info:
  title: Matricula
  version: 1.0.0
  description: >-
    What HR, admissions and IT publish, the audit facts that come of it, and
    what an access system fetches.
    Every message is a CloudEvent 1.0. Contracts are stable: fields are added,
    never changed; what would not fit gets a type of the next version beside
    the old one.
defaultContentType: application/json
channels:
`

const asyncTail = `components:
  messageTraits:
    cloudEvent:
      headers:
        type: object
        description: >-
          Binary mode, values percent-encoded. In structured mode the header is
          Content-Type application/cloudevents+json and the attributes are
          members of the body, the data under "data".
        required: [ce-specversion, ce-id, ce-source, ce-type, ce-time]
        properties:
          ce-specversion: {type: string, const: '1.0'}
          ce-id: {type: string, minLength: 1, maxLength: 256, description: 'With ce-source the identity of the event.'}
          ce-source: {type: string, minLength: 1}
          ce-type: {type: string, minLength: 1}
          ce-subject: {type: string, maxLength: 256, description: 'The source''s own key of the person, never an identity number.'}
          ce-time: {type: string, format: date-time, description: 'When the source recorded the fact; at most 10 minutes ahead.'}
          ce-sequence: {type: string, pattern: '^[0-9]+$', description: 'Optional; above 0, decides which of two events is newer.'}
          ce-datacontenttype: {type: string, const: application/json}
          Nats-Msg-Id: {type: string, description: '<source>/<id>: an event published again is recognised.'}
`

// asyncAPI writes the document of all contracts.
func asyncAPI(notes map[string]string, all []events.Event) []byte {
	var channels, operations bytes.Buffer
	for _, e := range all {
		short, act, stream := shortType(e.Data), "receive", "INTAKE"
		address, example := short+".{key}", short+".json"
		source := e.Source
		if _, ok := e.Data.(events.Audit); ok {
			short, act, stream, address, example = "audit", "send", "AUDIT", "audit.{entity}.{what}.{fact}", "audit/"
			source += " or " + events.SourcePortal
		}
		if _, ok := e.Data.(events.PINSet); ok {
			act, stream, address = "send", "SECRET", "secret.pin.{campus}.{account}"
		}
		fmt.Fprintf(&channels, "  %s:\n    address: '%s'\n    parameters:\n", short, address)
		for _, name := range regexp.MustCompile(`{(\w+)}`).FindAllStringSubmatch(address, -1) {
			fmt.Fprintf(&channels, "      %s: {description: '%s'}\n", name[1], parameters[name[1]])
		}
		fmt.Fprintf(&channels, "    x-jetstream: {stream: %s}\n    messages:\n      event:\n        name: %s\n", stream, strings.Replace(e.Data.EventType(), "account.created", "<entity>.<what>", 1))
		fmt.Fprintf(&channels, "        summary: '%s'\n", strings.ReplaceAll(notes[reflect.TypeOf(e.Data).Name()], "'", "''"))
		fmt.Fprintf(&channels, "        contentType: application/json\n        traits: [{$ref: '#/components/messageTraits/cloudEvent'}]\n")
		fmt.Fprintf(&channels, "        payload: {$ref: './schemas/%s'}\n        x-source: '%s'\n        x-example: ../deploy/examples/events/%s\n", schemaName(e.Data), source, example)
		fmt.Fprintf(&operations, "  %s:\n    action: %s\n    channel: {$ref: '#/channels/%s'}\n", short, act, short)
	}
	return []byte(asyncHead + channels.String() + "operations:\n" + operations.String() + asyncTail)
}

var parameters = map[string]string{
	"key":     "The subject of the event where it matches [A-Za-z0-9_-]{1,64}, else the lower-case base32 of its SHA-256.",
	"entity":  "account, password, pin, rules, activation, letter or event.",
	"what":    "What happened to it.",
	"fact":    "The ID of the fact; a subject holds one message.",
	"campus":  "The campus in lower case where it matches [a-z0-9_-]{1,64}, else the lower-case base32 of its SHA-256.",
	"account": "The opaque account ID; a subject holds one message, the newest.",
}

func TestAsyncAPIListsEveryContract(t *testing.T) {
	t.Parallel()
	same(t, "asyncapi.yaml", asyncAPI(comments(t), published(t)))
}

func TestExamplesFollowTheirSchemas(t *testing.T) {
	t.Parallel()
	for _, d := range events.Known() {
		short := shortType(d)
		if strings.HasPrefix(short, "mail.") || strings.HasPrefix(short, "wait.") {
			continue
		}
		t.Run(short, func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(filepath.Join(docs, "schemas", schemaName(d)))
			if err != nil {
				t.Fatalf("the schema is missing: %v", err)
			}
			var schema map[string]any
			if err := json.Unmarshal(raw, &schema); err != nil {
				t.Fatalf("the schema is not JSON: %v", err)
			}
			var event map[string]any
			if err := json.Unmarshal(read(t, exampleOf(d)), &event); err != nil {
				t.Fatalf("the example is not JSON: %v", err)
			}
			for _, problem := range follow(schema, event["data"], "data") {
				t.Errorf("the example breaks its schema: %s", problem)
			}
			data, _ := event["data"].(map[string]any)
			for name := range data {
				data[name] = 7.0
				if len(follow(schema, data, "data")) == 0 {
					t.Errorf("the schema takes a number for %s: it looks at nothing", name)
				}
				break
			}
		})
	}
}

// follow is as much of JSON Schema as ours use, with nothing allowed beside
// the properties: what an example says must be in the contract.
func follow(schema map[string]any, v any, path string) []string {
	if !typeFits(schema["type"], v) {
		return []string{fmt.Sprintf("%s is a %T, not %v", path, v, schema["type"])}
	}
	var bad []string
	if words, ok := schema["enum"].([]any); ok && !slices.Contains(words, v) {
		bad = append(bad, path+" is none of the words")
	}
	switch v := v.(type) {
	case string:
		if n, _ := schema["minLength"].(float64); len(v) < int(n) {
			bad = append(bad, path+" is too short")
		}
		if p, ok := schema["pattern"].(string); ok && !regexp.MustCompile(p).MatchString(v) {
			bad = append(bad, path+" breaks the pattern")
		}
		if _, err := time.Parse(time.RFC3339, v); schema["format"] == "date-time" && err != nil {
			bad = append(bad, path+" is no time")
		}
	case []any:
		items, _ := schema["items"].(map[string]any)
		for i, item := range v {
			bad = append(bad, follow(items, item, fmt.Sprintf("%s[%d]", path, i))...)
		}
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if s, _ := name.(string); v[s] == nil {
				bad = append(bad, path+"."+s+" is missing")
			}
		}
		for name, value := range v {
			sub, ok := properties[name].(map[string]any)
			if !ok {
				sub, ok = schema["additionalProperties"].(map[string]any)
			}
			if !ok {
				bad = append(bad, path+"."+name+" is in no contract")
				continue
			}
			bad = append(bad, follow(sub, value, path+"."+name)...)
		}
	}
	return bad
}

func typeFits(want, v any) bool {
	if list, ok := want.([]any); ok {
		return slices.ContainsFunc(list, func(w any) bool { return typeFits(w, v) })
	}
	switch v.(type) {
	case nil:
		return want == "null"
	case string:
		return want == "string"
	case bool:
		return want == "boolean"
	case []any:
		return want == "array"
	case map[string]any:
		return want == "object"
	}
	return false
}
