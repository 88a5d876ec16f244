package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// MsgID is what the broker recognises a repeated event by: source and ID,
// which together are its identity, in a form that fits any header.
func (m Meta) MsgID() string { return escape(m.Source) + "/" + escape(m.ID) }

// Encode writes e in binary mode: the attributes as ce- headers,
// percent-encoded, and the data as JSON. Unknown and Position are not written.
// It refuses an event that lacks an attribute, names a source that may not
// publish its type, or is larger than MaxBody.
func Encode(e Event) (header map[string][]string, body []byte, err error) {
	if err := e.complete(); err != nil {
		return nil, nil, err
	}
	if body, err = marshal(e.Data); err != nil {
		return nil, nil, fmt.Errorf("event of type %s: %w", e.Data.EventType(), err)
	}
	header = map[string][]string{}
	for _, a := range e.attributes() {
		header[attrPrefix+a[0]] = []string{escape(a[1])}
	}
	return header, body, nil
}

// EncodeStructured writes e as one JSON object, for a file or for a message of
// content type application/cloudevents+json. The attributes come first and in
// a fixed order.
func EncodeStructured(e Event) ([]byte, error) {
	if err := e.complete(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for _, a := range e.attributes() {
		value, err := marshal(a[1])
		if err != nil {
			return nil, fmt.Errorf("event of type %s: %w", e.Data.EventType(), err)
		}
		fmt.Fprintf(&b, `"%s":%s,`, a[0], value)
	}
	data, err := marshal(e.Data)
	if err != nil {
		return nil, fmt.Errorf("event of type %s: %w", e.Data.EventType(), err)
	}
	b.WriteString(`"data":`)
	b.Write(data)
	b.WriteByte('}')
	if b.Len() > MaxBody {
		return nil, errTooLarge
	}
	return b.Bytes(), nil
}

var errTooLarge = errors.New("event is larger than " + strconv.Itoa(MaxBody) + " bytes")

// complete says what an event lacks.
func (e Event) complete() error {
	if e.Data == nil {
		return errors.New("event has no data")
	}
	typ := e.Data.EventType()
	blank, ok := known(typ)
	switch {
	case !ok:
		return fmt.Errorf("event type %s is no contract", typ)
	case blank == nil, e.ID == "", e.Source == "", e.Time.IsZero():
		return fmt.Errorf("event of type %s lacks ID, source or time", typ)
	case e.Meta.Subject == "" && fromOutside(areaOf(typ)):
		return fmt.Errorf("event of type %s lacks a subject", typ)
	}
	for _, s := range sources(typ) {
		if s == e.Source {
			return nil
		}
	}
	return fmt.Errorf("event of type %s cannot come from this source", typ)
}

// attributes lists names and values in the order they are written.
func (e Event) attributes() [][2]string {
	list := [][2]string{
		{"specversion", "1.0"},
		{"id", e.ID},
		{"source", e.Source},
		{"type", e.Data.EventType()},
	}
	if e.Meta.Subject != "" {
		list = append(list, [2]string{"subject", e.Meta.Subject})
	}
	list = append(list, [2]string{"time", e.Time.UTC().Format(time.RFC3339Nano)})
	if e.Sequence != 0 {
		list = append(list, [2]string{"sequence", strconv.FormatUint(e.Sequence, 10)})
	}
	return append(list, [2]string{"datacontenttype", mediaJSON})
}

// marshal is json.Marshal without HTML escapes, which would make a body grow
// past the limit it came in under.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	if b.Len() > MaxBody {
		return nil, errTooLarge
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// MarshalJSON writes lists that hold nothing as [], never null: full state
// without a list is refused.
func (e Employee) MarshalJSON() ([]byte, error) {
	type plain Employee
	e.Identifiers, e.Employments = list(e.Identifiers), list(e.Employments)
	return marshal(plain(e))
}

// MarshalJSON writes lists that hold nothing as [], as Employee's does.
func (s Student) MarshalJSON() ([]byte, error) {
	type plain Student
	s.Identifiers, s.Programmes = list(s.Identifiers), list(s.Programmes)
	return marshal(plain(s))
}

func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// Route is where a structured event is to be published.
type Route struct {
	Subject string // "hr.employee.registered.104711"
	MsgID   string // for the header Nats-Msg-Id
}

// RouteOf reads only as much of a structured event as publishing it takes:
// ID, source, type and subject. What the event says is not judged, so that a
// message which the receiver refuses can still be sent to be refused. It takes
// intake events only; letters, audit facts and what waits are ours to write.
func RouteOf(structured []byte) (Route, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(structured, &members); err != nil {
		return Route{}, errors.New("event is not one JSON object")
	}
	attr := map[string]string{}
	for _, name := range []string{"id", "source", "type", "subject"} {
		var value string
		if err := json.Unmarshal(members[name], &value); err != nil || value == "" {
			return Route{}, fmt.Errorf("event has no %s, or one that is not a string", name)
		}
		attr[name] = value
	}
	name, version, _ := cutLast(strings.TrimPrefix(attr["type"], typePrefix), ".v")
	tokens := strings.Split(name, ".")
	ok := strings.HasPrefix(attr["type"], typePrefix) && version != "" && len(tokens) == 3 && fromOutside(tokens[0])
	for _, t := range tokens {
		ok = ok && isToken(t)
	}
	if !ok {
		return Route{}, errors.New("event type is not no.usn.<area>.<entity>.<what>.v<number> of an intake area")
	}
	m := Meta{ID: attr["id"], Source: attr["source"], Subject: attr["subject"]}
	return Route{Subject: name + "." + Key(m.Subject), MsgID: m.MsgID()}, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
