package deploy_test

import (
	"strings"
	"testing"

	"usn.no/matricula/deploy"
)

func TestFillReplacesEveryWordOrRefuses(t *testing.T) {
	t.Parallel()
	got, err := deploy.Fill("suffix @BASE@\n@TLS@\nmail a@b.no", map[string]string{"BASE": "dc=usn", "TLS": "one\ntwo"})
	if err != nil || got != "suffix dc=usn\none\ntwo\nmail a@b.no" {
		t.Errorf("filled text is %q, error %v", got, err)
	}
	if _, err := deploy.Fill("a\nsuffix @BASE@", nil); err == nil || !strings.Contains(err.Error(), "line 2: no value for @BASE@") {
		t.Errorf("a word without a value gave %v", err)
	}
	if _, err := deploy.Fill("suffix @BASE@", map[string]string{"BASE": "dc=x\nrootpw y"}); err == nil {
		t.Error("a line break smuggled a directive into the text")
	}
}
