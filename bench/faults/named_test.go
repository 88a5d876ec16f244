package faults

import (
	"os"
	"regexp"
	"testing"
)

func TestEveryScenarioIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/faults.md")
	if err != nil {
		t.Fatal(err)
	}
	written := map[string][2]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([a-z -]+) \| (F[F0-9 -]+) \| ([a-z ]+) \|`).FindAllStringSubmatch(string(text), -1) {
		written[row[1]] = [2]string{row[2], row[3]}
	}
	for _, s := range scenarios() {
		if got := written[s.name]; got != [2]string{s.faults, s.when} {
			t.Errorf("docs/faults.md says of scenario %q: %q, not %s, %s", s.name, got, s.faults, s.when)
		}
		delete(written, s.name)
	}
	for name := range written {
		t.Errorf("docs/faults.md names a scenario %q that is not there", name)
	}
}
