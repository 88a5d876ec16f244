package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The two servers whose data are at stake.
const (
	broker    = "broker"
	directory = "directory"
)

// disk is where one server keeps its data while the rig can take that from it:
// a mounted image, or a small memory file system.
type disk struct {
	h     *house
	of    string // broker or directory
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
var canMount = sync.OnceValue(tryMount) //nolint:gochecknoglobals // tried once

// tryMount mounts one of each kind: in a container even root may not.
func tryMount() error {
	if os.Getuid() != 0 {
		return errors.New("only root can mount disks")
	}
	dir, err := os.MkdirTemp("", "faults-mount-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	d := &disk{at: filepath.Join(dir, "at"), image: filepath.Join(dir, "image")}
	if err := os.Mkdir(d.at, 0o700); err != nil {
		return err
	}
	if err := sh("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", d.at); err != nil {
		return err
	}
	if err := sh("umount", d.at); err != nil {
		return err
	}
	if err := errors.Join(sh("truncate", "-s", "8M", d.image), sh("mkfs.ext4", "-q", d.image)); err != nil {
		return err
	}
	if err := d.mount(); err != nil {
		return err
	}
	return errors.Join(sh("umount", d.at), sh("losetup", "-d", d.loop))
}

// image makes a disk of a file and moves a server onto it.
func (h *house) image(of string) (*disk, error) {
	h.disks++ // an earlier one of the same server may still hold its data
	name := fmt.Sprintf("%s-%d", of, h.disks)
	d := &disk{h: h, of: of, at: filepath.Join(h.dir, "disk-"+name), image: filepath.Join(h.dir, name+"-0.img")}
	if err := os.MkdirAll(d.at, 0o700); err != nil {
		return nil, err
	}
	if err := errors.Join(sh("truncate", "-s", "200M", d.image), sh("mkfs.ext4", "-q", d.image)); err != nil {
		return nil, err
	}
	if err := d.mount(); err != nil {
		return nil, err
	}
	h.t.Cleanup(d.unmount)
	if err := d.take(); err != nil {
		return nil, err
	}
	return d, sh("sync", "-f", d.at) // what was copied is no longer under way
}

// memory is a small disk for the broker.
func (h *house) memory(size string) (*disk, error) {
	h.disks++
	d := &disk{h: h, of: broker, at: filepath.Join(h.dir, fmt.Sprintf("memory-%d", h.disks))}
	if err := os.MkdirAll(d.at, 0o700); err != nil {
		return nil, err
	}
	if err := sh("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", d.at); err != nil {
		return nil, err
	}
	h.t.Cleanup(d.unmount)
	return d, d.take()
}

func (d *disk) mount() error {
	out, err := exec.Command("losetup", "-f", "--show", d.image).Output()
	if err != nil {
		return fmt.Errorf("losetup: %w", err)
	}
	d.loop = strings.TrimSpace(string(out))
	if err := sh("mount", d.loop, d.at); err != nil {
		return errors.Join(err, sh("losetup", "-d", d.loop))
	}
	return nil
}

func (d *disk) unmount() {
	d.kill()
	_ = sh("umount", "-l", d.at)
	if d.loop != "" {
		_ = sh("losetup", "-d", d.loop)
	}
}

// kill ends the disk's server as a crash does.
func (d *disk) kill() {
	if d.of == directory {
		d.h.slapd.Kill()
		return
	}
	d.h.natsd.kill()
}

// stop lets the disk's server stand where it is: when it returns nothing is
// acknowledged any more. The signal alone is not enough: until one thread has
// met it, the others go on.
func (d *disk) stop() error {
	pid := 0
	if d.of == directory {
		pid = d.h.slapd.PID()
		d.h.slapd.Pause()
	} else {
		pid = d.h.natsd.cmd.Process.Pid
		d.h.natsd.signal(syscall.SIGSTOP)
	}
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(time.Millisecond) { // between two looks
		if stands(pid) {
			return nil
		}
	}
	return fmt.Errorf("the %s does not stand still", d.of)
}

// stands says whether every thread of a process is stopped.
func stands(pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, t := range threads {
		text, err := os.ReadFile(t)
		if err != nil {
			return false
		}
		_, state, _ := strings.Cut(string(text), ") ")
		if !strings.HasPrefix(state, "T") && !strings.HasPrefix(state, "t") {
			return false
		}
	}
	return len(threads) > 0
}

func (d *disk) start() {
	if d.of == directory {
		d.h.slapd.Start()
		return
	}
	d.h.startBroker()
}

var storeLine = regexp.MustCompile(`(?m)^(\s*store_dir:\s*).*$`)

// take moves the server's data onto the disk.
func (d *disk) take() error {
	d.h.disturbed()
	d.kill()
	defer d.h.disturbed()
	if d.of == directory {
		was, err := d.h.slapdSetting("directory")
		if err != nil {
			return err
		}
		to := filepath.Join(d.at, "db")
		if err := errors.Join(sh("cp", "-a", was, to), d.h.setSlapd("directory", to)); err != nil {
			return err
		}
		d.start()
		return nil
	}
	was, err := d.h.store("")
	if err != nil {
		return err
	}
	to := filepath.Join(d.at, "store")
	if err := sh("cp", "-a", was, to); err != nil {
		return err
	}
	if _, err := d.h.store(to); err != nil {
		return err
	}
	d.start()
	d.h.awaitBroker()
	return nil
}

// store is where the broker keeps its streams; with to it is moved there, for
// the next start.
func (h *house) store(to string) (was string, err error) {
	conf := filepath.Join(h.broker.Dir, "nats-server.conf")
	text, err := os.ReadFile(conf)
	if err != nil {
		return "", err
	}
	was = strings.Trim(strings.TrimSpace(strings.SplitN(storeLine.FindString(string(text)), ":", 2)[1]), `"`)
	if to == "" {
		return was, nil
	}
	return was, os.WriteFile(conf, storeLine.ReplaceAll(text, []byte(`${1}"`+to+`"`)), 0o600)
}

// slapdSetting is one line of slapd's settings.
func (h *house) slapdSetting(key string) (string, error) {
	text, err := os.ReadFile(filepath.Join(h.slapd.Dir, "slapd.conf"))
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(`(?m)^` + key + `\s+(.*)$`).FindSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("slapd has no setting %s", key)
	}
	return strings.Trim(strings.TrimSpace(string(found[1])), `"`), nil
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
