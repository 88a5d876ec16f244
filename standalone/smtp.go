package standalone

import (
	"io"
	"regexp"
	"strconv"
	"time"

	"github.com/emersion/go-smtp"
)

// session is one SMTP connection of the mailbox.
type session struct {
	box      *Mailbox
	conn     *smtp.Conn
	from, to string
}

var (
	codeAddress = regexp.MustCompile(`^([45]\d\d)-`)
	slowAddress = regexp.MustCompile(`^slow-`)
	dropAddress = regexp.MustCompile(`^drop-`)
)

// Reset forgets the transaction.
func (s *session) Reset() { s.from, s.to = "", "" }

// Logout has nothing to free.
func (s *session) Logout() error { return nil }

// Mail takes any sender.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.from = from
	return nil
}

// Rcpt takes any recipient but those that ask to be refused.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if m := codeAddress.FindStringSubmatch(to); m != nil {
		code, _ := strconv.Atoi(m[1])
		switch {
		case code >= 500:
			return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "refused, as this address asks for"}
		case s.box.first(to):
			return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{4, 2, 0}, Message: "not now, as this address asks for"}
		}
	}
	s.to = to
	return nil
}

// Data stores the message.
func (s *session) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if slowAddress.MatchString(s.to) {
		select {
		case <-time.After(s.box.Slow):
		case <-s.box.stop:
			return &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "closing"}
		}
	}
	if err := s.box.keep(s.from, s.to, body); err != nil {
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "cannot store the message"}
	}
	if dropAddress.MatchString(s.to) && s.box.first(s.to) {
		_ = s.conn.Conn().Close() // taken, and nobody will know
	}
	return nil
}

// first tells whether a fault address strikes now: it does so once.
func (b *Mailbox) first(to string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	struck := b.seen[to]
	b.seen[to] = true
	return !struck
}
