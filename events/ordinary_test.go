package events

import (
	"testing"
	"unicode"
)

func TestOrdinaryCharactersAreInNoClassThatIsRefusedOrLeftOut(t *testing.T) {
	t.Parallel()
	count := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !ordinary(r) {
			continue
		}
		count++
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point) || r == unicode.ReplacementChar {
			t.Errorf("%U is taken for ordinary", r)
		}
	}
	if count < 600 || !ordinary('å') || !ordinary('Š') {
		t.Errorf("%d characters are ordinary, want most of Latin", count)
	}
}
