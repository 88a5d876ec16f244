package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"usn.no/matricula/deploy"
)

// launch is how one of the files that ship starts a process.
type launch struct {
	from, role  string
	args        []string
	config      string // text of the config file
	environ     []string
	credentials []string // names of the files that are handed over
}

// site is what an operator writes into matricula.toml for the systemd units.
const site = `
[nats]
url = "tls://nats.example.org:4222"
[ldap]
url = "ldaps://ldap.example.org"
base_dn = "dc=example,dc=org"
[ldap.worker]
bind_dn = "cn=worker,ou=services,dc=example,dc=org"
[ldap.portal]
bind_dn = "cn=portal,ou=services,dc=example,dc=org"
[smtp]
host = "smtp.example.org"
from = "no-reply@example.org"
[portal]
base_url = "https://konto.example.org"
[institution]
support_email = "support@example.org"
`

func shipped(t *testing.T, name string) string {
	t.Helper()
	b, err := fs.ReadFile(deploy.Platforms, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// values are what stands behind key= in a unit file.
func values(unit, key string) (out []string) {
	for line := range strings.Lines(unit) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
			out = append(out, strings.ReplaceAll(v, "%i", "8081"))
		}
	}
	return out
}

func unitLaunches(t *testing.T) (out []launch) {
	t.Helper()
	for _, name := range []string{"matricula-worker.service", "matricula-mailer.service", "matricula-portal@.service"} {
		unit := shipped(t, "systemd/"+name)
		args := strings.Fields(values(unit, "ExecStart")[0])[1:]
		l := launch{from: "systemd/" + name, args: args, role: args[2], config: site, environ: values(unit, "Environment")}
		for _, c := range values(unit, "LoadCredential") {
			id, _, _ := strings.Cut(c, ":")
			l.credentials = append(l.credentials, id)
		}
		out = append(out, l)
	}
	return out
}

type composeFile struct {
	Services map[string]struct {
		Command     []string
		Environment map[string]string
		Secrets     []struct{ Source, Target string }
		ReadOnly    bool     `yaml:"read_only"`
		CapDrop     []string `yaml:"cap_drop"`
		User        string
	}
	Secrets, Configs map[string]struct{ File string }
}

func composeLaunches(t *testing.T) (out []launch) {
	t.Helper()
	var c composeFile
	if err := yaml.Unmarshal([]byte(shipped(t, "compose/compose.yaml")), &c); err != nil {
		t.Fatalf("compose.yaml: %v", err)
	}
	if c.Configs["matricula"].File != "../matricula.toml" {
		t.Errorf("compose.yaml takes its settings from %q", c.Configs["matricula"].File)
	}
	asked := map[string]string{
		"LDAP_URL": "ldaps://ldap.example.org", "LDAP_BASE_DN": "dc=example,dc=org", "LDAP_WORKER_DN": "cn=worker,dc=example,dc=org",
		"LDAP_PORTAL_DN": "cn=portal,dc=example,dc=org", "SMTP_HOST": "smtp.example.org", "SMTP_FROM": "no-reply@example.org",
		"BASE_URL": "https://konto.example.org", "SUPPORT_EMAIL": "support@example.org",
	}
	variable := regexp.MustCompile(`\$\{([A-Z_]+):\?[^}]+\}`)
	for name, s := range c.Services {
		if name == "nats" {
			continue
		}
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || s.User == "" {
			t.Errorf("compose.yaml: %s may more than it needs: %+v", name, s)
		}
		l := launch{from: "compose " + name, role: name, args: s.Command, config: deploy.Sample}
		for k, v := range s.Environment {
			l.environ = append(l.environ, k+"="+variable.ReplaceAllStringFunc(v, func(m string) string {
				word := variable.FindStringSubmatch(m)[1]
				if asked[word] == "" || !strings.Contains(shipped(t, "compose/compose.yaml"), " "+word) {
					t.Errorf("compose.yaml: %s is asked for and not named in the steps", word)
				}
				return asked[word]
			}))
		}
		for _, secret := range s.Secrets {
			if c.Secrets[secret.Source].File == "" {
				t.Errorf("compose.yaml: %s wants the secret %s, which is not there", name, secret.Source)
			}
			l.credentials = append(l.credentials, secret.Target)
		}
		out = append(out, l)
	}
	return out
}

type manifest struct {
	Kind string
	Spec struct {
		Template struct {
			Spec struct {
				AutomountServiceAccountToken *bool `yaml:"automountServiceAccountToken"`
				EnableServiceLinks           *bool `yaml:"enableServiceLinks"`
				SecurityContext              struct {
					RunAsNonRoot bool `yaml:"runAsNonRoot"`
					FSGroup      int  `yaml:"fsGroup"`
				} `yaml:"securityContext"`
				Containers []struct {
					Args            []string
					Env             []struct{ Name, Value string }
					SecurityContext struct {
						ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
						AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
						Capabilities             struct{ Drop []string }
					} `yaml:"securityContext"`
				}
				Volumes []struct {
					Secret struct {
						SecretName  string `yaml:"secretName"`
						DefaultMode int    `yaml:"defaultMode"`
					}
				}
			}
		}
	}
}

// handedOut reads from the steps which files each secret of the cluster holds.
func handedOut(t *testing.T) map[string][]string {
	t.Helper()
	steps := strings.ReplaceAll(shipped(t, "k8s/kustomization.yaml"), "\\\n#", "")
	out := map[string][]string{}
	for _, m := range regexp.MustCompile(`create secret generic (\S+)(.*)`).FindAllStringSubmatch(steps, -1) {
		for _, f := range regexp.MustCompile(`--from-file=(\S+)`).FindAllStringSubmatch(m[2], -1) {
			name, _, renamed := strings.Cut(f[1], "=")
			if !renamed {
				name = filepath.Base(name)
			}
			out[m[1]] = append(out[m[1]], name)
		}
	}
	return out
}

func clusterLaunches(t *testing.T) (out []launch) {
	t.Helper()
	var list struct{ Resources []string }
	if err := yaml.Unmarshal([]byte(shipped(t, "k8s/kustomization.yaml")), &list); err != nil {
		t.Fatalf("kustomization.yaml: %v", err)
	}
	secrets := handedOut(t)
	for _, name := range list.Resources {
		var m manifest
		if err := yaml.Unmarshal([]byte(shipped(t, "k8s/"+name)), &m); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		pod := m.Spec.Template.Spec
		c := pod.Containers[0]
		l := launch{from: "k8s/" + name, args: c.Args, config: shipped(t, "k8s/matricula.toml"), role: roleOperator}
		if c.Args[0] == "serve" {
			l.role = c.Args[2]
		}
		for _, e := range c.Env {
			l.environ = append(l.environ, e.Name+"="+e.Value)
		}
		for _, v := range pod.Volumes {
			if v.Secret.SecretName == "" {
				continue
			}
			l.credentials = append(l.credentials, secrets[v.Secret.SecretName]...)
			if v.Secret.DefaultMode != 0o440 {
				t.Errorf("%s: secrets have mode %04o", name, v.Secret.DefaultMode)
			}
		}
		s := c.SecurityContext
		if !no(pod.EnableServiceLinks) || !no(pod.AutomountServiceAccountToken) || !no(s.AllowPrivilegeEscalation) {
			t.Errorf("%s gets what it does not use: service links, a token, or more rights than it began with", name)
		}
		if !pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.FSGroup == 0 || !s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
			t.Errorf("%s may more than it needs", name)
		}
		out = append(out, l)
	}
	return out
}

// no tells whether a setting that is on by default is off.
func no(b *bool) bool { return b != nil && !*b }

// start loads the settings as the launched process would and answers what it
// lacks; missing is a credential that is not handed over.
func (l launch) start(t *testing.T, missing string) error {
	t.Helper()
	folder := t.TempDir()
	for _, name := range l.credentials {
		if name != missing {
			secretFile(t, folder, name, "not a key, and long enough", 0o440)
		}
	}
	var environ []string
	for _, e := range l.environ {
		if !strings.HasPrefix(e, "CREDENTIALS_DIRECTORY=") {
			environ = append(environ, e)
		}
	}
	c, err := LoadConfig(writeConfig(t, l.config), append(environ, "CREDENTIALS_DIRECTORY="+folder))
	if err != nil {
		return err
	}
	return c.ReadyFor(l.role)
}

func TestShippedFilesStartEachRoleWithWhatItNeedsAndNoMore(t *testing.T) {
	t.Parallel()
	launches := slices.Concat(unitLaunches(t), composeLaunches(t), clusterLaunches(t))
	if len(launches) != 3+4+4 {
		t.Errorf("%d ways to start a process are found, not 11", len(launches))
	}
	for _, l := range launches {
		t.Run(strings.ReplaceAll(l.from, "/", " "), func(t *testing.T) {
			t.Parallel()
			command, rest, err := rootCommand().Find(l.args)
			if err == nil {
				err = command.ParseFlags(rest)
			}
			if err != nil || !command.Runnable() || command.Name() != l.args[0] {
				t.Errorf("starts matricula %v: %v", l.args, err)
			}
			if l.from == "compose setup" { // reads its own folder, which it fills
				return
			}
			if err := l.start(t, ""); err != nil {
				t.Errorf("does not start: %v", err)
			}
			for _, one := range l.credentials {
				if l.start(t, one) == nil {
					t.Errorf("starts without %s, so it need not be handed over", one)
				}
			}
		})
	}
}

func TestUnitsAreAcceptedBySystemd(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("no systemd-analyze here: the units are only read, not verified")
		return
	}
	folder := t.TempDir()
	args := []string{"verify"}
	for _, l := range unitLaunches(t) {
		path := filepath.Join(folder, filepath.Base(l.from))
		// the program is not installed where the test runs
		text := strings.ReplaceAll(shipped(t, l.from), "/usr/local/bin/matricula", "/bin/true")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, path)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze: %v\n%s", err, out)
	}
}
