package mailer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Languages a letter can be in. Bokmål and nynorsk are both required of a
// state body; English is for everybody else and the fallback.
var languages = []string{"nb", "nn", "en"}

const (
	fallback   = "en"
	maxSubject = 50 // code points: what a telephone shows
)

// words are the sentences of one language by key. A sentence may hold
// placeholders like {name}, which are filled in once and never read again.
type words map[string]string

var placeholder = regexp.MustCompile(`\{[a-z_]+\}`)

// loadWords reads words/<language>.json, laid over what ships: an override may
// hold only the sentences it changes.
func loadWords(base, override fs.FS, lang string) (words, error) {
	w := words{}
	if err := readWords(base, lang, w); err != nil {
		return nil, err
	}
	if override == nil {
		return w, nil
	}
	changed := words{}
	switch err := readWords(override, lang, changed); {
	case errors.Is(err, fs.ErrNotExist):
		return w, nil
	case err != nil:
		return nil, err
	}
	for key := range changed {
		if _, ok := w[key]; !ok {
			return nil, fmt.Errorf("words/%s.json: %q is not a key; see the shipped file for the keys there are", lang, key)
		}
	}
	maps.Copy(w, changed)
	return w, nil
}

func readWords(dir fs.FS, lang string, into words) error {
	raw, err := fs.ReadFile(dir, "words/"+lang+".json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &into); err != nil {
		return fmt.Errorf("words/%s.json: %w", lang, err)
	}
	return nil
}

// checkWords holds all languages to the same keys and the same placeholders,
// and subjects to a length and to no data at all.
func checkWords(all map[string]words) error {
	var errs []error
	model := all[fallback]
	for _, lang := range languages {
		for _, key := range slices.Sorted(maps.Keys(all[lang])) {
			if _, ok := model[key]; !ok {
				errs = append(errs, fmt.Errorf("words/%s.json: %q is missing in words/%s.json", lang, key, fallback))
			}
		}
		for _, key := range slices.Sorted(maps.Keys(model)) {
			errs = append(errs, checkSentence(lang, key, all[lang][key], model[key]))
		}
	}
	return errors.Join(errs...)
}

func checkSentence(lang, key, sentence, model string) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("words/%s.json: %q: %s", lang, key, fmt.Sprintf(format, args...))
	}
	switch {
	case strings.TrimSpace(sentence) == "":
		return wrong("is empty or missing")
	case clean(sentence, len(sentence)) != sentence:
		return wrong("holds control characters, or spaces at an end or in a row")
	case !slices.Equal(placeholders(sentence), placeholders(model)):
		return wrong("has the placeholders %v, words/%s.json has %v", placeholders(sentence), fallback, placeholders(model))
	}
	if strings.HasSuffix(key, ".subject") {
		if len(placeholders(sentence)) > 0 {
			return wrong("a subject holds no data: it is seen on locked screens and kept in logs")
		}
		if n := utf8.RuneCountInString(sentence); n > maxSubject {
			return wrong("is %d characters, a subject has at most %d", n, maxSubject)
		}
	}
	return nil
}

func placeholders(sentence string) []string {
	found := placeholder.FindAllString(sentence, -1)
	slices.Sort(found)
	return slices.Compact(found)
}
