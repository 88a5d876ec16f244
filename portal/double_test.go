package portal_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"sync"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/policy"
)

// life stands in for account.Lifecycle: it answers as the doc comments of
// package account say, on invitations kept in memory. A fault set on it is
// answered by every call.
type life struct {
	mu          sync.Mutex
	now         time.Time
	invitations map[string]*invitation // by ticket
	proofs      map[string]string      // token to ticket
	fault       error
	slow        chan struct{} // Activate waits for it, whatever its context
	entered     chan struct{} // closed when it waits
	calls       map[string]int

	people   people
	sessions memory
}

type invitation struct {
	purpose, language string
	username          string
	name              account.Name
	roles             []string
	numbers           []string
	opens, expires    time.Time
	suspended         *account.SuspendedError
	wrong             int
	spent             bool
	password          string
	old               string // compromised: refused
	rules             account.Acceptance
	asked             int
	lookFault         error // answered instead
	activateFault     error
}

const wrongNumbers = 5

func newLife(now time.Time) *life {
	return &life{now: now, invitations: map[string]*invitation{}, proofs: map[string]string{}, calls: map[string]int{}}
}

// ticketOf makes a ticket as long as a real one.
func ticketOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// invite adds a person and answers the ticket of the letter. The number is
// synthetic.
func (l *life) invite(name string, change func(*invitation)) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := &invitation{
		purpose: account.PurposeActivate, language: "nb", username: "karnor",
		name: account.Name{Given: "Kari", Family: "Nordmann"}, roles: []string{account.Student},
		numbers: []string{"17912099997"}, expires: l.now.Add(30 * 24 * time.Hour),
	}
	if change != nil {
		change(i)
	}
	l.invitations[ticketOf(name)] = i
	return ticketOf(name)
}

func (l *life) at(ticket string) invitation {
	l.mu.Lock()
	defer l.mu.Unlock()
	return *l.invitations[ticket]
}

func (l *life) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

func (l *life) called(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls[what]
}

func (l *life) clock() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

// redeem finds what a ticket opens. The caller holds the lock.
func (l *life) redeem(ticket string) (*invitation, error) {
	if l.fault != nil {
		return nil, l.fault
	}
	i := l.invitations[ticket]
	switch {
	case i == nil:
		return nil, account.ErrTicket
	case i.lookFault != nil:
		return i, i.lookFault
	case i.spent:
		return nil, account.ErrSpent
	case i.suspended != nil:
		return i, i.suspended
	case !l.now.Before(i.expires):
		return i, account.ErrExpired
	case i.wrong >= wrongNumbers:
		return i, account.ErrFrozen
	}
	return i, nil
}

func (l *life) open(i *invitation) error {
	if i.purpose == account.PurposeActivate && l.now.Before(i.opens) {
		return &account.NotOpenError{Opens: i.opens}
	}
	return nil
}

func (l *life) Look(_ context.Context, ticket string) (account.Visit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls["look"]++
	i, err := l.redeem(ticket)
	if i == nil {
		return account.Visit{}, err
	}
	v := account.Visit{Purpose: i.purpose, Language: i.language, Expires: i.expires}
	if l.open(i) != nil {
		v.Opens = i.opens
	}
	return v, err
}

func (l *life) Prove(_ context.Context, ticket, role, number string) (account.Proof, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls["prove"]++
	i, err := l.redeem(ticket)
	if err == nil {
		err = l.open(i)
	}
	if err != nil {
		return account.Proof{}, err
	}
	if !slices.Contains(i.numbers, number) {
		if i.wrong++; i.wrong >= wrongNumbers {
			return account.Proof{}, account.ErrFrozen
		}
		return account.Proof{}, &account.WrongNumberError{Left: wrongNumbers - i.wrong}
	}
	if i.purpose == account.PurposeActivate && !slices.Contains(i.roles, role) {
		return account.Proof{}, account.ErrWrongRole
	}
	token := fmt.Sprintf("proof-%d-%s", len(l.proofs), ticket)
	l.proofs[token] = ticket
	return account.Proof{Token: token, Purpose: i.purpose, Language: i.language, Username: i.username,
		Name: i.name.Full(), Names: slices.DeleteFunc([]string{i.name.Given, i.name.Family, i.name.Preferred, i.username}, func(n string) bool { return n == "" }), Expires: l.now.Add(30 * time.Minute)}, nil
}

func (l *life) proved(token string) (*invitation, error) {
	ticket, ok := l.proofs[token]
	if !ok {
		return nil, account.ErrProof
	}
	return l.redeem(ticket)
}

func (l *life) Judge(_ context.Context, proof, password string) ([]account.Answer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls["judge"]++
	i, err := l.proved(proof)
	if err != nil {
		return nil, err
	}
	return i.answers(password), nil
}

func (i *invitation) answers(password string) []account.Answer {
	return policy.DefaultPasswordRules().Check(password, policy.Subject{
		Given: i.name.Given, Family: i.name.Family, Preferred: i.name.Preferred, Username: i.username})
}

func (l *life) Activate(ctx context.Context, c account.Choice) (account.Receipt, error) {
	if l.slow != nil {
		close(l.entered)
		<-l.slow
	}
	if err := ctx.Err(); err != nil {
		return account.Receipt{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls["activate"]++
	i, err := l.proved(c.Proof)
	if err == nil {
		err = l.open(i)
	}
	if err == nil {
		err = i.activateFault
	}
	if err != nil {
		return account.Receipt{}, err
	}
	if c.Rules.Version == "" || c.Rules.Hash == "" || c.Rules.Language == "" {
		return account.Receipt{}, account.ErrRules
	}
	if answers := i.answers(c.Password); !policy.OK(answers) {
		return account.Receipt{}, &account.PasswordError{Answers: answers}
	}
	if c.Password == i.old {
		return account.Receipt{}, account.ErrSamePassword
	}
	i.spent, i.password, i.rules = true, c.Password, c.Rules
	r := account.Receipt{Purpose: i.purpose, Username: i.username, Name: i.name.Full(), Language: i.language, At: l.now}
	l.people.mu.Lock()
	defer l.people.mu.Unlock()
	if p := l.people.persons[i.username]; p != nil {
		p.after()
		r.Account, r.From = p.ID, p.From
	}
	return r, nil
}

func (l *life) Again(_ context.Context, ticket string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls["again"]++
	if l.fault != nil {
		return l.fault
	}
	i := l.invitations[ticket]
	if i == nil {
		return account.ErrTicket
	}
	i.asked++
	return nil
}
