package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// File is the path of a file or folder that is not secret. A relative one is
// resolved against the folder of the config file when that is loaded.
type File string

// Span is a length of time as people write it: "30d", "36h", "60m", "90s", or
// several of them together ("1d12h"). A day is 24 hours.
type Span struct {
	time.Duration
	text string // as written, kept when it cannot be read
	bad  bool
}

// asSpan reads a text as the file would.
func asSpan(text string) Span {
	d, ok := parseSpan(text)
	return Span{Duration: d, text: text, bad: !ok}
}

// UnmarshalText never fails: a text that is no length of time is reported
// together with everything else that is wrong in the file.
func (s *Span) UnmarshalText(text []byte) error { //nolint:unparam // an encoding.TextUnmarshaler answers an error
	*s = asSpan(string(text))
	return nil
}

// String is the span as it was written.
func (s Span) String() string { return s.text }

func parseSpan(text string) (time.Duration, bool) {
	if text == "" {
		return 0, true
	}
	rest, total := text, time.Duration(0)
	if i := strings.IndexByte(rest, 'd'); i >= 0 {
		n, err := strconv.Atoi(rest[:i])
		if err != nil || n < 0 || n > 36500 {
			return 0, false
		}
		total, rest = time.Duration(n)*24*time.Hour, rest[i+1:]
	}
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 {
			return 0, false
		}
		total += d
	}
	return total, true
}

// Secret is the path of a file whose content is secret. A relative one is
// looked for in $CREDENTIALS_DIRECTORY where that is set (systemd sets it, the
// container examples do too), else in <data_dir>/keys.
type Secret struct {
	Path string
	// Granted: an orchestrator put it there, and may have given it to us
	// through the file's group.
	Granted bool
}

// maxSecret is far more than any key or password needs.
const maxSecret = 64 << 10

// UnmarshalText takes the path as written.
func (s *Secret) UnmarshalText(text []byte) error { //nolint:unparam // an encoding.TextUnmarshaler answers an error
	*s = Secret{Path: string(text)}
	return nil
}

// String is the path; a Secret never holds what is in the file.
func (s Secret) String() string { return s.Path }

// Read reads the file and refuses one that others on the machine can read. A
// file from $CREDENTIALS_DIRECTORY may be readable for its group: systemd (by
// ACL) and Kubernetes (by fsGroup) hand it over that way.
func (s Secret) Read() ([]byte, error) {
	if s.Path == "" {
		return nil, errors.New("no secret file is set")
	}
	f, err := os.Open(s.Path)
	if err != nil {
		return nil, fmt.Errorf("secret file: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read from
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("secret file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("secret file %s is not a regular file", s.Path)
	}
	refused := os.FileMode(0o077)
	if s.Granted {
		refused = 0o037
	}
	if perm := info.Mode().Perm(); perm&refused != 0 {
		return nil, fmt.Errorf("secret file %s has mode %04o, so others can reach it: chmod 600 %s", s.Path, perm, s.Path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("secret file: %w", err)
	case len(b) == 0:
		return nil, fmt.Errorf("secret file %s is empty", s.Path)
	case len(b) > maxSecret:
		return nil, fmt.Errorf("secret file %s is over %d bytes", s.Path, maxSecret)
	}
	return b, nil
}

// Text is Read without the line end that editors put behind a password.
func (s Secret) Text() (string, error) {
	b, err := s.Read()
	return strings.TrimRight(string(b), "\r\n"), err
}

// places says what relative paths are relative to.
type places struct{ config, credentials string }

func (p places) file(f File) File {
	if f == "" || filepath.IsAbs(string(f)) {
		return f
	}
	return File(filepath.Join(p.config, string(f)))
}

func (p places) secret(s Secret, dataDir File) Secret {
	switch {
	case s.Path == "":
		return s
	case p.credentials == "" && !filepath.IsAbs(s.Path):
		return Secret{Path: filepath.Join(string(dataDir), "keys", s.Path)}
	case p.credentials == "":
		return s
	case !filepath.IsAbs(s.Path):
		return Secret{Path: filepath.Join(p.credentials, s.Path), Granted: true}
	}
	rel, err := filepath.Rel(p.credentials, s.Path)
	s.Granted = err == nil && filepath.IsLocal(rel)
	return s
}
