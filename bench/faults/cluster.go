package faults

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"usn.no/matricula/deploy"
	"usn.no/matricula/testkit"
)

// cluster is three brokers on the files that ship, instead of one. Where the
// rig may, each is a machine of its own: a network namespace on a bridge, so
// that it can be cut off from everybody at once.
type cluster struct {
	h       *house
	members []*member
	wired   bool // members have networks of their own
	ca      *authority
}

// member is one server of a cluster.
type member struct {
	name    string
	dir     string // its settings and its store
	ip      string
	client  string // where clients connect
	route   string // where the others connect
	monitor string
	space   string // its network namespace; empty: the host's
	process *child
}

const members = 3

// replicas is how many copies of everything there are to be.
func (h *house) replicas() int {
	if h.cluster != nil {
		return members
	}
	return 1
}

// newCluster takes the place of the house's one broker: the same keys of the
// roles, three servers, replicas of everything on each.
func newCluster(h *house) (*cluster, error) {
	ca, err := newAuthority()
	if err != nil {
		return nil, err
	}
	c := &cluster{h: h, wired: canCutOff() == nil, ca: ca}
	if c.wired {
		if err := c.networks(); err != nil {
			return nil, err
		}
	} else {
		c.loopback()
	}
	var urls []string
	for _, m := range c.members {
		urls = append(urls, "nats://"+m.client)
		if err := c.settle(m); err != nil {
			return nil, err
		}
	}
	h.broker.URL = strings.Join(urls, ",")
	for _, m := range c.members {
		if err := c.start(m); err != nil {
			return nil, err
		}
		h.t.Cleanup(func() { m.process.kill() })
	}
	return c, c.await(30*time.Second, c.members...)
}

// loopback gives every member ports of this machine.
func (c *cluster) loopback() {
	for i := range members {
		m := &member{name: c.name(i), client: testkit.FreeAddress(c.h.t), route: testkit.FreeAddress(c.h.t), monitor: testkit.FreeAddress(c.h.t)}
		m.ip, _, _ = net.SplitHostPort(m.client)
		c.members = append(c.members, m)
	}
}

func (c *cluster) name(i int) string { return fmt.Sprintf("m%d-%c", os.Getpid(), 'a'+i) }

// settle fills in the files of deploy/nats for one member.
func (c *cluster) settle(m *member) error {
	m.dir = filepath.Join(c.h.dir, m.name)
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	users, err := os.ReadFile(filepath.Join(c.h.broker.Dir, "users.conf"))
	if err != nil {
		return err
	}
	tls, err := c.identity(m)
	if err != nil {
		return err
	}
	var routes []string
	for _, o := range c.members {
		routes = append(routes, fmt.Sprintf("%q", "nats://"+o.route))
	}
	values := map[string]string{
		"SERVER_NAME": m.name, "LISTEN": m.client, "MONITOR": m.monitor, "TLS": "", "CLUSTER": `include "cluster.conf"`,
		"STORE_DIR": m.store(), "MAX_FILE_STORE": "1GB", "CLUSTER_LISTEN": m.route, "CLUSTER_TLS": tls, "ROUTES": strings.Join(routes, ", "),
	}
	errs := []error{os.WriteFile(filepath.Join(m.dir, "users.conf"), users, 0o600)}
	for _, name := range []string{"nats-server.conf", "cluster.conf"} {
		text, err := deploy.NATS.ReadFile("nats/" + name)
		errs = append(errs, err)
		filled, err := deploy.Fill(string(text), values)
		errs = append(errs, err, os.WriteFile(filepath.Join(m.dir, name), []byte(filled), 0o600))
	}
	return errors.Join(errs...)
}

func (m *member) store() string { return filepath.Join(m.dir, "store") }

// identity is the certificate by which the members know each other.
func (c *cluster) identity(m *member) (string, error) {
	tls, err := c.ca.server(m.ip, time.Now().Add(24*time.Hour))
	if err != nil {
		return "", err
	}
	key, err := x509.MarshalPKCS8PrivateKey(tls.Certificates[0].PrivateKey)
	if err != nil {
		return "", err
	}
	write := func(name, kind string, der []byte) error {
		return os.WriteFile(filepath.Join(m.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
	}
	err = errors.Join(
		write("route.pem", "CERTIFICATE", tls.Certificates[0].Certificate[0]), write("route.key", "PRIVATE KEY", key),
		os.WriteFile(filepath.Join(m.dir, "ca.pem"), []byte(c.ca.PEM), 0o600))
	return fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, verify: true }",
		filepath.Join(m.dir, "route.pem"), filepath.Join(m.dir, "route.key"), filepath.Join(m.dir, "ca.pem")), err
}

// start starts a member and does not wait for it.
func (c *cluster) start(m *member) (err error) {
	argv := []string{c.h.nats, "-c", filepath.Join(m.dir, "nats-server.conf")}
	if m.space != "" {
		argv = append([]string{"ip", "netns", "exec", m.space}, argv...) // becomes the server
	}
	m.process, err = startChild(exec.Command(argv[0], argv[1:]...), filepath.Join(c.h.dir, m.name+".log"))
	return err
}

// await waits until these members say that they have all they should have.
func (c *cluster) await(within time.Duration, those ...*member) error {
	began := c.h.fair.mark()
	for _, m := range those {
		for !m.healthy() {
			if c.h.fair.over(began, within) {
				return fmt.Errorf("broker %s is not healthy after %s", m.name, within)
			}
			time.Sleep(50 * time.Millisecond) // between two looks
		}
	}
	return nil
}

// healthy is the server's own word: it has met the others, and every stream
// and consumer of its own has caught up.
func (m *member) healthy() bool {
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get("http://" + m.monitor + "/healthz")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// leader is the member that leads a stream, or the whole cluster for "".
func (c *cluster) leader(stream string) *member {
	for _, m := range c.members {
		var jsz struct {
			Meta struct {
				Leader string `json:"leader"`
			} `json:"meta_cluster"`
			Accounts []struct {
				Streams []struct {
					Name    string `json:"name"`
					Cluster struct {
						Leader string `json:"leader"`
					} `json:"cluster"`
				} `json:"stream_detail"`
			} `json:"account_details"`
		}
		if m.ask("/jsz?streams=true&accounts=true", &jsz) != nil {
			continue
		}
		if stream == "" {
			return c.named(jsz.Meta.Leader)
		}
		for _, a := range jsz.Accounts {
			for _, s := range a.Streams {
				if s.Name == stream && s.Cluster.Leader != "" {
					return c.named(s.Cluster.Leader)
				}
			}
		}
	}
	return nil
}

func (c *cluster) named(name string) *member {
	for _, m := range c.members {
		if m.name == name {
			return m
		}
	}
	return nil
}

func (m *member) ask(path string, into any) error {
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get("http://" + m.monitor + path)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	return json.NewDecoder(resp.Body).Decode(into)
}
