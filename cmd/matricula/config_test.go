package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/deploy"
	"usn.no/matricula/policy"
)

// writeConfig puts a file in a folder of its own and answers its path.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "matricula.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// problems loads and answers what is wrong, one problem a line.
func problems(t *testing.T, text string, environ ...string) string {
	t.Helper()
	_, err := LoadConfig(writeConfig(t, text), environ)
	var ce *ConfigError
	if err != nil && !errors.As(err, &ce) {
		t.Fatalf("error is not a *ConfigError: %v", err)
	}
	if ce == nil {
		return ""
	}
	var lines []string
	for _, p := range ce.Problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n")
}

func TestNoFileAndNoEnvironmentMeansTheDefaults(t *testing.T) {
	t.Parallel()
	c, err := LoadConfig("", nil)
	if err != nil {
		t.Fatalf("the defaults are refused: %v", err)
	}
	want := DefaultConfig()
	want.resolve(places{})
	if got, want := c.TOML(deploy.Sample), want.TOML(deploy.Sample); got != want {
		t.Errorf("nothing was set and this is in force:\n%s", got)
	}
	if got := c.Windows(); !reflect.DeepEqual(got, policy.DefaultWindows()) {
		t.Errorf("windows are %+v, not the default set", got)
	}
}

func TestUnknownKeyStopsTheStartAndNamesTheNearest(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ text, want string }{
		"letters swapped":   {"[nats]\nulr = \"x\"\n", "line 2: nats.ulr is not a setting; did you mean nats.url?"},
		"wrong section":     {"[portal]\nbase_dn = \"x\"\n", "line 2: portal.base_dn is not a setting; did you mean ldap.base_dn?"},
		"mistyped section":  {"[nat]\nurl = \"x\"\n", "line 1: nat is not a setting; did you mean nats?"},
		"at the top":        {"embeded = true\n", "line 1: embeded is not a setting; did you mean embedded?"},
		"in a window":       {"[[window]]\npopulation = \"student\"\nopen = \"08-01\"\n", "line 3: window.open is not a setting; did you mean window.opens?"},
		"like nothing else": {"quux = 1\n", "line 1: quux is not a setting; remove it"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := problems(t, c.text); !strings.Contains(got, c.want) {
				t.Errorf("want %q in\n%s", c.want, got)
			}
		})
	}
}

func TestEveryMistakeIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	got := problems(t, `
frist = 1
[nats]
url = "http://broker"
[ldap]
url = "http://ldap.usn.no"
flavour = "ad"
[smtp]
port = 70000
tls = "ssl"
[portal]
base_url = "http://konto.usn.no/start"
[letters]
invite_before = "two weeks"
[[window]]
population = "student"
opens = "02-30"
`, "MATRICULA_LOG_LEVEL=loud", "MATRICULA_STREAMS_REPLICAS=many", "MATRICULA_NATS_ULR=x")
	for _, want := range []string{
		"line 2: frist is not a setting",
		"nats.url is no address of the kind it must be",
		"ldap.url is no address of the kind it must be",
		"ldap.base_dn is empty",
		`ldap.flavour is "ad", which this version cannot serve yet; use openldap`,
		"smtp.port is 70000; use 1 to 65535",
		`smtp.tls is "ssl"; use one of starttls, tls, none`,
		"portal.base_url has a path",
		`letters.invite_before is "two weeks", which is no length of time`,
		`log.level is "loud"; use one of debug, info, warn, error`,
		"MATRICULA_STREAMS_REPLICAS cannot be read as a whole number",
		"MATRICULA_NATS_ULR is not a setting; did you mean MATRICULA_NATS_URL?",
		`window[1].opens "02-30" is no date`,
		"window no window takes a employee without a start",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("not reported: %q\nreported:\n%s", want, got)
		}
	}
}

func TestWhatIsNoTOMLNamesItsLine(t *testing.T) {
	t.Parallel()
	if got := problems(t, "embedded = true\n[smtp]\nport = \"25\"\n"); !strings.HasPrefix(got, "line 3: smtp.port") {
		t.Errorf("a text where a number belongs is reported as %q", got)
	}
	if got := problems(t, "embedded = true\nnats url\n"); !strings.HasPrefix(got, "line 2: ") {
		t.Errorf("a line that is no TOML is reported as %q", got)
	}
	if got := problems(t, "embedded = true\nembedded = true\n"); !strings.HasPrefix(got, "line 2: ") {
		t.Errorf("a key that stands twice is reported as %q", got)
	}
}

func TestEnvironmentWinsOverTheFile(t *testing.T) {
	t.Parallel()
	path := writeConfig(t, "[nats]\nurl = \"tls://file:4222\"\n[portal]\ntrusted_proxies = [\"10.0.0.1/32\"]\n")
	c, err := LoadConfig(path, []string{
		"MATRICULA_NATS_URL=tls://env:4222", "MATRICULA_NATS_USER=", "MATRICULA_NATS_WORKER_INBOX_PREFIX=_INBOX_w", "MATRICULA_EMBEDDED=true",
		"MATRICULA_PORTAL_TRUSTED_PROXIES=10.0.0.0/8,::1/128", "MATRICULA_LETTERS_INVITE_BEFORE=21d",
		"MATRICULA_WINDOW_0_POPULATION=student", "MATRICULA_WINDOW_0_START_BETWEEN=08-01,09-30", "MATRICULA_WINDOW_0_OPENS=08-02T08:00",
		"MATRICULA_WINDOW_1_POPULATION=student", "MATRICULA_WINDOW_1_OPENS=at-once",
		"MATRICULA_WINDOW_2_POPULATION=employee", "MATRICULA_WINDOW_2_OPENS=at-once",
		"MATRICULA_CONFIG=/etc/other", "HOME=/root",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.NATS.URL != "tls://env:4222" || !c.Embedded || c.NATS.For(roleWorker).InboxPrefix != "_INBOX_w" {
		t.Errorf("the environment does not win: %+v", c.NATS)
	}
	if want := []string{"10.0.0.0/8", "::1/128"}; !slices.Equal(c.Portal.TrustedProxies, want) {
		t.Errorf("proxies are %v, want %v", c.Portal.TrustedProxies, want)
	}
	if c.Letters.InviteBefore.Duration != 21*24*time.Hour {
		t.Errorf("21d is read as %v", c.Letters.InviteBefore.Duration)
	}
	if ws := c.Windows(); len(ws) != 3 || ws[0].StartBetween != [2]string{"08-01", "09-30"} || ws[0].Opens != "08-02T08:00" {
		t.Errorf("windows of the environment are read as %+v", ws)
	}
}

func TestWindowsOfTheEnvironmentAreCountedFromZero(t *testing.T) {
	t.Parallel()
	if got := problems(t, "", "MATRICULA_WINDOW_4_OPENS=08-01"); !strings.Contains(got, "MATRICULA_WINDOW_4_OPENS is not a setting") {
		t.Errorf("a window that is left out by the count is reported as %q", got)
	}
}

func TestWindowsOfTheFileTakeThePlaceOfTheDefaults(t *testing.T) {
	t.Parallel()
	c, err := LoadConfig(writeConfig(t, `
[[window]]
population = "student"
before_start = "45d"
[[window]]
population = "student"
opens = "2027-08-01T08:00"
[[window]]
population = "employee"
opens = "at-once"
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if ws := c.Windows(); len(ws) != 3 || ws[0].BeforeStart != 45 || ws[1].Opens != "2027-08-01T08:00" {
		t.Errorf("windows are %+v", ws)
	}
	want := []string{`window[1].start_between holds other than two days`, `window[1].before_start is "36h"`}
	got := problems(t, "[[window]]\npopulation = \"student\"\nstart_between = [\"08-01\"]\nbefore_start = \"36h\"\n")
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("not reported: %q\nreported:\n%s", w, got)
		}
	}
}

func TestPasswordInAnAddressIsRefusedAndNeverShown(t *testing.T) {
	t.Parallel()
	got := problems(t, "[nats]\nurl = \"nats://worker:hemmelig@broker:4222\"\n")
	if !strings.Contains(got, "nats.url holds a login") || strings.Contains(got, "hemmelig") {
		t.Errorf("reported as %q", got)
	}
	c := DefaultConfig()
	c.NATS.URL = "nats://worker:hemmelig@broker:4222"
	if text := c.TOML(deploy.Sample); strings.Contains(text, "hemmelig") || !strings.Contains(text, "broker:4222") {
		t.Error("the printed configuration shows a password, or hides the broker")
	}
}

func TestAddressesOfADirectory(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"ldaps://ldap.usn.no", "ldap://127.0.0.1:3890", "ldapi://%2Frun%2Fslapd%2Fldapi"} {
		if got := problems(t, "[ldap]\nurl = \""+url+"\"\nbase_dn = \"dc=usn,dc=no\"\n"); got != "" {
			t.Errorf("%s is refused: %s", url, got)
		}
	}
	for _, url := range []string{"ldap.usn.no", "ldaps://", "ldapi://", "ldaps://cn=admin:x@ldap.usn.no"} {
		if got := problems(t, "[ldap]\nurl = \""+url+"\"\nbase_dn = \"dc=usn,dc=no\"\n"); !strings.HasPrefix(got, "ldap.url ") {
			t.Errorf("%s is taken: %q", url, got)
		}
	}
}
