package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// disk is where the broker and the directory keep their data while the rig
// can take that from them: a mounted image, or a small memory file system.
type disk struct {
	h     *house
	at    string // where it is mounted
	image string // empty: memory
	loop  string
	n     int
}

// sh runs a command of the machine's.
func sh(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// canMount says why disks cannot be taken away here; nil: they can.
func canMount() error {
	if os.Getuid() != 0 {
		return errors.New("only root can mount disks")
	}
	for _, program := range []string{"losetup", "mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(program); err != nil {
			return err
		}
	}
	return nil
}

// image makes a disk of a file and moves broker and directory onto it.
func (h *house) image() (*disk, error) {
	d := &disk{h: h, at: filepath.Join(h.dir, "disk"), image: filepath.Join(h.dir, "disk-0.img")}
	if err := os.MkdirAll(d.at, 0o700); err != nil {
		return nil, err
	}
	if err := errors.Join(sh("truncate", "-s", "300M", d.image), sh("mkfs.ext4", "-q", d.image)); err != nil {
		return nil, err
	}
	if err := d.mount(); err != nil {
		return nil, err
	}
	h.t.Cleanup(d.unmount)
	return d, d.take(true)
}

// memory is a small disk for the broker.
func (h *house) memory(size string) (*disk, error) {
	d := &disk{h: h, at: filepath.Join(h.dir, "memory")}
	if err := os.MkdirAll(d.at, 0o700); err != nil {
		return nil, err
	}
	if err := sh("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", d.at); err != nil {
		return nil, err
	}
	h.t.Cleanup(d.unmount)
	return d, d.take(false)
}

func (d *disk) mount() error {
	out, err := exec.Command("losetup", "-f", "--show", d.image).Output()
	if err != nil {
		return fmt.Errorf("losetup: %w", err)
	}
	d.loop = strings.TrimSpace(string(out))
	return sh("mount", d.loop, d.at)
}

func (d *disk) unmount() {
	d.h.natsd.kill()
	if d.image != "" {
		d.h.slapd.Kill()
	}
	_ = sh("umount", "-l", d.at)
	if d.loop != "" {
		_ = sh("losetup", "-d", d.loop)
	}
}

var storeLine = regexp.MustCompile(`(?m)^(\s*store_dir:\s*).*$`)

// take moves the broker's store, and the directory's data, onto the disk.
func (d *disk) take(directory bool) error {
	h := d.h
	h.disturbed()
	h.natsd.kill()
	store := filepath.Join(d.at, "store")
	conf := filepath.Join(h.broker.Dir, "nats-server.conf")
	text, err := os.ReadFile(conf)
	if err != nil {
		return err
	}
	old := strings.Trim(strings.TrimSpace(strings.SplitN(storeLine.FindString(string(text)), ":", 2)[1]), `"`)
	if err := sh("cp", "-a", old, store); err != nil {
		return err
	}
	if err := os.WriteFile(conf, storeLine.ReplaceAll(text, []byte(`${1}"`+store+`"`)), 0o600); err != nil {
		return err
	}
	h.startBroker()
	h.awaitBroker()
	if !directory {
		return nil
	}
	if err := h.takeDirectory(d); err != nil {
		return err
	}
	return sh("sync", "-f", d.at) // what was copied is no longer under way
}

func (h *house) takeDirectory(d *disk) error {
	h.slapd.Kill()
	if err := sh("cp", "-a", filepath.Join(h.slapd.Dir, "db"), filepath.Join(d.at, "db")); err != nil {
		return err
	}
	if err := h.setSlapd("directory", filepath.Join(d.at, "db")); err != nil {
		return err
	}
	h.slapd.Start()
	h.disturbed()
	return nil
}

// setSlapd changes one line of slapd's settings; slapd must be started again.
func (h *house) setSlapd(key, value string) error {
	conf := filepath.Join(h.slapd.Dir, "slapd.conf")
	text, err := os.ReadFile(conf)
	if err != nil {
		return err
	}
	line := regexp.MustCompile(`(?m)^` + key + `\s+.*$`)
	return os.WriteFile(conf, line.ReplaceAll(text, []byte(key+" "+value)), 0o600)
}

// cut takes the power from broker and directory: what had reached the disk at
// that instant is all they find when they start again.
func (d *disk) cut() error {
	h := d.h
	h.disturbed()
	h.natsd.signal(syscall.SIGSTOP) // nothing is acknowledged from here on
	h.slapd.Pause()
	d.n++
	after := filepath.Join(h.dir, fmt.Sprintf("disk-%d.img", d.n))
	err := sh("cp", "--sparse=always", d.image, after)
	h.natsd.kill()
	h.slapd.Kill()
	if err != nil {
		return err
	}
	if err := errors.Join(sh("umount", d.at), sh("losetup", "-d", d.loop)); err != nil {
		return err
	}
	_ = os.Remove(d.image)
	d.image = after
	if err := d.mount(); err != nil {
		return err
	}
	h.startBroker()
	h.slapd.Start()
	h.awaitBroker()
	h.disturbed()
	h.killed("F8")
	return nil
}

// powerCuts cuts the power a few times while people are busy.
func (h *house) powerCuts() (func(context.Context), error) {
	d, err := h.image()
	return func(ctx context.Context) {
		for pause(ctx, 4*time.Second); ctx.Err() == nil; pause(ctx, 4*time.Second) {
			if err := d.cut(); err != nil {
				h.t.Errorf("power cut: %v", err)
				return
			}
		}
	}, err
}

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
