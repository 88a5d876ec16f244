package faults

import (
	"fmt"
	"math/rand/v2"
	"net"

	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/testkit"
)

// house is a whole installation of processes, on the files that ship.
type house struct {
	t       testing.TB
	seed    uint64
	random  *rand.Rand // of the goroutine that leads
	dir     string
	binary  string
	nats    string // the server's program
	config  string
	base    string
	broker  *testkit.NATSBroker
	natsd   *child
	cluster *cluster // of brokers; nil: one broker
	apart   bool     // the other version reads other lanes
	slapd   *testkit.SlapdServer
	sink    *sink
	ledger  *ledger
	cast    *cast
	roles   map[string]*role
	portals []string
	js      jetstream.JetStream
	sources map[string]jetstream.JetStream
	people  []*person
	poison  []string // message IDs that must be refused, each once
	seen    snapshot // what earlier checks saw
	leaks   []string // secrets that no log may hold

	mutant   string        // a safeguard that is taken out: violations are what is expected
	fair     *fair         // what a wait is worth on a busy machine
	patience time.Duration // how long after the last fault everything must be finished
	firstRed time.Time

	backup backup
	mended *person // at whom every worker fails, until it is mended

	closing    chan struct{}
	tending    sync.WaitGroup
	violated   []string
	mu         sync.Mutex
	kills      map[string]int
	disks      int                  // images that were made
	unanswered atomic.Int64         // publishes without an acknowledgement
	ambiguous  atomic.Int64         // kills of the mailer
	outage     atomic.Pointer[mark] // since when roles may not end by themselves, soon
	slowest    string
}

// role is one process of ours, restarted when it ends, as systemd does.
type role struct {
	name, kind string
	env        []string
	wires      []string // environment of this round only
	points     string   // failpoints of this round only
	binary     string   // of another version; empty: the house's
	metrics    string
	hold       sync.Mutex // whoever holds it may kill and start it
	child      *child
}

// roleNames are the processes of ours.
var roleNames = []string{"worker-1", "worker-2", "mailer-1", "portal-1", "portal-2"} //nolint:gochecknoglobals // a constant list

// newHouse starts the servers, sets them up and starts every role.
func newHouse(t testing.TB, binary, natsServer string, seed uint64, mutant string) *house {
	t.Helper()
	return openHouse(t, binary, natsServer, seed, mutant, (*house).oneBroker)
}

// openHouse does so with the brokers that brokers starts.
func openHouse(t testing.TB, binary, natsServer string, seed uint64, mutant string, brokers func(*house) error) *house {
	t.Helper()
	h := &house{
		t: t, seed: seed, mutant: mutant, fair: newFair(), patience: settles, random: rand.New(rand.NewPCG(seed, 1)), dir: keptDir(t), binary: binary, nats: natsServer,
		broker: testkit.NATSProcess(t), slapd: testkit.Slapd(t), cast: &cast{}, roles: map[string]*role{},
		sources: map[string]jetstream.JetStream{}, closing: make(chan struct{}), kills: map[string]int{}, seen: newSnapshot(),
	}
	h.broker.Kill() // from here on we start it ourselves, and may kill it while it starts
	err := brokers(h)
	if err != nil {
		t.Fatal(err)
	}
	if h.sink, err = newSink(rand.New(rand.NewPCG(seed, 2))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.sink.stop)
	if h.ledger, err = newLedger(filepath.Join(h.dir, "ledger.jsonl")); err != nil {
		t.Fatal(err)
	}
	if err := h.fair.beat(h.dir, h.closing); err != nil {
		t.Fatal(err)
	}
	h.portals = []string{freePort(t), freePort(t)}
	h.base = "http://" + h.portals[0]
	for name, login := range h.logins() {
		h.file("ldap-"+name, login.Password)
	}
	h.configure(time.Now().Add(24 * time.Hour))
	if err := h.setUp(); err != nil {
		t.Fatal(err)
	}
	h.js = h.broker.JetStream("operator", nats.PingInterval(time.Second))
	for _, s := range []string{"hr", "admissions", "it"} {
		h.sources[s] = h.broker.JetStream(s, nats.PingInterval(time.Second))
	}
	for i, name := range roleNames {
		kind, _, _ := strings.Cut(name, "-")
		r := &role{name: name, kind: kind, metrics: freePort(t)}
		r.env = []string{"MATRICULA_METRICS_LISTEN=" + r.metrics}
		if kind == "portal" {
			r.env = append(r.env, "MATRICULA_PORTAL_LISTEN="+h.portals[i-3])
		}
		h.roles[name] = r
		h.launch(r, "")
		h.tending.Add(1)
		go h.tend(r)
	}
	t.Cleanup(h.close)
	if m := h.fair.mark(); !h.allReady(20 * time.Second) {
		t.Fatalf("the roles were not ready within %s", h.fair.said(m))
	}
	return h
}

func (h *house) close() {
	close(h.closing)
	h.tending.Wait()
	for _, r := range h.roles {
		r.hold.Lock()
		r.child.kill()
		r.hold.Unlock()
	}
}

func (h *house) logins() map[string]testkit.Login {
	return map[string]testkit.Login{"worker": h.slapd.Worker, "portal": h.slapd.Portal, "operator": h.slapd.Admin}
}

func (h *house) file(name, text string) string {
	path := filepath.Join(h.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Error(err)
	}
	return path
}

// configure writes the settings: the window of exchange students opens at
// noon. A role reads them when it starts.
func (h *house) configure(noon time.Time) {
	host, port, _ := net.SplitHostPort(h.sink.addr)
	var b strings.Builder
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(&b, format+"\n", args...) }
	say("data_dir = %q\nallow_synthetic = true\n[nats]\nurl = %q", filepath.Join(h.dir, "data"), h.broker.URL)
	for _, role := range []string{"worker", "mailer", "portal", "operator"} {
		say("[nats.%s]\nnkey_file = %q", role, h.broker.SeedFile(role))
	}
	say("[streams]\nreplicas = %d", h.replicas())
	say("[ldap]\nurl = %q\nbase_dn = %q", h.slapd.URL, h.slapd.Base)
	for role, login := range h.logins() {
		say("[ldap.%s]\nbind_dn = %q\nbind_password_file = %q", role, login.DN, filepath.Join(h.dir, "ldap-"+role))
	}
	say("[smtp]\nhost = %q\nport = %s\ntls = \"starttls\"\nca_file = %q\nfrom = \"no-reply@usn.example\"\nconnections = 4", host, port, h.file("relay-ca.pem", h.sink.ca))
	say("[portal]\nlisten = %q\nbase_url = %q", h.portals[0], h.base)
	say("[institution]\nname = \"USN\"\nrealm = %q\nsupport_email = \"it@usn.example\"", h.slapd.Realm)
	for _, w := range [][3]string{{"local", "student", "at-once"}, {"exchange", "student", noon.UTC().Format(time.RFC3339)}, {"national", "student", "2027-08-01"}} {
		say("[[window]]\nname = %q\npopulation = %q\nintake = %q\nopens = %q", w[0], w[1], w[0], w[2])
	}
	say("[[window]]\nname = \"rest\"\npopulation = \"student\"\nopens = \"08-01\"")
	say("[[window]]\nname = \"hire\"\npopulation = \"employee\"\nopens = \"at-once\"")
	h.config = h.file("matricula.toml", b.String())
}

func (h *house) command(failpoint string, env []string, args ...string) *exec.Cmd {
	cmd := exec.Command(h.binary, args...)
	cmd.Env = append(append(os.Environ(), "MATRICULA_CONFIG="+h.config), env...)
	if failpoint != "" {
		cmd.Env = append(cmd.Env, "MATRICULA_FAILPOINTS="+failpoint)
	}
	return cmd
}

// launch starts a role; whoever calls holds it.
func (h *house) launch(r *role, failpoint string) {
	failpoint = strings.Trim(strings.Join([]string{h.mutant, r.points, failpoint, "clock=" + h.clock(r)}, ","), ",")
	cmd := h.command(failpoint, append(r.wires, r.env...), "serve", "--role", r.kind)
	if r.binary != "" {
		cmd.Path = r.binary
	}
	c, err := startChild(cmd, filepath.Join(h.dir, r.name+".log"))
	if err != nil {
		h.violation("I13", "%s cannot be started: %v", r.name, err)
		return
	}
	r.child = c
}

// clock is the file that shifts a role's clock; without it the clock is right.
func (h *house) clock(r *role) string { return filepath.Join(h.dir, r.name+".clock") }

// tend starts a role again that ended by itself.
func (h *house) tend(r *role) {
	defer h.tending.Done()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-h.closing:
			return
		case <-tick.C:
		}
		if !r.hold.TryLock() {
			continue
		}
		if !r.child.alive() {
			if h.calm() {
				h.violation("I13", "%s ended by itself while its servers were up: %s: %s", r.name, r.child.cmd.ProcessState, h.lastWords(r))
			}
			h.launch(r, "")
		}
		r.hold.Unlock()
	}
}

// lastWords is the end of a role's log.
func (h *house) lastWords(r *role) string {
	text, _ := os.ReadFile(filepath.Join(h.dir, r.name+".log"))
	return string(text[max(len(text)-600, 0):])
}

func (h *house) violation(invariant, format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	text := invariant + ": " + fmt.Sprintf(format, args...)
	h.violated = append(h.violated, text)
	if h.firstRed.IsZero() {
		h.firstRed = time.Now()
	}
	if h.mutant != "" {
		return
	}
	h.t.Errorf("VIOLATION %s", text)
}

// dice are a source of chance of one's own, from the seed.
func (h *house) dice() *rand.Rand {
	h.mu.Lock()
	defer h.mu.Unlock()
	return rand.New(rand.NewPCG(h.random.Uint64(), 4))
}

func (h *house) killed(fault string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kills[fault]++
}

func (h *house) count(fault string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.kills[fault]
}
