package testkit

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// Where the test directory lives.
const (
	SlapdBase  = "dc=usn,dc=example"
	SlapdRealm = "usn.example"
)

// Login is who binds.
type Login struct{ DN, Password string }

// SlapdServer is an OpenLDAP server of its own process, set up from the files
// of deploy/ldap in a temporary directory and stopped with the test.
type SlapdServer struct {
	URL       string // ldap://ADDRESS:port, on loopback
	TLSURL    string // ldaps://127.0.0.1:port, with a certificate of CAFile for it, localhost and the address of URL
	SocketURL string // ldapi://…
	CAFile    string
	Base      string
	Realm     string
	Dir       string

	Worker, Portal, Reader, Admin Login

	tb      testing.TB
	install *slapdInstall

	mu  sync.Mutex
	run *process
}

// Slapd starts a server, or skips the test with the reason where none can be
// had. With REQUIRE=slapd in the environment the test fails instead.
func Slapd(tb testing.TB) *SlapdServer {
	tb.Helper()
	install, err := findSlapd()
	if err != nil {
		missing(tb, "slapd", err)
	}
	return newSlapd(tb, install)
}

func newSlapd(tb testing.TB, install *slapdInstall) *SlapdServer {
	tb.Helper()
	dir := tempDir(tb)
	s := &SlapdServer{
		Base: SlapdBase, Realm: SlapdRealm, Dir: dir, CAFile: filepath.Join(dir, "ca.pem"),
		Worker: login("cn=worker,ou=services,"), Portal: login("cn=portal,ou=services,"),
		Reader: login("cn=reader,ou=services,"), Admin: login("cn=admin,"),
		SocketURL: "ldapi://" + url.PathEscape(filepath.Join(dir, "ldapi")),
		tb:        tb, install: install,
	}
	err := s.prepare()
	if err != nil {
		tb.Fatalf("slapd cannot be set up: %v", err)
	}
	// ldaps is where "localhost" leads, and a port that is free here may be
	// taken there.
	for range 5 {
		own := FreeAddress(tb)
		s.URL, s.TLSURL = "ldap://"+own, "ldaps://127.0.0.1"+own[strings.LastIndex(own, ":"):]
		if err = s.start(); err == nil {
			break
		}
	}
	if err != nil {
		tb.Fatalf("slapd does not start: %v", err)
	}
	tb.Cleanup(s.stop)
	return s
}

// missing skips or fails, as REQUIRE says.
func missing(tb testing.TB, what string, err error) {
	tb.Helper()
	for _, r := range strings.Split(os.Getenv("REQUIRE"), ",") {
		if strings.TrimSpace(r) == what {
			tb.Fatalf("%s is required and missing: %v", what, err)
		}
	}
	tb.Skipf("%s is missing: %v", what, err)
}

// tempDir is short: the path of a socket has no more than 107 bytes.
func tempDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "slapd")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func login(dn string) Login { return Login{DN: dn + SlapdBase, Password: rand.Text()} }

// start runs slapd and waits until it answers.
func (s *SlapdServer) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	log, err := os.OpenFile(filepath.Join(s.Dir, "slapd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd := s.install.command("slapd", "-f", filepath.Join(s.Dir, "slapd.conf"),
		"-h", s.URL+" "+s.TLSURL+" "+s.SocketURL, "-d", "0")
	cmd.Stdout, cmd.Stderr = log, log
	s.run, err = startProcess(cmd)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	for {
		// The socket is in our own folder and is opened after the ports.
		c, err := ldap.DialURL(s.SocketURL)
		if err == nil {
			_ = c.Close()
			return nil
		}
		select {
		case <-s.run.done:
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("slapd ended: %s", text)
		case <-ctx.Done():
			s.run.signal(syscall.SIGKILL)
			return fmt.Errorf("slapd does not answer: %w", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Kill ends the server as a crash does and waits until it is gone.
func (s *SlapdServer) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run.signal(syscall.SIGKILL)
	<-s.run.done
}

// Start starts the server again after Kill, on the same addresses and data. The
// port of TLSURL is everybody's: who has taken it meanwhile gives it back soon.
func (s *SlapdServer) Start() {
	s.tb.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; {
		err := s.start()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.tb.Fatalf("slapd does not start again: %v", err)
		}
		time.Sleep(100 * time.Millisecond) // between two tries
	}
}

// PID is the server's process.
func (s *SlapdServer) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run.cmd.Process.Pid
}

// Tool is one of the server's own tools, slapcat or slapadd, on its settings.
func (s *SlapdServer) Tool(name string, args ...string) *exec.Cmd {
	return s.install.command(append([]string{name, "-f", filepath.Join(s.Dir, "slapd.conf")}, args...)...)
}

// Pause stops the process where it stands; connections stay open.
func (s *SlapdServer) Pause() { s.signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (s *SlapdServer) Resume() { s.signal(syscall.SIGCONT) }

func (s *SlapdServer) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run.signal(sig)
}

func (s *SlapdServer) pid() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strconv.Itoa(s.run.cmd.Process.Pid)
}

func (s *SlapdServer) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.run.signal(syscall.SIGCONT)
	s.run.signal(syscall.SIGTERM)
	select {
	case <-s.run.done:
	case <-time.After(10 * time.Second):
		s.run.signal(syscall.SIGKILL)
		<-s.run.done
	}
}

// Conn is a connection bound as who, closed with the test.
func (s *SlapdServer) Conn(tb testing.TB, who Login) *ldap.Conn {
	tb.Helper()
	c, err := s.bind(who)
	if err != nil {
		tb.Fatalf("%s cannot bind: %v", who.DN, err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}

func (s *SlapdServer) bind(who Login) (*ldap.Conn, error) {
	c, err := ldap.DialURL(s.URL)
	if err != nil {
		return nil, err
	}
	c.SetTimeout(60 * time.Second)
	if err := c.Bind(who.DN, who.Password); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// Person is the login of a person.
func (s *SlapdServer) Person(username, password string) Login {
	return Login{DN: "uid=" + ldap.EscapeDN(username) + ",ou=people," + s.Base, Password: password}
}

// Whoami binds and asks the server who that is, as ldapwhoami does. The error
// is the server's.
func (s *SlapdServer) Whoami(who Login) (string, error) {
	c, err := s.bind(who)
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	r, err := c.WhoAmI(nil)
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(r.AuthzID, "dn:"), nil
}

// Search looks among people for what filter matches, as ldapsearch does.
// Attributes are all where none is named.
func (s *SlapdServer) Search(tb testing.TB, who Login, filter string, attributes ...string) []*ldap.Entry {
	tb.Helper()
	c, err := s.bind(who)
	if err != nil {
		tb.Fatalf("%s cannot bind: %v", who.DN, err)
	}
	defer func() { _ = c.Close() }()
	r, err := c.Search(ldap.NewSearchRequest("ou=people,"+s.Base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases,
		0, 0, false, filter, attributes, nil))
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
		return nil // not even the base is shown to who
	}
	if err != nil {
		tb.Fatalf("%s cannot search %s: %v", who.DN, filter, err)
	}
	return r.Entries
}

// LDAPSearch runs the program ldapsearch and answers what it prints. It skips
// the test where there is none.
func (s *SlapdServer) LDAPSearch(tb testing.TB, who Login, args ...string) string {
	tb.Helper()
	path, err := exec.LookPath("ldapsearch")
	if err != nil {
		missing(tb, "ldap-utils", err)
	}
	file := filepath.Join(s.Dir, "pw."+rand.Text())
	if err := os.WriteFile(file, []byte(who.Password), 0o600); err != nil {
		tb.Fatal(err)
	}
	out, err := exec.Command(path, append([]string{"-x", "-LLL", "-o", "ldif-wrap=no", "-H", s.URL, "-D", who.DN, "-y", file, "-b", s.Base}, args...)...).CombinedOutput()
	if err != nil {
		tb.Fatalf("ldapsearch: %v\n%s", err, out)
	}
	return string(out)
}
