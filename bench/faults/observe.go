package faults

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// view is what can be observed of the installation at one moment.
type view struct {
	entries map[string][]*ldap.Entry  // by what the sources call the person
	all     []*ldap.Entry             //
	facts   map[string][]events.Event // by account
	ids     map[string]int            // of facts
	dead    []events.DeadLetter
	waiting map[string]uint64 // subjects in WAIT
	behind  []string          // what consumers have not finished
	letters []letter
	planned int // letters that the mailer has or has put off
}

// look takes everything in. An error means that a server did not answer.
func (h *house) look() (*view, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	v := &view{entries: map[string][]*ldap.Entry{}, facts: map[string][]events.Event{}, ids: map[string]int{}}
	mail, err := h.js.Stream(ctx, "MAIL")
	if err != nil {
		return nil, err
	}
	v.planned, v.letters = int(mail.CachedInfo().State.Msgs), h.sink.taken() // in this order: none is in neither
	if err := h.behind(ctx, v); err != nil {
		return nil, err
	}
	if v.all, err = h.directory("(objectClass=matriculaAccount)"); err != nil {
		return nil, err
	}
	for _, e := range v.all {
		for _, lin := range e.GetAttributeValues("norEduPersonLIN") {
			v.entries[lin] = append(v.entries[lin], e)
		}
	}
	err = stream.Tail(ctx, h.js, stream.TailOptions{}, func(e events.Event) error {
		v.ids[e.ID]++
		if a, ok := e.Data.(events.Audit); ok {
			v.facts[a.Account] = append(v.facts[a.Account], e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	letters := &stream.DeadLetters{JS: h.js}
	return v, letters.List(ctx, "", func(d events.DeadLetter) bool {
		v.dead = append(v.dead, d)
		return true
	})
}

// behind lists the consumers that have not finished, and what waits.
func (h *house) behind(ctx context.Context, v *view) error {
	for _, name := range []string{"INTAKE", "MAIL"} {
		st, err := h.js.Stream(ctx, name)
		if err != nil {
			return err
		}
		list := st.ListConsumers(ctx)
		for c := range list.Info() {
			if c.NumPending > 0 || c.NumAckPending > 0 {
				v.behind = append(v.behind, fmt.Sprintf("%s/%s: %d pending, %d in hand", name, c.Name, c.NumPending, c.NumAckPending))
			}
		}
		if err := list.Err(); err != nil && !errors.Is(err, jetstream.ErrEndOfData) {
			return err
		}
	}
	st, err := h.js.Stream(ctx, "WAIT")
	if err != nil {
		return err
	}
	info, err := st.Info(ctx, jetstream.WithSubjectFilter("wait.>"))
	if err != nil {
		return err
	}
	v.waiting = info.State.Subjects
	return nil
}

// directory searches as the administrator does.
func (h *house) directory(filter string) ([]*ldap.Entry, error) {
	c, err := ldap.DialURL(h.slapd.URL)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close() }()
	c.SetTimeout(10 * time.Second)
	if err := c.Bind(h.slapd.Admin.DN, h.slapd.Admin.Password); err != nil {
		return nil, err
	}
	r, err := c.Search(ldap.NewSearchRequest("ou=people,"+h.slapd.Base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false,
		filter, []string{"*", "createTimestamp"}, nil))
	if err != nil {
		return nil, err
	}
	return r.Entries, nil
}

// binds finds out with which of the passwords a person tried they can sign in:
// with none of them, or with one.
func (h *house) binds(p *person) (uid, password string, err error) {
	found, err := h.directory("(norEduPersonLIN=" + ldap.EscapeFilter(p.lin(h.slapd.Realm)) + ")")
	if err != nil || len(found) != 1 {
		return "", "", errors.Join(err, fmt.Errorf("%d entries", len(found)))
	}
	uid = found[0].GetAttributeValue("uid")
	tried := map[string]bool{}
	for _, a := range p.clicks() {
		if tried[a.password] || a.answer == "spent" && a.ended.Equal(a.began) {
			continue
		}
		tried[a.password] = true
		_, err := h.slapd.Whoami(h.slapd.Person(uid, a.password))
		switch {
		case err == nil && password != "":
			return uid, password, fmt.Errorf("%s can sign in with two passwords", p.No)
		case err == nil:
			password = a.password
		case !ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials):
			return uid, "", err
		}
	}
	return uid, password, nil
}

// processes are the command lines of the processes that belong to this run.
func (h *house) processes() string {
	out, err := exec.Command("sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '").Output()
	if err != nil {
		return ""
	}
	return string(out)
}

func state(e *ldap.Entry) string {
	s := e.GetAttributeValue("schacUserStatus")
	return s[strings.LastIndexByte(s, ':')+1:]
}
