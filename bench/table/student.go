package table

import (
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"usn.no/matricula/account"
)

// links are the people's activation links by student or employee number, made
// from the invitations in the directory as the mailer makes them.
func (p *place) links() map[string]string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, "data", "keys", "ticket.key"))
	if err != nil {
		p.t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		p.t.Fatal(err)
	}
	tickets, out := account.Tickets{Keys: [][]byte{key}}, map[string]string{}
	for _, e := range p.slapd.Search(p.t, p.slapd.Admin, "(matriculaInvitation=*)", "norEduPersonLIN", "matriculaInvitation") {
		id, _, _ := strings.Cut(e.GetAttributeValue("matriculaInvitation"), ";")
		lin := e.GetAttributeValue("norEduPersonLIN")
		out[lin[strings.LastIndexByte(lin, ':')+1:]] = "http://" + p.portal + "/a/" + tickets.Seal(id, account.PurposeActivate)
	}
	return out
}

// student is somebody at a browser.
type student struct {
	person
	link   string
	base   string
	client *http.Client
	hidden url.Values // what the form on the page holds
}

var hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

func newStudent(q person, link string) *student {
	jar, _ := cookiejar.New(nil) // never fails with nil options
	n := len(q.No)               // everybody has an address of their own
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1+q.No[n-5]-'0', 10*(q.No[n-4]-'0')+q.No[n-3]-'0', 1+10*(q.No[n-2]-'0')+q.No[n-1]-'0')}}
	base, _, _ := strings.Cut(link, "/a/")
	return &student{person: q, link: link, base: base, client: &http.Client{
		Jar: jar, Timeout: 30 * time.Second, Transport: &http.Transport{MaxConnsPerHost: 2, DialContext: from.DialContext},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (s *student) close() { s.client.CloseIdleConnections() }

func (s *student) password() string {
	return "Fjord-Lyngheim-" + strings.Join(strings.Split(s.No, ""), "k") + "-Sildretind"
}

// outcome is what one journey came to.
type outcome struct {
	took    time.Duration // from the button to the receipt: what a person waits for
	page    time.Duration // the slowest page before it
	done    bool
	refused bool // 503 with Retry-After
	err     error
}

// activate goes from the letter to the receipt. wrong types a wrong number
// first, double presses the last button twice at once.
func (s *student) activate(wrong, double bool) (o outcome) {
	defer s.close()
	step := func(method, path string, form url.Values, want int) bool {
		began := time.Now()
		status, _, err := s.request(method, path, form)
		o.page = max(o.page, time.Since(began))
		switch {
		case err != nil:
			o.err = err
		case status == http.StatusServiceUnavailable:
			o.refused = true
		case status != want:
			o.err = fmt.Errorf("%s %s: status %d", method, strings.SplitN(path, "/a/", 2)[0], status)
		}
		return o.err == nil && status == want
	}
	prove := func(number string, want int) bool {
		return step(http.MethodPost, "/activate", url.Values{"role": {s.Role}, "number": {number}}, want)
	}
	if !step(http.MethodGet, strings.TrimPrefix(s.link, s.base), nil, http.StatusSeeOther) || !step(http.MethodGet, "/activate", nil, http.StatusOK) {
		return o
	}
	if wrong && !prove("17912099997", http.StatusUnprocessableEntity) {
		return o
	}
	if !prove(s.Number, http.StatusSeeOther) || !step(http.MethodGet, "/activate/password", nil, http.StatusOK) {
		return o
	}
	return s.press(o, double)
}

// form is what the page's form holds, and what is filled in.
func (s *student) form(fields ...string) url.Values {
	f := maps.Clone(s.hidden)
	for i := 0; i+1 < len(fields); i += 2 {
		f.Set(fields[i], fields[i+1])
	}
	return f
}

func (s *student) press(o outcome, double bool) outcome {
	n := 1
	if double {
		n = 2
	}
	answers, errs := make([]int, n), make([]error, n)
	var wait sync.WaitGroup
	began := time.Now()
	for i := range n {
		wait.Go(func() {
			var leads string
			answers[i], leads, errs[i] = s.request(http.MethodPost, "/activate/password", s.form("accept", "yes", "password", s.password()))
			if answers[i] == http.StatusSeeOther && !strings.HasPrefix(leads, "/activate/done") {
				errs[i] = errors.New("the button leads elsewhere")
			}
		})
	}
	wait.Wait()
	o.took, o.err = time.Since(began), errors.Join(errs...)
	o.done = slices.Contains(answers, http.StatusSeeOther) && o.err == nil
	o.refused = !o.done && slices.Contains(answers, http.StatusServiceUnavailable)
	if !o.done && !o.refused && o.err == nil {
		o.err = fmt.Errorf("the button was answered with %v", answers)
	}
	return o
}

// signIn tries the person's password at the portal.
func (s *student) signIn(username string) (time.Duration, error) {
	defer s.close()
	began := time.Now()
	status, _, err := s.request(http.MethodPost, "/signin", url.Values{"username": {username}, "password": {s.password()}})
	if err == nil && status != http.StatusSeeOther {
		err = fmt.Errorf("sign-in: status %d", status)
	}
	return time.Since(began), err
}

func (s *student) request(method, path string, form url.Values) (int, string, error) {
	req, err := http.NewRequest(method, s.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", err
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", s.base)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if method == http.MethodGet && resp.StatusCode == http.StatusOK {
		s.hidden = url.Values{}
		for _, m := range hiddenField.FindAllSubmatch(body, -1) {
			s.hidden.Set(string(m[1]), html.UnescapeString(string(m[2])))
		}
	}
	return resp.StatusCode, resp.Header.Get("Location"), err
}

// percentile of some durations.
func percentile(of []time.Duration, p float64) time.Duration {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}
