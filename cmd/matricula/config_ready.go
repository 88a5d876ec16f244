package main

import (
	"fmt"
	"os"
	"slices"
)

// everyRole is what serve does without --role.
func everyRole() []string { return []string{roleWorker, roleMailer, rolePortal} }

// ReadyFor tells what roles still lack before they can start: a server that is
// not named, a secret that cannot be read. With embedded = true a process with
// every role brings its own broker, directory and mailbox; one role alone never
// starts a broker, because nobody else would find it. The error is a
// *ConfigError.
func (c *Config) ReadyFor(roles ...string) error {
	e := &ConfigError{Path: "for " + fmt.Sprint(roles)}
	alone := false
	for _, r := range everyRole() {
		alone = alone || !slices.Contains(roles, r)
	}
	hint := ", or embedded = true to run without servers"
	if c.Embedded {
		hint = ": embedded servers are for a process with every role"
	}
	e.need(c.NATS.URL != "" || c.Embedded && !alone, "nats.url", "is empty", `set it, for example "tls://nats.usn.no:4222"`+hint)
	if c.NATS.URL != "" {
		for _, r := range roles {
			l := c.NATS.For(r)
			e.readable("nats."+r+".password_file", l.PasswordFile)
			e.readable("nats."+r+".creds_file", l.CredsFile)
			e.readable("nats."+r+".nkey_file", l.NKeyFile)
		}
	}
	for _, r := range roles {
		switch r {
		case roleWorker:
			c.readyDirectory(e, r)
			e.key("keys.claims_file", c.Keys.ClaimsFile)
			_, err := os.ReadFile(string(c.Keys.MailerPublicFile))
			e.need(err == nil, "keys.mailer_public_file", fmt.Sprintf("cannot be used: %v", err), "matricula setup makes it beside the mailer's key")
		case rolePortal:
			c.readyDirectory(e, r)
			c.readyPortal(e)
		case roleMailer:
			c.readyMailer(e)
		}
	}
	return e.orNil()
}

func (c *Config) readyDirectory(e *ConfigError, role string) {
	e.need(c.LDAP.URL != "" || c.Embedded, "ldap.url", "is empty", `set it, for example "ldaps://ldap.usn.no", or embedded = true to run without a directory server`)
	if c.LDAP.URL == "" {
		return
	}
	b := c.LDAP.For(role)
	e.need(b.DN != "", "ldap."+role+".bind_dn", "is empty", "set it, or ldap.bind_dn: "+role+" needs an account of its own in the directory")
	e.key("ldap."+role+".bind_password_file", b.PasswordFile)
}

func (c *Config) readyPortal(e *ConfigError) {
	e.need(c.Portal.BaseURL != "" || c.Embedded, "portal.base_url", "is empty", `set it to the address people see, for example "https://konto.usn.no"`)
	e.key("portal.secret_file", c.Portal.SecretFile)
	e.key("keys.ticket_file", c.Keys.TicketFile)
	e.readable("keys.ticket_old_file", c.Keys.TicketOldFile)
	_, err := os.ReadFile(string(c.Keys.WorkerPublicFile))
	e.need(err == nil, "keys.worker_public_file", fmt.Sprintf("cannot be used: %v", err), "matricula setup makes it; the worker holds the other half")
	_, _, err = c.PIN.public()
	e.need(err == nil, "pin.public_key_file", fmt.Sprintf("cannot be used: %v", err), "the access system makes it with matricula pin key; leave it empty where PINs are set elsewhere")
	c.readyInstitution(e)
}

func (c *Config) readyMailer(e *ConfigError) {
	e.need(c.SMTP.Host != "" || c.Embedded, "smtp.host", "is empty", `set it, for example "smtp.usn.no", or embedded = true to run with a mailbox of its own`)
	e.need(c.SMTP.From != "" || c.Embedded, "smtp.from", "is empty", `set it, for example "USN <no-reply@usn.no>"`)
	e.need(c.Portal.BaseURL != "" || c.Embedded, "portal.base_url", "is empty", "set it: letters link to it")
	e.readable("smtp.password_file", c.SMTP.PasswordFile)
	e.key("keys.ticket_file", c.Keys.TicketFile)
	e.key("keys.mailer_private_file", c.Keys.MailerPrivateFile)
	c.readyInstitution(e)
}

func (c *Config) readyInstitution(e *ConfigError) {
	e.need(c.Institution.SupportEmail != "" || c.Embedded, "institution.support_email", "is empty", "set it: every page and letter says where help is")
}

// key is readable for a secret that must be there.
func (e *ConfigError) key(name string, s Secret) {
	e.need(s.Path != "", name, "is empty", "name the file: matricula setup makes the keys")
	e.readable(name, s)
}

func (e *ConfigError) readable(name string, s Secret) {
	if s.Path == "" {
		return
	}
	_, err := s.Read()
	e.need(err == nil, name, fmt.Sprintf("cannot be used: %v", err), "matricula setup makes the keys; passwords are yours to put there")
}
