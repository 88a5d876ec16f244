// Package house holds the architecture: who may import whom, that every
// package says what it is for, and the few habits that a machine can check. It
// is a test and nothing else; it must not know what any package does.
package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "usn.no/matricula"

// rooms says which packages of ours the product code of each folder may
// import. A folder that is not listed follows the nearest one above it that
// is, and may import that one; test files may import anything.
//
// "*" is everything but test support.
var rooms = map[string][]string{
	"":                        {},
	"events":                  {},
	"policy":                  {},
	"account":                 {"events", "policy"},
	"directory":               {"account"},
	"directory/kv":            {"account", "directory"},
	"directory/directorytest": {"account", "directory"},
	"stream":                  {"events"},
	"worker":                  {"events"},
	"mailer":                  {"events"},
	"breach":                  {},
	"portal":                  {"account"},
	"standalone":              {},
	"deploy":                  {},
	"testkit":                 {"deploy", "standalone", "stream"},
	"cmd/matricula":           {"*"},
}

// support is code for tests: no product package may import it.
var support = []string{"testkit", "directory/directorytest"}

// homes says where a library may be used, beside cmd/matricula, test support
// and test files. One that is not listed may be used anywhere.
var homes = map[string][]string{
	"github.com/go-ldap/ldap/v3":        {"directory"},
	"github.com/nats-io/nats-server/v2": {"standalone"},
	"github.com/nats-io/nats.go":        {"stream", "worker", "directory/kv", "standalone"},
	"github.com/wneessen/go-mail":       {"mailer"},
	"github.com/emersion/go-smtp":       {"standalone"},
	"github.com/spf13/cobra":            {},
	"github.com/pelletier/go-toml/v2":   {"portal"},
	"github.com/caarlos0/env/v11":       {},
	"github.com/mozillazg/go-unidecode": {"policy"},
	"golang.org/x/crypto":               {"directory"},
	"github.com/rs/zerolog":             {"directory", "stream", "worker", "mailer", "portal", "breach", "standalone"},
	"net/http":                          {"portal", "standalone", "breach", "stream"},
	"net/smtp":                          {},
	"os":                                {"directory", "stream", "worker", "mailer", "portal", "breach", "standalone", "deploy"},
}

// noClock may not ask what time it is: facts come in as arguments.
var noClock = []string{"events", "policy", "account"}

const (
	longestFile = 300 // lines, product code
	badWords    = "internal pkg util utils common models services helpers misc"
)

// finding is one place that breaks a rule of the house.
type finding struct{ where, what string }

func (f finding) String() string { return f.where + ": " + f.what }

// source is one Go file of the module.
type source struct {
	path, folder string
	test         bool
	lines        int
	file         *ast.File
	fset         *token.FileSet
}

func (s source) at(pos token.Pos) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(pos).Line)
}

func TestTheHouseStands(t *testing.T) {
	t.Parallel()
	tree := os.DirFS(".")
	if n := len(readSources(t, tree)); n < 50 {
		t.Fatalf("only %d Go files were found: the rules would hold of nothing", n)
	}
	for _, f := range inspect(t, tree) {
		t.Error(f)
	}
}

// inspect applies every rule to a tree.
func inspect(t *testing.T, tree fs.FS) []finding {
	t.Helper()
	sources := readSources(t, tree)
	found := folders(t, tree)
	for _, s := range sources {
		found = append(found, imports(s)...)
		found = append(found, habits(s)...)
	}
	found = append(found, packageComments(sources)...)
	return append(found, documents(t, tree, sources)...)
}

// readSources parses the Go files of the module, leaving out nested modules,
// test data and what is fetched.
func readSources(t *testing.T, tree fs.FS) []source {
	t.Helper()
	var out []source
	walkTree(t, tree, func(p string, d fs.DirEntry) {
		if d.IsDir() || path.Ext(p) != ".go" {
			return
		}
		text, err := fs.ReadFile(tree, p)
		if err != nil {
			t.Fatalf("reading %s: %v", p, err)
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, p, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("%s is not Go: %v", p, err)
		}
		folder := path.Dir(p)
		if folder == "." {
			folder = ""
		}
		out = append(out, source{
			path: p, folder: folder, test: strings.HasSuffix(p, "_test.go"),
			lines: strings.Count(string(text), "\n"), file: file, fset: fset,
		})
	})
	return out
}

func walkTree(t *testing.T, tree fs.FS, visit func(p string, d fs.DirEntry)) {
	t.Helper()
	err := fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != "." {
			if strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"testdata", "node_modules", "bin"}, d.Name()) {
				return fs.SkipDir
			}
			if _, err := fs.Stat(tree, path.Join(p, "go.mod")); err == nil {
				return fs.SkipDir
			}
		}
		visit(p, d)
		return nil
	})
	if err != nil {
		t.Fatalf("walking the tree: %v", err)
	}
}

// folders finds names that say nothing about the story.
func folders(t *testing.T, tree fs.FS) []finding {
	t.Helper()
	var out []finding
	walkTree(t, tree, func(p string, _ fs.DirEntry) {
		name := strings.TrimSuffix(strings.TrimSuffix(path.Base(p), ".go"), "_test")
		if slices.Contains(strings.Fields(badWords), name) {
			out = append(out, finding{p, "name it by the story: " + name + " says nothing about it"})
		}
	})
	return out
}

// room finds the row that holds for a folder.
func room(folder string) (row string, ok bool) {
	for row = folder; ; row = path.Dir(row) {
		if _, ok := rooms[row]; ok {
			return row, true
		}
		if !strings.Contains(row, "/") {
			return "", false
		}
	}
}

// imports holds the table of rooms and the homes of libraries.
func imports(s source) []finding {
	row, known := room(s.folder)
	if !known {
		return []finding{{s.path, "folder " + s.folder + " is not in the table of rooms"}}
	}
	if s.test {
		return nil
	}
	var out []finding
	for _, i := range s.file.Imports {
		what := strings.Trim(i.Path.Value, `"`)
		if ours, ok := strings.CutPrefix(what, module+"/"); ok {
			if !mayImport(row, ours) {
				out = append(out, finding{s.at(i.Pos()), fmt.Sprintf("%s must not import %s", s.folder, ours)})
			}
		} else if lib, allowed := home(what); lib != "" && !atHome(row, allowed) {
			out = append(out, finding{s.at(i.Pos()), fmt.Sprintf("%s must not know %s", s.folder, lib)})
		}
	}
	return out
}

func mayImport(row, ours string) bool {
	to, _ := room(ours)
	switch {
	case row == to: // within one room
		return true
	case slices.Contains(support, to):
		return slices.Contains(support, row)
	}
	return slices.Contains(rooms[row], to) || slices.Contains(rooms[row], "*")
}

func home(imported string) (lib string, allowed []string) {
	for lib, allowed := range homes {
		if imported == lib || strings.HasPrefix(imported, lib+"/") {
			return lib, allowed
		}
	}
	return "", nil
}

func atHome(row string, allowed []string) bool {
	return row == "cmd/matricula" || slices.Contains(support, row) || slices.Contains(allowed, row)
}
