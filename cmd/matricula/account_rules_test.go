package main

import (
	"os"
	"path/filepath"
	"testing"

	"usn.no/matricula/account"
	"usn.no/matricula/portal"
)

func TestWhoHasNotAcceptedTheRulesInForceIsListed(t *testing.T) {
	t.Parallel()
	s := &system{cfg: DefaultConfig()}
	s.cfg.Institution.RulesDir = File(t.TempDir())
	write := func(version string) {
		t.Helper()
		for _, lang := range []string{"nb", "nn", "en"} {
			text := "version: " + version + "\n# Rules " + lang + "\n\nBe kind.\n"
			if err := os.WriteFile(filepath.Join(string(s.cfg.Institution.RulesDir), lang+".md"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	write("1")
	first, err := portal.Rules(s.institution())
	if err != nil {
		t.Fatal(err)
	}
	people := map[string]account.Account{
		"accepted in English": {State: account.Active, Rules: first[2]},
		"never":               {State: account.Active},
		"an older text":       {State: account.Suspended, Rules: account.Acceptance{Version: "1", Hash: "other"}},
		"pending":             {State: account.Pending},
		"closed":              {State: account.Closed},
	}
	listed := func(names ...string) {
		t.Helper()
		owes, err := s.owesRules()
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{}
		for _, n := range names {
			want[n] = true
		}
		for name, a := range people {
			if owes(a) != want[name] {
				t.Errorf("%s: listed is %t", name, owes(a))
			}
		}
	}
	listed("never", "an older text")
	write("2")
	listed("never", "an older text", "accepted in English")
	s.cfg.Institution.RulesDir = File(t.TempDir())
	if _, err := s.owesRules(); err == nil {
		t.Error("a folder without rules lists somebody")
	}
}
