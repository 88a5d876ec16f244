package table

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/deploy"
	"usn.no/matricula/testkit"
)

// place is an installation on the files that ship: a durable broker, a slapd
// that syncs, and roles as processes.
type place struct {
	t      testing.TB
	dir    string
	binary string
	broker *testkit.NATSBroker
	slapd  *testkit.SlapdServer
	sink   string
	portal string
	config string
	js     jetstream.JetStream // the operator's
	hr     jetstream.JetStream // the first source's, once it has published
	served int                 // workers so far
	env    []string
	nice   string // by how much a worker gives way; empty: not at all
}

// newPlace starts the servers and sets them up. sink is where letters go;
// opens says when the window of students opens.
func newPlace(t testing.TB, binary, sink, opens string) *place {
	t.Helper()
	return newPlaceAt(t, binary, sink, opens, testkit.Slapd(t))
}

// newPlaceAt is a place with a broker of its own over a directory that others
// may use as well.
func newPlaceAt(t testing.TB, binary, sink, opens string, slapd *testkit.SlapdServer) *place {
	t.Helper()
	p := &place{t: t, dir: t.TempDir(), binary: binary, broker: testkit.NATSProcess(t), slapd: slapd, sink: sink, portal: freePort(t)}
	p.configure(opens)
	p.run("setup")
	p.js = p.broker.JetStream("operator")
	return p
}

func (p *place) file(name, text string) string {
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

func (p *place) configure(opens string) {
	host, port, err := net.SplitHostPort(p.sink)
	if err != nil {
		p.t.Fatal(err)
	}
	var b bytes.Buffer
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	say("data_dir = %q\nallow_synthetic = true\n[log]\nlevel = \"warn\"\n[nats]\nurl = %q", filepath.Join(p.dir, "data"), p.broker.URL)
	for _, role := range []string{"worker", "mailer", "portal", "operator"} {
		say("[nats.%s]\nnkey_file = %q", role, p.broker.SeedFile(role))
	}
	say("[ldap]\nurl = %q\nbase_dn = %q", p.slapd.URL, p.slapd.Base)
	for role, login := range map[string]testkit.Login{"worker": p.slapd.Worker, "portal": p.slapd.Portal, "operator": p.slapd.Admin} {
		say("[ldap.%s]\nbind_dn = %q\nbind_password_file = %q", role, login.DN, p.file("ldap-"+role, login.Password))
	}
	say("[smtp]\nhost = %q\nport = %s\ntls = \"none\"\nfrom = \"no-reply@usn.example\"", host, port)
	say("[portal]\nlisten = %q\nbase_url = %q", p.portal, "http://"+p.portal)
	say("[institution]\nname = \"USN\"\nrealm = %q\nsupport_email = \"it@usn.example\"", p.slapd.Realm)
	say("[[window]]\nname = \"students\"\npopulation = \"student\"\nopens = %q", opens)
	say("[[window]]\nname = \"hire\"\npopulation = \"employee\"\nopens = \"at-once\"")
	p.config = p.file("matricula.toml", b.String())
}

func (p *place) command(env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(p.binary, args...)
	cmd.Env = append(append(append(os.Environ(), "MATRICULA_CONFIG="+p.config), p.env...), env...)
	return cmd
}

func (p *place) run(args ...string) string {
	p.t.Helper()
	out, err := p.command(nil, args...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// serve starts a role and answers when it is ready, and how long that took.
func (p *place) serve(role, name string, env ...string) (*proc, time.Duration) {
	p.t.Helper()
	metrics := freePort(p.t)
	began := time.Now()
	cmd := p.command(append(env, "MATRICULA_METRICS_LISTEN="+metrics), "serve", "--role", role)
	if role == "worker" && p.nice != "" {
		cmd = niced(cmd, p.nice)
	}
	r := start(p.t, p.dir, name, cmd)
	for time.Since(began) < 30*time.Second && !r.ended() {
		resp, err := http.Get("http://" + metrics + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return r, time.Since(began)
			}
		}
		time.Sleep(time.Millisecond)
	}
	p.t.Fatalf("%s was not ready: %s", name, r.tail())
	return nil, 0
}

// niced is a command that gives way to others; it keeps its process.
func niced(cmd *exec.Cmd, by string) *exec.Cmd {
	less := exec.Command("nice", append([]string{"-n", by, cmd.Path}, cmd.Args[1:]...)...)
	less.Env = cmd.Env
	return less
}

// unitNice is how much the worker's unit lets it give way.
func unitNice(t testing.TB) string {
	t.Helper()
	unit, err := deploy.Platforms.ReadFile("systemd/matricula-worker.service")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^Nice=(\d+)$`).FindSubmatch(unit)
	if found == nil {
		t.Fatal("the worker's unit has no Nice")
	}
	return string(found[1])
}

// brokerPID and slapdPID are the servers' processes.
func (p *place) brokerPID() int { return pidOf("nats-server", p.broker.Dir) }
func (p *place) slapdPID() int  { return pidOf("slapd", p.slapd.Dir) }

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
