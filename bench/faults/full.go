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
		junk := filepath.Join(d.at, "junk")
		_ = sh("dd", "if=/dev/zero", "of="+junk, "bs=4k") // ends when the disk is full
		h.killed("F9 broker")
		before := h.unanswered.Load()
		h.red(ctx, "the broker's disk is full")
		fmt.Printf("  the broker's disk is full: %d publishes were not acknowledged\n", h.unanswered.Load()-before)
		pause(ctx, time.Second)
		h.disturbed()
		if err := os.Remove(junk); err != nil {
			h.t.Error(err)
		}
		h.natsd.signal(syscall.SIGTERM)
		if !h.natsd.within(5 * time.Second) {
			h.natsd.kill()
		}
		h.startBroker()
		h.awaitBroker()
		h.disturbed()
	}, err
}

// directoryFull leaves slapd no room in its map, and makes it larger again.
func (h *house) directoryFull() (func(context.Context), error) {
	return func(ctx context.Context) {
		pause(ctx, 3*time.Second)
		h.disturbed()
		for _, size := range []string{"1048576", "8589934592"} {
			h.slapd.Kill()
			if err := h.setSlapd("maxsize", size); err != nil {
				h.t.Error(err)
			}
			h.slapd.Start()
			if size == "1048576" {
				if err := h.fillMap(); err != nil {
					h.t.Error(err)
					continue
				}
				h.killed("F9 directory")
				h.red(ctx, "the directory's map is full")
				pause(ctx, 2*time.Second)
			}
		}
		h.disturbed()
	}, nil
}

// red expects that some role says it is not ready within 10 s.
func (h *house) red(ctx context.Context, why string) {
	began := time.Now()
	for time.Since(began) < 10*time.Second && ctx.Err() == nil {
		for _, r := range h.roles {
			if !ready(r.metrics) {
				fmt.Printf("  %s: %s was red after %.1f s\n", why, r.name, time.Since(began).Seconds())
				return
			}
		}
		pause(ctx, 50*time.Millisecond)
	}
	h.violation("I13", "%s, and nobody is red after %.0f s", why, time.Since(began).Seconds())
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
	for n := range 4000 {
		req := ldap.NewAddRequest(fmt.Sprintf("ou=junk-%d,ou=policies,%s", n, h.slapd.Base), nil)
		req.Attribute("objectClass", []string{"organizationalUnit"})
		req.Attribute("description", []string{strings.Repeat("x", 3000)})
		if err := c.Add(req); err != nil {
			return nil // full
		}
	}
	return errors.New("the directory's map never became full")
}
