package main

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
)

const claimKeysName = "keys.claims_file"

// claimKeys reads claims_file: a key on each line, "2:<base64>". The one that
// setup makes has no number and is the first. The newest is the identity, the
// others are its older ones.
func claimKeys(file Secret) (account.Identity, error) {
	text, err := file.Text()
	if err != nil {
		return account.Identity{}, fmt.Errorf("%s: %w", claimKeysName, err)
	}
	var all []account.Identity
	for _, line := range strings.Fields(text) {
		number, encoded, ok := strings.Cut(line, ":")
		if !ok {
			number, encoded = "1", line
		}
		version, err := strconv.Atoi(number)
		if err != nil || version < 1 || slices.ContainsFunc(all, func(i account.Identity) bool { return i.Version == version }) {
			return account.Identity{}, fmt.Errorf("%s: a line begins with no version, or with one that is there already", claimKeysName)
		}
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(raw) < 32 {
			return account.Identity{}, fmt.Errorf("%s: version %d is not a key: make one with matricula setup", claimKeysName, version)
		}
		all = append(all, account.Identity{Key: raw, Version: version})
	}
	if len(all) == 0 {
		return account.Identity{}, fmt.Errorf("%s: no key in it: make one with matricula setup", claimKeysName)
	}
	slices.SortFunc(all, func(x, y account.Identity) int { return cmp.Compare(y.Version, x.Version) })
	newest := all[0]
	newest.Older = all[1:]
	return newest, nil
}

func (s *system) identity() (account.Identity, error) { return claimKeys(s.cfg.Keys.ClaimsFile) }

// addClaimKey adds the next version to claims_file and answers its number.
func addClaimKey(file Secret) (int, error) {
	have, err := claimKeys(file)
	if err != nil {
		return 0, err
	}
	if file.Granted {
		return 0, errors.New(claimKeysName + ": handed out by the system, which must add the key itself")
	}
	old, err := os.ReadFile(file.Path)
	if err != nil {
		return 0, err
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	next := have.Version + 1
	text := fmt.Sprintf("%s\n%d:%s\n", strings.TrimSpace(string(old)), next, base64.StdEncoding.EncodeToString(b[:]))
	return next, writeWhole(file.Path, text, 0o600)
}

// workerKeys open what portals seal to workers, newest first. They are made
// from the keys that every worker holds and nobody else.
func workerKeys(claims Secret) ([]events.SealKey, error) {
	id, err := claimKeys(claims)
	if err != nil {
		return nil, err
	}
	var out []events.SealKey
	for _, v := range append([]account.Identity{id}, id.Older...) {
		k, err := events.DeriveSealKey(v.Key, "letter requests")
		if err != nil {
			return nil, err
		}
		out = append(out, k)
	}
	return out, nil
}

// requestOpener opens requests for letters that were sealed to any of the keys.
func requestOpener(keys []events.SealKey) func(request, sealed string) ([]byte, error) {
	return func(request, sealed string) (text []byte, err error) {
		for _, k := range keys {
			if text, err = events.Open(k, events.LetterRequestInfo(request), sealed); err == nil {
				return text, nil
			}
		}
		return nil, err
	}
}
