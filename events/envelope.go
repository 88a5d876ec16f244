package events

import (
	"mime"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	mediaEvent   = "application/cloudevents"
	mediaJSON    = "application/json"
	attrPrefix   = "ce-"
	maxAttribute = 256 // characters
)

// attributes are the CloudEvents attributes by their bare names. Strings,
// numbers and booleans of a structured event are all kept as text, as the
// header of a binary one has them.
type attributes map[string]string

// envelope finds attributes and data in either mode.
func envelope(header map[string][]string, body []byte) (attributes, node, error) {
	contentType, inHeader, err := readHeader(header)
	if err != nil {
		return nil, node{}, err
	}
	if len(contentType) >= len(mediaEvent) && strings.EqualFold(contentType[:len(mediaEvent)], mediaEvent) {
		return structured(contentType, inHeader, body)
	}
	if len(inHeader) == 0 {
		return nil, node{}, Refuse(ReasonMalformed, "Content-Type",
			"names no CloudEvent; send "+mediaEvent+"+json, or the attributes as ce- headers")
	}
	declared, ok := inHeader["datacontenttype"]
	if !ok {
		declared = contentType
	}
	if !isJSON(declared) || contentType != "" && !isJSON(contentType) {
		return nil, node{}, Refuse(ReasonMalformed, "ce-datacontenttype", "is not "+mediaJSON+" in UTF-8")
	}
	data, err := parse(body, "data")
	return inHeader, data, err
}

// readHeader collects the content type and the ce- attributes; header names
// come in any case, each once.
func readHeader(header map[string][]string) (contentType string, attrs attributes, err error) {
	attrs = attributes{}
	typed := false
	for name, values := range header {
		lower := strings.ToLower(name)
		attr, isAttr := strings.CutPrefix(lower, attrPrefix)
		if !isAttr && lower != "content-type" {
			continue
		}
		if !isAttr {
			attr = "Content-Type"
		}
		if _, twice := attrs[attr]; twice || !isAttr && typed || len(values) != 1 {
			return "", nil, Refuse(ReasonMalformed, headerName(attr), "is there more than once; send it once")
		}
		if !isAttr {
			contentType, typed = strings.TrimSpace(values[0]), true
			continue
		}
		if attrs[attr], err = unescape(attr, values[0]); err != nil {
			return "", nil, err
		}
	}
	return contentType, attrs, nil
}

// headerName is how a rejection calls an attribute in a header.
func headerName(attr string) string {
	switch {
	case attr == "Content-Type":
		return attr
	case plainName(attr):
		return attrPrefix + attr
	}
	return attrPrefix + "?"
}

// structured reads a JSON event. Attributes that also stand in the header must
// say the same.
func structured(contentType string, inHeader attributes, body []byte) (attributes, node, error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != mediaEvent+"+json" || !isUTF8(params["charset"]) {
		return nil, node{}, Refuse(ReasonMalformed, "Content-Type", "is not "+mediaEvent+"+json in UTF-8; send one event as JSON")
	}
	n, err := parse(body, "")
	if err != nil {
		return nil, node{}, err
	}
	attrs := attributes{}
	for _, m := range n.members {
		switch {
		case m.name == "data":
		case m.name == "data_base64":
			return nil, node{}, Refuse(ReasonMalformed, m.name, "is not read; send the data as a JSON object")
		case m.value.kind == kindArray || m.value.kind == kindObject || m.name != "sequence" && isRequired(m.name) && m.value.kind != kindString:
			return nil, node{}, Refuse(ReasonMalformed, join("", m.name), "is "+string(m.value.kind)+"; send a string")
		case m.value.kind == kindBool:
			attrs[m.name] = strconv.FormatBool(m.value.truth)
		case m.value.kind != kindNull:
			attrs[m.name] = m.value.text
		}
	}
	for name, value := range inHeader {
		if attrs[name] != value {
			return nil, node{}, Refuse(ReasonMalformed, headerName(name), "does not agree with the event in the body; send one of them")
		}
	}
	if t, ok := attrs["datacontenttype"]; ok && !isJSON(t) {
		return nil, node{}, Refuse(ReasonMalformed, "datacontenttype", "is not "+mediaJSON+" in UTF-8")
	}
	data := n.get("data")
	if data.kind != kindObject {
		return nil, node{}, Refuse(ReasonMalformed, "data", "is "+string(data.kind)+"; send an object")
	}
	return attrs, data, nil
}

func isRequired(name string) bool {
	switch name {
	case "id", "source", "specversion", "type", "subject", "time", "datacontenttype":
		return true
	}
	return false
}

// isJSON accepts no type at all: JSON is what CloudEvents takes for granted.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, params, err := mime.ParseMediaType(contentType)
	return err == nil && isUTF8(params["charset"]) && (media == mediaJSON || strings.HasPrefix(media, "application/") && strings.HasSuffix(media, "+json"))
}

func isUTF8(charset string) bool {
	return charset == "" || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii")
}

// unescape reads a header value by the CloudEvents HTTP binding, section
// 3.1.3.2: a quoted string first, then percent-encoding, once.
func unescape(attr, s string) (string, error) {
	s = strings.Trim(s, " \t")
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		var b strings.Builder
		for i := 1; i < len(s)-1; i++ {
			if s[i] == '\\' && i+1 < len(s)-1 {
				i++
			}
			b.WriteByte(s[i])
		}
		s = b.String()
	}
	plain, err := url.PathUnescape(s)
	if err != nil || !utf8.ValidString(plain) {
		return "", Refuse(ReasonMalformed, headerName(attr), "is not percent-encoded UTF-8; write a percent sign as %25")
	}
	return plain, nil
}

// escape is the other way: what is outside U+0021..U+007E, the quotation mark
// and the percent sign become %XX.
func escape(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c <= ' ' || c >= 0x7f || c == '"' || c == '%' {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// meta checks the attributes that are read and takes them over.
func (a attributes) meta(now time.Time) (Meta, error) {
	if v, ok := a["specversion"]; ok && v != "1.0" {
		return Meta{}, Refuse(ReasonMalformed, "specversion", `is not "1.0", the only one that is read`)
	}
	for _, name := range []string{"specversion", "id", "source", "type", "time", "subject"} {
		value := a[name]
		if value == "" && (name != "subject" || fromOutside(areaOf(a["type"]))) {
			return Meta{}, Refuse(ReasonMalformed, name, "is missing or empty; it is required")
		}
		if problem := attributeProblem(value); problem != "" {
			return Meta{}, Refuse(ReasonMalformed, name, problem)
		}
	}
	m := Meta{ID: a["id"], Source: a["source"], Subject: a["subject"]}
	t, ok := parseTime(a["time"])
	if !ok {
		return Meta{}, Refuse(ReasonMalformed, "time", `is not an RFC 3339 time; send one like "2027-08-01T00:00:00+02:00"`)
	}
	if t.After(now.Add(Ahead)) {
		return Meta{}, Refuse(ReasonInvalid, "time", "lies more than 10 minutes ahead; send when the fact was recorded, and check the clock")
	}
	m.Time = t
	if s, ok := a["sequence"]; ok {
		n, err := strconv.ParseUint(s, 10, 63)
		if err != nil || n == 0 {
			return Meta{}, Refuse(ReasonMalformed, "sequence", "is not a whole number above 0 that fits in 63 bits")
		}
		m.Sequence = n
	}
	return m, nil
}

func attributeProblem(s string) string {
	if utf8.RuneCountInString(s) > maxAttribute {
		return "is longer than 256 characters"
	}
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsGraphic(r) || unicode.Is(unicode.Noncharacter_Code_Point, r) {
			return "holds a control or invisible character; send visible text"
		}
	}
	return ""
}
