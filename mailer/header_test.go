package mailer

import (
	"mime"
	"net/mail"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
)

// TestLongHeadersAreFoldedAndComeBackWhole: names and subjects that do not fit
// on a line, with letters outside ASCII and without.
func TestLongHeadersAreFoldedAndComeBackWhole(t *testing.T) {
	t.Parallel()
	for name, subject := range map[string]string{
		"IT": "Aktiver", strings.TrimSpace(strings.Repeat("Avdeling for IT ", 8)): strings.TrimSpace(strings.Repeat("ord og ", 8)),
		strings.TrimSpace(strings.Repeat("Sørøst-Norge å ", 8)): strings.Repeat("æøå", 16), "Ola \"IT\" <x@y.example>, Per": "a: b, c <d>", "": "x",
	} {
		r := events.MailRequest{Letter: "l1", Template: events.LetterReset}
		m, err := compose(Sender{Name: name, Address: "konto@example.no"}, "kari@example.org", r, Rendered{Language: "nb", Subject: subject, Text: ".a\n", HTML: "<p>a</p>\n"}, time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		raw := strings.ReplaceAll(strings.TrimSuffix(string(m.raw), ".\r\n"), "\r\n..", "\r\n.")
		head, _, _ := strings.Cut(raw, "\r\n\r\n")
		for line := range strings.SplitSeq(head, "\r\n") {
			// An encoded word is 75 at most, and stands beside the field's name.
			if len(line) > len("Subject: ")+75 {
				t.Errorf("a header line has %d characters: %q", len(line), line)
			}
		}
		read, err := mail.ReadMessage(strings.NewReader(raw))
		if err != nil {
			t.Fatalf("%q: the message cannot be read: %v", name, err)
		}
		from, err := read.Header.AddressList("From")
		if err != nil || len(from) != 1 || from[0].Name != name || from[0].Address != "konto@example.no" {
			t.Errorf("from %q comes back as %v, %v", name, from, err)
		}
		if got, err := new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject")); err != nil || got != subject {
			t.Errorf("subject %q comes back as %q, %v", subject, got, err)
		}
		if read.Header.Get("Reply-To") != "" || !strings.Contains(raw, "\r\n\r\n.a\r\n") {
			t.Errorf("message is\n%s", raw)
		}
	}
	for _, bad := range []Sender{{Address: "a@b.no\r\nBcc: x@y.no"}, {Address: "a@b.no", ReplyTo: "c@d.no>"}} {
		if _, err := compose(bad, "kari@example.org", events.MailRequest{Letter: "l1"}, Rendered{}, time.Now()); err == nil {
			t.Errorf("sender %q gets into a header", bad)
		}
	}
}
