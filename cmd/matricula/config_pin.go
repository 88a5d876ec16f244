package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// PINConfig is the door code: whose key it is sealed to, or where else people
// set it.
type PINConfig struct {
	PublicKeyFile  File   `toml:"public_key_file" env:"PUBLIC_KEY_FILE" beside:"secrets"`
	Length         int    `toml:"length" env:"LENGTH"`
	Elsewhere      string `toml:"elsewhere" env:"ELSEWHERE"`
	ElsewhereNB    string `toml:"elsewhere_nb" env:"ELSEWHERE_NB"`
	ElsewhereNN    string `toml:"elsewhere_nn" env:"ELSEWHERE_NN"`
	ElsewhereURL   string `toml:"elsewhere_url" env:"ELSEWHERE_URL"`
	PrivateKeyFile Secret `toml:"private_key_file" env:"PRIVATE_KEY_FILE"`
	PrivateOldFile Secret `toml:"private_old_file" env:"PRIVATE_OLD_FILE"`
}

// A PIN has as many digits as the pad at a door takes.
const (
	shortestPIN = 4
	longestPIN  = 8
)

func (c PINConfig) check(e *ConfigError) {
	e.between("pin.length", c.Length, shortestPIN, longestPIN)
	e.url("pin.elsewhere_url", c.ElsewhereURL, "https")
}

// public is the access system's public key; ok is false where PINs are set
// elsewhere.
func (c PINConfig) public() (key events.SealPublicKey, ok bool, err error) {
	if c.PublicKeyFile == "" {
		return events.SealPublicKey{}, false, nil
	}
	text, err := os.ReadFile(string(c.PublicKeyFile))
	if err == nil {
		key, err = events.ParseSealPublicKey(string(text))
	}
	if err != nil {
		return key, false, fmt.Errorf("pin.public_key_file: %w", err)
	}
	return key, true, nil
}

// private are the keys that open PINs, the one in force first.
func (c PINConfig) private() ([]events.SealKey, error) {
	if c.PrivateKeyFile.Path == "" {
		return nil, usage("pin.private_key_file is empty: name the access system's key, or make one with matricula pin key")
	}
	var keys []events.SealKey
	for _, k := range []struct {
		name string
		file Secret
	}{{"pin.private_key_file", c.PrivateKeyFile}, {"pin.private_old_file", c.PrivateOldFile}} {
		if k.file.Path == "" {
			continue
		}
		text, err := k.file.Text()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.name, err)
		}
		key, err := events.ParseSealKey(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.name, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// elsewhere is where people set their PIN, by language.
func (c PINConfig) elsewhere() map[string]string {
	all := map[string]string{"en": c.Elsewhere, "nb": c.ElsewhereNB, "nn": c.ElsewhereNN}
	for lang, text := range all {
		if text == "" {
			all[lang] = c.Elsewhere
		}
	}
	return all
}

// doors lets a portal take PINs, where the access system's key is known.
func (s *system) doors(life *account.Lifecycle, pub *stream.Publisher) error {
	key, ok, err := s.cfg.PIN.public()
	if err != nil || !ok {
		return err
	}
	life.PINs = &stream.PINs{Publisher: pub}
	life.PINRules = account.PINRules{Length: s.cfg.PIN.Length, Valid: s.settings().SecretAge}
	life.SealPIN = func(id, campus string, sequence uint64, h events.PINHolder) (string, string, error) {
		sealed, err := events.SealPIN(key, id, campus, sequence, h)
		return sealed, key.Print(), err
	}
	return nil
}

// pinsLate is how long a PIN may wait before somebody should look.
const pinsLate = 24 * time.Hour

// checkPINs tells whether the access system takes what waits for it.
func (s *system) checkPINs(ctx context.Context) finding {
	st, err := s.js.Stream(ctx, stream.Secret)
	if err != nil {
		return finding{What: "pins", Text: err.Error()}
	}
	f := finding{What: "pins", OK: true, Text: "none waits"}
	if state := st.CachedInfo().State; state.Msgs > 0 {
		waited := st.CachedInfo().TimeStamp.Sub(state.FirstTime)
		f.Text = fmt.Sprintf("%d wait for the access system, the oldest for %s", state.Msgs, waited.Round(time.Minute))
		if waited > pinsLate {
			f.OK, f.Warn, f.Text = false, true, f.Text+": does it run, and with the key that portals seal to?"
		}
	}
	return f
}
