package mailer

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"usn.no/matricula/events"
)

var seat = Institution{
	Name: "University & College", Names: map[string]string{"nb": "Høgskolen <i>"},
	SupportEmail: "it+help@example.no", SupportURL: "https://www.example.no/it", BaseURL: "https://[::1]:8443/konto",
}

// TestStencilGivesWhatTheTemplatesGive fills in stencils for letters of every
// kind with whatever people call themselves, and executes the templates for
// the same letters.
func TestStencilGivesWhatTheTemplatesGive(t *testing.T) {
	t.Parallel()
	for _, form := range []string{NumberFull, NumberMasked, NumberLink} {
		tm, err := NewTemplates(seat, form, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, letter := range events.Letters() {
			if tm.marked[letter] == nil {
				t.Fatalf("the stencils of %s are not what its templates give", letter)
			}
		}
		rapid.Check(t, func(t *rapid.T) { oneStencil(t, tm) })
	}
}

func oneStencil(t *rapid.T, tm *Templates) {
	word := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"", "Kari", `<b>"O'Brien"&+`, "\ue001", "\ue011a\ue013", "0ticket0goes0here0", "{{.Name}} {name}", strings.Repeat("Wolfe ", 40), "a\u200d\u200c.b", "\x00",
	}))
	when := func(label string) *time.Time {
		if !rapid.Bool().Draw(t, label) {
			return nil
		}
		at := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, label+" at"), 0)
		return &at
	}
	l := Letter{Request: events.MailRequest{
		Template: rapid.SampledFrom(events.Letters()).Draw(t, "template"),
		Language: rapid.SampledFrom([]string{"nb", "nn", "en", "de"}).Draw(t, "language"),
		Name:     word.Draw(t, "name"), Username: rapid.OneOf(word, rapid.Just("256789")).Draw(t, "username"),
		Role:  rapid.SampledFrom([]string{"", "student", "employee", "guest"}).Draw(t, "role"),
		Opens: when("opens"), Expires: when("expires"), Deadline: when("deadline"), Locked: rapid.Bool().Draw(t, "locked"),
	}}
	switch l.Request.Template {
	case events.LetterSONumber:
		l.SONumber = clean(rapid.OneOf(rapid.Just(sampleNumber), rapid.StringN(1, 12, -1)).Draw(t, "number"), 32)
	case events.LetterActivation, events.LetterReminder, events.LetterReset:
		l.Link = seat.BaseURL + "/a/" + rapid.OneOf(rapid.Just("x_Y-9"), rapid.StringMatching(`[a-z<"&é/ ]+`)).Draw(t, "ticket")
	}
	p := tm.page(l)
	html, plain, err := tm.execute(p.letter, tm.text[p.letter], p)
	got, failed := tm.Render(l)
	if (err == nil) != (failed == nil) {
		t.Fatalf("the templates end in %v, the stencil in %v", err, failed)
	}
	if err != nil {
		return
	}
	if got.HTML != html {
		t.Fatalf("HTML filled in:\n%s\nas the templates write it:\n%s", got.HTML, html)
	}
	if got.Text != plain {
		t.Fatalf("text filled in:\n%s\nas the templates write it:\n%s", got.Text, plain)
	}
}

// TestLetterOfTheInstitutionsOwnIsExecutedEachTime: its templates may do with
// a value what no stencil can.
func TestLetterOfTheInstitutionsOwnIsExecutedEachTime(t *testing.T) {
	t.Parallel()
	tm, err := NewTemplates(seat, NumberFull, fstest.MapFS{"letters/activated.tmpl": {
		Data: []byte(`{{define "body"}}{{template "p" (.Say "activated.intro")}}{{if eq .Username "konge"}}{{template "p" "Deres Majestet"}}{{end}}{{end}}`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	if tm.marked[events.LetterActivated] != nil || tm.marked[events.LetterReset] == nil {
		t.Fatal("a letter of the institution's own has stencils, or the others have none")
	}
	for name, crowned := range map[string]bool{"konge": true, "karnor": false} {
		r, err := tm.Render(Letter{Request: events.MailRequest{Template: events.LetterActivated, Language: "nb", Username: name}})
		if err != nil || strings.Contains(r.HTML, "Majestet") != crowned {
			t.Errorf("%s is written (%v):\n%s", name, err, r.HTML)
		}
	}
	if tm, err = NewTemplates(seat, NumberFull, fstest.MapFS{"parts.text.tmpl": {Data: []byte(mustRead(t, "templates/parts.text.tmpl"))}}); err != nil || len(tm.marked) != 0 {
		t.Errorf("letters in a layout of the institution's own have stencils: %d, %v", len(tm.marked), err)
	}
}

func mustRead(t *testing.T, name string) string {
	t.Helper()
	raw, err := shipped.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
