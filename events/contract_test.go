package events_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"usn.no/matricula/events"
)

var update = flag.Bool("update", false, "write docs/asyncapi.yaml and docs/schemas anew")

const docs = "../docs"

// object is a JSON object that keeps its order.
type object []pair

type pair struct {
	name  string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, p := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		value, err := json.Marshal(p.value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s", p.name, value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (o object) get(name string) any {
	for _, p := range o {
		if p.name == name {
			return p.value
		}
	}
	return nil
}

// enums are the words that a field takes. That the decoder takes each of them
// and no other is tried when the schema is made.
var enums = map[string][]string{
	"Employee.language": {"nb", "nn", "en"}, "Student.language": {"nb", "nn", "en"},
	"Employee.protection": {"none", "confidential", "strictly_confidential"},
	"Student.protection":  {"none", "confidential", "strictly_confidential"},
	"Identifier.type":     {"fnr", "dnr", "so", "fs", "passport"},
	"Actor.kind":          {"person", "worker", "it", "hr", "admissions"},
	"Audit.outcome":       {"done", "denied", "failed"},

	"InvitationRequested.purpose": {"activate", "reset"},
}

const (
	datePattern   = `^([0-9]{4}-[0-9]{2}-[0-9]{2})?$`
	reasonPattern = `^[a-z_-]{0,32}$`
)

// patterns are forms of text; each is tried with a text that breaks it.
var patterns = map[string]string{
	"Employee.birth_date": datePattern, "Student.birth_date": datePattern,
	"Employment.start": datePattern, "Employment.end": datePattern, "Programme.start": datePattern, "Programme.end": datePattern,
	"EmployeeEnded.end": datePattern, "StudentEnded.end": datePattern,
	"EmployeeEnded.reason": reasonPattern, "EmployeeCancelled.reason": reasonPattern, "StudentEnded.reason": reasonPattern,
	"Student.citizenship": `^([A-Z]{2})?$`, "LetterRequested.sealed": `^s1\.[A-Za-z0-9_-]*$`, "PINSet.sealed": `^s1\.[A-Za-z0-9_-]*$`,
}

// prober asks the decoder about a sample with one value put in another's
// place, so that a schema says what the decoder does.
type prober struct {
	t     *testing.T
	e     events.Event
	notes map[string]string
}

type absent struct{}

func (p prober) accepts(path []any, value any) bool {
	p.t.Helper()
	body, err := json.Marshal(p.e.Data)
	if err != nil {
		p.t.Fatalf("the sample cannot be written: %v", err)
	}
	var tree any
	if err := json.Unmarshal(body, &tree); err != nil {
		p.t.Fatalf("the sample cannot be read: %v", err)
	}
	tree = put(tree, path, value)
	if body, err = json.Marshal(tree); err != nil {
		p.t.Fatalf("the changed sample cannot be written: %v", err)
	}
	header, _, err := events.Encode(p.e)
	if err != nil {
		p.t.Fatalf("the sample cannot be encoded: %v", err)
	}
	_, err = events.Decode(p.e.Subject(), header, body, now)
	return err == nil
}

func put(tree any, path []any, value any) any {
	if len(path) == 0 {
		return value
	}
	switch key := path[0].(type) {
	case string:
		m, _ := tree.(map[string]any)
		if _, remove := value.(absent); remove && len(path) == 1 {
			delete(m, key)
			return m
		}
		m[key] = put(m[key], path[1:], value)
		return m
	case int:
		s, _ := tree.([]any)
		s[key] = put(s[key], path[1:], value)
		return s
	}
	return tree
}

// schema describes the value of type t at path. where is "Employee.language".
func (p prober) schema(t reflect.Type, path []any, where string) object {
	var o object
	if note := p.notes[where]; note != "" {
		o = append(o, pair{"description", note})
	}
	switch {
	case t.Kind() == reflect.Pointer:
		return p.schema(t.Elem(), path, where)
	case t.Kind() == reflect.Slice:
		o = append(o, pair{"type", p.types("array", path)})
		return append(o, pair{"items", p.schema(t.Elem(), append(slices.Clone(path), 0), "")})
	case t.Kind() == reflect.Map:
		o = append(o, pair{"type", p.types("object", path)})
		return append(o, pair{"additionalProperties", object{{"type", p.types("string", append(slices.Clone(path), "nb"))}}})
	case t.Kind() == reflect.Bool:
		return append(o, pair{"type", p.types("boolean", path)})
	case t.Kind() == reflect.Struct && t.Name() != "Time":
		o = append(o, pair{"type", p.types("object", path)})
		return append(o, p.members(t, path)...)
	}
	o = append(o, pair{"type", p.types("string", path)})
	switch words := enums[where]; {
	case t.Kind() == reflect.Struct:
		o = append(o, pair{"format", "date-time"})
	case words != nil:
		o = append(o, pair{"enum", p.words(words, path, where)})
	case patterns[where] != "":
		o = append(o, pair{"pattern", patterns[where]})
		if p.accepts(path, "Bogus Text") {
			p.t.Errorf("%s takes any text, its schema has a pattern", where)
		}
	}
	if o.get("enum") == nil && !p.accepts(path, "") {
		o = append(o, pair{"minLength", 1})
	}
	return o
}

func (p prober) words(words []string, path []any, where string) []any {
	var all []any
	for _, w := range words {
		if !p.accepts(path, w) {
			p.t.Errorf("%s does not take %q, which its schema allows", where, w)
		}
		all = append(all, w)
	}
	if p.accepts(path, "bogus") {
		p.t.Errorf("%s takes any word, its schema only a few", where)
	}
	if p.accepts(path, "") {
		all = append(all, "")
	}
	if p.accepts(path, nil) {
		all = append(all, nil)
	}
	return all
}

// types is the JSON type, with null where the decoder takes it.
func (p prober) types(name string, path []any) any {
	if p.accepts(path, 3.5) {
		p.t.Errorf("%v takes a number", path)
	}
	if len(path) > 0 && p.accepts(path, nil) {
		return []string{name, "null"}
	}
	return name
}

// members lists the properties of a struct, with embedded ones in their place.
func (p prober) members(t reflect.Type, path []any) object {
	var properties object
	required := []string{}
	for _, sf := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
		if sf.Anonymous || name == "-" || name == "" {
			continue
		}
		owner := t.Name()
		if len(sf.Index) > 1 {
			owner = t.FieldByIndex(sf.Index[:len(sf.Index)-1]).Type.Name()
		}
		below := append(slices.Clone(path), name)
		properties = append(properties, pair{name, p.schema(sf.Type, below, owner+"."+name)})
		if !p.accepts(below, absent{}) {
			required = append(required, name)
		}
	}
	if len(required) == 0 {
		return object{{"properties", properties}}
	}
	return object{{"required", required}, {"properties", properties}}
}

// comments reads what the source says about types ("Employee") and their
// fields ("Employee.language").
func comments(t *testing.T) map[string]string {
	t.Helper()
	notes := map[string]string{}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("the source is not here: %v", err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, decl := range file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				if ts, ok := spec.(*ast.TypeSpec); ok {
					noteType(notes, gen, ts)
				}
			}
		}
	}
	return notes
}

func noteType(notes map[string]string, gen *ast.GenDecl, ts *ast.TypeSpec) {
	for _, doc := range []*ast.CommentGroup{ts.Comment, ts.Doc, gen.Doc} {
		if doc != nil {
			notes[ts.Name.Name] = strings.Join(strings.Fields(doc.Text()), " ")
			break
		}
	}
	st, ok := ts.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range st.Fields.List {
		for _, doc := range []*ast.CommentGroup{f.Doc, f.Comment} {
			if doc != nil && f.Tag != nil {
				tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json")
				name, _, _ := strings.Cut(tag, ",")
				notes[ts.Name.Name+"."+name] = strings.Join(strings.Fields(doc.Text()), " ")
				break
			}
		}
	}
}

// published lists one sample of each contract that outsiders read or write;
// all audit facts share one form.
func published(t *testing.T) []events.Event {
	t.Helper()
	return slices.DeleteFunc(samples(t), func(e events.Event) bool {
		switch d := e.Data.(type) {
		case events.Audit:
			return d.What != events.AuditCreated
		case events.PINSet:
			return false
		}
		return e.Source == events.SourceWorker
	})
}

// schemaName is the file of a contract's schema.
func schemaName(d events.Data) string {
	if _, ok := d.(events.Audit); ok {
		return "audit.json"
	}
	return shortType(d) + ".json"
}

func TestSchemasSayWhatTheDecoderDoes(t *testing.T) {
	notes := comments(t)
	wanted := map[string]bool{}
	for _, e := range published(t) {
		p := prober{t, e, notes}
		typ := reflect.TypeOf(e.Data)
		title := shortType(e.Data)
		if typ.Name() == "Audit" {
			title = "audit.*.*"
		}
		o := object{{"$schema", "http://json-schema.org/draft-07/schema#"}, {"title", title}, {"description", notes[typ.Name()]}}
		o = append(o, p.schema(typ, nil, "")...)
		raw, err := json.MarshalIndent(o, "", "  ")
		if err != nil {
			t.Fatalf("%s: %v", title, err)
		}
		wanted[schemaName(e.Data)] = true
		same(t, filepath.Join("schemas", schemaName(e.Data)), append(raw, '\n'))
	}
	files, err := os.ReadDir(filepath.Join(docs, "schemas"))
	if err != nil {
		t.Fatalf("the schemas are missing: %v", err)
	}
	for _, f := range files {
		if !wanted[f.Name()] {
			t.Errorf("docs/schemas/%s describes no contract", f.Name())
		}
	}
}

// same compares a file of the documentation with what it must be.
func same(t *testing.T, name string, want []byte) {
	t.Helper()
	path := filepath.Join(docs, name)
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatalf("docs/%s was not written: %v", name, err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/%s does not say what the code does (%v): run go test ./events -update and read the difference", name, err)
	}
}
