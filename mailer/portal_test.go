package mailer_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rs/zerolog"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/mailer"
	"usn.no/matricula/portal"
)

// nobody stands behind a portal whose pages are only looked at, by people who
// are not signed in.
type nobody struct {
	portal.Clicks
	portal.Letters
}

type (
	noPeople   struct{ portal.People }
	noChanges  struct{ portal.Changes }
	noSessions struct{ portal.Sessions }
)

func (nobody) Look(context.Context, string) (account.Visit, error) { return account.Visit{}, nil }

// TestEveryLinkOfEveryLetterIsAPageOfThePortal asks the real portal for every
// address that stands in a letter, and for each page by name that the letters
// of an institution may link to.
func TestEveryLinkOfEveryLetterIsAPageOfThePortal(t *testing.T) {
	t.Parallel()
	p := &portal.Portal{
		Clicks: nobody{}, Letters: nobody{}, People: noPeople{}, Changes: noChanges{}, Sessions: noSessions{},
		BaseURL: institution.BaseURL, Secrets: [][]byte{bytes.Repeat([]byte{7}, 32)},
		Institution: portal.Institution{Name: institution.Name, SupportEmail: institution.SupportEmail},
		Password:    portal.PasswordRules{MinLength: 16, MaxLength: 128, MaxRepeat: 3, Groups: 3},
		Log:         zerolog.Nop(),
	}
	site, err := p.Handler()
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	ask := func(letter, link string) {
		u, err := url.Parse(link)
		if err != nil {
			t.Fatal(err)
		}
		if asked[u.Path] || link == institution.SupportURL {
			return
		}
		asked[u.Path] = true
		w := httptest.NewRecorder()
		site.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, link, nil))
		if w.Code >= 400 {
			t.Errorf("the letter %s leads to %s, which the portal answers with %d", letter, u.Path, w.Code)
		}
	}
	for _, form := range []string{mailer.NumberFull, mailer.NumberLink} {
		tm, err := mailer.NewTemplates(institution, form, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, template := range events.Letters() {
			for _, sample := range mailer.Samples(template, "nb", institution.BaseURL) {
				l, err := tm.Render(sample.Letter)
				if err != nil {
					t.Fatal(err)
				}
				for _, link := range mailer.Links(l.HTML) {
					ask(template, link)
				}
			}
		}
	}
	if len(asked) < 2 {
		t.Errorf("letters lead to %v only", asked)
	}
	w := httptest.NewRecorder()
	site.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, institution.BaseURL+"/no-such-page", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("a page that is not there is answered with %d, so this test sees nothing", w.Code)
	}
}

func TestLetterThatLinksToNoKnownPageIsRefusedAtStart(t *testing.T) {
	t.Parallel()
	_, err := mailer.NewTemplates(institution, mailer.NumberFull, fstest.MapFS{
		"letters/activated.tmpl": {Data: []byte(`{{define "body"}}{{template "link" (.Portal "not_you.button" "/tilbud")}}{{end}}`)},
	})
	if err == nil || !strings.Contains(err.Error(), "no page of the portal") {
		t.Errorf("a letter that leads astray is taken: %v", err)
	}
}
