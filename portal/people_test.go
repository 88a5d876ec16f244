package portal_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/policy"
	"usn.no/matricula/portal"
)

// person is an active account as the double keeps it.
type person struct {
	account.Own
	password string
	number   string
	breached bool
	blocked  bool
	due      bool // the time of the password is over
	tries    int

	acceptances int
}

// people is the part of the double behind the pages that need a password. It
// answers as package account says.
type people struct {
	mu      sync.Mutex
	persons map[string]*person // by username
	tried   []account.Try
	asked   []account.LetterRequest
	limit   int            // tries of one sender on one person; 0: none
	limits  map[string]int // and on those whose name begins so
	counts  map[string]int
}

func (l *life) move(username, word string) *person {
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	p := &person{password: word, number: number, Own: ownOf(username, l.clock())}
	if l.people.persons == nil {
		l.people.persons, l.people.counts = map[string]*person{}, map[string]int{}
	}
	l.people.persons[username] = p
	return p
}

// ownOf is an active account of Kari Nordmann's, which has accepted the rules in
// force.
func ownOf(username string, now time.Time) account.Own {
	rules, err := portal.Rules(prøven())
	if err != nil {
		panic(err)
	}
	rules[0].At = now
	return account.Own{
		ID: "id-" + username, Username: username, Name: "Kari Nordmann", Names: []string{"Kari", "Nordmann", username}, Language: "nb",
		State: account.Active, From: now, Password: now, Active: now.AddDate(0, -1, 0), Registered: now.AddDate(0, -2, 0), Rules: rules[0],
		Roles: []account.OwnRole{
			{Kind: account.Employee, Title: "Førsteamanuensis", Campus: "Drammen", Published: true},
			{Kind: account.Student, Title: "Systems Engineering", Opens: time.Date(2027, 7, 31, 22, 0, 0, 0, time.UTC)},
		},
	}
}

// reader is a visitor who reads bokmål.
func (h *house) reader(t testing.TB) *visitor {
	t.Helper()
	v := h.visitor(t)
	v.get("/?lang=nb")
	return v
}

// after moves what sessions are bound to.
func (p *person) after() { p.From = p.From.Add(time.Millisecond) }

func (l *life) verify(t account.Try) (*person, error) {
	if l.fault != nil {
		return nil, l.fault
	}
	l.people.tried = append(l.people.tried, t)
	if l.people.counts == nil {
		l.people.counts = map[string]int{}
	}
	key := strings.ToLower(t.Username) + "|" + t.From
	limit := l.people.limit
	for name, n := range l.people.limits {
		if strings.HasPrefix(key, name) {
			limit = n
		}
	}
	if l.people.counts[key]++; limit > 0 && l.people.counts[key] > limit {
		return nil, &account.TooManyError{Until: l.clock().Add(15 * time.Minute)}
	}
	p := l.people.persons[strings.ToLower(strings.TrimSpace(t.Username))]
	if p == nil || p.blocked || p.password != t.Password {
		return nil, account.ErrWrongPassword
	}
	return p, nil
}

func (l *life) SignIn(_ context.Context, t account.Try) (account.Own, error) {
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	p, err := l.verify(t)
	if err != nil {
		return account.Own{}, err
	}
	if p.due {
		return account.Own{Username: p.Username, Language: p.Language}, account.ErrChangeDue
	}
	if p.breached {
		p.blocked = true
		p.after()
		return p.Own, account.ErrBreached
	}
	return p.Own, nil
}

func (l *life) of(id string, from time.Time) (*person, error) {
	for _, p := range l.people.persons {
		if p.ID == id && p.From.Equal(from) {
			return p, nil
		}
	}
	return nil, account.ErrSignedOut
}

func (l *life) Own(_ context.Context, id string, from time.Time) (account.Own, error) {
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	p, err := l.of(id, from)
	if err != nil || p.blocked {
		return account.Own{}, account.ErrSignedOut
	}
	return p.Own, nil
}

func (l *life) SignOut(_ context.Context, id string, from time.Time) error {
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	p, err := l.of(id, from)
	if err == nil {
		p.after()
	}
	return err
}

func (l *life) AcceptRules(_ context.Context, id string, from time.Time, rules account.Acceptance) (account.Own, error) {
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	p, err := l.of(id, from)
	if err != nil {
		return account.Own{}, err
	}
	if l.fault != nil {
		return account.Own{}, l.fault
	}
	p.Rules, p.acceptances = rules, p.acceptances+1
	return p.Own, nil
}

func (p *person) set(word string) (account.Own, error) {
	answers := policy.DefaultPasswordRules().Check(word, policy.Subject{Given: "Kari", Family: "Nordmann", Username: p.Username})
	if !policy.OK(answers) {
		return account.Own{}, &account.PasswordError{Answers: answers}
	}
	if word == p.password {
		return account.Own{}, account.ErrSamePassword
	}
	p.password, p.blocked, p.due, p.ChangeBy = word, false, false, time.Time{}
	p.after()
	return p.Own, nil
}

func (l *life) ChangePassword(_ context.Context, t account.Try, word string) (account.Own, error) {
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	p, err := l.verify(t)
	if err != nil {
		return account.Own{}, err
	}
	return p.set(word)
}

func (l *life) Compromised(_ context.Context, r account.Report) (account.Own, error) {
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	var p *person
	var err error
	switch {
	case r.Account != "":
		p, err = l.of(r.Account, r.From)
	case r.Ticket != "":
		if l.invitations[r.Ticket] == nil {
			return account.Own{}, account.ErrTicket
		}
		p = l.people.persons["karnor"]
	default:
		p, err = l.verify(r.Try)
	}
	if err != nil {
		return account.Own{}, err
	}
	p.blocked = true
	p.after()
	return p.Own, nil
}

func (l *life) Renew(_ context.Context, r account.Renewal) (account.Own, error) {
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	p, err := l.of(r.Account, r.From)
	if err != nil {
		return account.Own{}, err
	}
	if !p.blocked {
		return account.Own{}, account.ErrSignedOut
	}
	if p.tries >= wrongNumbers {
		return account.Own{}, account.ErrFrozen
	}
	if r.Number != p.number {
		if p.tries++; p.tries >= wrongNumbers {
			return account.Own{}, account.ErrFrozen
		}
		return account.Own{}, &account.WrongNumberError{Left: wrongNumbers - p.tries}
	}
	return p.set(r.Password)
}

func (l *life) RequestLetter(_ context.Context, r account.LetterRequest) error {
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	l.people.asked = append(l.people.asked, r)
	return l.fault
}

func (l *life) tries() []account.Try {
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	return l.people.tried
}

func (l *life) requests() []account.LetterRequest {
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	return l.people.asked
}

// memory keeps sessions as the bucket does.
type memory struct {
	mu     sync.Mutex
	states map[string][]byte
	fault  error
}

func (m *memory) Load(_ context.Context, key string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	state, ok := m.states[key]
	return state, ok, m.fault
}

func (m *memory) Store(_ context.Context, key string, state []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.states == nil {
		m.states = map[string][]byte{}
	}
	m.states[key] = state
	return m.fault
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.states, key)
	return m.fault
}

func (m *memory) all() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := map[string]string{}
	for k, v := range m.states {
		out[k] = string(v)
	}
	return out
}
