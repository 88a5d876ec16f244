package standalone_test

import (
	"errors"
	"fmt"
	"html"
	"strings"
	"testing"

	"usn.no/matricula/standalone"
)

func TestTemplatesAreShownAsTheyAreNow(t *testing.T) {
	t.Parallel()
	var broken error
	loads := 0
	b := startMailbox(t, &standalone.Mailbox{Previews: func() ([]standalone.Preview, error) {
		loads++
		return []standalone.Preview{
			{"activation", "nb", "plain", fmt.Sprint("Load ", loads), "text of one", "<html><head></head><body>Hei <b>one</b></body></html>"},
			{"activation", "en", "markup", "Two", "text of two <b>", "<p>two</p>"},
			{"reset", "nn", "plain", "Three", "text of three", "<p>three</p>"},
		}, broken
	}})
	_, list := get(t, b.URL()+"/templates")
	if strings.Count(list, "<h2>") != 2 || strings.Count(list, "/templates?n=") != 3 {
		t.Errorf("three previews of two letters are listed as\n%s", list)
	}
	if _, again := get(t, b.URL()+"/templates"); !strings.Contains(list, "Load 1") || !strings.Contains(again, "Load 2") {
		t.Error("the letters are not made anew when the page is loaded")
	}
	if _, front := get(t, b.URL()+"/"); !strings.Contains(front, `href="/templates"`) {
		t.Error("nothing leads to the templates")
	}
	for query, want := range map[string]string{
		"n=0": `srcdoc="`, "n=0&scheme=dark": "color-scheme:dark", "n=0&width=320": "w320", "n=1&view=text": "text of two &lt;b&gt;", "n=2": "three",
	} {
		if r, body := get(t, b.URL()+"/templates?"+query); r.StatusCode != 200 || !strings.Contains(body, want) {
			t.Errorf("%s answers %d without %q", query, r.StatusCode, want)
		}
	}
	for _, query := range []string{"n=3", "n=-1", "n=x", "n=99999999999999999999"} {
		if r, body := get(t, b.URL()+"/templates?"+query); r.StatusCode != 200 || !strings.Contains(body, "<h2>") {
			t.Errorf("%s does not lead to the list", query)
		}
	}
	broken = errors.New(`letters/reset.tmpl: <nonsense> in line 3`)
	if _, body := get(t, b.URL()+"/templates"); !strings.Contains(body, html.EscapeString(broken.Error())) {
		t.Error("templates that do not hold are not shown as such")
	}
	if r, _ := get(t, startMailbox(t, &standalone.Mailbox{}).URL()+"/templates"); r.StatusCode != 404 {
		t.Error("a mailbox without templates has a page of them")
	}
}
