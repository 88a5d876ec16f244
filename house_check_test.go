package house

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

func osTree() fs.FS { return os.DirFS(".") }

// good is a small house that stands.
func good() fstest.MapFS {
	return fstest.MapFS{
		"go.mod":       file("module usn.no/matricula\n\nrequire github.com/rs/zerolog v1.35.1\n"),
		"README.md":    file("| `github.com/rs/zerolog` | one line per message |\n"),
		"CHANGELOG.md": file("# Changelog\n"),
		"LICENSE":      file("Apache\n"),
		"account/account.go": file(`// Package account is what an account is and how it lives; it must not know LDAP.
package account

import _ "usn.no/matricula/events"
`),
		"worker/worker.go": file(`// Package worker takes messages and sees each one to its end; it must not know accounts.
package worker

import _ "github.com/rs/zerolog"
`),
		"worker/worker_test.go": file(`package worker

import (
	"time"

	_ "usn.no/matricula/testkit"
)

func wait() {
	time.Sleep(1) // waits for a lease to end, which nothing announces
}

func missing(t *testing.T) {
	if os.Getenv("REQUIRE") == "" {
		t.Skip()
	}
}

func draw() { check(func(t *rapid.T) { t.Skip() }) }
`),
		"bench/go.mod":       file("module usn.no/matricula/bench\n"),
		"bench/util/util.go": file("package util\n"),
	}
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

func TestGoodHouseHasNoFindings(t *testing.T) {
	t.Parallel()
	for _, f := range inspect(t, good()) {
		t.Errorf("a house that stands is faulted: %s", f)
	}
}

func TestEachRuleCanFail(t *testing.T) {
	t.Parallel()
	comment := "// Package x is here for a test of the rules of the house and must not know anything.\n"
	cases := []struct {
		fact, path, text string // text "" removes the file
		want             string // in the finding
	}{
		{"an adapter must not see the domain", "worker/a.go", "package worker\n\nimport _ \"usn.no/matricula/account\"\n", "worker must not import account"},
		{"ground imports nothing", "events/a.go", comment + "package events\n\nimport _ \"usn.no/matricula/policy\"\n", "events must not import policy"},
		{"a subfolder follows its parent", "mailer/letter/a.go", comment + "package letter\n\nimport _ \"usn.no/matricula/account\"\n", "mailer/letter must not import account"},
		{"the directory must not see its embedded twin", "directory/a.go", comment + "package directory\n\nimport _ \"usn.no/matricula/directory/kv\"\n", "directory must not import directory/kv"},
		{"cmd must not import test support", "cmd/matricula/a.go", comment + "package main\n\nimport _ \"usn.no/matricula/testkit\"\n", "cmd/matricula must not import testkit"},
		{"a product package must not import test support", "stream/a.go", comment + "package stream\n\nimport _ \"usn.no/matricula/directory/directorytest\"\n", "stream must not import directory/directorytest"},
		{"a new room is put in the table first", "billing/a.go", comment + "package billing\n", "not in the table of rooms"},
		{"the domain knows no LDAP", "account/a.go", "package account\n\nimport _ \"github.com/go-ldap/ldap/v3\"\n", "account must not know github.com/go-ldap/ldap/v3"},
		{"the embedded directory knows no LDAP", "directory/kv/a.go", comment + "package kv\n\nimport _ \"github.com/go-ldap/ldap/v3\"\n", "directory/kv must not know github.com/go-ldap"},
		{"the domain knows no HTTP", "account/a.go", "package account\n\nimport _ \"net/http\"\n", "account must not know net/http"},
		{"policy does no input or output", "policy/a.go", comment + "package policy\n\nimport _ \"os\"\n", "policy must not know os"},
		{"the domain reads no clock", "account/a.go", "package account\n\nimport \"time\"\n\nfunc f() time.Time { return time.Now() }\n", "must not read the clock"},
		{"a package says what it is for", "breach/a.go", "package breach\n", "package has no comment"},
		{"a package comment on a test file is none", "breach/a_test.go", comment + "package breach\n", "package has no comment"},
		{"a package comment says enough", "breach/a.go", "// Package breach is here.\npackage breach\n", "says too little"},
		{"a file ends after 300 lines", "worker/a.go", "package worker\n" + strings.Repeat("\n", 300), "301 lines, at most 300"},
		{"a folder has a name", "account/util/a.go", comment + "package util\n", "name it by the story"},
		{"a file has a name", "account/helpers.go", "package account\n", "name it by the story"},
		{"a test does not sleep", "worker/a_test.go", "package worker\n\nimport \"time\"\n\nfunc f() { time.Sleep(1) }\n", "must not sleep"},
		{"a remark that names no fact does not excuse sleep", "worker/a_test.go", "package worker\n\nimport \"time\"\n\nfunc f() { time.Sleep(1) } // waits for\n", "must not sleep"},
		{"a test does not skip by itself", "worker/a_test.go", "package worker\n\nimport \"testing\"\n\nfunc f(t *testing.T) { t.Skip() }\n", "must not skip"},
		{"a func missing that does not ask REQUIRE does not excuse a skip", "worker/a_test.go", "package worker\n\nfunc missing(t *testing.T) { t.Skip() }\n", "must not skip"},
		{"asking REQUIRE elsewhere does not excuse a skip", "worker/a_test.go", "package worker\n\nvar _ = os.Getenv(\"REQUIRE\")\n\nfunc f(t *testing.T) { t.Skip() }\n", "must not skip"},
		{"a test does not skip after a drawn value was thrown away", "worker/a_test.go", "package worker\n\nfunc f(t *testing.T) {\n\tg(func(t *rapid.T) {})\n\tt.Skip()\n}\n", "a_test.go:5: a test must not skip"},
		{"nothing happens in init", "worker/a.go", "package worker\n\nfunc init() {}\n", "init does its work"},
		{"nothing is left for later", "worker/a.go", "package worker\n\n// TO" + "DO: later\n", "unfinished by its own words"},
		{"a dependency has its reason", "README.md", "github.com/rs/zerolog is named, and not in the table\n", "does not say why github.com/rs/zerolog"},
		{"README names what is there", "README.md", "| `github.com/rs/zerolog` |\n\n`account/life.go` and `account/account.go`\n", "names account/life.go, which is not there"},
		{"there is a changelog", "CHANGELOG.md", "", "is missing or empty"},
		{"there is a licence", "LICENSE", "", "is missing or empty"},
	}
	for _, c := range cases {
		t.Run(c.fact, func(t *testing.T) {
			t.Parallel()
			tree := good()
			if c.text == "" {
				delete(tree, c.path)
			} else {
				tree[c.path] = file(c.text)
			}
			found := inspect(t, tree)
			for _, f := range found {
				if strings.Contains(f.String(), c.want) {
					return
				}
			}
			t.Errorf("nothing found says %q; found: %v", c.want, found)
		})
	}
}
