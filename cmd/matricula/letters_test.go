package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func lettersOf(t *testing.T, sentence string) *system {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "words"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "words", "nb.json"), []byte(sentence), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &system{cfg: DefaultConfig(), clock: &clock{}}
	s.clock.set(time.Now())
	s.cfg.Letters.TemplatesDir, s.cfg.Portal.BaseURL = File(dir), "https://konto.example.no"
	s.cfg.Institution.NameNB = "Universitetet i Prøven"
	return s
}

func TestLettersOfAnInstitutionAreItsOwn(t *testing.T) {
	t.Parallel()
	s := lettersOf(t, `{"reset.heading": "Nytt passord hos oss"}`)
	all, err := s.previews()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 9*3*8 {
		t.Errorf("%d previews of nine letters in three languages", len(all))
	}
	changed, named := 0, 0
	for _, p := range all {
		if strings.Contains(p.Text, "Nytt passord hos oss") {
			changed++
		}
		if strings.Contains(p.HTML, "Universitetet i Prøven") != (p.Language == "nb") {
			t.Fatalf("%s in %s has the name of another language", p.Letter, p.Language)
		}
		if p.Language == "nb" {
			named++
		}
	}
	if changed == 0 || named == 0 {
		t.Errorf("the changed sentence stands in %d letters, %d are in bokmål", changed, named)
	}
}

func TestLettersThatDoNotHoldStopTheStart(t *testing.T) {
	t.Parallel()
	s := lettersOf(t, `{"reset.heading": "Hei {nobody}"}`)
	if _, err := s.letters(); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("a broken sentence is taken: %v", err)
	}
	s.cfg.Letters.TemplatesDir = "/nowhere/at/all"
	if _, err := s.letters(); err == nil || !strings.Contains(err.Error(), "letters.templates_dir") {
		t.Errorf("a folder that is not there is taken: %v", err)
	}
}
