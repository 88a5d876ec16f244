package table

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"usn.no/matricula/directory"
)

// kratosConfig registers people with a password and keeps them where dsn says:
// in memory nothing is written to a disk, which is more than we allow ourselves.
const kratosConfig = `version: v1.3.1
dsn: "%[4]s"
serve:
  public: {host: 127.0.0.1, port: %[1]s, base_url: "http://127.0.0.1:%[1]s/"}
  admin: {host: 127.0.0.1, port: %[2]s, base_url: "http://127.0.0.1:%[2]s/"}
selfservice:
  default_browser_return_url: "http://127.0.0.1/"
  methods: {password: {enabled: true, config: {haveibeenpwned_enabled: false}}}
  flows: {registration: {ui_url: "http://127.0.0.1/r", after: {password: {hooks: [{hook: session}]}}}}
log: {level: error}
secrets: {cookie: ["0123456789abcdef0123456789abcdef"], cipher: ["0123456789abcdef0123456789abcdef"]}
%[5]sidentity: {default_schema_id: default, schemas: [{id: default, url: "file://%[3]s"}]}
courier: {smtp: {connection_uri: "smtp://127.0.0.1:9/?disable_starttls=true"}}
`

const kratosSchema = `{"$id":"p","$schema":"http://json-schema.org/draft-07/schema#","title":"P","type":"object","properties":{"traits":{"type":"object",
"properties":{"email":{"type":"string","format":"email","ory.sh/kratos":{"credentials":{"password":{"identifier":true}}}}},"required":["email"]}}}`

// sameHasher has Kratos hash at the same costs as ours; without it, it hashes as
// it does by default.
func sameHasher() string {
	c := directory.DefaultArgon2()
	return fmt.Sprintf("hashers: {algorithm: argon2, argon2: {memory: %dKB, iterations: %d, parallelism: %d, salt_length: 16, key_length: 32}}\n", c.Memory, c.Time, c.Threads)
}

// ourHasher describes what the portal hashes with.
func ourHasher() string {
	c := directory.DefaultArgon2()
	return describeHash(fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$", c.Memory, c.Time, c.Threads))
}

// describeHash says how a stored hash was made.
func describeHash(hash string) string {
	var m, t, p, cost int
	if n, _ := fmt.Sscanf(hash, "$argon2id$v=19$m=%d,t=%d,p=%d$", &m, &t, &p); n == 3 {
		return fmt.Sprintf("argon2id %d MiB t=%d p=%d", m/1024, t, p)
	}
	if n, _ := fmt.Sscanf(hash, "$2a$%d$", &cost); n == 1 {
		return fmt.Sprintf("bcrypt cost %d", cost)
	}
	return ""
}

// kratosRate is how many people a second register at Kratos through its API,
// the best of some numbers of clients, and how their passwords are hashed, as
// is seen in what it has stored.
func kratosRate(t testing.TB, program []string, dsn, hasher string, widths []int, span time.Duration) (best float64, hash string) {
	t.Helper()
	dir := t.TempDir()
	port := func() string { a := freePort(t); return a[strings.LastIndexByte(a, ':')+1:] }
	public, admin := port(), port()
	schema, config := filepath.Join(dir, "schema.json"), filepath.Join(dir, "kratos.yaml")
	for name, text := range map[string]string{schema: kratosSchema, config: fmt.Sprintf(kratosConfig, public, admin, schema, dsn, hasher)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k := start(t, dir, "kratos", exec.Command(program[0], append(program[1:], "serve", "-c", config, "--dev", "--sqa-opt-out")...))
	defer k.kill()
	base := "http://127.0.0.1:" + public
	for until := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if resp, err := http.Get(base + "/health/ready"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Now().After(until) || k.ended() {
			t.Fatalf("kratos was not ready: %s", k.tail())
		}
	}
	for _, width := range widths {
		best = max(best, kratosRound(t, base, width, span))
	}
	somebody := "last-" + rand.Text() + "@example.org"
	if err := kratosRegister(base, somebody); err != nil {
		t.Fatal(err)
	}
	if hash = describeHash(kratosHash(t, "http://127.0.0.1:"+admin+"/admin/identities", somebody)); hash == "" {
		t.Fatal("kratos stored no hash that is known here")
	}
	return best, hash
}

// kratosHash is the hash of a person's password.
func kratosHash(t testing.TB, identities, email string) string {
	t.Helper()
	var people []struct{ ID string }
	get := func(from string, into any) {
		resp, err := http.Get(from)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			t.Fatalf("kratos' identities: status %d: %v", resp.StatusCode, err)
		}
	}
	if get(identities+"?credentials_identifier="+url.QueryEscape(email), &people); len(people) != 1 {
		t.Fatalf("kratos has registered %d people of one address", len(people))
	}
	var one struct {
		Credentials struct {
			Password struct {
				Config struct {
					Hash string `json:"hashed_password"`
				}
			}
		}
	}
	get(identities+"/"+people[0].ID+"?include_credential=password", &one)
	return one.Credentials.Password.Config.Hash
}

func kratosRound(t testing.TB, base string, width int, span time.Duration) float64 {
	var done, failed atomic.Int64
	var wait sync.WaitGroup
	round, began := rand.Text()[:8], time.Now()
	for w := range width {
		wait.Go(func() {
			for i := 0; time.Since(began) < span; i++ {
				if err := kratosRegister(base, fmt.Sprintf("p%s-%d-%d@example.org", round, w, i)); err != nil {
					if failed.Add(1) == 1 {
						t.Logf("kratos: %v", err)
					}
					continue
				}
				done.Add(1)
			}
		})
	}
	wait.Wait()
	return float64(done.Load()) / time.Since(began).Seconds()
}

func kratosRegister(base, email string) error {
	resp, err := http.Get(base + "/self-service/registration/api")
	if err != nil {
		return err
	}
	var flow struct {
		UI struct{ Action string }
	}
	err = json.NewDecoder(resp.Body).Decode(&flow)
	_ = resp.Body.Close()
	if err != nil {
		return err
	}
	if flow.UI.Action == "" {
		return fmt.Errorf("status %d: no flow to register in", resp.StatusCode)
	}
	body, err := json.Marshal(map[string]any{"method": "password", "password": "Fjord-Lyngheim-Sildretind-77", "traits": map[string]string{"email": email}})
	if err != nil {
		return err
	}
	resp, err = http.Post(flow.UI.Action, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 400))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %s", resp.StatusCode, text)
	}
	return nil
}
