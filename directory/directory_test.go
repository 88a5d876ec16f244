package directory_test

import (
	"testing"
	"time"

	"usn.no/matricula/directory"
	"usn.no/matricula/directory/directorytest"
	"usn.no/matricula/testkit"
)

// cheap makes hashes that are quick to try: what they cost is tested once.
var cheap = directory.Argon2{Memory: 64, Time: 1, Threads: 1}

func config(s *testkit.SlapdServer, who testkit.Login) directory.Config {
	return directory.Config{
		URL: s.URL, BindDN: who.DN, Password: who.Password, Base: s.Base, Realm: s.Realm,
		Argon2: cheap, Timeout: 60 * time.Second,
	}
}

func open(tb testing.TB, c directory.Config) *directory.Directory {
	tb.Helper()
	d, err := directory.Open(tb.Context(), c)
	if err != nil {
		tb.Fatalf("the directory cannot be opened as %s: %v", c.BindDN, err)
	}
	tb.Cleanup(d.Close)
	return d
}

func TestSlapdIsADirectory(t *testing.T) {
	t.Parallel()
	s := testkit.Slapd(t)
	directorytest.Run(t, func(t *testing.T) directorytest.Pair {
		return directorytest.Pair{Worker: open(t, config(s, s.Worker)), Portal: open(t, config(s, s.Portal))}
	})
}
