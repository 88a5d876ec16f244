package account_test

import (
	"context"
	"testing"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// countedClaims counts how often a claim is tried.
type countedClaims struct {
	account.Claims
	tries int
}

func (c *countedClaims) Take(ctx context.Context, keys []string, value []byte) (map[string][]byte, error) {
	c.tries++
	return c.Claims.Take(ctx, keys, value)
}

// Many people share the stem of a username: whoever comes last does not try
// every name before theirs, one request after the other.
func TestUsernameInACrowdIsFoundInAFewSteps(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	const crowd = 500
	var keys []string
	for name := range policy.Usernames("Kari", "Nordmann") {
		if len(keys) == crowd {
			break
		}
		keys = append(keys, account.UsernameHandle(name))
	}
	for len(keys) > 0 {
		n := min(len(keys), 100)
		if _, err := w.Claims.Take(t.Context(), keys[:n], []byte(`{"account":"others","username":"x"}`)); err != nil {
			t.Fatal(err)
		}
		keys = keys[n:]
	}
	counted := &countedClaims{Claims: w.Claims}
	w.Claims = counted
	w.must(w.EmployeeRegistered(t.Context(), w.meta(events.SourceHR, "104711", june),
		events.EmployeeRegistered{Employee: employee("104711", "Kari", "Nordmann", "kari@example.org", fnr(fnrA))}))
	if got := counted.tries; got > 3 {
		t.Errorf("a name behind %d others was claimed after %d tries, not after at most 3", crowd, got)
	}
}
