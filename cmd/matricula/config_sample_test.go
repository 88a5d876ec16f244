package main

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"usn.no/matricula/deploy"
)

// update rewrites docs/configuration.md: go test ./cmd/matricula -run Documentation -update.
var update = flag.Bool("update", false, "rewrite the documentation of the settings")

// entry is one key of the sample with what stands above it.
type entry struct {
	section, key      string
	text, unit, value string
	intro             string // what stands above the section
}

func (e entry) name() string { return strings.TrimPrefix(e.section+"."+e.key, ".") }

var sampleKey = regexp.MustCompile(`^([a-z_]+) = (.*)$`)

// readSample takes the sample apart: of [[window]] the first only.
func readSample(t *testing.T) []entry {
	t.Helper()
	var out []entry
	var remarks []string
	section, intro, windows := "", "", 0
	for line := range strings.Lines(deploy.Sample) {
		line = strings.TrimRight(line, "\n")
		name, list := header(line)
		switch {
		case strings.HasPrefix(line, "# "), line == "#":
			remarks = append(remarks, strings.TrimPrefix(strings.TrimPrefix(line, "#"), " "))
		case name != "":
			if list {
				windows++
			}
			section, intro, remarks = name, strings.Join(remarks, " "), nil
		case sampleKey.MatchString(line):
			m := sampleKey.FindStringSubmatch(line)
			e := entry{section: section, key: m[1], value: m[2], intro: intro}
			if n := len(remarks); n > 0 && strings.HasPrefix(remarks[n-1], "Unit: ") {
				e.unit = strings.TrimSuffix(strings.TrimPrefix(remarks[n-1], "Unit: "), ".")
				remarks = remarks[:n-1]
			}
			e.text, remarks = strings.Join(remarks, " "), nil
			if windows < 2 {
				out = append(out, e)
			}
		case line == "":
			if section == "" && len(out) == 0 {
				remarks = nil // the head of the file
			}
		default:
			t.Errorf("the sample has a line that is neither remark nor key: %q", line)
		}
	}
	return out
}

func TestSampleHoldsEveryKeyWithASentenceAUnitAndTheDefault(t *testing.T) {
	t.Parallel()
	var names []string
	for _, e := range readSample(t) {
		names = append(names, e.name())
		if len(strings.Fields(e.text)) < 3 || !strings.HasSuffix(e.text, ".") {
			t.Errorf("%s has no sentence: %q", e.name(), e.text)
		}
		if e.unit == "" {
			t.Errorf("%s has no unit", e.name())
		}
	}
	var keys []string
	for _, s := range allKeys() {
		keys = append(keys, s.Key)
	}
	for _, k := range keys {
		if n := count(names, k); n != 1 {
			t.Errorf("%s stands %d times in the sample", k, n)
		}
	}
	for _, n := range names {
		if !slices.Contains(keys, n) {
			t.Errorf("the sample has %s, which is no setting", n)
		}
	}
}

func count(names []string, name string) (n int) {
	for _, one := range names {
		if one == name {
			n++
		}
	}
	return n
}

func TestSampleIsTheDefaultConfiguration(t *testing.T) {
	t.Parallel()
	path := writeConfig(t, deploy.Sample)
	got, err := LoadConfig(path, nil)
	if err != nil {
		t.Fatalf("the sample is refused: %v", err)
	}
	want, err := LoadConfig("", nil)
	if err != nil {
		t.Fatal(err)
	}
	theirs, ours := settings(reflect.ValueOf(&got)), settings(reflect.ValueOf(&want))
	if len(theirs) != len(ours) {
		t.Fatalf("the sample makes %d settings, the defaults %d", len(theirs), len(ours))
	}
	for i := range theirs {
		if a, b := tomlValue(theirs[i].Value), tomlValue(ours[i].Value); a != b {
			t.Errorf("%s (%s) is %s in the sample and %s by default", theirs[i].Key, theirs[i].Env, a, b)
		}
	}
}

func TestPrintedConfigurationCanBeLoadedAgain(t *testing.T) {
	t.Parallel()
	c, err := LoadConfig("", []string{
		"MATRICULA_SMTP_FROM=USN \"konto\" <no-reply@usn.no>", "MATRICULA_NATS_URL=tls://a:4222,tls://b:4222", "MATRICULA_SMTP_RATE=30",
		"MATRICULA_PORTAL_TRUSTED_PROXIES=10.0.0.0/8", "MATRICULA_ALLOW_SYNTHETIC=true", "MATRICULA_SMTP_USER=konto", "MATRICULA_SMTP_PASSWORD_FILE=smtp.password",
		"MATRICULA_WINDOW_0_POPULATION=student", "MATRICULA_WINDOW_0_OPENS=08-02", "MATRICULA_WINDOW_1_POPULATION=employee", "MATRICULA_WINDOW_1_OPENS=at-once",
	})
	if err != nil {
		t.Fatal(err)
	}
	text := c.TOML(deploy.Sample)
	again, err := LoadConfig(writeConfig(t, text), nil)
	if err != nil {
		t.Fatalf("what was printed is refused: %v\n%s", err, text)
	}
	if !reflect.DeepEqual(c, again) {
		t.Errorf("loading what was printed makes another configuration:\n%#v\n%#v", c, again)
	}
	if strings.Count(text, "\n[[window]]\n") != 2 {
		t.Errorf("two windows are in force and this is printed:\n%s", text)
	}
}

func TestEnvironmentNamesFollowTheKeys(t *testing.T) {
	t.Parallel()
	fields := map[string]string{}
	for _, s := range allKeys() {
		want := envPrefix + strings.ToUpper(strings.NewReplacer(".", "_").Replace(s.Key))
		if s.List != "" {
			want = strings.Replace(want, strings.ToUpper(s.List)+"_", strings.ToUpper(s.List)+"_0_", 1)
		}
		if s.Env != want {
			t.Errorf("%s is %s in the environment, want %s", s.Key, s.Env, want)
		}
		// a number or a yes that cannot be read is reported by its field's name
		if k := s.Field.Type.Kind(); k == reflect.Int || k == reflect.Bool {
			if other, twice := fields[s.Field.Name]; twice {
				t.Errorf("%s and %s have a field of the same name and kind", other, s.Key)
			}
			fields[s.Field.Name] = s.Key
		}
	}
}

func TestDocumentationOfTheSettingsIsTheSamples(t *testing.T) {
	t.Parallel()
	const path = "../../docs/configuration.md"
	want := documentation(readSample(t))
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s differs from the sample: go test ./cmd/matricula -run Documentation -update", path)
	}
}

// documentation writes what the sample says as tables, with the names in the
// environment.
func documentation(entries []entry) string {
	env := map[string]string{}
	for _, s := range allKeys() {
		env[s.Key] = s.Env
	}
	var b strings.Builder
	b.WriteString(docHead)
	last := "-"
	for _, e := range entries {
		if e.section != last {
			last = e.section
			title := "The process"
			switch e.section {
			case "":
			case "window":
				title = "`[[window]]`"
			default:
				title = "`[" + e.section + "]`"
			}
			fmt.Fprintf(&b, "\n## %s\n\n", title)
			if e.intro != "" {
				b.WriteString(wrap(e.intro) + "\n\n")
			}
			b.WriteString("| key, and in the environment | what it is | unit | default |\n|---|---|---|---|\n")
		}
		cell := strings.NewReplacer("|", `\|`).Replace
		fmt.Fprintf(&b, "| `%s`<br>`%s` | %s | %s | `%s` |\n", e.key, env[e.name()], cell(e.text), cell(e.unit), e.value)
	}
	b.WriteString(docTail)
	return b.String()
}

// wrap breaks a paragraph at 80 columns.
func wrap(text string) string {
	var lines []string
	line := ""
	for _, w := range strings.Fields(text) {
		if line != "" && len(line)+1+len(w) > 80 {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+w, " ")
	}
	return strings.Join(append(lines, line), "\n")
}

const docHead = `# Configuration

<!-- Written from deploy/matricula.toml by: go test ./cmd/matricula -run Documentation -update -->

Matricula reads one TOML file (` + "`--config`, else `MATRICULA_CONFIG`, else `/etc/matricula/matricula.toml`" + ` where
that exists) and lays the environment over it. ` + "`matricula config --example`" + ` prints the
commented sample, ` + "`matricula config`" + ` what is in force.

- Every key has a default; an empty one is not set, and what a role cannot do without is said at its start.
- A key that does not exist stops the start, with the line and the nearest key that does. So does a variable that
  begins with ` + "`MATRICULA_`" + ` and is no setting. (In Kubernetes: ` + "`enableServiceLinks: false`" + `.)
- Everything that is wrong is reported at once; what is no TOML, or a number where a text belongs, stops the reading.
- Times are written ` + "`30d`, `36h`, `60m`, `90s`" + ` or together, ` + "`1d12h`" + `. Dates of windows are Norwegian.
- Lists are written with commas in the environment. The first ` + "`[[window]]`" + ` is ` + "`MATRICULA_WINDOW_0_…`" + `, the second
  ` + "`MATRICULA_WINDOW_1_…`" + `.

**Secrets** stand in files: no key holds a password. The file must not be readable for group or others. A relative
name is looked for in ` + "`$CREDENTIALS_DIRECTORY`" + ` where that is set (systemd sets it from ` + "`LoadCredential=`" + `; the
examples for containers set it to the folder where secrets are mounted), else in ` + "`<data_dir>/keys`" + `. There, and only
there, the group may read: systemd and Kubernetes hand files over that way. Every other relative name is looked for
beside the config file.

**Embedded**: with ` + "`embedded = true`" + ` a process with every role brings what is not named: a broker, a directory and
a mailbox, on this machine only. Without it, or with one role alone, a missing ` + "`[nats]`, `[ldap]` or `[smtp]`" + ` stops
the start and is named.
`

const docTail = `
## An example

` + "```toml" + `
[nats]
url = "tls://nats.usn.no:4222"

[nats.worker]
nkey_file = "nats-worker.nkey"

[ldap]
url = "ldaps://ldap.usn.no"
base_dn = "dc=usn,dc=no"
bind_dn = "cn=worker,ou=services,dc=usn,dc=no"
bind_password_file = "ldap-worker.password"

# the pre-course opens early, at eight in the morning
[[window]]
name = "pre-course"
population = "student"
intake = "pre-course"
opens = "2027-07-01T08:00"

[[window]]
name = "main"
population = "student"
opens = "08-01"

[[window]]
name = "employee"
population = "employee"
opens = "at-once"
` + "```" + `
`

func TestExampleOfTheDocumentationIsAccepted(t *testing.T) {
	t.Parallel()
	_, text, _ := strings.Cut(docTail, "```toml\n")
	text, _, _ = strings.Cut(text, "```")
	if got := problems(t, text); got != "" {
		t.Errorf("the example is refused:\n%s", got)
	}
}
