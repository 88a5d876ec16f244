package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// wound is a way in which a disk loses part of a file.
type wound struct {
	name string
	hurt func(text []byte, at int) []byte // at: a byte of a message that is held
	bare bool                             // the broker's index is gone too, as it is after a crash
}

// wounds are what is done to each stream.
func wounds() []wound {
	flip := func(text []byte, at int) []byte { text[at] ^= 0x10; return text }
	cut := func(text []byte, _ int) []byte { return text[:len(text)*2/3] }
	return []wound{
		{"a flipped bit", flip, false}, {"a block cut short", cut, false},
		{"a flipped bit and no index", flip, true}, {"a block cut short and no index", cut, true},
	}
}

// damaged are the streams whose loss nobody else would make good.
var damaged = []string{"INTAKE", "AUDIT", "KV_claims", "KV_letters"} //nolint:gochecknoglobals // a constant list

// held is the subject of a message from the middle of a stream that nothing has
// replaced: of a bucket much in the files is dead, and nobody misses that.
func (h *house) held(stream string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), settles)
	defer cancel()
	st, err := h.js.Stream(ctx, stream)
	if err != nil {
		return "", err
	}
	state := st.CachedInfo().State
	for seq := (state.FirstSeq + state.LastSeq) / 2; seq <= state.LastSeq; seq++ {
		m, err := st.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		return m.Subject, nil
	}
	return "", fmt.Errorf("stream %s holds nothing in its second half", stream)
}

// block is the newest file of a stream's messages with one on a subject, and
// where in it the newest such one says so.
func (h *house) block(stream, subject string) (path string, text []byte, at int, err error) {
	store, err := h.store("")
	if err != nil {
		return "", nil, 0, err
	}
	found, err := filepath.Glob(filepath.Join(folder(store, stream), "msgs", "*.blk"))
	if err != nil {
		return "", nil, 0, err
	}
	slices.Reverse(found)
	for _, path := range found {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", nil, 0, err
		}
		if at := bytes.LastIndex(text, []byte(subject)); at >= 0 {
			return path, text, at + len(subject)/2, nil
		}
	}
	return "", nil, 0, fmt.Errorf("stream %s has no block with its message in %s", stream, store)
}

func folder(store, stream string) string {
	return filepath.Join(store, "jetstream", "MATRICULA", "streams", stream)
}

// strike damages a stream of the broker's, which is down, and starts it again.
func (h *house) strike(stream string, w wound) error {
	subject, err := h.held(stream)
	if err != nil {
		return err
	}
	h.stopBroker()
	block, text, at, err := h.block(stream, subject)
	if err != nil {
		return err
	}
	err = os.WriteFile(block, w.hurt(text, at), 0o600)
	if w.bare {
		err = errors.Join(err, os.Remove(filepath.Join(filepath.Dir(block), "index.db")))
	}
	h.killed("F11")
	h.startBroker()
	h.awaitBroker()
	return err
}

func (h *house) stopBroker() {
	h.disturbed()
	h.natsd.signal(syscall.SIGTERM)
	if !h.natsd.within(10 * time.Second) {
		h.natsd.kill()
	}
}

// putBack gives the broker a folder of its store as it was kept.
func (h *house) putBack(part string) error {
	store, err := h.store("")
	if err != nil {
		return err
	}
	h.stopBroker()
	rel, err := filepath.Rel(store, part)
	if err != nil {
		return err
	}
	err = errors.Join(os.RemoveAll(part), sh("cp", "-a", filepath.Join(store+".kept", rel), part))
	h.startBroker()
	h.awaitBroker()
	return err
}

// rots damages the broker's files while it is down, one stream after the other:
// check must say so each time, and the documented way back must lead there.
func (h *house) rots() {
	if err := h.noted(); err != nil {
		h.violation("I12", "how far the streams came is not remembered: %v", err)
		return
	}
	h.without(roleNames, func() error {
		store, err := h.store("")
		if err != nil {
			return err
		}
		h.stopBroker()
		_ = os.RemoveAll(store + ".kept")
		if err := sh("cp", "-a", store, store+".kept"); err != nil {
			return err
		}
		h.startBroker()
		h.awaitBroker()
		for _, stream := range damaged {
			for _, w := range wounds() {
				if err := h.strike(stream, w); err != nil {
					return err
				}
				h.told(stream, w)
				if err := h.putBack(filepath.Join(store, "jetstream")); err != nil {
					return err
				}
			}
		}
		return nil
	})
	for _, way := range []func() error{h.claimsAgain, h.lettersAgain, h.auditAgain, h.intakeAgain, h.directoryRots} {
		if len(h.violated) > 0 {
			return
		}
		if err := way(); err != nil {
			h.violation("I16", "the way back: %v", err)
		}
	}
}

// without stops roles while f does something.
func (h *house) without(names []string, f func() error) {
	for _, name := range names {
		r := h.roles[name]
		r.hold.Lock()
		r.child.signal(syscall.SIGTERM)
		if !r.child.within(20 * time.Second) {
			r.child.kill()
		}
	}
	if err := f(); err != nil {
		h.violation("I16", "%v", err)
	}
	h.disturbed()
	for _, name := range names {
		h.launch(h.roles[name], "")
		h.roles[name].hold.Unlock()
	}
	if m := h.fair.mark(); !h.allReady(10 * time.Second) {
		h.violation("I13", "the roles were ready %s after they were started again", h.fair.said(m))
	}
}

// told expects check to name the damage.
func (h *house) told(stream string, w wound) {
	out, err := h.command("", nil, "check").CombinedOutput()
	for line := range strings.SplitSeq(string(out), "\n") {
		if err != nil && strings.HasPrefix(line, "FAIL") && (strings.Contains(line, "stream "+stream+":") || stream == "KV_claims" && strings.HasPrefix(line, "FAIL  claims")) {
			fmt.Printf("  %s, %s: %s\n", stream, w.name, strings.Join(strings.Fields(line)[1:], " "))
			return
		}
	}
	h.violation("I12", "stream %s has %s, and check says nothing of it: %v: %s", stream, w.name, err, out)
}

// well expects check to find nothing any more.
func (h *house) well(what string) {
	if out, err := h.command("", nil, "check").CombinedOutput(); err != nil {
		h.violation("I16", "%s: check: %v: %s", what, err, out)
	}
}

// noted waits until the workers remember how far each stream came.
func (h *house) noted() error {
	ctx, cancel := context.WithTimeout(context.Background(), longest*settles)
	defer cancel()
	marks, err := h.js.Stream(ctx, "KV_brake")
	if err != nil {
		return err
	}
	began := h.fair.mark()
	for _, name := range damaged {
		for {
			st, err := h.js.Stream(ctx, name)
			if err != nil {
				return err
			}
			var known struct{ Last uint64 }
			m, err := marks.GetLastMsgForSubject(ctx, "$KV.brake.reach."+name)
			if err == nil {
				err = json.Unmarshal(m.Data, &known)
			}
			if err == nil && known.Last > 0 && known.Last >= st.CachedInfo().State.LastSeq {
				break
			}
			if h.fair.over(began, settles) {
				return fmt.Errorf("stream %s: %d of %d: %w", name, known.Last, st.CachedInfo().State.LastSeq, err)
			}
			pause(ctx, 200*time.Millisecond)
		}
	}
	return nil
}

// run is an operator's command that must succeed.
func (h *house) run(args ...string) error {
	if out, err := h.command("", nil, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("matricula %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// sent is what the sources published, as they could publish it again.
func (h *house) sent() ([]jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(context.Background(), settles)
	defer cancel()
	st, err := h.js.Stream(ctx, "INTAKE")
	if err != nil {
		return nil, err
	}
	var out []jetstream.RawStreamMsg
	for seq := uint64(1); seq <= st.CachedInfo().State.LastSeq; seq++ {
		m, err := st.GetMsg(ctx, seq)
		if err != nil {
			return nil, err
		}
		m.Subject = strings.SplitN(m.Subject, ".", 3)[2] // without the partition
		area, rest, _ := strings.Cut(m.Subject, ".")
		// Word of a theft counts against a password that is up to two seconds
		// younger, as clocks differ. The rig's people are as quick as that.
		if h.sources[area] != nil && !strings.HasPrefix(rest, "password.compromised.") {
			out = append(out, *m)
		}
	}
	return out, nil
}
