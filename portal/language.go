package portal

import (
	"embed"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
	"golang.org/x/text/language"
)

//go:embed i18n/*.toml
var textFiles embed.FS

// The portal's languages, in the order in which they are offered.
const (
	bokmal  = "nb"
	nynorsk = "nn"
	english = "en"
)

func offered() []string { return []string{bokmal, nynorsk, english} }

// languages is every text of the site, by language and key.
type languages struct {
	texts   map[string]map[string]string
	matcher language.Matcher
}

func loadLanguages() (*languages, error) {
	l := &languages{texts: map[string]map[string]string{}}
	var tags []language.Tag
	for _, code := range offered() {
		b, err := textFiles.ReadFile("i18n/" + code + ".toml")
		if err != nil {
			return nil, err
		}
		texts := map[string]string{}
		if err := toml.Unmarshal(b, &texts); err != nil {
			return nil, fmt.Errorf("texts %s: %w", code, err)
		}
		l.texts[code] = texts
		tags = append(tags, language.MustParse(code))
	}
	l.matcher = language.NewMatcher(tags)
	return l, nil
}

// text is one text with its placeholders filled from name, value pairs. A key
// that does not exist is an error, never an empty place on a page.
func (l *languages) text(lang, key string, pairs ...any) (string, error) {
	t, ok := l.texts[lang][key]
	if !ok {
		return "", fmt.Errorf("text %q is missing in %q", key, lang)
	}
	return filled(t, pairs), nil
}

// filled puts values into the places of a text, in one pass: what a value holds
// is never a place. A place that has no value stays as it is.
func filled(t string, pairs []any) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(t, "{")
		name, after, whole := strings.Cut(rest, "}")
		if !found || !whole {
			break
		}
		_, _ = b.WriteString(before)
		if i := named(pairs, name); i >= 0 {
			_, _ = fmt.Fprint(&b, pairs[i])
			t = after
		} else {
			_ = b.WriteByte('{')
			t = rest
		}
	}
	if b.Len() == 0 {
		return t
	}
	return b.String() + t
}

// named is where the value of a name stands among name, value pairs, or -1.
func named(pairs []any, name string) int {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == name {
			return i + 1
		}
	}
	return -1
}

// fromPerson marks a language cookie that was not chosen: it came from a
// person's own letter, and gives way to the next person's.
const fromPerson = "p."

// languageOf settles the language of an answer: what was chosen, else the
// person's own, else what the browser prefers. It remembers the first two, so
// that the pages around the trip speak the same language.
func (s *site) languageOf(w http.ResponseWriter, r *http.Request, persons string) string {
	if lang := r.URL.Query().Get("lang"); slices.Contains(offered(), lang) {
		s.setCookie(w, languageCookie, lang, languageAge)
		return lang
	}
	held := s.cookie(r, languageCookie)
	if slices.Contains(offered(), held) {
		return held
	}
	if slices.Contains(offered(), persons) {
		if held != fromPerson+persons {
			s.setCookie(w, languageCookie, fromPerson+persons, ticketAge)
		}
		return persons
	}
	if lang, ok := strings.CutPrefix(held, fromPerson); ok && slices.Contains(offered(), lang) {
		return lang
	}
	return s.languages.browsers(r.Header.Get("Accept-Language"))
}

// browsers picks from Accept-Language. The matcher answers bokmål for every
// language it does not know, with no confidence; bokmål then only helps those
// who read its neighbours or live beside it, and English everybody else.
func (l *languages) browsers(accept string) string {
	tags, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		return english
	}
	_, i, confidence := l.matcher.Match(tags...)
	if confidence > language.No {
		return offered()[i]
	}
	for _, t := range tags {
		base, _ := t.Base()
		if slices.Contains([]string{"sv", "da", "se", "no"}, base.String()) {
			return bokmal
		}
	}
	return english
}

// day writes a date with its weekday, clock a time of day, both in Norway.
func (s *site) day(lang string, t time.Time) string {
	t = t.In(s.oslo)
	weekday, month := s.languages.texts[lang]["weekdays"], s.languages.texts[lang]["months"]
	name := strings.Fields(weekday)[int(t.Weekday())]
	in := strings.Fields(month)[int(t.Month())-1]
	dot := "."
	if lang == english {
		dot = ""
	}
	return name + " " + strconv.Itoa(t.Day()) + dot + " " + in + " " + strconv.Itoa(t.Year())
}

func (s *site) clock(lang string, t time.Time) string {
	if lang == english {
		return t.In(s.oslo).Format("15:04")
	}
	return t.In(s.oslo).Format("15.04")
}
