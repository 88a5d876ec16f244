package policy

import "testing"

func TestNamesAreTheSameHoweverTheyAreTyped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"Nordmann", "NORDMANN", true},
		{"Ødegård", "odegard", true},
		{"O'Neill-Berg", "o neill berg", true},
		{"García", "garcia", true},
		{"Nordmann", "Normann", false},
		{"", "", false},
		{"  ", "-", false},
		{"Li", "", false},
	} {
		if got := SameName(c.a, c.b); got != c.same {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}
