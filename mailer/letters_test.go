package mailer_test

import (
	"flag"
	"mime"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"usn.no/matricula/events"
	"usn.no/matricula/mailer"
)

var update = flag.Bool("update", false, "write the golden letters anew")

// goldenRequest is the letter of a template to a sample person, with all it
// can hold.
func goldenRequest(t *testing.T, r *rig, template, lang string) events.MailRequest {
	t.Helper()
	q := request("golden-"+template, "kari@example.org")
	q.Template, q.Language = template, lang
	deadline := time.Date(2027, 11, 15, 11, 0, 0, 0, time.UTC)
	switch template {
	case events.LetterSONumber:
		q.Invitation, q.Purpose, q.Expires, q.Opens = "", "", nil, nil
		sealed, err := events.Seal(r.Key.Public(), events.SONumberInfo(q.Letter), []byte("01512510074"))
		if err != nil {
			t.Fatal(err)
		}
		q.SONumber = sealed
	case events.LetterActivation, events.LetterReminder:
	case events.LetterReset:
		soon := noon.Add(time.Hour)
		q.Purpose, q.Expires, q.Opens = "reset", &soon, nil
	case events.LetterChangeRequired, events.LetterLeaving:
		q.Deadline = &deadline
		fallthrough
	default:
		q.Invitation, q.Purpose, q.Expires, q.Opens = "", "", nil, nil
	}
	return q
}

// TestLettersAreTheGoldenOnes delivers every letter in every language and
// holds what the relay got to testdata, byte by byte, and to what a postmaster
// expects, as an independent library reads it.
func TestLettersAreTheGoldenOnes(t *testing.T) {
	t.Parallel()
	s := serve(t, &server{})
	r := newRig(t, s.settings())
	for _, template := range events.Letters() {
		for _, lang := range []string{"nb", "nn", "en"} {
			q := goldenRequest(t, r, template, lang)
			q.Letter += "-" + lang
			if q.SONumber != "" {
				q.SONumber, _ = events.Seal(r.Key.Public(), events.SONumberInfo(q.Letter), []byte("01512510074"))
			}
			if r.finish(t, q); r.audit.of(q.Letter) == nil {
				t.Fatalf("%s in %s was not sent", template, lang)
			}
			sent := s.mails("")
			raw := sent[len(sent)-1].Raw
			path := filepath.Join("testdata", template+"."+lang+".eml")
			if *update {
				if err := os.WriteFile(path, []byte(raw), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil || string(want) != raw {
				t.Errorf("%s in %s is not the golden letter (go test ./mailer -update writes them anew): %v", template, lang, err)
			}
			inspect(t, template+" in "+lang, raw)
		}
	}
}

func inspect(t *testing.T, name, raw string) {
	t.Helper()
	p := parse(t, raw)
	if p.Text == "" || p.HTML == "" {
		t.Fatalf("%s: has no text or no HTML", name)
	}
	if a, b := mailer.Links(p.Text), mailer.Links(p.HTML); !slices.Equal(a, b) || len(a) == 0 {
		t.Errorf("%s: text links to %v, HTML to %v", name, a, b)
	}
	if len(raw) > 20<<10 {
		t.Errorf("%s: is %d bytes", name, len(raw))
	}
	for line := range strings.SplitSeq(raw, "\r\n") {
		if len(line) > 998 {
			t.Errorf("%s: has a line of %d bytes", name, len(line))
		}
		if strings.ContainsAny(line, "\r\n") {
			t.Errorf("%s: has a bare CR or LF", name)
		}
	}
	head, _, _ := strings.Cut(raw, "\r\n\r\n")
	if i := strings.IndexFunc(head, func(r rune) bool { return r > 126 || r < ' ' && r != '\r' && r != '\n' }); i >= 0 {
		t.Errorf("%s: header has a byte outside printable ASCII", name)
	}
	if strings.Contains(head, "01512510074") || strings.Contains(head, "Nordmann") || strings.Contains(head, "ticket") {
		t.Errorf("%s: header holds personal data", name)
	}
	subject, _ := p.Header.Subject()
	if n := utf8.RuneCountInString(subject); n == 0 || n > 50 {
		t.Errorf("%s: subject %q is %d characters", name, subject, n)
	}
	for _, h := range []string{"Auto-Submitted", "Content-Language", "Date", "Message-Id", "Reply-To", mailer.HeaderTemplate} {
		if p.Header.Get(h) == "" {
			t.Errorf("%s: header lacks %s", name, h)
		}
	}
	for _, h := range []string{"User-Agent", "X-Mailer", "Precedence", "Bcc", "Cc"} {
		if p.Header.Get(h) != "" {
			t.Errorf("%s: header has %s", name, h)
		}
	}
	for _, no := range []string{"<img", "<script", "url(", "@import", "@font-face", "<link", "cid:"} {
		if strings.Contains(strings.ToLower(p.HTML), no) {
			t.Errorf("%s: HTML holds %q", name, no)
		}
	}
	if !strings.Contains(strings.Join(strings.Fields(p.Text), " "), "ESS.") || !strings.Contains(p.HTML, "ESS.") {
		t.Errorf("%s: does not say that one account serves all but ESS", name)
	}
}

func TestNorwegianSubjectsAreEncodedAndComeBackWhole(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/reminder.nb.eml")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^Subject: (.*)\r$`).FindStringSubmatch(string(raw))
	got, err := new(mime.WordDecoder).DecodeHeader(line[1])
	if err != nil || got != "Påminnelse: aktiver brukerkontoen din" {
		t.Errorf("subject reads %q, %v", got, err)
	}
}

func TestTimesAreSpelledForTheReader(t *testing.T) {
	t.Parallel()
	for lang, want := range map[string]string{
		"nb": "fra søndag 1. august 2027 kl. 00.00.",
		"nn": "frå søndag 1. august 2027 kl. 00.00.",
		"en": "from Sunday 1 August 2027 at 00:00 (Norwegian time).",
	} {
		s := mailer.Letter{Request: request("l1", "kari@example.org"), Link: institution.BaseURL + "/a/x"}
		s.Request.Language = lang
		r, err := templates(t).Render(s)
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(strings.Fields(r.Text), " "); !strings.Contains(text, want) {
			t.Errorf("%s: the opening is not spelled %q in\n%s", lang, want, r.Text)
		}
	}
}

func TestLeavingLetterSaysWhatIsTrueOfTheAccountNow(t *testing.T) {
	t.Parallel()
	ahead := time.Date(2027, 11, 15, 11, 0, 0, 0, time.UTC)
	never := map[string][]string{ // what must not be said of an account that is locked already
		"nb": {"blir sperret", "blir derfor sperret", "virker til"}, "nn": {"blir sperra", "blir difor sperra", "verkar til"},
		"en": {"will be locked", "will therefore", "works until", "before the account"},
	}
	for _, c := range []struct {
		about         string
		deadline      *time.Time
		locked        bool
		subject, says map[string]string
	}{
		{"works still", &ahead, false,
			map[string]string{"nb": "Brukerkontoen din blir sperret", "nn": "Brukarkontoen din blir sperra", "en": "Your user account will be locked"},
			map[string]string{"nb": "virker til mandag 15. november 2027", "nn": "verkar til måndag 15. november 2027", "en": "works until Monday 15 November 2027"}},
		{"works still, and nobody knows how long", nil, false,
			map[string]string{"nb": "Brukerkontoen din blir sperret", "nn": "Brukarkontoen din blir sperra", "en": "Your user account will be locked"},
			map[string]string{"nb": "blir derfor sperret.", "nn": "blir difor sperra.", "en": "will therefore be locked."}},
		{"locked", nil, true,
			map[string]string{"nb": "Brukerkontoen din er sperret", "nn": "Brukarkontoen din er sperra", "en": "Your user account is locked"},
			map[string]string{"nb": "Brukerkontoen er derfor sperret.", "nn": "Brukarkontoen er difor sperra.", "en": "Your user account is therefore locked."}},
	} {
		for _, lang := range []string{"nb", "nn", "en"} {
			q := request("l1", "kari@example.org")
			q.Template, q.Language, q.Opens, q.Expires, q.Invitation, q.Purpose = events.LetterLeaving, lang, nil, nil, "", ""
			q.Deadline, q.Locked = c.deadline, c.locked
			r, err := templates(t).Render(mailer.Letter{Request: q})
			if err != nil {
				t.Fatal(err)
			}
			if r.Subject != c.subject[lang] {
				t.Errorf("%s, %s: the subject is %q", c.about, lang, r.Subject)
			}
			for form, body := range map[string]string{"text": r.Text, "HTML": r.HTML} {
				body = strings.Join(strings.Fields(body), " ")
				if !strings.Contains(body, c.says[lang]) || !strings.Contains(body, c.subject[lang]) && form == "HTML" {
					t.Errorf("%s, %s: %s does not say %q:\n%s", c.about, lang, form, c.says[lang], body)
				}
				for _, wrong := range never[lang] {
					if c.locked && strings.Contains(body, wrong) {
						t.Errorf("%s, %s: %s says %q:\n%s", c.about, lang, form, wrong, body)
					}
				}
			}
		}
	}
}

func TestUnknownLanguageFallsBackToEnglish(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"", "de", "../nb", "NB"} {
		q := request("l1", "kari@example.org")
		q.Language = lang
		r, err := templates(t).Render(mailer.Letter{Request: q, Link: institution.BaseURL + "/a/x"})
		if err != nil || r.Language != "en" {
			t.Errorf("language %q gives %q, %v", lang, r.Language, err)
		}
	}
}

func TestSONumberIsShownAsTheInstitutionChose(t *testing.T) {
	t.Parallel()
	q := request("l1", "kari@example.org")
	q.Template = events.LetterSONumber
	for form, shown := range map[string]string{
		mailer.NumberFull: "01512510074", mailer.NumberMasked: "••••••••074", mailer.NumberLink: institution.BaseURL + "/help",
	} {
		tm, err := mailer.NewTemplates(institution, form, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := tm.Render(mailer.Letter{Request: q, SONumber: "01512510074"})
		if err != nil {
			t.Fatal(err)
		}
		for what, body := range map[string]string{"text": r.Text, "HTML": r.HTML} {
			if !strings.Contains(body, shown) {
				t.Errorf("%s: %s does not show %q", form, what, shown)
			}
			if form != mailer.NumberFull && strings.Contains(body, "01512510") {
				t.Errorf("%s: %s shows the number", form, what)
			}
		}
	}
}

func TestOverrideThatDoesNotHoldIsRefusedAtStart(t *testing.T) {
	t.Parallel()
	words := func(s string) fstest.MapFS { return fstest.MapFS{"words/nb.json": {Data: []byte(s)}} }
	file := func(name, s string) fstest.MapFS { return fstest.MapFS{name: {Data: []byte(s)}} }
	for name, c := range map[string]struct {
		dir  fstest.MapFS
		says string
	}{
		"unknown sentence":        {words(`{"activation.heeding":"x"}`), `"activation.heeding" is not a key`},
		"lost placeholder":        {words(`{"activation.opens":"Snart."}`), "has the placeholders [], words/en.json has [{opens}]"},
		"foreign placeholder":     {words(`{"activation.intro":"{institution} {sko}"}`), "{sko}"},
		"long subject":            {words(`{"reset.subject":"` + strings.Repeat("x", 51) + `"}`), "is 51 characters"},
		"data in a subject":       {words(`{"reset.subject":"Hei {name}"}`), "{name}"},
		"empty sentence":          {words(`{"reset.heading":" "}`), "is empty"},
		"line break":              {words(`{"reset.heading":"a\r\nBcc: x"}`), "control characters"},
		"not JSON":                {words(`{`), "words/nb.json"},
		"file that is no letter":  {file("letters/aktivering.tmpl", ""), "replaces no shipped template"},
		"letter that stops":       {file("letters/reset.tmpl", `{{define "body"}}{{.Nope}}{{end}}`), "reset in nb"},
		"letter without its link": {file("letters/reset.tmpl", `{{define "body"}}{{template "p" .Hello}}{{end}}`), "lacks the link"},
		"letter that links away":  {file("letters/leaving.tmpl", `{{define "body"}}{{template "p" "https://evil.example/"}}{{end}}`), "not the portal"},
		"HTML with another link": {file("layout.html.tmpl",
			`<html><body>{{template "body" .}}<a href="https://www.example.no/it-hjelp">x</a><a href="https://konto.example.no/x">y</a></body></html>`), "same links"},
		"image without a scheme": {file("letters/leaving.tmpl",
			`{{define "body"}}{{template "p" .Hello}}<img alt="" src="//evil.example/1.png">{{end}}`), "neither loads"},
		"style from elsewhere": {file("letters/leaving.tmpl",
			`{{define "body"}}{{template "p" .Hello}}<style>@import "//evil.example/1.css";</style>{{end}}`), "neither loads"},
		"background": {file("letters/leaving.tmpl",
			`{{define "body"}}<p style="background:URL(//evil.example/1)">{{.Hello}}</p>{{end}}`), "neither loads"},
		"script":                       {file("letters/leaving.tmpl", `{{define "body"}}{{template "p" .Hello}}<script>1</script>{{end}}`), "neither loads"},
		"template that does not parse": {file("parts.text.tmpl", `{{define "p"}}`), "letters/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := mailer.NewTemplates(institution, mailer.NumberFull, c.dir)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("an override with a fault is answered with %v, which does not say %q", err, c.says)
			}
		})
	}
}

func TestOverrideChangesOneSentenceAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	tm, err := mailer.NewTemplates(institution, mailer.NumberFull, fstest.MapFS{
		"words/nb.json": {Data: []byte(`{"activation.heading":"Velkommen til oss"}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := tm.Render(mailer.Letter{Request: request("l1", "kari@example.org"), Link: institution.BaseURL + "/a/x"})
	if err != nil || !strings.Contains(r.Text, "Velkommen til oss") || !strings.Contains(r.HTML, "Aktiver brukerkontoen<") {
		t.Errorf("the override is not what is sent: %v\n%s", err, r.Text)
	}
}

func TestInstitutionThatCannotStandInALetterIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*mailer.Institution){
		"no name":          func(i *mailer.Institution) { i.Name = "" },
		"two lines":        func(i *mailer.Institution) { i.Name = "a\r\nb" },
		"no portal":        func(i *mailer.Institution) { i.BaseURL = "" },
		"slash at the end": func(i *mailer.Institution) { i.BaseURL += "/" },
		"script":           func(i *mailer.Institution) { i.BaseURL = "javascript:alert(1)" },
		"user in the link": func(i *mailer.Institution) { i.BaseURL = "https://a:b@evil.example" },
		"support address":  func(i *mailer.Institution) { i.SupportEmail = `"a b"@example.no` },
		"support link":     func(i *mailer.Institution) { i.SupportURL = "ftp://x.example" },
		"language":         func(i *mailer.Institution) { i.Names = map[string]string{"se": "x"} },
	} {
		i := institution
		change(&i)
		if _, err := mailer.NewTemplates(i, mailer.NumberFull, nil); err == nil {
			t.Errorf("%s: an institution that cannot stand in a letter is taken", name)
		}
	}
	if _, err := mailer.NewTemplates(institution, "none", nil); err == nil {
		t.Error("an unknown so_number setting is taken")
	}
}
