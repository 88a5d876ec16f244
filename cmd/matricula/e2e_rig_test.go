package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/standalone"
	"usn.no/matricula/testkit"
)

// rig is a whole installation of processes: a nats-server and a slapd from the
// files that ship, a mail server, and our binary once per role. The tests look
// at it from outside.
type rig struct {
	t       *testing.T
	broker  *testkit.NATSBroker
	slapd   *testkit.SlapdServer
	mailbox *standalone.Mailbox
	dir     string
	config  string
	base    string // the portal's address
	js      jetstream.JetStream
	running map[string]*exec.Cmd
	ended   map[string]chan error
	log     map[string]*bytes.Buffer
}

// binary is our program with failpoints, built once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "matricula-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "matricula")
	out, err := exec.Command("go", "build", "-tags", "failpoints", "-o", path, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// newRig starts the servers and sets them up; roles are started by start.
func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{
		t: t, broker: testkit.NATSProcess(t), slapd: testkit.Slapd(t), dir: t.TempDir(),
		running: map[string]*exec.Cmd{}, ended: map[string]chan error{}, log: map[string]*bytes.Buffer{},
	}
	r.mailbox = &standalone.Mailbox{}
	if err := r.mailbox.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.mailbox.Stop)
	portal := testkit.FreeAddress(t)
	r.base = "http://" + portal
	for name, login := range map[string]testkit.Login{"worker": r.slapd.Worker, "portal": r.slapd.Portal, "operator": r.slapd.Admin} {
		r.file("ldap-"+name, login.Password)
	}
	r.configure("")
	if out, code := r.run("setup"); code != exitDone {
		t.Fatalf("setup ended with %d:\n%s", code, out)
	}
	t.Cleanup(r.stopAll)
	return r
}

func (r *rig) file(name, text string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// configure writes the settings; a role that runs keeps those it began with.
// windows is TOML for the [[window]] part; empty: the default set.
func (r *rig) configure(windows string) {
	r.t.Helper()
	host, port, err := net.SplitHostPort(r.mailbox.SMTPAddr())
	if err != nil {
		r.t.Fatal(err)
	}
	var b strings.Builder
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	say("data_dir = %q\nallow_synthetic = true\n[nats]\nurl = %q\nmonitor_url = %q", filepath.Join(r.dir, "data"), r.broker.URL, r.broker.Monitor)
	for _, role := range []string{"worker", "mailer", "portal", "operator"} {
		say("[nats.%s]\nnkey_file = %q", role, r.broker.SeedFile(role))
	}
	say("[ldap]\nurl = %q\nbase_dn = %q", r.slapd.URL, r.slapd.Base)
	for role, login := range map[string]testkit.Login{"worker": r.slapd.Worker, "portal": r.slapd.Portal, "operator": r.slapd.Admin} {
		say("[ldap.%s]\nbind_dn = %q\nbind_password_file = %q", role, login.DN, filepath.Join(r.dir, "ldap-"+role))
	}
	say("[smtp]\nhost = %q\nport = %s\ntls = \"none\"\nfrom = \"no-reply@usn.example\"", host, port)
	say("[portal]\nlisten = %q\nbase_url = %q", strings.TrimPrefix(r.base, "http://"), r.base)
	say("[institution]\nname = \"USN\"\nrealm = %q\nsupport_email = \"it@usn.example\"", r.slapd.Realm)
	say("%s", windows)
	r.config = r.file("matricula.toml", b.String())
}

// run is one command of the operator's, to its end.
func (r *rig) run(args ...string) (string, int) {
	r.t.Helper()
	cmd := r.command("", args...)
	out, err := cmd.CombinedOutput()
	var e *exec.ExitError
	if err != nil && !errors.As(err, &e) {
		r.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func (r *rig) command(failpoint string, args ...string) *exec.Cmd {
	r.t.Helper()
	path, err := binary()
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), envPrefix+"CONFIG="+r.config)
	if failpoint != "" {
		cmd.Env = append(cmd.Env, envPrefix+"FAILPOINTS="+failpoint)
	}
	return cmd
}

// start starts a role as a process and waits until it says that it is ready.
func (r *rig) start(role string) { r.startAt(role, "") }

// startAt starts a role that kills itself at a failpoint.
func (r *rig) startAt(role, failpoint string) {
	r.t.Helper()
	cmd := r.command(failpoint, "serve", "--role", role)
	log, ended := &bytes.Buffer{}, make(chan error, 1)
	ready := &waitFor{want: `"message":"ready"`, seen: make(chan struct{}), into: log}
	cmd.Stderr, cmd.Stdout = ready, ready
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() { ended <- cmd.Wait() }()
	r.running[role], r.ended[role], r.log[role] = cmd, ended, log
	select {
	case <-ready.seen:
	case err := <-ended:
		if failpoint != "" { // it came to it at once, before or just after it was ready: died says whether it did
			ended <- err
			return
		}
		delete(r.running, role)
		r.t.Fatalf("%s ended before it was ready: %v\n%s", role, err, ready.text())
	case <-time.After(patience):
		r.t.Fatalf("%s was not ready within %s:\n%s", role, patience, ready.text())
	}
}

// died waits until a role has killed itself, and says so if it ended in any
// other way.
func (r *rig) died(role string) {
	r.t.Helper()
	select {
	case err := <-r.ended[role]:
		var e *exec.ExitError
		if !errors.As(err, &e) || e.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			r.t.Fatalf("%s ended by itself: %v", role, err)
		}
		delete(r.running, role)
	case <-time.After(patience):
		r.t.Fatalf("%s never came to its failpoint", role)
	}
}

// stop ends a role with SIGTERM and expects it to end well.
func (r *rig) stop(role string) {
	r.t.Helper()
	cmd := r.running[role]
	if cmd == nil {
		return
	}
	delete(r.running, role)
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-r.ended[role]:
		if err != nil {
			r.t.Errorf("%s did not end well: %v\n%s", role, err, r.log[role].String())
		}
	case <-time.After(patience):
		_ = cmd.Process.Kill()
		r.t.Errorf("%s did not end within %s of SIGTERM", role, patience)
	}
}

func (r *rig) stopAll() {
	for role := range r.running {
		r.stop(role)
	}
}

// waitFor is a writer that sees a text go by.
type waitFor struct {
	mu   sync.Mutex
	want string
	seen chan struct{}
	done bool
	into *bytes.Buffer
}

func (w *waitFor) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.into.Write(p)
	if !w.done && strings.Contains(w.into.String(), w.want) {
		w.done = true
		close(w.seen)
	}
	return n, err
}

func (w *waitFor) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.into.String()
}

// patience is how long a fact may take at least: a busy machine is no fault.
const patience = 2 * time.Minute

// eventually polls a fact until it holds, and fails with what was last seen.
func eventually(t *testing.T, within time.Duration, fact string, holds func() (bool, string)) {
	t.Helper()
	within = max(within, patience)
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	seen := ""
	err := until(ctx, func() (ok bool, err error) {
		ok, seen = holds()
		return ok, nil
	})
	if err != nil {
		t.Fatalf("%s: not within %s; last seen: %s", fact, within, seen)
	}
}
