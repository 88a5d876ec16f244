package main

import (
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check looks at every value that is set, whatever role will use it.
func (c *Config) check(e *ConfigError) {
	for _, s := range settings(reflect.ValueOf(c)) {
		if v, ok := s.Value.Interface().(Span); ok {
			e.need(!v.bad, s.Key, fmt.Sprintf("is %q, which is no length of time", v.text), `write for example "14d", "36h" or "60m"`)
		}
	}
	e.need(c.DataDir != "" && filepath.IsAbs(string(c.DataDir)), "data_dir", "is not a folder", `set it, for example "/var/lib/matricula"`)
	e.between("streams.replicas", c.Streams.Replicas, 1, 5)
	e.need(c.Streams.Replicas%2 == 1, "streams.replicas", fmt.Sprintf("is %d", c.Streams.Replicas), "use 1, 3 or 5: an even number survives no more")
	e.atLeast("streams.intake", c.Streams.Intake, day)
	e.atLeast("streams.audit", c.Streams.Audit, day)
	e.atLeast("streams.dead", c.Streams.Dead, day)
	e.atLeast("streams.secret", c.Streams.Secret, day)
	c.checkServers(e)
	c.checkPortal(e)
	c.checkRules(e)
	c.PIN.check(e)
	e.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	e.oneOf("log.format", c.Log.Format, "json", "text")
	e.listen("metrics.listen", c.Metrics.Listen)
	c.checkWindows(e)
}

func (c *Config) checkServers(e *ConfigError) {
	for one := range strings.SplitSeq(c.NATS.URL, ",") {
		e.url("nats.url", strings.TrimSpace(one), "nats", "tls", "ws", "wss")
	}
	for _, role := range []string{roleWorker, roleMailer, rolePortal, roleAccess, roleOperator} {
		l := c.NATS.For(role)
		ways := 0
		for _, way := range []string{l.User, l.NKeyFile.Path, l.CredsFile.Path} {
			if way != "" {
				ways++
			}
		}
		e.need(ways <= 1, "nats."+role, "has more than one of nkey_file, creds_file and user", "keep one of them")
		e.need((l.User == "") == (l.PasswordFile.Path == ""), "nats."+role, "has only one of user and password_file", "set both or none")
	}
	l := c.LDAP
	e.url("ldap.url", l.URL, "ldap", "ldaps", "ldapi")
	e.oneOf("ldap.flavour", l.Flavour, "openldap", "389ds", "ad")
	e.need(l.Flavour == "openldap", "ldap.flavour", fmt.Sprintf("is %q, which this version cannot serve yet", l.Flavour), "use openldap")
	e.need(l.URL == "" || l.BaseDN != "", "ldap.base_dn", "is empty", `set it, for example "dc=usn,dc=no"`)
	s := c.SMTP
	e.between("smtp.port", s.Port, 1, 65535)
	e.between("smtp.rate", s.Rate, 0, 1_000_000)
	e.between("smtp.daily", s.Daily, 0, 100_000_000)
	e.between("smtp.connections", s.Connections, 1, 64)
	e.oneOf("smtp.tls", s.TLS, "starttls", "tls", "none")
	e.need((s.User == "") == (s.PasswordFile.Path == ""), "smtp.user", "and password_file belong together", "set both or none")
	e.need(s.TLS != "none" || s.User == "", "smtp.tls", "is none, which would send the password in the clear", "use starttls or tls")
	_, err := mail.ParseAddress(s.From)
	e.need(s.From == "" || err == nil, "smtp.from", "is no address", `write for example "USN <no-reply@usn.no>"`)
}

// sessionKept is how long the bucket keeps a session nobody uses.
const sessionKept = 12 * time.Hour

func (c *Config) checkPortal(e *ConfigError) {
	p := c.Portal
	e.need(p.Listen != "", "portal.listen", "is empty", `set it, for example "127.0.0.1:8080"`)
	e.listen("portal.listen", p.Listen)
	e.url("portal.base_url", p.BaseURL, "https", "http")
	u, err := url.Parse(p.BaseURL)
	e.need(err != nil || u.Path == "" && u.RawQuery == "" && u.Fragment == "", "portal.base_url", "has a path", "name the host only: the portal is at its root")
	e.need(!strings.HasPrefix(p.BaseURL, "http:") || isLoopback(p.BaseURL), "portal.base_url", "is http, so links and passwords would travel in the clear", "use https")
	for _, proxy := range p.TrustedProxies {
		_, err := netip.ParsePrefix(proxy)
		e.need(err == nil, "portal.trusted_proxies", fmt.Sprintf("holds %q", proxy), `write networks, for example "10.0.0.0/8" or "10.0.0.1/32"`)
	}
	idle, most := p.SessionIdle.Duration, p.SessionMax.Duration
	e.need(!p.SessionIdle.bad && idle >= time.Minute && idle <= most, "portal.session_idle", fmt.Sprintf("is %q", p.SessionIdle), "write a time between 1m and session_max, for example \"30m\"")
	e.need(!p.SessionMax.bad && most <= sessionKept, "portal.session_max", fmt.Sprintf("is %q", p.SessionMax), "write a time of 12h at most, for example \"8h\"")
	i := c.Institution
	e.need(i.Name != "", "institution.name", "is empty", "set it: pages and letters name the institution")
	e.need(domain.MatchString(i.Realm), "institution.realm", fmt.Sprintf("is %q", i.Realm), `set it to a domain, for example "usn.no"`)
	_, err = mail.ParseAddress(i.SupportEmail)
	e.need(i.SupportEmail == "" || err == nil, "institution.support_email", "is no address", `write for example "support@usn.no"`)
	e.url("institution.support_url", i.SupportURL, "https")
	e.url("institution.accessibility_url", i.AccessibilityURL, "https")
}

var domain = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`) //nolint:gochecknoglobals // a compiled constant

func (c *Config) checkRules(e *ConfigError) {
	e.rules("password", c.Password.Rules().Validate())
	e.oneOf("breach.on_failure", c.Breach.OnFailure, "open", "closed")
	e.url("breach.range_url", c.Breach.RangeURL, "https", "http")
	l := c.Letters
	e.oneOf("letters.so_number", l.SONumber, "full", "masked", "link")
	e.atLeast("letters.invitation_valid", l.InvitationValid, day)
	e.need(l.InvitationValid.Duration%day == 0, "letters.invitation_valid", fmt.Sprintf("is %q", l.InvitationValid), "use whole days: it ends on a day of the calendar")
	e.need(l.AfterStart.Duration%day == 0, "letters.after_start", fmt.Sprintf("is %q", l.AfterStart), "use whole days, or 0d")
	e.need(l.ResetValid.Duration >= 10*time.Minute, "letters.reset_valid", fmt.Sprintf("is %q", l.ResetValid), "use at least 10m: a letter takes its time")
	e.between("letters.reminders", l.Reminders, 0, 1)
	e.atLeast("letters.reminder_after", l.ReminderAfter, day)
	c.checkLeaving(e)
	e.between("worker.lanes", c.Worker.Lanes, 1, 64)
	e.between("worker.attempts", c.Worker.Attempts, 1, 100)
	e.atLeast("worker.wait_for_person", c.Worker.Unknown, time.Hour)
	e.between("brake.max_changes", c.Brake.MaxChanges, 0, maxBrake)
	e.atLeast("brake.per", c.Brake.Per, time.Hour)
}

// maxBrake bounds what the brake writes each time it counts one more.
const maxBrake = 10_000

func (e *ConfigError) atLeast(key string, s Span, least time.Duration) {
	e.need(s.Duration >= least, key, fmt.Sprintf("is %q", s), fmt.Sprintf("use at least %.0f hours", least.Hours()))
}

// url adds a problem unless text is empty or an address with one of schemes
// and without a password in it.
func (e *ConfigError) url(key, text string, schemes ...string) {
	socket, isSocket := strings.CutPrefix(text, "ldapi://") // its escaped path is no host that url.Parse takes
	if text == "" || isSocket && socket != "" && slices.Contains(schemes, "ldapi") {
		return
	}
	u, err := url.Parse(text)
	if err != nil || !slices.Contains(schemes, u.Scheme) || u.Host == "" {
		e.add(Problem{Key: key, Text: "is no address of the kind it must be", Fix: "begin with " + strings.Join(schemes, ":// or ") + ":// and a host"})
		return
	}
	e.need(u.User == nil, key, "holds a login", "name the user in its own key and the password in a file")
}

func (e *ConfigError) listen(key, address string) {
	if address == "" {
		return
	}
	_, port, err := net.SplitHostPort(address)
	n, bad := strconv.ParseUint(port, 10, 16)
	e.need(err == nil && bad == nil && n > 0, key, fmt.Sprintf("is %q", address), `write host and port, for example "127.0.0.1:8080" or ":8080"`)
}

// isLoopback tells whether an address never leaves this machine.
func isLoopback(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() == "localhost" || err == nil && ip.IsLoopback()
}
