package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// secretFile writes a file with a mode and answers its path.
func secretFile(t *testing.T, folder, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSecretFileThatOthersCanReachIsRefused(t *testing.T) {
	t.Parallel()
	cases := []struct {
		mode    os.FileMode
		granted bool
		read    bool
	}{
		{0o600, false, true}, {0o400, false, true}, {0o640, false, false}, {0o604, false, false}, {0o620, false, false}, {0o601, false, false},
		{0o440, true, true}, {0o400, true, true}, {0o444, true, false}, {0o460, true, false},
	}
	for _, c := range cases {
		path := secretFile(t, t.TempDir(), "s", "hemmelig\n", c.mode)
		text, err := Secret{Path: path, Granted: c.granted}.Text()
		switch {
		case c.read && (err != nil || text != "hemmelig"):
			t.Errorf("mode %04o, granted %v: %q, %v", c.mode, c.granted, text, err)
		case !c.read && (err == nil || !strings.Contains(err.Error(), "chmod 600") || text != ""):
			t.Errorf("mode %04o, granted %v is not refused: %q, %v", c.mode, c.granted, text, err)
		}
	}
}

func TestSecretFileMustHoldSomething(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if _, err := (Secret{Path: secretFile(t, folder, "empty", "", 0o600)}).Read(); err == nil {
		t.Error("an empty secret is taken")
	}
	if _, err := (Secret{Path: secretFile(t, folder, "long", strings.Repeat("x", maxSecret+1), 0o600)}).Read(); err == nil {
		t.Error("a file that is no secret by its size is taken")
	}
	if _, err := (Secret{Path: folder}).Read(); err == nil {
		t.Error("a folder is taken for a secret")
	}
	if _, err := (Secret{}).Read(); err == nil {
		t.Error("a secret that is not named is taken")
	}
	if _, err := (Secret{Path: filepath.Join(folder, "none")}).Read(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there answers %v", err)
	}
}

func TestRelativeSecretsAreLookedForWhereTheOrchestratorPutThem(t *testing.T) {
	t.Parallel()
	text := "data_dir = \"/srv/m\"\n[keys]\nclaims_file = \"/etc/keys/claims\"\n[nats]\nca_file = \"ca.pem\"\n"
	path := writeConfig(t, text)
	c, err := LoadConfig(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Keys.TicketFile != (Secret{Path: "/srv/m/keys/ticket.key"}) || c.Keys.ClaimsFile != (Secret{Path: "/etc/keys/claims"}) || c.Keys.MailerPublicFile != "/srv/m/keys/mailer.pub" {
		t.Errorf("without a folder of credentials the keys are %+v", c.Keys)
	}
	if want := File(filepath.Join(filepath.Dir(path), "ca.pem")); c.NATS.CAFile != want {
		t.Errorf("a certificate is looked for at %s, want %s", c.NATS.CAFile, want)
	}
	c, err = LoadConfig(path, []string{"CREDENTIALS_DIRECTORY=/run/credentials/m", "MATRICULA_KEYS_TICKET_OLD_FILE=/run/credentials/m/old", "MATRICULA_PORTAL_SECRET_FILE=/run/credentials/m/../other"})
	if err != nil {
		t.Fatal(err)
	}
	k := c.Keys
	if k.TicketFile != (Secret{Path: "/run/credentials/m/ticket.key", Granted: true}) || k.ClaimsFile != (Secret{Path: "/etc/keys/claims"}) || k.TicketOldFile != (Secret{Path: "/run/credentials/m/old", Granted: true}) {
		t.Errorf("with a folder of credentials the keys are %+v", k)
	}
	if c.Portal.SecretFile.Granted {
		t.Errorf("%s lies outside the folder of credentials and is trusted like what lies in it", c.Portal.SecretFile.Path)
	}
}

func TestRoleSaysEverythingItLacks(t *testing.T) {
	t.Parallel()
	c, err := LoadConfig("", []string{"MATRICULA_DATA_DIR=" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string][]string{
		roleWorker: {"nats.url is empty", "ldap.url is empty", "keys.claims_file cannot be used"},
		roleMailer: {"nats.url is empty", "smtp.host is empty", "smtp.from is empty", "portal.base_url is empty", "keys.ticket_file cannot be used", "keys.mailer_private_file cannot be used", "institution.support_email is empty"},
		rolePortal: {"nats.url is empty", "ldap.url is empty", "portal.base_url is empty", "portal.secret_file cannot be used", "keys.ticket_file cannot be used"},
	}
	foreign := map[string][]string{roleWorker: {"smtp", "ticket", "portal"}, roleMailer: {"ldap", "claims", "portal.secret"}, rolePortal: {"smtp", "claims", "mailer"}}
	for role, want := range cases {
		err := c.ReadyFor(role)
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s does not say %q:\n%v", role, w, err)
			}
		}
		for _, f := range foreign[role] {
			if err != nil && strings.Contains(err.Error(), f) {
				t.Errorf("%s asks for %s, which is not its business:\n%v", role, f, err)
			}
		}
	}
}

func TestEmbeddedServersAreForAProcessWithEveryRole(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	keys := filepath.Join(data, "keys")
	if err := os.Mkdir(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"portal.key", "ticket.key", "claims.key", "mailer.key", "mailer.pub", "worker.pub"} {
		secretFile(t, keys, name, "not a key, and long enough", 0o600)
	}
	c, err := LoadConfig("", []string{"MATRICULA_DATA_DIR=" + data, "MATRICULA_EMBEDDED=true"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.ReadyFor(everyRole()...); err != nil {
		t.Errorf("every role with embedded = true and its keys is not ready: %v", err)
	}
	err = c.ReadyFor(roleWorker)
	if err == nil || !strings.Contains(err.Error(), "nats.url is empty") || !strings.Contains(err.Error(), "every role") {
		t.Errorf("one role alone would start a broker of its own: %v", err)
	}
	c.Embedded = false
	if err := c.ReadyFor(everyRole()...); err == nil {
		t.Error("without embedded and without servers every role is ready")
	}
	c.Embedded, c.LDAP.URL, c.LDAP.BaseDN = true, "ldaps://ldap.usn.no", "dc=usn,dc=no"
	if err := c.ReadyFor(everyRole()...); err == nil || !strings.Contains(err.Error(), "ldap.portal.bind_dn is empty") {
		t.Errorf("a directory that is named is used without an account in it: %v", err)
	}
}

func TestRoleUsesItsOwnLoginBeforeTheCommonOne(t *testing.T) {
	t.Parallel()
	common, own := Login{User: "all", InboxPrefix: "_INBOX_all"}, Login{User: "mailer"}
	n := NATSConfig{Login: common, Mailer: own}
	if got := n.For(roleWorker); got != common {
		t.Errorf("a role without a login has %+v", got)
	}
	if got := n.For(roleMailer); got.User != "mailer" || got.InboxPrefix != "_INBOX_mailer" {
		t.Errorf("a role with a login has %+v", got)
	}
	l := LDAPConfig{Bind: Bind{DN: "cn=all"}, Portal: Bind{DN: "cn=portal"}}
	if l.For(roleWorker).DN != "cn=all" || l.For(rolePortal).DN != "cn=portal" {
		t.Errorf("accounts are %+v and %+v", l.For(roleWorker), l.For(rolePortal))
	}
}

func TestSpansAreReadAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	good := map[string]time.Duration{"30d": 30 * day, "1d12h": 36 * time.Hour, "60m": time.Hour, "90s": 90 * time.Second, "": 0, "0d": 0}
	for text, want := range good {
		if got, ok := parseSpan(text); !ok || got != want {
			t.Errorf("%q is read as %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{"30", "-1d", "d", "1d-2h", "30 d", "1w", "99999d", "-5m", "1d2d"} {
		if got, ok := parseSpan(text); ok {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}
