package policy_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"usn.no/matricula/policy"
)

type vectors struct {
	Rules struct {
		MinLength int `json:"min_length"`
		MaxLength int `json:"max_length"`
		MaxRepeat int `json:"max_repeat"`
		Groups    int `json:"groups"`
	} `json:"rules"`
	Order   []string `json:"order"`
	Vectors []struct {
		Why      string            `json:"why"`
		Password string            `json:"password"`
		Subject  policy.Subject    `json:"subject"`
		Fails    []string          `json:"fails"`
		Details  map[string]string `json:"details"`
	} `json:"vectors"`
}

func readVectors(t testing.TB) (v vectors) {
	t.Helper()
	b, err := os.ReadFile("testdata/passwords.json")
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		t.Fatalf("vectors cannot be read: %v", err)
	}
	return v
}

func TestPasswordVectors(t *testing.T) {
	t.Parallel()
	v := readVectors(t)
	rules := policy.DefaultPasswordRules()
	if rules != (policy.PasswordRules(v.Rules)) {
		t.Fatalf("the vectors are for %+v, the default rules are %+v", v.Rules, rules)
	}
	if len(v.Vectors) < 60 {
		t.Fatalf("only %d vectors", len(v.Vectors))
	}
	for _, row := range v.Vectors {
		answers := rules.Check(row.Password, row.Subject)
		for i, a := range answers {
			if a.Rule != v.Order[i] {
				t.Errorf("%s: answer %d is about %s, want %s", row.Why, i, a.Rule, v.Order[i])
			}
			if want := !slices.Contains(row.Fails, a.Rule); a.OK != want {
				t.Errorf("%s: rule %s answers %v (%q), want %v", row.Why, a.Rule, a.OK, a.Detail, want)
			}
			if want, ok := row.Details[a.Rule]; ok && a.Detail != want {
				t.Errorf("%s: rule %s says %q, want %q", row.Why, a.Rule, a.Detail, want)
			}
		}
		if got, want := policy.OK(answers), len(row.Fails) == 0; got != want || len(answers) != len(v.Order) {
			t.Errorf("%s: %d answers and OK is %v, want %v", row.Why, len(answers), got, want)
		}
	}
}

func TestInvalidTextIsRefused(t *testing.T) {
	t.Parallel()
	for _, a := range policy.DefaultPasswordRules().Check("Blue-kettle\xffsings-42", policy.Subject{}) {
		if a.Rule == policy.RuleCharacters && (a.OK || a.Detail != "invalid") {
			t.Errorf("bytes that are no UTF-8 answer %v %q", a.OK, a.Detail)
		}
	}
}

func TestNoAnswersAreNotOK(t *testing.T) {
	t.Parallel()
	if policy.OK(nil) {
		t.Error("an empty list of answers passes for a checked password")
	}
}

func TestSwitchedOffRulesAreOK(t *testing.T) {
	t.Parallel()
	if a := (policy.PasswordRules{}).Check("aaaaaaaa", policy.Subject{}); !policy.OK(a) {
		t.Errorf("with every limit off, answers are %v", a)
	}
}

func TestLimitsBelowTheUniversitysAreRefused(t *testing.T) {
	t.Parallel()
	if err := policy.DefaultPasswordRules().Validate(); err != nil {
		t.Errorf("the default rules are refused: %v", err)
	}
	for key, r := range map[string]policy.PasswordRules{
		"password.min_length": {MinLength: 8, MaxLength: 128, MaxRepeat: 3, Groups: 3},
		"password.max_length": {MinLength: 16, MaxLength: 200, MaxRepeat: 3, Groups: 3},
		"password.max_repeat": {MinLength: 16, MaxLength: 128, MaxRepeat: -1, Groups: 3},
		"password.groups":     {MinLength: 16, MaxLength: 128, MaxRepeat: 3, Groups: 5},
	} {
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %+v answers %v", key, r, err)
		}
	}
}

// typed draws a password as people type them, sometimes with the letters split.
func typed() *rapid.Generator[string] {
	return rapid.StringOfN(rapid.RuneFrom([]rune("abcABC123-_! åøæÅØÆéüaoe\u030a\u0308")), 0, 40, -1)
}

func TestSameTextInEveryUnicodeFormAnswersTheSame(t *testing.T) {
	t.Parallel()
	rules := policy.DefaultPasswordRules()
	rapid.Check(t, func(t *rapid.T) {
		p := typed().Draw(t, "password")
		s := policy.Subject{Given: typed().Draw(t, "given"), Family: typed().Draw(t, "family")}
		a, b := rules.Check(p, s), rules.Check(policy.NormalizePassword(p), s)
		if !slices.Equal(a, b) {
			t.Fatalf("typed %v, normalised %v", a, b)
		}
	})
}

func TestPasswordThatHoldsTheNameIsNamed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringOfN(rapid.RuneFrom([]rune("aeostråøæéü")), 3, 12, -1).Draw(t, "name")
		p := typed().Draw(t, "before") + strings.ToUpper(name) + rapid.StringOfN(rapid.RuneFrom([]rune("xyz1-")), 0, 9, -1).Draw(t, "after")
		for _, a := range policy.DefaultPasswordRules().Check(p, policy.Subject{Family: name}) {
			if a.Rule == policy.RuleName && (a.OK || a.Detail != name) {
				t.Fatalf("%q holds %q and answers %v %q", p, name, a.OK, a.Detail)
			}
		}
	})
}

func FuzzPasswordCheck(f *testing.F) {
	for _, v := range readVectors(f).Vectors {
		f.Add(v.Password, v.Subject.Given, v.Subject.Family)
	}
	f.Add(strings.Repeat("å", 400), strings.Repeat("aå", 40), "ﬀ İ ẞ \u0301")
	rules := policy.DefaultPasswordRules()
	f.Fuzz(func(t *testing.T, password, given, family string) {
		answers := rules.Check(password, policy.Subject{Given: given, Family: family})
		if len(answers) != 6 {
			t.Fatalf("%d answers", len(answers))
		}
		if !policy.OK(answers) {
			return
		}
		n := utf8.RuneCountInString(policy.NormalizePassword(password))
		if n < 16 || n > 128 || !utf8.ValidString(password) || strings.ContainsAny(password, "\x00\t\n\r") {
			t.Fatalf("a password of %d characters passes", n)
		}
	})
}

func BenchmarkPasswordCheck(b *testing.B) {
	b.ReportAllocs()
	rules := policy.DefaultPasswordRules()
	s := policy.Subject{Given: "Åse Bjørg", Family: "Sæther-Ødegård", Username: "asedeg"}
	for b.Loop() {
		if !policy.OK(rules.Check("Blue-kettle-sings-42-times", s)) {
			b.Fatal("a good password is refused")
		}
	}
}
