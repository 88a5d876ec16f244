package events

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// MaxBody is the largest message body in bytes.
const MaxBody = 64 << 10

// Ahead is how far an event's time may lie in the future: two clocks differ a
// little, and an event from 2099 would win over every later one.
const Ahead = 10 * time.Minute

// Decode reads one message: subject as it was published (a partition in front
// is taken off), header with names in any case, and body in CloudEvents
// structured or binary mode. It accepts only what the contract says, and all
// of what it accepts agrees: subject, header, type, source and data.
//
// The error is always a *Rejection, with the reason malformed, unknown_type or
// invalid. Field names what is wrong in the sender's terms ("data.name.given",
// "ce-time"), Text says what to send instead; neither repeats a value. Beside
// an error the event holds Meta where at least that much could be read, and
// never Data.
func Decode(subject string, header map[string][]string, body []byte, now time.Time) (Event, error) {
	attrs, data, err := envelope(header, body)
	if err != nil {
		return Event{}, err
	}
	meta, err := attrs.meta(now)
	if err != nil {
		return Event{}, err
	}
	e := Event{Meta: meta}
	blank, ok := known(attrs["type"])
	if !ok {
		return e, Refuse(ReasonUnknownType, "type", "is no contract that this version knows; check the name and its version")
	}
	if allowed := sources(attrs["type"]); !slices.Contains(allowed, meta.Source) {
		return e, Refuse(ReasonMalformed, "source", "does not fit the type; it must be "+strings.Join(allowed, " or "))
	}
	if e.Data, e.Unknown, err = read(blank, data); err != nil {
		return e, err
	}
	if err := e.agrees(Unpartition(subject)); err != nil {
		return Event{Meta: meta}, err
	}
	return e, nil
}

// read fills a copy of blank from the JSON tree and checks it.
func read(blank Data, n node) (Data, []string, error) {
	v := reflect.New(reflect.TypeOf(blank))
	f := &filler{}
	f.fill(v.Elem(), n, &trail{name: "data"})
	if f.bad != nil {
		return nil, nil, f.bad
	}
	switch d := v.Interface().(type) {
	case *MailRequest:
		if t := blank.(MailRequest).Template; d.Template != t {
			return nil, nil, Refuse(ReasonMalformed, "data.template", "does not agree with the type; it must be "+t)
		}
	case *Audit:
		d.What = blank.(Audit).What
	}
	c := &checks{}
	if d, ok := v.Interface().(checked); ok {
		d.check(c)
	}
	if c.bad != nil {
		return nil, nil, c.bad
	}
	d, _ := v.Elem().Interface().(Data)
	return d, f.unknown, nil
}

// agrees compares the data with the CloudEvents subject, and both with the
// subject of the message.
func (e Event) agrees(subject string) error {
	area := areaOf(e.Data.EventType())
	if d, ok := e.Data.(keyed); ok {
		if field, key := d.personKey(); key != e.Meta.Subject {
			return Refuse(ReasonMalformed, "subject", "does not agree with data."+field+"; send the same key in both")
		}
	}
	if fromOutside(area) && isIdentityNumber(e.Meta.Subject) {
		return Refuse(ReasonInvalid, "subject", "looks like an identity number; send the source's own number of the person")
	}
	if e.Subject() != subject {
		return Refuse(ReasonMalformed, "nats subject",
			"does not agree with the event; publish on <area>.<entity>.<what>.<key> of its type and subject")
	}
	return nil
}

// isIdentityNumber says whether s has the form of one, whatever its digits:
// keys are logged, identity numbers never are.
func isIdentityNumber(s string) bool {
	return len(s) == 11 && strings.Trim(s, "0123456789") == ""
}

// Unpartition takes the partition "p.<number>." off a subject as the intake
// stream stores it, and answers the subject as the sender published it.
func Unpartition(subject string) string {
	rest, ok := strings.CutPrefix(subject, "p.")
	if !ok {
		return subject
	}
	number, rest, ok := strings.Cut(rest, ".")
	if !ok || number == "" || strings.Trim(number, "0123456789") != "" {
		return subject
	}
	return rest
}
