package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// brokerFull fills the broker's disk, expects that somebody says so within
// 10 s, and goes the documented way back: make room, restart the broker.
func (h *house) brokerFull() (func(context.Context), error) {
	d, err := h.memory("96m")
	return func(ctx context.Context) {
		pause(ctx, 3*time.Second)
		h.fill(d)
		before := h.unanswered.Load()
		h.red("the broker's disk is full", often)
		fmt.Printf("  the broker's disk is full: %d publishes were not acknowledged\n", h.unanswered.Load()-before)
		pause(ctx, time.Second)
		h.empty(d)
	}, err
}

// fill leaves no room on the broker's disk.
func (h *house) fill(d *disk) {
	_ = sh("dd", "if=/dev/zero", "of="+filepath.Join(d.at, "junk"), "bs=4k") // ends when the disk is full
	h.killed("F9 broker")
}

// empty goes the documented way back: make room, restart the broker.
func (h *house) empty(d *disk) {
	h.disturbed()
	if err := os.Remove(filepath.Join(d.at, "junk")); err != nil {
		h.t.Error(err)
	}
	h.natsd.signal(syscall.SIGTERM)
	if !h.natsd.within(5 * time.Second) {
		h.natsd.kill()
	}
	h.startBroker()
	h.awaitBroker()
	h.disturbed()
}

// How often a role is asked whether it is ready: as fast as the rig can, or as
// whoever watches over it does.
const (
	often  = 50 * time.Millisecond
	seldom = 4 * time.Second
)

// idleFull fills the directory's map and then the broker's disk while nobody
// does anything: somebody must say so all the same, asked now and then.
func (h *house) idleFull() (func(context.Context), error) {
	d, err := h.memory("96m")
	return func(context.Context) {
		h.disturbed()
		h.sized("4194304")
		if err := h.fillMap(); err != nil {
			h.t.Error(err)
		}
		h.killed("F9 directory")
		h.red("the directory's map is full and nobody writes", seldom)
		h.sized("8589934592")
		h.allReady(10 * time.Second)
		h.fill(d)
		h.red("the broker's disk is full and nobody writes", seldom)
		h.empty(d)
	}, err
}

// sized gives slapd a map of so many bytes.
func (h *house) sized(bytes string) {
	h.slapd.Kill()
	if err := h.setSlapd("maxsize", bytes); err != nil {
		h.t.Error(err)
	}
	h.slapd.Start()
	h.disturbed()
}

// directoryFull leaves slapd no room in its map, and makes it larger again.
func (h *house) directoryFull() (func(context.Context), error) {
	return func(ctx context.Context) {
		pause(ctx, 3*time.Second)
		h.disturbed()
		h.sized("1048576")
		if err := h.fillMap(); err != nil {
			h.t.Error(err)
		}
		h.killed("F9 directory")
		h.red("the directory's map is full", often)
		pause(ctx, 2*time.Second)
		h.sized("8589934592")
	}, nil
}

// red expects that some role says it is not ready within 10 s, asked every so
// often.
func (h *house) red(why string, every time.Duration) {
	m := h.fair.mark()
	for !h.fair.over(m, 10*time.Second) {
		for _, r := range h.roles {
			if !ready(r.metrics) {
				fmt.Printf("  %s: %s was red after %s\n", why, r.name, h.fair.said(m))
				return
			}
		}
		time.Sleep(every)
	}
	h.violation("I13", "%s, and nobody is red after %s", why, h.fair.said(m))
}

// fillMap adds entries until slapd has no room for more.
func (h *house) fillMap() error {
	c, err := ldap.DialURL(h.slapd.URL)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.Bind(h.slapd.Admin.DN, h.slapd.Admin.Password); err != nil {
		return err
	}
	times := h.count("F9 directory")
	for n := range 4000 {
		req := ldap.NewAddRequest(fmt.Sprintf("ou=junk-%d-%d,ou=policies,%s", times, n, h.slapd.Base), nil)
		req.Attribute("objectClass", []string{"organizationalUnit"})
		req.Attribute("description", []string{strings.Repeat("x", 3000)})
		if err := c.Add(req); ldap.IsErrorWithCode(err, ldap.LDAPResultOther) {
			return nil // full
		} else if err != nil {
			return err
		}
	}
	return errors.New("the directory's map never became full")
}
