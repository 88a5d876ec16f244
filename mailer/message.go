package mailer

import (
	"bytes"
	"errors"
	"fmt"
	netmail "net/mail"
	"slices"
	"strings"
	"time"

	mail "github.com/wneessen/go-mail"

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

// compose makes the MIME message. Everything in it follows from its arguments,
// boundary and Message-ID from the letter: two copies of a letter are the same
// bytes, so that whoever gets both sees one. It is whole before a word of it is
// said: what fails later, inside DATA, is the connection and never the letter.
func compose(from Sender, to string, r events.MailRequest, l Rendered, date time.Time) (*message, error) {
	id := events.Key(r.Letter)
	msg := mail.NewMsg(
		mail.WithNoDefaultUserAgent(), mail.WithCharset(mail.CharsetUTF8), mail.WithEncoding(mail.EncodingQP),
		mail.WithBoundary("part-"+id),
	)
	msg.FromMailAddress(&netmail.Address{Name: from.Name, Address: from.Address})
	msg.ToMailAddress(&netmail.Address{Address: to})
	if from.ReplyTo != "" {
		msg.ReplyToMailAddress(&netmail.Address{Address: from.ReplyTo})
	}
	msg.Subject(l.Subject)
	msg.SetDateWithValue(date)
	msg.SetMessageIDWithValue(messageID(r.Letter, from.Address))
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader(mail.HeaderXAutoResponseSuppress, "All")
	msg.SetGenHeader("Content-Language", l.Language)
	msg.SetGenHeader(HeaderTemplate, r.Template)
	msg.SetBodyString(mail.TypeTextPlain, l.Text)
	msg.AddAlternativeString(mail.TypeTextHTML, l.HTML)
	var b bytes.Buffer
	b.Grow((len(l.HTML)+len(l.Text))*9/8 + 1024)
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, events.Reject(fmt.Errorf("letter %s: write message: %w", r.Letter, err))
	}
	return &message{from: from.Address, to: to, raw: stuffed(b.Bytes()), urgent: slices.Contains(events.UrgentLetters(), r.Template)}, nil
}

// messageID is the same for every copy of a letter.
func messageID(letter, from string) string {
	_, domain, _ := strings.Cut(from, "@")
	return events.Key(letter) + "@" + domain
}
