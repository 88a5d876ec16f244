package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"usn.no/matricula/events"
)

// makeKeys makes the keys that are missing and leaves the others alone. It
// answers one line per key.
func makeKeys(cfg Config) ([]string, error) {
	var said []string
	for _, k := range []struct {
		name string
		file Secret
		why  string
	}{
		{"keys.claims_file", cfg.Keys.ClaimsFile, "back it up: without it nobody's claims are found again"},
		{"keys.ticket_file", cfg.Keys.TicketFile, "mailer and portal need the same"},
		{"portal.secret_file", cfg.Portal.SecretFile, "every portal needs the same"},
	} {
		made, err := makeKey(k.file.Path, func() (string, error) {
			var b [32]byte
			_, _ = rand.Read(b[:]) // never fails since Go 1.24
			return base64.StdEncoding.EncodeToString(b[:]), nil
		})
		if err != nil {
			return said, fmt.Errorf("%s: %w", k.name, err)
		}
		said = append(said, keyLine(made, k.name, k.file.Path, k.why))
	}
	line, err := makeWorkerPublic(cfg)
	if err != nil {
		return said, fmt.Errorf("keys.worker_public_file: %w", err)
	}
	said = append(said, line)
	var pub string
	private := cfg.Keys.MailerPrivateFile.Path
	made, err := makeKey(private, func() (string, error) {
		k, err := events.GenerateSealKey()
		if err != nil {
			return "", err
		}
		pub = k.Public().Text()
		return k.Text()
	})
	if err != nil {
		return said, fmt.Errorf("keys.mailer_private_file: %w", err)
	}
	said = append(said, keyLine(made, "keys.mailer_private_file", private, "the mailer alone may have it"))
	if !made && !exists(string(cfg.Keys.MailerPublicFile)) {
		if pub, err = publicOf(cfg.Keys.MailerPrivateFile); err != nil {
			return said, fmt.Errorf("keys.mailer_private_file: %w", err)
		}
	}
	if pub == "" {
		return said, nil
	}
	if err := writeWhole(string(cfg.Keys.MailerPublicFile), pub+"\n", 0o644); err != nil {
		return said, fmt.Errorf("keys.mailer_public_file: %w", err)
	}
	return append(said, keyLine(true, "keys.mailer_public_file", string(cfg.Keys.MailerPublicFile), "every worker needs it")), nil
}

// makeWorkerPublic writes the half that portals need, unless it stands there.
func makeWorkerPublic(cfg Config) (line string, err error) {
	const name, why = "keys.worker_public_file", "every portal needs it"
	ks, err := workerKeys(cfg.Keys.ClaimsFile)
	if err != nil {
		return "", err
	}
	path, text := string(cfg.Keys.WorkerPublicFile), ks[0].Public().Text()
	if path == "" {
		return "", errors.New("no file is named")
	}
	if there, err := os.ReadFile(path); err == nil && string(there) == text {
		return keyLine(false, name, path, why), nil
	}
	return keyLine(true, name, path, why), writeWhole(path, text, 0o644)
}

func keyLine(made bool, name, path, why string) string {
	if made {
		return fmt.Sprintf("made  %s  %s  (%s)", path, name, why)
	}
	return fmt.Sprintf("kept  %s  %s", path, name)
}

func publicOf(private Secret) (string, error) {
	text, err := private.Text()
	if err != nil {
		return "", err
	}
	k, err := events.ParseSealKey(text)
	if err != nil {
		return "", err
	}
	return k.Public().Text(), nil
}

// makeKey writes a new key unless there is one.
func makeKey(path string, text func() (string, error)) (made bool, err error) {
	if path == "" {
		return false, errors.New("no file is named")
	}
	if _, err := os.Stat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	t, err := text()
	if err != nil {
		return false, err
	}
	return true, writeWhole(path, t+"\n", 0o600)
}

// writeWhole writes a file so that it is there whole or not at all, also after
// a power cut.
func writeWhole(path, text string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already when renamed
	_, err = f.WriteString(text)
	for _, step := range []func() error{func() error { return f.Chmod(mode) }, f.Sync, f.Close} {
		if serr := step(); err == nil {
			err = serr
		}
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
