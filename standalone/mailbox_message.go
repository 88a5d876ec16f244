package standalone

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	stdmail "net/mail"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
)

// Message is one mail as the mailbox took it.
type Message struct {
	ID       int       `json:"id"`
	Received time.Time `json:"received"`
	From     string    `json:"from"` // of the envelope
	To       string    `json:"to"`   // of the envelope
	Subject  string    `json:"subject"`
	Header   []Field   `json:"header"` // in their order, decoded
	Text     string    `json:"text"`
	HTML     string    `json:"html"`
	Links    []string  `json:"links"`            // of the text, in their order, each once
	Broken   string    `json:"broken,omitempty"` // why it could not be read whole
	Raw      []byte    `json:"-"`
}

// Field is one header field.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Get is the first field of that name, or empty.
func (m Message) Get(name string) string {
	for _, f := range m.Header {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// trace is what a mail server writes above a message: the envelope, and when.
func trace(from, to string, at time.Time) []byte {
	return fmt.Appendf(nil, "Return-Path: <%s>\r\nDelivered-To: %s\r\nReceived: by mailbox.localhost; %s\r\n",
		from, to, at.Format(time.RFC1123Z))
}

var link = regexp.MustCompile(`https?://[^\s"'<>]+`)

func parseMessage(id int, raw []byte) Message {
	m := Message{ID: id, Raw: raw}
	r, err := mail.CreateReader(bytes.NewReader(raw))
	if r == nil {
		m.Broken = err.Error()
		return m
	}
	for fields := r.Header.Fields(); fields.Next(); {
		m.Header = append(m.Header, Field{fields.Key(), decoded(fields)})
	}
	m.Subject, m.To = m.Get("Subject"), m.Get("Delivered-To")
	m.From = strings.Trim(m.Get("Return-Path"), "<>")
	if _, at, ok := strings.Cut(m.Get("Received"), "; "); ok {
		m.Received, _ = stdmail.ParseDate(at)
	}
	m.readParts(r)
	for _, l := range link.FindAllString(m.Text+"\n"+html.UnescapeString(m.HTML), -1) {
		if !slices.Contains(m.Links, l) {
			m.Links = append(m.Links, l)
		}
	}
	return m
}

func decoded(f message.HeaderFields) string {
	if v, err := f.Text(); err == nil {
		return v
	}
	return f.Value()
}

func (m *Message) readParts(r *mail.Reader) {
	for {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			m.Broken = err.Error()
			return
		}
		body, err := io.ReadAll(io.LimitReader(p.Body, maxMail))
		if err != nil {
			m.Broken = err.Error()
		}
		switch kind, _, _ := p.Header.(interface {
			ContentType() (string, map[string]string, error)
		}).ContentType(); {
		case kind == "text/html" && m.HTML == "":
			m.HTML = string(body)
		case kind == "text/plain" && m.Text == "":
			m.Text = string(body)
		}
	}
}
