package breach

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// DefaultRangeURL is the public service. It needs no key.
const DefaultRangeURL = "https://api.pwnedpasswords.com"

const (
	rangeTimeout = 2 * time.Second
	rangeLargest = 1 << 20 // an answer has about 2,000 lines of 40 bytes
)

// Range asks a service of the pwned-passwords kind, the public one or a mirror
// inside the house. Five of the forty digits of the SHA-1 sum leave the
// process; padding hides how long the answer is. It is safe for use by several
// goroutines.
type Range struct {
	URL     string        // up to and without "/range/"; empty: DefaultRangeURL
	Timeout time.Duration // zero: 2 s, for everything from the dial to the last byte
	HTTP    *http.Client  // nil: one that follows no redirect
}

// Count answers how often the password was seen, 0 when it is not listed. An
// answer that is not a whole range (another status, another form, a cut
// connection) is an error, never a 0.
func (r *Range) Count(ctx context.Context, sum [sha1.Size]byte) (int, error) {
	timeout := r.Timeout
	if timeout <= 0 {
		timeout = rangeTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	digits := strings.ToUpper(hex.EncodeToString(sum[:]))
	n, err := r.ask(ctx, digits[:5], digits[5:])
	if err != nil {
		return 0, fmt.Errorf("range service: %w", err)
	}
	return n, nil
}

func (r *Range) ask(ctx context.Context, prefix, suffix string) (int, error) {
	base := r.URL
	if base == "" {
		base = DefaultRangeURL
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(base, "/")+"/range/"+prefix, nil)
	if err != nil {
		return 0, errors.New("address is malformed")
	}
	req.Header.Set("Add-Padding", "true")
	req.Header.Set("User-Agent", "matricula")
	client := r.HTTP
	if client == nil {
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, hidePrefix(err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end or given up: nothing left to learn
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("answers status %d", resp.StatusCode)
	}
	return find(io.LimitReader(resp.Body, rangeLargest+1), suffix)
}

// hidePrefix keeps the address out of the error: it holds a part of the sum.
func hidePrefix(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil || !strings.Contains(err.Error(), "/range/") {
			return err
		}
		err = inner
	}
}

// find reads every line, also behind the one it looks for, so that a cut or
// foreign answer is noticed. Lines of count 0 are padding.
func find(body io.Reader, suffix string) (int, error) {
	lines := bufio.NewScanner(body)
	read, found, n := 0, 0, 0
	for lines.Scan() {
		line := lines.Bytes()
		if n += len(line) + 1; n > rangeLargest {
			return 0, errors.New("answer is longer than 1 MB")
		}
		l, err := parseLine(line, 35)
		if err != nil {
			return 0, fmt.Errorf("line %d: %w", read+1, err)
		}
		if read++; l.count > 0 && strings.EqualFold(string(l.digits), suffix) {
			found = int(min(l.count, 1<<31-1))
		}
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("answer is cut: %w", err)
	}
	if read == 0 {
		return 0, errors.New("answer is empty")
	}
	return found, nil
}
