package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unfinished are the marks of work that was left.
var unfinished = regexp.MustCompile(`\b(` + "TO" + "DO|FIX" + "ME|XX" + `X)\b`)

// waitsFor is what a line that sleeps in a test must say: what nothing
// announces, or that a loop polls a fact.
var waitsFor = regexp.MustCompile(`^// (waits for|between two looks at) \w+`)

// namedFile is a file or folder of ours in a text.
var namedFile = regexp.MustCompile("`((?:[a-z0-9_]+/)+[a-z0-9_.]+)`")

// habits are the rules that hold of one file.
func habits(s source) []finding {
	var out []finding
	if !s.test && s.lines > longestFile {
		out = append(out, finding{s.path, fmt.Sprintf("%d lines, at most %d: split it by the story", s.lines, longestFile)})
	}
	remarks := map[int]string{}
	for _, group := range s.file.Comments {
		for _, c := range group.List {
			remarks[s.fset.Position(c.Pos()).Line] = c.Text
			if unfinished.MatchString(c.Text) {
				out = append(out, finding{s.at(c.Pos()), "unfinished by its own words: finish it or say what falls short"})
			}
		}
	}
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			out = append(out, finding{s.at(f.Pos()), "init does its work behind the caller's back: let the caller call it"})
		}
	}
	var inside []*ast.FuncType // with the functions around it
	var ends []token.Pos
	ast.Inspect(s.file, func(n ast.Node) bool {
		for n != nil && len(ends) > 0 && n.Pos() >= ends[len(ends)-1] {
			inside, ends = inside[:len(inside)-1], ends[:len(ends)-1]
		}
		switch f := n.(type) {
		case *ast.FuncDecl:
			inside, ends = append(inside, f.Type), append(ends, f.End())
		case *ast.FuncLit:
			inside, ends = append(inside, f.Type), append(ends, f.End())
		}
		call, ok := n.(*ast.SelectorExpr)
		if !ok || discards(call, inside) {
			return true
		}
		if f, bad := habit(s, call, remarks[s.fset.Position(call.Pos()).Line]); bad {
			out = append(out, f)
		}
		return true
	})
	return out
}

// discards tells whether x is a method of a *rapid.T, whose Skip throws one
// drawn value away and skips no test.
func discards(x *ast.SelectorExpr, inside []*ast.FuncType) bool {
	id, ok := x.X.(*ast.Ident)
	if !ok {
		return false
	}
	for _, f := range slices.Backward(inside) {
		for _, p := range f.Params.List {
			if !slices.ContainsFunc(p.Names, func(n *ast.Ident) bool { return n.Name == id.Name }) {
				continue
			}
			star, isPointer := p.Type.(*ast.StarExpr)
			if !isPointer {
				return false
			}
			of, isOther := star.X.(*ast.SelectorExpr)
			if !isOther {
				return false
			}
			pkg, isName := of.X.(*ast.Ident)
			return isName && pkg.Name == "rapid"
		}
	}
	return false
}

// habit judges one x.Sel; remark is the comment on its line.
func habit(s source, x *ast.SelectorExpr, remark string) (finding, bool) {
	pkg := ""
	if id, ok := x.X.(*ast.Ident); ok {
		pkg = id.Name
	}
	row, _ := room(s.folder)
	name := x.Sel.Name
	switch {
	case s.test && pkg == "time" && name == "Sleep" && !waitsFor.MatchString(remark):
		return finding{s.at(x.Pos()), "a test must not sleep: poll the fact with a deadline, or say on the line what it // waits for"}, true
	case s.test && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, name) && (pkg == "t" || pkg == "tb") && !asksREQUIRE(s, x.Pos()):
		return finding{s.at(x.Pos()), "a test must not skip by itself: only func missing may, where REQUIRE can turn the skip into a failure"}, true
	case !s.test && pkg == "time" && (name == "Now" || name == "Since" || name == "Until") && slices.Contains(noClock, row):
		return finding{s.at(x.Pos()), row + " must not read the clock: the time comes in as an argument"}, true
	}
	return finding{}, false
}

// asksREQUIRE tells whether pos is in a func missing, in a file that reads the
// variable REQUIRE. Test support may do it anywhere.
func asksREQUIRE(s source, pos token.Pos) bool {
	if row, _ := room(s.folder); row == "testkit" {
		return true
	}
	reads := false
	ast.Inspect(s.file, func(n ast.Node) bool {
		word, ok := n.(*ast.BasicLit)
		reads = reads || ok && word.Value == `"REQUIRE"`
		return true
	})
	return reads && slices.ContainsFunc(s.file.Decls, func(d ast.Decl) bool {
		f, ok := d.(*ast.FuncDecl)
		return ok && f.Name.Name == "missing" && f.Pos() <= pos && pos < f.End()
	})
}

// packageComments wants one comment per package, on one file.
func packageComments(sources []source) []finding {
	said, first := map[string]string{}, map[string]string{}
	for _, s := range sources {
		if _, seen := first[s.folder]; !seen {
			first[s.folder] = s.path
		}
		if s.test && s.folder != "" || s.file.Doc == nil { // the root has tests only
			continue
		}
		said[s.folder] = s.file.Doc.Text()
	}
	var out []finding
	for folder, p := range first {
		switch text := said[folder]; {
		case text == "":
			out = append(out, finding{p, "package has no comment: say what it is for, then what it must not know"})
		case len(strings.Fields(text)) < 12:
			out = append(out, finding{p, "package comment says too little: what it is for, then what it must not know"})
		}
	}
	return out
}

// documents holds README and CHANGELOG to the code.
func documents(t *testing.T, tree fs.FS, sources []source) []finding {
	t.Helper()
	var out []finding
	for _, name := range []string{"README.md", "CHANGELOG.md", "LICENSE", "go.mod"} {
		if text, err := fs.ReadFile(tree, name); err != nil || len(text) == 0 {
			out = append(out, finding{name, "is missing or empty"})
		}
	}
	readme, _ := fs.ReadFile(tree, "README.md")
	for _, m := range namedFile.FindAllSubmatch(readme, -1) {
		if _, err := fs.Stat(tree, string(m[1])); err != nil {
			out = append(out, finding{"README.md", "names " + string(m[1]) + ", which is not there"})
		}
	}
	mod, _ := fs.ReadFile(tree, "go.mod")
	for _, dep := range dependencies(string(mod), sources) {
		if !strings.Contains(string(readme), "| `"+dep+"` |") {
			out = append(out, finding{"README.md", "does not say why " + dep + " is a dependency"})
		}
	}
	return out
}

// dependencies are the modules that our code imports. They are read from the
// imports: the remarks in go.mod follow only when somebody tidies it.
func dependencies(mod string, sources []source) []string {
	var known []string
	for line := range strings.Lines(mod) {
		if f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require ")); len(f) >= 2 && strings.HasPrefix(f[1], "v") {
			known = append(known, f[0])
		}
	}
	used := map[string]bool{}
	for _, s := range sources {
		for _, i := range s.file.Imports {
			what := strings.Trim(i.Path.Value, `"`)
			for _, m := range known {
				if what == m || strings.HasPrefix(what, m+"/") {
					used[m] = true
				}
			}
		}
	}
	var out []string
	for m := range used {
		out = append(out, m)
	}
	slices.Sort(out)
	return out
}

func TestEveryRoomExists(t *testing.T) {
	t.Parallel()
	here := map[string]bool{}
	for _, s := range readSources(t, osTree()) {
		here[s.folder] = true
	}
	for row := range rooms {
		if !here[row] && row != "" {
			t.Errorf("the table of rooms has %s, and there is no such package", row)
		}
	}
	for lib, rows := range homes {
		for _, row := range rows {
			if _, ok := rooms[row]; !ok {
				t.Errorf("%s is at home in %s, which is not in the table of rooms", lib, path.Clean(row))
			}
		}
	}
}
