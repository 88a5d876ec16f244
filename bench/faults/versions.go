package faults

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// oldFlag is the other version. The default is the newest release that this one
// follows; while there is none, the state of twenty commits ago.
var oldFlag = flag.String("old", "", "the version to roll from and back to, a revision of git's; empty: the newest release, else HEAD~20") //nolint:gochecknoglobals // a flag

const beforeReleases = "HEAD~20"

// git runs it in the product's folder.
func git(args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-C", "../.."}, args...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// oldRevision is the commit of the other version, or why there is none here.
func oldRevision() (string, error) {
	rev := *oldFlag
	if rev == "" {
		rev = beforeReleases
		if tag, err := git("describe", "--tags", "--abbrev=0", "HEAD~1"); err == nil {
			rev = tag
		}
	}
	sha, err := git("rev-parse", "--verify", "--quiet", rev+"^{commit}")
	if err != nil {
		if shallow, _ := git("rev-parse", "--is-shallow-repository"); shallow == "true" {
			return "", errors.New("this clone is shallow: git fetch --unshallow")
		}
		return "", fmt.Errorf("no version %s: %w", rev, err)
	}
	return sha, nil
}

// buildOld builds the other version once per machine.
func buildOld(sha string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(cache, "matricula", "old-"+sha)
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "old-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	source := filepath.Join(dir, "source.tar")
	if _, err := git("archive", "-o", source, sha); err != nil {
		return "", err
	}
	if err := sh("tar", "-xf", source, "-C", dir); err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-tags", "failpoints", "-o", filepath.Join(dir, "old"), "./cmd/matricula")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w: %s", sha, err, out)
	}
	return binary, sh("mv", filepath.Join(dir, "old"), binary)
}

// rolls begins with the old version everywhere, and goes to the new one and
// back, role by role, while people are busy: both are there at once, each with
// messages, letters and links of the other. Every other role is asked to end,
// the rest is killed.
func (h *house) rolls() (func(context.Context), error) {
	sha, err := oldRevision()
	if err != nil {
		return nil, err
	}
	old, err := buildOld(sha)
	if err != nil {
		return nil, err
	}
	fmt.Printf("  rolling between %.10s and this version\n", sha)
	if h.apart, err = h.readsOther(old); err != nil {
		return nil, err
	}
	for _, r := range h.roles {
		r.binary = old
	}
	return func(ctx context.Context) {
		for n, step := range []struct {
			to    string
			roles []string
		}{
			{h.binary, []string{"worker-2", "portal-2"}},             // both versions
			{h.binary, []string{"mailer-1", "worker-1", "portal-1"}}, // the new one alone
			{old, []string{"worker-1", "portal-1"}},                  // both
			{old, []string{"mailer-1", "worker-2", "portal-2"}},      // rolled back
			{h.binary, roleNames},                                    // and forward again
		} {
			pause(ctx, 3*time.Second)
			for i, name := range step.roles {
				h.roll(h.roles[name], step.to, (n+i)%2 == 0)
			}
		}
		if ctx.Err() != nil {
			h.violation("I13", "the storm was too short to roll forward, back, and forward again")
		}
	}, nil
}

// roll takes a role to another version; where that one reads other lanes, both
// workers together.
func (h *house) roll(r *role, binary string, kill bool) {
	if h.apart && r.kind == "worker" {
		h.cross(binary, kill)
		return
	}
	h.becomes(r, binary, kill)
}

// becomes starts a role as another version and waits until it is ready.
func (h *house) becomes(r *role, binary string, kill bool) {
	r.hold.Lock()
	h.ends(r, kill)
	r.binary = binary
	h.launch(r, "")
	r.hold.Unlock()
	h.killed("F22")
	h.greets(r)
}

// ends kills a role or asks it to end; whoever calls holds it.
func (h *house) ends(r *role, kill bool) {
	if kill {
		r.child.kill()
		h.dead(r)
	} else if r.child.signal(syscall.SIGTERM); !r.child.within(20 * time.Second) {
		h.violation("I13", "%s did not end within 20 s of SIGTERM", r.name)
		r.child.kill()
	}
}

// greets waits until a role of another version is ready.
func (h *house) greets(r *role) {
	began := h.fair.mark()
	for !ready(r.metrics) {
		if h.fair.over(began, 10*time.Second) {
			h.violation("I13", "%s of another version was not ready after %s: %s", r.name, h.fair.said(began), h.lastWords(r))
			return
		}
		time.Sleep(20 * time.Millisecond) // between two looks
	}
}

// rolledBack has all that came handled once more, by the new version and by the
// old one: what either made of it stands (I16).
func (h *house) rolledBack() {
	defer func() {
		for _, r := range h.roles {
			r.binary = ""
		}
	}()
	h.replayed()
	sha, err := oldRevision()
	if err != nil {
		h.violation("I16", "the old version: %v", err)
		return
	}
	old, err := buildOld(sha)
	if err != nil {
		h.violation("I16", "the old version: %v", err)
		return
	}
	for _, name := range roleNames {
		h.roll(h.roles[name], old, false)
	}
	h.replayed()
	if h.apart {
		h.cross(h.binary, false)
	}
}
