package deploy

import (
	"fmt"
	"regexp"
	"strings"
)

var blank = regexp.MustCompile(`@[A-Z][A-Z0-9_]*@`)

// Fill replaces every word between at-signs, "@BASE@", by its value. It
// refuses a text with a word that values doesn't have, and a value with a line
// break in it, which could add a directive nobody sees; the value of a word
// that stands alone on its line may have them.
func Fill(text string, values map[string]string) (string, error) {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		var err error
		lines[i] = blank.ReplaceAllStringFunc(line, func(word string) string {
			value, ok := values[strings.Trim(word, "@")]
			switch {
			case !ok:
				err = fmt.Errorf("line %d: no value for %s", i+1, word)
			case strings.ContainsAny(value, "\r\n") && strings.TrimSpace(line) != word:
				err = fmt.Errorf("line %d: line break in the value of %s", i+1, word)
			}
			return value
		})
		if err != nil {
			return "", err
		}
	}
	return strings.Join(lines, "\n"), nil
}
