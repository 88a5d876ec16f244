package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"usn.no/matricula/policy"
)

func TestGeneratorKeepsWhatTheRulesLetThrough(t *testing.T) {
	t.Parallel()
	rules := policy.DefaultPasswordRules()
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringOfN(rapid.RuneFrom([]rune("aaabcXYZ123-! åøæ”\t")), 10, 140, -1).Draw(t, "password")
		p = policy.NormalizePassword(p)
		if got, want := passes(p), policy.OK(rules.Check(p, policy.Subject{})); got != want {
			t.Fatalf("%q passes the generator: %v, the rules: %v", p, got, want)
		}
	})
}

func TestGeneratorWritesSortedHeadsAndTheirSource(t *testing.T) {
	t.Parallel()
	list, out := filepath.Join(t.TempDir(), "list.txt"), t.TempDir()
	text := "123456\npassword\nBlue-kettle-sings-42\nPassword\nab\nlate\n"
	if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(list, out, 5); err != nil {
		t.Fatal(err)
	}
	passwords, _ := os.ReadFile(filepath.Join(out, "passwords.bin"))
	bases, _ := os.ReadFile(filepath.Join(out, "bases.bin"))
	about, _ := os.ReadFile(filepath.Join(out, "SOURCE.txt"))
	if string(passwords) != string(heads([]string{"Blue-kettle-sings-42"})) {
		t.Errorf("passwords.bin has %d bytes", len(passwords))
	}
	if string(bases) != string(heads([]string{"blue-kettle-sings-42", "password"})) {
		t.Errorf("bases.bin has %d bytes", len(bases))
	}
	if !strings.Contains(string(about), "passwords.bin  1 ") || !strings.Contains(string(about), "6 lines") {
		t.Errorf("SOURCE.txt says\n%s", about)
	}
	if err := run(filepath.Join(out, "none"), out, 5); err == nil {
		t.Error("a missing list is accepted")
	}
}
