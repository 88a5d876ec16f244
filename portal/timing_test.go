package portal_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/portal"
)

// hashing is a domain that takes as long as a hash for whoever exists, and no
// time for anybody else: as LDAP does.
type hashing struct {
	*life
	takes time.Duration
}

func (d hashing) hash(username string) error {
	if strings.HasPrefix(username, "known") {
		<-time.After(d.takes)
	}
	return account.ErrWrongPassword
}

func (d hashing) SignIn(_ context.Context, t account.Try) (account.Own, error) {
	return account.Own{}, d.hash(t.Username)
}

func (d hashing) ChangePassword(_ context.Context, t account.Try, _ string) (account.Own, error) {
	return account.Own{}, d.hash(t.Username)
}

func (d hashing) Compromised(_ context.Context, r account.Report) (account.Own, error) {
	return account.Own{}, d.hash(r.Try.Username)
}

// TestT18AnswersTakeTheSameTime takes 2,000 answers of each form that a
// password is shown in, in turn for people who exist and people who do not, and
// looks for a difference as Welch's t-test does: beyond 4.5 there is one. The
// slowest tenth is left out: it is this machine's. Without the pace the same
// measure must see the difference.
func TestT18AnswersTakeTheSameTime(t *testing.T) {
	t.Parallel()
	const limit = 4.5
	forms := map[string]func(string) url.Values{
		"/signin":   func(who string) url.Values { return url.Values{"username": {who}, "password": {good}} },
		"/password": func(who string) url.Values { return url.Values{"username": {who}, "old": {good}, "password": {fresh}} },
		"/compromised": func(who string) url.Values {
			return url.Values{"way": {"password"}, "username": {who}, "password": {good}}
		},
	}
	for path, form := range forms {
		got := limit
		for tries := 0; got >= limit && tries < 3; tries++ { // a difference shows each time, a busy machine's doesn't
			got = math.Abs(difference18(t, path, form, 2000, 24*time.Millisecond))
		}
		t.Logf("%s: |t| = %.2f over 2,000 answers", path, got)
		if got >= limit {
			t.Errorf("%s tells who exists by its time: |t| = %.1f, three times", path, got)
		}
	}
	if got := math.Abs(difference18(t, "/signin", forms["/signin"], 200, 0)); got < limit {
		t.Errorf("without the pace nothing is seen: |t| = %.1f", got)
	}
}

// difference18 is Welch's t between the times of answers to known and unknown.
func difference18(t *testing.T, path string, form func(string) url.Values, answers int, pace time.Duration) float64 {
	t.Helper()
	p := settings(newLife(july), "https://konto.example.org")
	d := hashing{newLife(july), 4 * time.Millisecond}
	p.People, p.Changes, p.Pace, p.Rate = d, d, pace, portal.Rate{PerSecond: 1e6, Burst: 1 << 30}
	handler, err := p.Handler()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	took := map[string][]float64{}
	const browsers = 40
	for b := range browsers {
		all.Go(func() {
			for i := range answers / browsers {
				who := []string{"known", "other"}[(i+b)%2]
				body := form(fmt.Sprintf("%s%03d", who, i)).Encode()
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				w := httptest.NewRecorder()
				began := time.Now()
				handler.ServeHTTP(w, r)
				lasted := time.Since(began).Seconds()
				if w.Code != http.StatusUnprocessableEntity {
					t.Errorf("%s is answered %d", path, w.Code)
					return
				}
				mu.Lock()
				took[who] = append(took[who], lasted)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return welch(cropped(took["known"], took["other"]))
}

// cropped leaves out what is slower than nine tenths of both together.
func cropped(x, y []float64) (a, b []float64) {
	both := slices.Sorted(slices.Values(slices.Concat(x, y)))
	most := both[len(both)*9/10]
	slow := func(s float64) bool { return s > most }
	return slices.DeleteFunc(x, slow), slices.DeleteFunc(y, slow)
}

// welch is the t of two samples whose variances differ.
func welch(x, y []float64) float64 {
	mx, vx := moments(x)
	my, vy := moments(y)
	return (mx - my) / math.Sqrt(vx/float64(len(x))+vy/float64(len(y)))
}

func moments(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x)-1)
	}
	return mean, variance
}
