package standalone_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/standalone"
)

func startMailbox(t *testing.T, b *standalone.Mailbox) *standalone.Mailbox {
	t.Helper()
	if err := b.Start(); err != nil {
		t.Fatalf("mailbox does not start: %v", err)
	}
	t.Cleanup(b.Stop)
	return b
}

const letter = "Subject: =?utf-8?q?P=C3=A5minnelse?=\r\nContent-Language: nb\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/alternative; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHei Åse\r\nhttps://konto.example.no/a/x\r\n" +
	"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<!DOCTYPE html><html><head><title>x</title></head><body>" +
	"<a href=\"https://konto.example.no/a/x\">x</a><script>alert(1)</script></body></html>\r\n--b--\r\n"

func send(b *standalone.Mailbox, to string) error {
	return smtp.SendMail(b.SMTPAddr(), nil, "konto@example.no", []string{to}, []byte(letter))
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

func TestMailIsKeptAndReadBack(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 7, 31, 23, 59, 30, 0, time.FixedZone("", 2*3600))
	dir := t.TempDir()
	b := startMailbox(t, &standalone.Mailbox{Dir: dir, Now: func() time.Time { return at }})
	for _, to := range []string{"kari@example.org", "ola@example.org"} {
		if err := send(b, to); err != nil {
			t.Fatalf("mail is refused: %v", err)
		}
	}
	check := func(b *standalone.Mailbox) {
		t.Helper()
		all := b.Messages()
		if len(all) != 2 || all[1].To != "ola@example.org" || all[0].ID >= all[1].ID {
			t.Fatalf("the mailbox holds %+v", all)
		}
		m := all[0]
		if m.Subject != "Påminnelse" || m.From != "konto@example.no" || m.Get("content-language") != "nb" ||
			!strings.Contains(m.Text, "Hei Åse") || !strings.Contains(m.HTML, "<title>x") || !m.Received.Equal(at) ||
			len(m.Links) != 1 || m.Links[0] != "https://konto.example.no/a/x" || m.Broken != "" {
			t.Errorf("the letter is read as %+v", m)
		}
	}
	check(b)
	b.Stop()
	check(startMailbox(t, &standalone.Mailbox{Dir: dir}))
}

func TestFaultAddressesMakeTheTroubleTheyName(t *testing.T) {
	t.Parallel()
	b := startMailbox(t, &standalone.Mailbox{Slow: 30 * time.Millisecond})
	code := func(err error) int {
		var pe *textproto.Error
		if errors.As(err, &pe) {
			return pe.Code
		}
		return 0
	}
	if _, front := get(t, b.URL()+"/"); !strings.Contains(front, "550-") || !strings.Contains(front, "drop-") {
		t.Error("the mailbox does not tell which addresses make trouble")
	}
	for range 2 {
		if err := send(b, "550-kari@example.org"); code(err) != 550 {
			t.Errorf("550- is answered with %v", err)
		}
	}
	if err := send(b, "451-kari@example.org"); code(err) != 451 {
		t.Errorf("451- is answered with %v", err)
	}
	if err := send(b, "451-kari@example.org"); err != nil {
		t.Errorf("451- is refused a second time: %v", err)
	}
	if err := send(b, "drop-kari@example.org"); err == nil || code(err) != 0 {
		t.Errorf("drop- is answered: %v", err)
	}
	if err := send(b, "drop-kari@example.org"); err != nil {
		t.Errorf("drop- is cut a second time: %v", err)
	}
	begun := time.Now()
	if err := send(b, "slow-kari@example.org"); err != nil || time.Since(begun) < 30*time.Millisecond {
		t.Errorf("slow- is answered after %s: %v", time.Since(begun), err)
	}
	count := map[string]int{}
	for _, m := range b.Messages() {
		kind, _, _ := strings.Cut(m.To, "-")
		count[kind]++
	}
	if fmt.Sprint(count) != "map[451:1 drop:2 slow:1]" {
		t.Errorf("the mailbox holds %v", count)
	}
}

func TestAwaitAnswersWhenTheMailArrives(t *testing.T) {
	t.Parallel()
	b := startMailbox(t, &standalone.Mailbox{})
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	got := make(chan string, 1)
	go func() {
		m, err := b.Await(ctx, func(m standalone.Message) bool { return m.To == "ola@example.org" })
		got <- fmt.Sprint(m.To, err)
	}()
	for _, to := range []string{"kari@example.org", "ola@example.org"} {
		if err := send(b, to); err != nil {
			t.Fatal(err)
		}
	}
	if s := <-got; s != "ola@example.org<nil>" {
		t.Errorf("awaited %s", s)
	}
	short, stop := context.WithTimeout(ctx, 20*time.Millisecond)
	defer stop()
	if _, err := b.Await(short, func(standalone.Message) bool { return false }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for a mail that never comes ends in %v", err)
	}
}

func TestPagesShowTheLetterAndLetItDoNothing(t *testing.T) {
	t.Parallel()
	b := startMailbox(t, &standalone.Mailbox{})
	if _, body := get(t, b.URL()+"/"); !strings.Contains(body, "No letters yet") {
		t.Error("the empty list does not say so")
	}
	for _, to := range []string{"kari@example.org", "ola@example.org"} {
		if err := send(b, to); err != nil {
			t.Fatal(err)
		}
	}
	r, body := get(t, b.URL()+"/")
	if i, j := strings.Index(body, "ola@example.org"), strings.Index(body, "kari@example.org"); i < 0 || j < i {
		t.Error("the list does not show the newest first")
	}
	if _, follow := get(t, b.URL()+"/?follow=1"); strings.Contains(body, "http-equiv") || !strings.Contains(follow, "http-equiv=\"refresh\"") {
		t.Error("the list does not look again by itself when asked to, or does without")
	}
	policy := r.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "script-src") {
		t.Errorf("the policy is %q", policy)
	}
	if _, body := get(t, b.URL()+"/?to=kari"); strings.Contains(body, "ola@") || !strings.Contains(body, "kari@") {
		t.Error("the list is not narrowed to a recipient")
	}
	_, body = get(t, b.URL()+"/mail/1")
	for _, want := range []string{
		`sandbox="allow-popups allow-popups-to-escape-sandbox"`, `href="https://konto.example.no/a/x" target="_blank"`, "Open the link",
		`srcdoc="`, "&lt;base target=&#34;_blank&#34;&gt;", "color-scheme:light", "Påminnelse",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page of a letter lacks %s", want)
		}
	}
	if strings.Contains(body, "<script") {
		t.Error("the letter's markup stands in the page itself")
	}
	for url, want := range map[string]string{
		"/mail/1?scheme=dark": "color-scheme:dark", "/mail/1?width=320": "w320", "/mail/1?view=text": "Hei Åse",
		"/mail/1?view=headers": "Content-Language", "/mail/1?view=source": "boundary=b", "/mail/1/source.eml": "Return-Path: <konto@example.no>",
		"/mail/1?view=\"><script>": "srcdoc",
	} {
		if r, body := get(t, b.URL()+strings.ReplaceAll(url, `"><`, "%22%3E%3C")); r.StatusCode != 200 || !strings.Contains(body, want) {
			t.Errorf("%s answers %d without %q", url, r.StatusCode, want)
		}
	}
	for _, url := range []string{"/mail/9", "/mail/x", "/etc", "/mail/1/other"} {
		if r, _ := get(t, b.URL()+url); r.StatusCode != 404 {
			t.Errorf("%s answers %d", url, r.StatusCode)
		}
	}
	var list []standalone.Message
	if _, body := get(t, b.URL()+"/messages.json"); json.Unmarshal([]byte(body), &list) != nil || len(list) != 2 || list[0].Subject != "Påminnelse" {
		t.Errorf("messages.json is %s", body)
	}
}

func TestMailboxIsForThisMachineOnly(t *testing.T) {
	t.Parallel()
	for _, b := range []*standalone.Mailbox{{SMTP: "0.0.0.0:0"}, {SMTP: ":0"}, {Web: "[::]:0"}, {Web: "192.0.2.1:0"}} {
		if err := b.Start(); err == nil {
			b.Stop()
			t.Errorf("the mailbox listens where others can reach it: %q %q", b.SMTP, b.Web)
		}
	}
	b := startMailbox(t, &standalone.Mailbox{})
	for host, want := range map[string]int{
		"localhost:80": 200, "127.0.0.1": 200, "[::1]:8080": 200, "evil.example": 421, "127.0.0.1.evil.example": 421, "": 421,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		if b.Handler().ServeHTTP(w, r); w.Code != want {
			t.Errorf("host %q is answered with %d", host, w.Code)
		}
	}
}

func TestBrokenMailIsShownAsSuch(t *testing.T) {
	t.Parallel()
	b := startMailbox(t, &standalone.Mailbox{})
	for _, raw := range []string{"no header at all", "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nbroken", "\r\n\r\n"} {
		if err := smtp.SendMail(b.SMTPAddr(), nil, "a@example.no", []string{"b@example.no"}, []byte(raw)); err != nil {
			t.Errorf("%q is refused: %v", raw, err)
		}
	}
	for _, m := range b.Messages() {
		for _, view := range []string{"html", "text", "headers", "source"} {
			if r, _ := get(t, fmt.Sprintf("%s/mail/%d?view=%s", b.URL(), m.ID, view)); r.StatusCode != 200 {
				t.Errorf("%q cannot be shown as %s", m.Raw, view)
			}
		}
	}
}
