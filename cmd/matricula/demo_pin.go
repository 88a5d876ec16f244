package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
	"usn.no/matricula/stream"
)

// demoDoors is the demo's access system: it takes every PIN and says that the
// doors know it.
type demoDoors struct {
	receiver *pinReceiver

	mu    sync.Mutex
	taken []receivedPIN
}

// pinSettings makes a key pair in the demo's folder and answers the settings
// that name it.
func pinSettings(dir string) (string, error) {
	path := filepath.Join(dir, "keys", "access.key")
	_, err := makePINKey(path)
	return fmt.Sprintf("\n[pin]\npublic_key_file = %q\nprivate_key_file = %q\n", path+".pub", path), err
}

// openDoors starts the access system; it ends with ctx.
func (r *running) openDoors(ctx context.Context) (*demoDoors, error) {
	keys, err := r.cfg.PIN.private()
	if err != nil {
		return nil, err
	}
	js, err := r.connect(roleAccess)
	if err != nil {
		return nil, err
	}
	d := &demoDoors{}
	d.receiver = &pinReceiver{pins: &stream.PINs{Publisher: r.publisher(js)}, keys: keys, log: r.log, now: r.clock.Now, take: d.take}
	go func() {
		if err := d.receiver.run(ctx, js, false); err != nil {
			r.log.Warn().Err(err).Msg("access system ended")
		}
	}()
	return d, nil
}

func (d *demoDoors) take(p receivedPIN) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.taken = append(d.taken, p)
	return nil
}

func (d *demoDoors) all() []receivedPIN {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]receivedPIN(nil), d.taken...)
}

// place is a role's campus, as the events tell it.
type place struct {
	admission policy.Admission
	campus    string
}

// campus is where a member has every role; ok is false where there are several
// campuses, or none, or one of the roles is not open yet.
func (m *member) campus(ws policy.Windows, now time.Time) (campus string, ok bool) {
	for _, p := range m.places {
		if ws.Opening(p.admission).At.After(now) || campus != "" && events.CampusKey(p.campus) != events.CampusKey(campus) {
			return "", false
		}
		campus = p.campus
	}
	return campus, campus != ""
}

// demoPIN breaks no rule, for no birth date.
const demoPIN = "8361"

// pin has one person set a PIN, and the access system confirm it.
func (p *play) pin(ctx context.Context) error {
	for _, m := range p.members {
		campus, ok := m.campus(p.cfg.Windows(), p.clock.Now())
		if !ok || p.username[m] == "" {
			continue
		}
		p.want.PINs = 1
		p.want.Audit[events.AuditPIN] = 1
		return p.setPIN(ctx, m, campus)
	}
	return nil
}

func (p *play) setPIN(ctx context.Context, m *member, campus string) error {
	v, base := newVisitor(), p.cfg.Portal.BaseURL
	in, err := v.submit(ctx, page{}, base, "/signin", url.Values{"username": {p.username[m]}, "password": {p.password[m]}})
	if err != nil {
		return err
	}
	form, err := v.get(ctx, base+"/pin")
	if err != nil {
		return err
	}
	done, err := v.submit(ctx, form, base, "/pin", url.Values{"old": {p.password[m]}, "pin": {demoPIN}})
	if err != nil {
		return err
	}
	if done.Path != "/pin/done" {
		p.fault("%s: setting a PIN ended on %s with %d, after %s", m.name(), done.Path, done.Status, in.Path)
		return nil
	}
	p.say("%s sets a PIN for the doors in %s", p.username[m], campus)
	ctx, cancel := context.WithTimeout(ctx, storyWaits)
	defer cancel()
	err = until(ctx, func() (bool, error) { return len(p.doors.all()) > 0, nil })
	if err != nil {
		p.fault("%s: the access system got no PIN: %v", m.name(), err)
		return nil
	}
	got := p.doors.all()[0]
	if got.Holder == nil || got.Holder.PIN != demoPIN || got.Holder.Username != p.username[m] || got.Campus != campus {
		p.fault("%s: the access system got another PIN than was set", m.name())
	}
	err = until(ctx, func() (bool, error) {
		mark, err := p.doors.receiver.pins.Mark(ctx, got.Account, got.Campus)
		return mark.State == events.PINConfirmed, err
	})
	if err != nil {
		p.fault("%s: the PIN was not confirmed: %v", m.name(), err)
		return nil
	}
	p.say("the access system opens it, and confirms it")
	return nil
}
