package table

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// sourceRows: Postfix' smtp-source hands letters of the same length to the same
// relay, as many at a time, one text for all, with nothing rendered, marked or
// told. Where it is not installed, POSTFIX_DIR names a folder that its package
// was unpacked in; where it is not there either, there are no rows.
func (p *place) sourceRows(r *report, work string, box *sink, n, size int, ours float64) {
	path, env := postfix(p.t, "smtp-source")
	if path == "" {
		r.doing("letters: smtp-source is not installed, and not in POSTFIX_DIR")
		return
	}
	const atOnce = 4 // as the mailer has it
	for _, how := range []struct{ what, option, value string }{
		{"a connection for each", "", "source"}, {"connections kept", "-d", "kept"},
	} {
		args := []string{"-s", strconv.Itoa(atOnce), "-m", strconv.Itoa(n), "-l", strconv.Itoa(size), "-f", "from@example.org", "-t", "to@example.org"}
		if how.option != "" {
			args = append(args, how.option)
		}
		before, _ := box.count()
		cmd := exec.Command(path, append(args, box.addr)...)
		cmd.Env = append(os.Environ(), env...)
		began := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			p.t.Fatalf("smtp-source: %v\n%s", err, out)
		}
		rate := float64(n) / time.Since(began).Seconds()
		if after, _ := box.count(); after-before != n {
			p.t.Fatalf("smtp-source says that it handed over %d letters; the relay has %d", n, after-before)
		}
		r.value("letters."+how.value, rate)
		r.add(row{
			work: work, what: fmt.Sprintf("smtp-source, %d at a time, %s: one text as long, nothing marked or told", atOnce, how.what),
			figure: perSecond(rate), ratio: ours / rate,
		})
	}
}

// postfix finds one of Postfix' tools, installed or unpacked, and what it needs
// in its environment.
func postfix(t testing.TB, name string) (path string, env []string) {
	t.Helper()
	dir := os.Getenv("POSTFIX_DIR")
	if dir == "" {
		path, _ = exec.LookPath(name)
		return path, nil
	}
	path, err := filepath.Abs(filepath.Join(dir, "usr", "sbin", name))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("POSTFIX_DIR: %v", err)
	}
	return path, []string{"LD_LIBRARY_PATH=" + filepath.Join(filepath.Dir(path), "..", "lib", "postfix")}
}
