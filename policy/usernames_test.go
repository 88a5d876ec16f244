package policy_test

import (
	"iter"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"usn.no/matricula/policy"
)

func take(seq iter.Seq[string], n int) (out []string) {
	for u := range seq {
		if out = append(out, u); len(out) == n {
			break
		}
	}
	return out
}

func TestUsernamesAreMadeFromNames(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ given, family, want string }{
		{"Kari", "Nordmann", "karnor karnor2 karnor3"},
		{"Åse", "Ødegård", "aseode ase"},
		{"Ægir", "Sæther", "aegsae"},
		{"Kari-Anne Lise", "Nordmann Hansen", "karhan"},
		{"Jürgen", "Müller", "jurmul"},
		{"Seán", "O'Brien", "seabri"},
		{"Vincent", "van der Berg", "vinber"},
		{"Bo", "Li", "boli"},
		{"Sukarno", "", "sukarn sukarn2"},
		{"", "Madonna", "madonn"},
		{"Bo", "", "bo2 bo3"},
		{"Q", "", "q10 q11"},
		{"小明", "王", "xiawan"},
		{"Пётр", "Иванов", "pioiva"},
		{"محمد", "علي", "mhmly"},
		{"민준", "김", "mingim"},
		{"Θεόδωρος", "Παπαδόπουλος", "thepap"},
		{"🎓", "—", "person person2"},
		{"", "", "person person2"},
		{"Ro", "Ot", "rot"},
		{"Adm", "In", "adin"},
		{"Ho", "Re", "hre"},
		{"Fuc", "Kim", "fukim"},
		{"Test", "", "person"},
	} {
		want := strings.Fields(row.want)
		got := take(policy.Usernames(row.given, row.family), len(want))
		if got[0] != want[0] || len(want) > 2 && !slices.Equal(got, want) {
			t.Errorf("%s %s becomes %v, want %v", row.given, row.family, got, want)
		}
	}
}

var usernameForm = regexp.MustCompile(`^[a-z][a-z0-9]{2,19}$`)

// anyName draws names of any script, and such as spell reserved words.
func anyName() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.String(),
		rapid.StringOf(rapid.RuneFrom([]rune("abcåøæÅß 'é-.ñ王明Жأ👩"))),
		rapid.SampledFrom([]string{"", "Ro", "Ot", "Root", "Adm", "In", "Admin", "Ad", "Minken", "Ww", "W", "Www", "No", "Body", "Post", "Master", "Mat", "Ricula", "Hel", "Pdesk", "Per", "Son", "Sex", "A"}),
	)
}

func TestUsernamesAreDeterministicDistinctAndNeverReserved(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		given, family, id := anyName().Draw(t, "given"), anyName().Draw(t, "family"), rapid.String().Draw(t, "id")
		for _, seq := range []func() iter.Seq[string]{
			func() iter.Seq[string] { return policy.Usernames(given, family) },
			func() iter.Seq[string] { return policy.OpaqueUsernames(id) },
		} {
			const n = 40
			us := take(seq(), n)
			if len(us) != n || !slices.Equal(us, take(seq(), n)) {
				t.Fatalf("two readings differ, or end after %d", len(us))
			}
			seen := map[string]bool{}
			for _, u := range us {
				if !usernameForm.MatchString(u) || policy.ReservedUsername(u) || seen[u] {
					t.Fatalf("%q is malformed, reserved or a repeat", u)
				}
				seen[u] = true
			}
		}
	})
}

func TestUsernamesGoOnForThousandsOfOneName(t *testing.T) {
	t.Parallel()
	us := take(policy.Usernames("Kari", "Nordmann"), 20000)
	if len(us) != 20000 || us[19999] != "karnor20000" {
		t.Errorf("candidate 20000 is %q of %d", us[len(us)-1], len(us))
	}
}

func TestProtectedPersonsUsernameComesFromTheAccountAlone(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^([a-z][aeiou][a-z]){2}$`)
	stems := map[string]bool{}
	for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		u := take(policy.OpaqueUsernames(id), 1)[0]
		if !form.MatchString(u) {
			t.Errorf("%q does not look like a username made from a name", u)
		}
		stems[u] = true
	}
	if len(stems) != 8 {
		t.Errorf("eight accounts share %d stems", len(stems))
	}
}

func TestStudentNumberIsTheStudentsUsername(t *testing.T) {
	t.Parallel()
	for no, want := range map[string]string{
		"256789": "256789", "S256789": "s256789", "s12": "s12",
		"": "", "12": "", "25 6789": "", "256-789": "", "２５６": "", "root": "", "ADMIN1": "",
		"123456789012345678901": "", "a/b": "", "İ12": "",
	} {
		if got, ok := policy.StudentUsername(no); got != want || ok != (want != "") {
			t.Errorf("student number %q gives %q, %v; want %q", no, got, ok, want)
		}
	}
}

func TestReservedWordsAreReservedInEveryForm(t *testing.T) {
	t.Parallel()
	for _, u := range []string{"root", "ADMIN", "postmaster", "abuse", "www", "nobody", "matricula", "helpdesk", "root2", "Admin007"} {
		if !policy.ReservedUsername(u) {
			t.Errorf("%q is free", u)
		}
	}
	for _, u := range []string{"karnor", "rootsi", "256789", ""} {
		if policy.ReservedUsername(u) {
			t.Errorf("%q is reserved", u)
		}
	}
}

func FuzzUsernames(f *testing.F) {
	f.Add("Kari", "Nordmann")
	f.Add("\xff\xfe", "İﬁ")
	f.Fuzz(func(t *testing.T, given, family string) {
		for _, u := range take(policy.Usernames(given, family), 3) {
			if !usernameForm.MatchString(u) || policy.ReservedUsername(u) {
				t.Fatalf("%q is no username", u)
			}
		}
	})
}

func BenchmarkUsernames(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		take(policy.Usernames("Åse Bjørg", "Sæther-Ødegård"), 1)
	}
}
