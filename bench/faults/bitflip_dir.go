package faults

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// directoryRots damages slapd's file while it is down: a bit in the key of a
// person, which the claims contradict, and an end that is missing, which its own
// tool meets. Its pages have no checksums: of a bit in somebody's name nothing
// tells but a disk that checks what it reads. The way back is the backup.
func (h *house) directoryRots() error {
	before, err := h.look()
	if err != nil {
		return err
	}
	h.backup = backup{at: time.Now(), ldif: filepath.Join(h.dir, "sound.ldif")}
	if out, err := h.slapd.Tool("slapcat", "-l", h.backup.ldif).CombinedOutput(); err != nil {
		return fmt.Errorf("slapcat: %w: %s", err, out)
	}
	db, err := h.slapdSetting("directory")
	if err != nil {
		return err
	}
	h.disturbed()
	if err := h.rotted(filepath.Join(db, "data.mdb"), before.all[0].GetAttributeValue("matriculaHandle")); err != nil {
		return err
	}
	h.restoresTo(before)
	return nil
}

// rotted flips a bit of a key, and then cuts off a third of the file.
func (h *house) rotted(file, key string) error {
	h.slapd.Kill()
	used, err := written(file)
	if err != nil {
		return err
	}
	rotten := []byte(key)
	rotten[len(rotten)-1] ^= 1
	if !bytes.Contains(used, []byte(key)) {
		return errors.New("slapd's file does not hold the key of a person")
	}
	if err := overwrite(file, bytes.ReplaceAll(used, []byte(key), rotten)); err != nil {
		return err
	}
	h.killed("F11")
	h.slapd.Start()
	out, err := h.command("", nil, "check").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "FAIL  claims") {
		h.violation("I12", "a bit of a person's key is flipped in the directory, and check says nothing of it: %v: %s", err, out)
	}
	h.slapd.Kill()
	if err := os.Truncate(file, int64(len(used)*2/3)); err != nil {
		return err
	}
	h.killed("F11")
	if out, err := h.slapd.Tool("slapcat", "-l", filepath.Join(h.dir, "rotten.ldif")).CombinedOutput(); err == nil {
		h.violation("I12", "a third of the directory's file is missing, and slapcat says nothing of it: %s", out)
	}
	h.disturbed()
	return nil
}

// written is the part of a file that is on the disk. LMDB's is as long as it may
// become, and empty behind what it holds.
func written(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || st.Blocks > 1<<18 {
		return nil, fmt.Errorf("%s: %d blocks are too many", file, st.Blocks)
	}
	text := make([]byte, min(st.Blocks*512, info.Size()))
	_, err = io.ReadFull(f, text)
	return text, err
}

// overwrite replaces the beginning of a file.
func overwrite(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	return errors.Join(err, f.Close())
}
