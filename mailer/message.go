package mailer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	netmail "net/mail"
	"slices"
	"strings"
	"time"

	"usn.no/matricula/events"
)

// Sender is who letters come from.
type Sender struct {
	Name    string // as mail programs show it; may be empty
	Address string
	ReplyTo string // where answers go; empty: to Address
}

// ParseSender reads "IT ved USN <konto@usn.no>" or a bare address.
func ParseSender(from, replyTo string) (Sender, error) {
	a, err := netmail.ParseAddress(from)
	if err != nil {
		return Sender{}, errors.New("smtp from: not an address")
	}
	s := Sender{Name: clean(a.Name, maxName), ReplyTo: replyTo}
	if s.Address, err = checkAddress(a.Address); err != nil {
		return Sender{}, errors.New("smtp from: not a plain address")
	}
	if replyTo != "" {
		if s.ReplyTo, err = checkAddress(replyTo); err != nil {
			return Sender{}, errors.New("smtp reply-to: not a plain address")
		}
	}
	return s, nil
}

// HeaderTemplate names the template of a letter in its header: no more than
// the subject says, but the same in every language.
const HeaderTemplate = "X-Matricula-Letter"

// message is a letter ready for the relay: raw is all that goes out after
// DATA, last line included.
type message struct {
	from, to string
	raw      []byte
	urgent   bool
}

// compose makes the MIME message: a header and the letter twice, as text and as
// HTML. Everything in it follows from its arguments, boundary and Message-ID
// from the letter: two copies of a letter are the same bytes, so that whoever
// gets both sees one. It is whole before a word of it is said: what fails
// later, inside DATA, is the connection and never the letter.
func compose(from Sender, to string, r events.MailRequest, l Rendered, date time.Time) (*message, error) {
	if strings.ContainsAny(from.Address+from.ReplyTo+to, "\r\n <>") { // their makers see to it
		return nil, events.Reject(fmt.Errorf("letter %s: an address of its header is none", r.Letter))
	}
	var b bytes.Buffer
	b.Grow((len(l.HTML)+len(l.Text))*9/8 + 2048)
	for _, f := range [...][2]string{
		{"Auto-Submitted", "auto-generated"},
		{"Content-Language", l.Language},
		{"Date", date.Format(time.RFC1123Z)},
		{"MIME-Version", "1.0"},
		{"Message-ID", "<" + messageID(r.Letter, from.Address) + ">"},
		{"Subject", mime.QEncoding.Encode("UTF-8", l.Subject)},
		{"X-Auto-Response-Suppress", "All"},
		{HeaderTemplate, r.Template},
		{"From", (&netmail.Address{Name: from.Name, Address: from.Address}).String()},
		{"To", "<" + to + ">"},
		{"Reply-To", "<" + from.ReplyTo + ">"},
	} {
		if f[1] != "<>" {
			writeField(&b, f[0], f[1])
		}
	}
	boundary := "part-" + events.Key(r.Letter)
	b.WriteString("Content-Type: multipart/alternative;\r\n boundary=" + boundary + "\r\n")
	for _, part := range [...][2]string{{"text/plain", l.Text}, {"text/html", l.HTML}} {
		b.WriteString("\r\n--" + boundary + "\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-Type: " + part[0] + "; charset=UTF-8\r\n\r\n")
		w := quotedprintable.NewWriter(&b)
		_, _ = io.WriteString(w, part[1]) // into memory
		_ = w.Close()
	}
	b.WriteString("\r\n--" + boundary + "--\r\n")
	return &message{from: from.Address, to: to, raw: stuffed(b.Bytes()), urgent: slices.Contains(events.UrgentLetters(), r.Template)}, nil
}

// lineLength is what a line of a header has at most where it can be folded
// (RFC 5322).
const lineLength = 76

// writeField writes a field of the header, folded at its blanks.
func writeField(b *bytes.Buffer, name, value string) {
	b.WriteString(name + ":")
	used := len(name) + 1
	for word := range strings.SplitSeq(value, " ") {
		if used+1+len(word) > lineLength && used > len(name)+1 {
			b.WriteString("\r\n")
			used = 0
		}
		b.WriteString(" " + word)
		used += 1 + len(word)
	}
	b.WriteString("\r\n")
}

// messageID is the same for every copy of a letter.
func messageID(letter, from string) string {
	_, domain, _ := strings.Cut(from, "@")
	return events.Key(letter) + "@" + domain
}
