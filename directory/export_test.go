package directory

import (
	"encoding/base64"
	"strings"
	"testing"

	"usn.no/matricula/account"
)

// Encrypts tells whether a connection by this configuration starts TLS.
func Encrypts(t *testing.T, c Config) bool {
	t.Helper()
	d, err := newDialer(c)
	if err != nil {
		t.Fatal(err)
	}
	return d.startTLS
}

// LDIF is the entry that Create writes.
func LDIF(b testing.TB, d *Directory, a account.Account) string {
	b.Helper()
	a.Revision = 1
	v, err := d.layout.encode(a)
	if err != nil {
		b.Fatal(err)
	}
	var s strings.Builder
	s.WriteString("dn: " + d.layout.dn(a.Username) + "\n")
	for _, name := range order {
		for _, value := range v[name] {
			s.WriteString(name + ":: " + base64.StdEncoding.EncodeToString([]byte(value)) + "\n")
		}
	}
	return s.String() + "\n"
}
