package directory

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"usn.no/matricula/account"
)

// Config says where the directory is and who asks.
type Config struct {
	// URL is ldaps://host:port, ldap://host:port, or a socket of this machine,
	// ldapi:///run/slapd/ldapi (as OpenLDAP writes it, too:
	// ldapi://%2Frun%2Fslapd%2Fldapi). Over ldap:// the connection is encrypted
	// before anything else is said (StartTLS), except on this machine when no
	// CAFile is given.
	URL string
	// BindDN and Password are a service account's.
	BindDN, Password string
	// Base is the suffix, "dc=usn,dc=no"; people are in ou=people below it.
	Base string
	// Realm is the domain of the institution, "usn.no".
	Realm string
	// CAFile holds the authorities that sign the server's certificate, PEM.
	// Empty: the system's.
	CAFile string
	// Plain allows ldap:// without encryption to another machine. Passwords
	// then cross the network for everyone to read.
	Plain bool
	// DialTimeout and Timeout bound a connection attempt and one request.
	// Zero: 3 s and 5 s.
	DialTimeout, Timeout time.Duration
	// Argon2 is how new passwords are hashed. Zero: DefaultArgon2.
	Argon2 Argon2
	// Hashers is how many passwords are hashed or tried at a time. Zero: as
	// many as Go uses cores.
	Hashers int
}

const (
	dialTimeout    = 3 * time.Second
	requestTimeout = 5 * time.Second
)

func (c Config) withDefaults() Config {
	if c.DialTimeout == 0 {
		c.DialTimeout = dialTimeout
	}
	if c.Timeout == 0 {
		c.Timeout = requestTimeout
	}
	return c
}

// address is the URL as it is dialed, its host, and whether the connection is
// to be encrypted once it is there.
func (c Config) address() (address, host string, startTLS bool, err error) {
	if path, ok := strings.CutPrefix(c.URL, "ldapi://"); ok {
		path, err = url.PathUnescape(path)
		if err != nil || !strings.HasPrefix(path, "/") {
			return "", "", false, fmt.Errorf("ldap: %w: url names no socket", account.ErrInvalid)
		}
		return (&url.URL{Scheme: "ldapi", Path: path}).String(), "", false, nil
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Hostname() == "":
		return "", "", false, fmt.Errorf("ldap: %w: url cannot be read", account.ErrInvalid)
	case u.Scheme == "ldaps":
		return c.URL, u.Hostname(), false, nil
	case u.Scheme != "ldap":
		return "", "", false, fmt.Errorf("ldap: %w: url must begin with ldaps://, ldap:// or ldapi://", account.ErrInvalid)
	}
	return c.URL, u.Hostname(), c.CAFile != "" || !c.Plain && !thisMachine(u.Hostname()), nil
}

func thisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c Config) check() error {
	for name, value := range map[string]string{
		"url": c.URL, "bind_dn": c.BindDN, "bind_password": c.Password, "base_dn": c.Base, "realm": c.Realm,
	} {
		if value == "" {
			return fmt.Errorf("ldap: %w: %s is missing", account.ErrInvalid, name)
		}
	}
	return c.Argon2.check()
}
