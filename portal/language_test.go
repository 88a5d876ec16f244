package portal_test

import (
	"crypto/sha256"
	"encoding/hex"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

func sha256sum(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func texts(t *testing.T) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	for _, lang := range languages() {
		b, err := os.ReadFile(filepath.Join("i18n", lang+".toml"))
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]string{}
		if err := toml.Unmarshal(b, &m); err != nil {
			t.Fatalf("%s: %v", lang, err)
		}
		all[lang] = m
	}
	return all
}

func TestEveryTextExistsInEveryLanguageWithTheSamePlaceholders(t *testing.T) {
	t.Parallel()
	all := texts(t)
	placeholder := regexp.MustCompile(`\{[a-z]+\}`)
	for _, lang := range languages() {
		if want, got := keysOf(all["nb"]), keysOf(all[lang]); !slices.Equal(want, got) {
			t.Errorf("the keys of %s are not those of nb: %v", lang, difference(want, got))
		}
		for key, text := range all[lang] {
			if strings.TrimSpace(text) == "" || text != strings.TrimSpace(text) {
				t.Errorf("%s of %s is empty or has blanks around it", key, lang)
			}
			want, got := placeholder.FindAllString(all["nb"][key], -1), placeholder.FindAllString(text, -1)
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				t.Errorf("%s of %s has the placeholders %v, nb has %v", key, lang, got, want)
			}
		}
		if n := len(strings.Fields(all[lang]["weekdays"])); n != 7 {
			t.Errorf("%s has %d weekdays", lang, n)
		}
		if n := len(strings.Fields(all[lang]["months"])); n != 12 {
			t.Errorf("%s has %d months", lang, n)
		}
	}
}

func difference(a, b []string) (d []string) {
	for _, s := range append(slices.Clone(a), b...) {
		if slices.Contains(a, s) != slices.Contains(b, s) {
			d = append(d, s)
		}
	}
	return d
}

func TestTextsInUseAndTextsThereAreTheSame(t *testing.T) {
	t.Parallel()
	known := texts(t)["nb"]
	used := map[string]bool{}
	templates, err := filepath.Glob("templates/*.html")
	if err != nil || len(templates) == 0 {
		t.Fatalf("there are no templates: %v", err)
	}
	call := regexp.MustCompile(`\.T "([a-z_]+)"`)
	for _, name := range templates {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllStringSubmatch(string(b), -1) {
			used[m[1]] = true
			if _, ok := known[m[1]]; !ok {
				t.Errorf("%s uses %q, which does not exist", name, m[1])
			}
		}
	}
	for key := range literals(t) {
		if _, ok := known[key]; ok {
			used[key] = true
		}
	}
	for key := range known {
		if !used[key] {
			t.Errorf("the text %q is used nowhere", key)
		}
	}
}

// literals are the strings in the package's own Go files; text keys that they
// use must exist.
func literals(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	known := texts(t)["nb"]
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if s, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil {
					found[s] = true
				}
			case *ast.CallExpr:
				sel, ok := n.Fun.(*ast.SelectorExpr)
				if !ok || sel.Sel.Name != "say" || len(n.Args) < 2 {
					return true
				}
				if lit, ok := n.Args[1].(*ast.BasicLit); ok {
					if key, _ := strconv.Unquote(lit.Value); known[key] == "" {
						t.Errorf("%s says %q, which does not exist", name, key)
					}
				}
			}
			return true
		})
	}
	return found
}

func TestLanguageIsChosenThenThePersonsThenTheBrowsers(t *testing.T) {
	t.Parallel()
	h := open(t)
	for accept, want := range map[string]string{
		"nb": "nb", "nn-NO": "nn", "no": "nb", "en-GB": "en", "da": "nb", "sv": "nb", "se": "nb", "de": "en", "fr-FR,fr;q=0.9": "en",
		"": "en", "*": "en", "ar": "en", "de,nn;q=0.5": "nn", "nn,nb;q=0.8,en;q=0.5": "nn", "zh-CN,zh;q=0.9,en;q=0.8": "en", "not a language;;;": "en",
	} {
		if got := h.visitor(t).get("/", "Accept-Language", accept).lang(); got != want {
			t.Errorf("Accept-Language %q is answered in %q, not %q", accept, got, want)
		}
	}
	v := h.visitor(t)
	nynorsk := h.life.invite("nn", func(i *invitation) { i.language = "nn" })
	english := h.life.invite("en", func(i *invitation) { i.language = "en" })
	if got := v.visit("/a/"+nynorsk, "Accept-Language", "de").lang(); got != "nn" {
		t.Errorf("a person who reads nynorsk is answered in %q", got)
	}
	if got := v.get("/help", "Accept-Language", "de").lang(); got != "nn" {
		t.Errorf("the help beside the trip is in %q", got)
	}
	if got := v.visit("/a/"+english, "Accept-Language", "de").lang(); got != "en" {
		t.Errorf("the next person at the same browser is answered in %q", got)
	}
	v.get("/help?lang=nb")
	for _, ticket := range []string{nynorsk, english} {
		if got := v.visit("/a/"+ticket, "Accept-Language", "de").lang(); got != "nb" {
			t.Errorf("the language that was chosen is forgotten for %q", got)
		}
	}
	if p := v.get("/?lang=xx"); p.lang() != "nb" || p.status != http.StatusOK {
		t.Errorf("a language that is not offered is answered %d in %q", p.status, p.lang())
	}
}

func TestLanguageLinksAreMarkedWithTheirLanguage(t *testing.T) {
	t.Parallel()
	v := open(t).visitor(t)
	for _, path := range []string{"/", "/help", "/nowhere"} {
		body := v.get(path).body
		for lang, name := range map[string]string{"nb": "Bokmål", "nn": "Nynorsk", "en": "English"} {
			if !regexp.MustCompile(`href="\?lang=` + lang + `" lang="` + lang + `" hreflang="` + lang + `"[^>]*>` + name + `<`).MatchString(body) {
				t.Errorf("%s has no link to %s", path, name)
			}
		}
	}
}
