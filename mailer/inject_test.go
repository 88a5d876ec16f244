package mailer_test

import (
	"slices"
	"strings"
	"testing"

	"usn.no/matricula/events"
	"usn.no/matricula/mailer"
)

// TestAddressIsTakenOrRefusedWhole: the relay sees exactly one recipient, the
// one in the request, or nothing at all.
func TestAddressIsTakenOrRefusedWhole(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{})
	r := newRig(t, s.settings())
	for addr, rcpt := range map[string]string{
		"kari@example.org":             "TO:<kari@example.org>",
		" kari@example.org ":           "TO:<kari@example.org>", //nolint:gocritic // the blanks are what is tried
		"Kari.O'Brien+usn@Example.ORG": "TO:<Kari.O'Brien+usn@example.org>",
		"kari@bücher.example":          "TO:<kari@xn--bcher-kva.example>",
		"kari@xn--bcher-kva.example":   "TO:<kari@xn--bcher-kva.example>",
		"k_n-1@a.b.c.example":          "TO:<k_n-1@a.b.c.example>",
	} {
		letter := "ok-" + events.Key(addr)
		r.finish(t, request(letter, addr))
		sent := s.mails("")
		if told := r.audit.of(letter); !slices.Equal(told, []string{"sent"}) || sent[len(sent)-1].To != rcpt {
			t.Errorf("%q: audit tells %v, the relay was given %q", addr, told, sent[len(sent)-1].To)
		}
	}
	before := len(s.mails(""))
	for _, addr := range []string{
		"", " ", "@", "kari", "kari@", "@example.org", "kari@localhost", "kari@example", "kari@@example.org",
		`"a@evil x"@example.org`, `"kari"@example.org`, "a@b> SIZE=1", "a@b.no> SIZE=1", "a@b.no SIZE=1", "<a@b.no>",
		"a@b.no,c@d.no", "a@b.no;c@d.no", "a@b.no c@d.no", "Kari <a@b.no>", "kari(comment)@example.org", "kari@example.org (x)",
		"kari@[127.0.0.1]", "kari@[IPv6:::1]", "kari@127.0.0.1", "kari@example.123",
		"kari@example.org\r\nDATA", "kari@example.org\nRCPT TO:<x@evil.example>", "kari\r\n@example.org", "kari@example.org\x00", "kari\t@example.org",
		".kari@example.org", "kari.@example.org", "ka..ri@example.org", "åse@example.org", "kari@-example.org", "kari@exam_ple.org",
		"user%evil.example@example.org", "evil.example!user@example.org", "@relay.example:kari@example.org",
		"kari@example.org.", "kari@.example.org", "kari@exa mple.org", "kari@\u202eexample.org", "ka\u200bri@example.org",
		strings.Repeat("a", 65) + "@example.org", "kari@" + strings.Repeat("a", 64) + ".org", "a@" + strings.Repeat("a.", 130) + "org",
	} {
		letter := "no-" + events.Key(addr)
		if err := r.deliver(request(letter, addr)); err != nil {
			t.Errorf("%q: a bad address is answered with %v instead of a failed letter", addr, err)
		}
		if told := r.audit.of(letter); !slices.Equal(told, []string{"failed:address"}) {
			t.Errorf("%q: audit tells %v", addr, told)
		}
	}
	if n := len(s.mails("")) - before; n != 0 {
		t.Errorf("%d letters went to addresses that are none", n)
	}
}

// awkward are names that have injected something somewhere.
var awkward = []string{
	"Ola\r\nBcc: evil@evil.example", "Ola\nSubject: won", "Ola\r\n\r\n<html>", "Ola\r\n.\r\nMAIL FROM:<evil@evil.example>",
	"Ola\r.\r\nMAIL FROM:<evil@evil.example>", "Ola\n.\nRCPT TO:<evil@evil.example>", "Ola\n.\r\nDATA", "Ola\r.\rQUIT", ".", "..", ".\r\n",
	"=?utf-8?q?=0D=0ABcc:_evil@evil.example?=", "Ola\x00\x0b\x0c\x1b[31m", "Ola\u2028\u2029x\u0085y", "\u202eadmin\u202c\u2066x\u2069\u200e\u200f\u061c",
	`<a href="https://evil.example/">click</a>`, `<img src=x onerror=alert(1)>`, `</p></td></table><script>alert(1)</script>`,
	`"><style>*{display:none}</style>`, "https://evil.example/a", "evil.example/login", "www.evil.example", "{{.Number}}", "{institution}{expires}",
	"javascript:alert(1)", "Ola <ola@evil.example>", strings.Repeat("A\r\n", 5000), "\xff\xfe\xc3", "--part-inject", "Åse Ærlig Ødegård", "李小龍", "Ola\u200d\u200c",
}

func TestNamesAreInertInEveryLetter(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{})
	r := newRig(t, s.settings())
	for i, name := range awkward {
		q := request("inject-"+string(rune('a'+i%26))+string(rune('a'+i/26)), "ola@example.org")
		q.Name, q.Username = name, name+"/" // never what a username can be
		if i%2 == 1 {
			q.Template, q.Invitation, q.Opens = events.LetterActivated, "", nil
		}
		r.finish(t, q)
		if told := r.audit.of(q.Letter); !slices.Equal(told, []string{"sent"}) {
			t.Errorf("%q: audit tells %v", name, told)
		}
	}
	got := s.mails("")
	if len(got) != len(awkward) {
		t.Fatalf("the sink saw %d messages for %d letters", len(got), len(awkward))
	}
	s.mu.Lock()
	for _, c := range s.commands {
		if strings.Contains(c, "evil") || strings.HasPrefix(c, "QUIT") {
			t.Errorf("a name reached the dialogue: %q", c)
		}
	}
	s.mu.Unlock()
	for i, m := range got {
		inert(t, awkward[i], m)
	}
}

func inert(t *testing.T, name string, m accepted) {
	t.Helper()
	if m.To != "TO:<ola@example.org>" {
		t.Errorf("%q: went to %s", name, m.To)
	}
	for rest := m.Raw; ; {
		i := strings.IndexAny(rest, "\r\n")
		if i < 0 {
			break
		}
		if !strings.HasPrefix(rest[i:], "\r\n") {
			t.Errorf("%q: a bare CR or LF went out", name)
			break
		}
		rest = rest[i+2:]
	}
	p := parse(t, m.Raw)
	if p.Header.Get("Bcc") != "" || p.Header.Len() != 12 {
		t.Errorf("%q: header has %d fields", name, p.Header.Len())
	}
	for what, body := range map[string]string{"text": p.Text, "HTML": p.HTML} {
		for _, l := range mailer.Links(body) {
			if !strings.HasPrefix(l, institution.BaseURL+"/") && l != institution.SupportURL {
				t.Errorf("%q: %s links to %q", name, what, l)
			}
		}
		for _, c := range []string{"\u202e", "\u2066", "\u200f", "\u061c", "\x00", "\x1b", "\u2028", "\u0085", "evil.example"} {
			if strings.Contains(body, c) {
				t.Errorf("%q: %s holds %q", name, what, c)
			}
		}
	}
	low := strings.ToLower(p.HTML)
	for _, c := range []string{"<script", "<img", "onerror=alert(1)>", "<style>*"} {
		if strings.Contains(low, c) {
			t.Errorf("%q: HTML holds %q as markup", name, c)
		}
	}
	if n := strings.Count(low, "<html"); n != 1 {
		t.Errorf("%q: HTML begins %d times", name, n)
	}
}

// TestLinksComeFromTheConfiguredPortalOnly: nothing in a request or a header
// can move a link (T16); the base is one constant of the templates.
func TestLinksComeFromTheConfiguredPortalOnly(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{})
	r := newRig(t, s.settings())
	q := request("l1", "kari@example.org")
	q.Invitation, q.Role, q.Language, q.Account = "inv", "https://evil.example", "https://evil.example", "https://evil.example"
	r.finish(t, q)
	p := parse(t, s.mails("")[0].Raw)
	want := []string{"https://konto.example.no/a/ticket-of-inv-for-activate", "https://www.example.no/it-hjelp"}
	if got := mailer.Links(p.Text); !slices.Equal(got, want) {
		t.Errorf("text links to %v instead of %v", got, want)
	}
}

func TestRequestThatCannotBeALetterIsRejected(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{})
	r := newRig(t, s.settings())
	other, _ := events.GenerateSealKey()
	foreign, _ := events.Seal(other.Public(), events.SONumberInfo("l1"), []byte("01512510074"))
	moved, _ := events.Seal(r.Key.Public(), events.SONumberInfo("l2"), []byte("01512510074"))
	for field, change := range map[string]func(*events.MailRequest){
		"data.letter":     func(q *events.MailRequest) { q.Letter = "" },
		"data":            func(q *events.MailRequest) { q.Template = "welcome" },
		"data.invitation": func(q *events.MailRequest) { q.Invitation = "" },
		"data.so_number":  func(q *events.MailRequest) { q.Template, q.Invitation, q.SONumber = events.LetterSONumber, "", foreign },
		"data.so_number ": func(q *events.MailRequest) { q.Template, q.Invitation, q.SONumber = events.LetterSONumber, "", moved },
		"data.so_number  ": func(q *events.MailRequest) {
			q.Template, q.Invitation, q.SONumber = events.LetterSONumber, "", "01512510074"
		},
		"data.so_number   ": func(q *events.MailRequest) { q.Template, q.Invitation = events.LetterSONumber, "" },
	} {
		q := request("l1", "kari@example.org")
		change(&q)
		err := r.deliver(q)
		if rej, ok := events.Rejected(err); !ok || rej.Field != strings.TrimSpace(field) || strings.Contains(err.Error(), "01512510074") {
			t.Errorf("%s: is answered with %v", field, err)
		}
	}
	if len(s.mails("")) != 0 || len(r.audit.all()) != 0 {
		t.Error("a rejected request was sent or audited as a letter")
	}
}
