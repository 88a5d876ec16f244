package policy_test

import (
	"fmt"
	"slices"
	"testing"

	"usn.no/matricula/policy"
)

func TestPINRules(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		why, pin, birth string
		length          int
		fails           []string
	}{
		{"plain", "8361", "2005-05-17", 0, nil},
		{"no birth date known", "1705", "", 0, nil},
		{"one digit", "7777", "", 0, []string{"repeat", "run"}[:1]},
		{"two digits twice", "8383", "", 0, []string{"repeat"}},
		{"upwards", "1234", "", 0, []string{"run"}},
		{"downwards", "4321", "", 0, []string{"run"}},
		{"over zero", "8901", "", 0, []string{"run"}},
		{"in steps of two", "2468", "", 0, []string{"run"}},
		{"day and month", "1705", "2005-05-17", 0, []string{"birth_date"}},
		{"month and day", "0517", "2005-05-17", 0, []string{"birth_date"}},
		{"year", "2005", "2005-05-17", 0, []string{"birth_date"}},
		{"month and short year", "1291", "1991-12-24", 0, []string{"birth_date"}},
		{"six digits of the date", "170505", "2005-05-17", 6, []string{"birth_date"}},
		{"eight digits of the date", "19911224", "1991-12-24", 8, []string{"birth_date"}},
		{"the keypad's middle", "2580", "", 0, []string{"common"}},
		{"a pattern of six", "147258", "", 6, []string{"common"}},
		{"too short", "836", "", 0, []string{"length"}},
		{"too long", "83614", "", 0, []string{"length"}},
		{"letters", "83a1", "", 0, []string{"characters"}},
		{"digits of another script", "٨٣٦١", "", 0, []string{"characters"}},
		{"nothing", "", "2005-05-17", 0, []string{"length", "characters"}},
	} {
		var fails []string
		for _, a := range policy.CheckPIN(row.pin, row.birth, row.length) {
			if !a.OK {
				fails = append(fails, a.Rule)
			}
		}
		if !slices.Equal(fails, row.fails) {
			t.Errorf("%s: fails %v, want %v", row.why, fails, row.fails)
		}
	}
}

func TestMostPINsAreFree(t *testing.T) {
	t.Parallel()
	free := 0
	for i := range 10000 {
		if policy.OK(policy.CheckPIN(fmt.Sprintf("%04d", i), "1991-12-24", 4)) {
			free++
		}
	}
	if free < 9700 || free > 9850 {
		t.Errorf("%d of 10000 codes are allowed", free)
	}
}
