package events

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxUnknown bounds Event.Unknown: it is for a log line and a counter.
const maxUnknown = 16

// filler puts a JSON tree into a Go value by the json tags of its type: names
// in exact case, kinds as declared. A missing or null scalar is empty, and the
// type's own check says whether it may be. A missing object or list is refused
// unless its tag says omitempty: in an event with full state a forgotten list
// of employments must not read as "none".
type filler struct {
	unknown []string
	bad     error
}

func (f *filler) fill(v reflect.Value, n node, path *trail) {
	if f.bad != nil {
		return
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		f.fillTime(v, n, path)
	case v.Kind() == reflect.Pointer:
		if n.kind != kindNull && (n.kind != kindString || n.text != "") {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem(), n, path)
		}
	case v.Kind() == reflect.String:
		if f.want(n, kindString, path) {
			v.SetString(n.text)
		}
	case v.Kind() == reflect.Bool:
		if f.want(n, kindBool, path) {
			v.SetBool(n.truth)
		}
	case v.Kind() == reflect.Slice:
		f.fillSlice(v, n, path)
	case v.Kind() == reflect.Map:
		f.fillMap(v, n, path)
	case v.Kind() == reflect.Struct:
		f.fillStruct(v, n, path)
	default:
		f.refuse(path, "cannot be read: no contract has a field of this kind")
	}
}

// want says whether n has a value of kind k to take; null is none.
func (f *filler) want(n node, k kind, path *trail) bool {
	if n.kind != k && n.kind != kindNull {
		f.refuse(path, "is "+string(n.kind)+"; send "+string(k))
	}
	return n.kind == k
}

func (f *filler) refuse(path *trail, text string) {
	if f.bad == nil {
		f.bad = Refuse(ReasonMalformed, path.String(), text)
	}
}

func (f *filler) fillTime(v reflect.Value, n node, path *trail) {
	if !f.want(n, kindString, path) || n.text == "" {
		return
	}
	t, ok := parseTime(n.text)
	if !ok {
		f.refuse(path, `is not an RFC 3339 time; send one like "2027-08-01T00:00:00+02:00"`)
		return
	}
	v.Set(reflect.ValueOf(t))
}

func (f *filler) fillSlice(v reflect.Value, n node, path *trail) {
	if !f.want(n, kindArray, path) {
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		below := path.at(i)
		if item.kind == kindNull {
			f.refuse(&below, "is null; leave it out")
			return
		}
		f.fill(v.Index(i), item, &below)
	}
}

// fillMap reads a map of strings; a null value is left out.
func (f *filler) fillMap(v reflect.Value, n node, path *trail) {
	if !f.want(n, kindObject, path) || len(n.members) == 0 {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, m := range n.members {
		below := path.below(m.name)
		if f.want(m.value, kindString, &below) {
			v.SetMapIndex(reflect.ValueOf(m.name), reflect.ValueOf(m.value.text))
		}
	}
	if v.Len() == 0 {
		v.SetZero()
	}
}

func (f *filler) fillStruct(v reflect.Value, n node, path *trail) {
	if !f.want(n, kindObject, path) {
		return
	}
	fields := fieldsOf(v.Type())
	for _, m := range n.members {
		if !slices.ContainsFunc(fields, func(s field) bool { return s.name == m.name }) {
			below := path.below(m.name)
			f.note(below.String())
		}
	}
	for _, s := range fields {
		value := n.get(s.name)
		below := path.below(s.name)
		if value.kind == kindNull && s.required() {
			f.refuse(&below, "is missing; send it, empty where there is none")
			return
		}
		f.fill(v.FieldByIndex(s.index), value, &below)
	}
}

// note remembers a field that no contract knows, once for a whole list.
func (f *filler) note(path string) {
	for {
		open := strings.IndexByte(path, '[')
		if open < 0 {
			break
		}
		end := open + strings.IndexByte(path[open:], ']')
		path = path[:open] + path[end+1:]
	}
	path = strings.TrimPrefix(path, "data.")
	if len(f.unknown) < maxUnknown && !slices.Contains(f.unknown, path) {
		f.unknown = append(f.unknown, path)
	}
}

// field is one JSON member of a Go type.
type field struct {
	name  string
	empty bool // may be left out
	index []int
	typ   reflect.Type
}

// required says whether the member must be there even when it holds nothing.
func (s field) required() bool {
	switch s.typ.Kind() {
	case reflect.Slice, reflect.Map:
		return !s.empty
	case reflect.Struct:
		return !s.empty && s.typ != reflect.TypeFor[time.Time]()
	}
	return false
}

// fieldCache holds what fieldsOf found: the types are a handful and never change.
var fieldCache sync.Map //nolint:gochecknoglobals // a pure function's memory

// fieldsOf lists the JSON members of t, those of embedded structs included.
func fieldsOf(t reflect.Type) []field {
	if known, ok := fieldCache.Load(t); ok {
		if fields, ok := known.([]field); ok {
			return fields
		}
	}
	var fields []field
	for _, sf := range reflect.VisibleFields(t) {
		tag, ok := sf.Tag.Lookup("json")
		if !ok || tag == "-" || sf.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		fields = append(fields, field{name, strings.Contains(options, "omitempty"), sf.Index, sf.Type})
	}
	fieldCache.Store(t, fields)
	return fields
}

// parseTime reads RFC 3339 strictly and answers UTC. The standard parser also
// takes "T9:00", a decimal comma and zones of 99 hours. The years 0001 and 9999
// are what programs send for "no time"; neither is one.
func parseTime(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || len(s) < len("2006-01-02T15:04:05Z") || s[13] != ':' || strings.Contains(s, ",") {
		return time.Time{}, false
	}
	if zone := s[len(s)-6:]; s[len(s)-1] != 'Z' && (zone[1:3] > "23" || zone[4:] > "59") {
		return time.Time{}, false
	}
	t = t.UTC()
	return t, t.Year() >= 1900 && t.Year() < 9999
}
