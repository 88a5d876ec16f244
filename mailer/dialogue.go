package mailer

import (
	"bytes"
	"time"
)

// step is how far a letter's dialogue with the relay came.
type step int

const (
	atMail step = iota // who sends: nothing of the letter was said
	atRcpt             // whom to
	atData             // may the text follow
	atText             // the text, without its last line
	atEnd              // the last line is out
)

// offer says one letter and reads what the relay answers. Where the relay
// takes commands together (PIPELINING, RFC 2920), the three before the text go
// out as one: two round trips a letter instead of four. Nothing follows the
// last line before its answer is there, so that an answer is always known to
// be this letter's.
func (c *conn) offer(m *message, limit time.Duration) verdict {
	if err := c.smtp.UpdateDeadline(limit); err != nil {
		return broken(atMail)
	}
	if v := c.envelope(m); v.Outcome != Sent {
		return v
	}
	n, err := c.smtp.Text.W.Write(m.raw)
	if err == nil {
		err = c.smtp.Text.W.Flush()
	}
	switch {
	case n < len(m.raw):
		return broken(atText)
	case err != nil: // nobody knows how much of it is out
		return broken(atEnd)
	}
	code, words, err := c.smtp.Text.ReadResponse(0)
	if err != nil || !isReply(code) {
		return broken(atEnd)
	}
	if code < 300 {
		return verdict{Reply: reply(Sent, code, words)}
	}
	return refused(atEnd, code, words)
}

// envelope says who sends and whom to, and asks to send the text. It answers
// Sent where the relay waits for the text. The first refusal is the answer;
// what is said of later commands follows from it.
func (c *conn) envelope(m *message) verdict {
	commands := [...]string{"MAIL FROM:<" + m.from + ">" + c.onMail, "RCPT TO:<" + m.to + ">" + c.onRcpt, "DATA"}
	w := c.smtp.Text.W
	said := func(command string) error {
		_, _ = w.WriteString(command)
		_, err := w.WriteString("\r\n")
		return err // the first one: the writer keeps it
	}
	first := verdict{Reply: Reply{Outcome: Sent}}
	if c.together {
		for _, command := range commands {
			if err := said(command); err != nil {
				return broken(atMail)
			}
		}
	}
	for i, command := range commands {
		if !c.together {
			if err := said(command); err != nil {
				return broken(step(i))
			}
		}
		if err := w.Flush(); err != nil {
			return broken(step(i))
		}
		code, words, err := c.smtp.Text.ReadResponse(0)
		taken := step(i) == atData && code == 354 || step(i) < atData && code >= 200 && code < 300
		switch {
		case err != nil || !isReply(code):
			if first.Outcome == Sent {
				return broken(step(i))
			}
			first.drop = true // it said no and went away
			return first
		case first.Outcome != Sent:
			// It waits for a text although it refused before: it gets none, not
			// even an empty one.
			first.drop = first.drop || taken && step(i) == atData
		case !taken:
			if first = refused(step(i), code, words); !c.together || code == 421 {
				return first
			}
		}
	}
	return first
}

// isReply tells a reply from noise.
func isReply(code int) bool { return code >= 200 && code < 600 }

// stuffed is a message as it goes out: lines that begin with a dot have one
// more, and a line with a single dot ends it.
func stuffed(raw []byte) []byte {
	if bytes.Contains(raw, []byte("\r\n.")) {
		raw = bytes.ReplaceAll(raw, []byte("\r\n."), []byte("\r\n.."))
	}
	if bytes.HasPrefix(raw, []byte(".")) {
		raw = append([]byte("."), raw...)
	}
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		raw = append(raw, "\r\n"...)
	}
	return append(raw, ".\r\n"...)
}
