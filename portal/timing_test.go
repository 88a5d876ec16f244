package portal_test

import (
	"context"
	"flag"
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

// answers is how many are taken: make timings takes 2,000 of each form. Without
// it a few of one form show at once when the pace is gone.
var answers = flag.Int("answers", 0, "answers to take of each form that a password is shown in; 0: 200 of one")

// TestT18AnswersTakeTheSameTime takes many answers of each form that a password
// is shown in, in turn for people who exist and people who do not, and looks
// for a difference as Welch's t-test does: beyond 4.5 there is one. The slowest
// tenth is left out: it is this machine's. Without the pace the same measure
// must see the difference.
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
	most := *answers
	if most == 0 {
		most = 200
		forms = map[string]func(string) url.Values{"/signin": forms["/signin"]}
	}
	for path, form := range forms {
		got, pace := limit, 24*time.Millisecond
		for tries := 0; got >= limit && tries < 7; tries++ { // a difference shows each time, a busy machine's does not
			known, other := timed(t, path, form, most, pace, 4*time.Millisecond)
			got = math.Abs(welch(cropped(known, other)))
			if overrun(pace, known, other) {
				pace *= 2 // answers do not fit a step here and now, which is not what the step promises
			}
		}
		t.Logf("%s: |t| = %.2f over %d answers at a pace of %s", path, got, most, pace)
		if got >= limit {
			t.Errorf("%s tells who exists by its time: |t| = %.1f, each time", path, got)
		}
	}
	got := 0.0
	for hash := 25 * time.Millisecond; got < limit && hash < time.Second; hash *= 2 { // until it is more than the machine's own waits
		got = math.Abs(welch(cropped(timed(t, "/signin", forms["/signin"], 200, 0, hash))))
	}
	if got < limit {
		t.Errorf("without the pace nothing is seen: |t| = %.1f", got)
	}
}

// overrun: more than one answer in two hundred took another step.
func overrun(pace time.Duration, samples ...[]float64) bool {
	n, late := 0, 0
	for _, took := range slices.Concat(samples...) {
		if n++; took > 1.5*pace.Seconds() {
			late++
		}
	}
	return late*200 > n
}

// timed takes answers of a form, in seconds, for known and other people in
// turn.
func timed(t *testing.T, path string, form func(string) url.Values, answers int, pace, hash time.Duration) (known, other []float64) {
	t.Helper()
	p := settings(newLife(july), "https://konto.example.org")
	d := hashing{newLife(july), hash}
	p.People, p.Changes, p.Pace, p.Rate = d, d, pace, portal.Rate{PerSecond: 1e6, Burst: 1 << 30}
	handler, err := p.Handler()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	took := map[string][]float64{}
	const browsers = 20
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
	return took["known"], took["other"]
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
