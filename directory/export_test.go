package directory

import "testing"

// Encrypts tells whether a connection by this configuration starts TLS.
func Encrypts(t *testing.T, c Config) bool {
	t.Helper()
	d, err := newDialer(c)
	if err != nil {
		t.Fatal(err)
	}
	return d.startTLS
}
