package events_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"usn.no/matricula/events"
)

func sealKey(t *testing.T) events.SealKey {
	t.Helper()
	key, err := events.GenerateSealKey()
	if err != nil {
		t.Fatalf("no key was drawn: %v", err)
	}
	return key
}

func TestSealedSecretOpensOnlyForItsLetterAndReceiver(t *testing.T) {
	t.Parallel()
	const number = "01512510074"
	key, info := sealKey(t), events.SONumberInfo("letter-1")
	sealed, err := events.Seal(key.Public(), info, []byte(number))
	if err != nil {
		t.Fatalf("the number was not sealed: %v", err)
	}
	if plain, err := events.Open(key, info, sealed); err != nil || string(plain) != number {
		t.Errorf("the sealed number opens as %q with error %v", plain, err)
	}
	again, err := events.Seal(key.Public(), info, []byte(number))
	if err != nil || again == sealed {
		t.Errorf("sealing twice gives the same text (error %v): whoever sees both knows that they are equal", err)
	}
	rows := []struct {
		name         string
		key          events.SealKey
		info, sealed string
	}{
		{"another receiver", sealKey(t), info, sealed},
		{"another letter", key, events.SONumberInfo("letter-2"), sealed},
		{"no purpose", key, "", sealed},
		{"a changed character", key, info, flip(sealed, len(sealed)-3)},
		{"a changed key share", key, info, flip(sealed, 10)},
		{"a cut text", key, info, sealed[:len(sealed)-1]},
		{"a longer text", key, info, sealed + "A"},
		{"another suite", key, info, "s2." + strings.TrimPrefix(sealed, "s1.")},
		{"nothing", key, info, ""},
		{"nothing but the suite", key, info, "s1."},
		{"the number itself", key, info, number},
		{"no key", events.SealKey{}, info, sealed},
	}
	for _, row := range rows {
		plain, err := events.Open(row.key, row.info, row.sealed)
		if err == nil {
			t.Errorf("%s: it opens as %q", row.name, plain)
			continue
		}
		if elevenDigits.MatchString(err.Error()) {
			t.Errorf("%s: the error repeats the number", row.name)
		}
	}
	if _, err := events.Seal(events.SealPublicKey{}, info, []byte(number)); err == nil {
		t.Error("a number was sealed to no key")
	}
}

func flip(s string, i int) string {
	c := byte('A')
	if s[i] == c {
		c = 'B'
	}
	return s[:i] + string(c) + s[i+1:]
}

func TestSealKeysAreReadBackAndNeverMixedUp(t *testing.T) {
	t.Parallel()
	key := sealKey(t)
	private, err := key.Text()
	if err != nil {
		t.Fatalf("the key has no text: %v", err)
	}
	public := key.Public().Text()
	back, err := events.ParseSealKey(private)
	if err != nil {
		t.Fatalf("the private key is not read back: %v", err)
	}
	to, err := events.ParseSealPublicKey("\n " + public + "\n")
	if err != nil {
		t.Fatalf("the public key is not read back: %v", err)
	}
	sealed, err := events.Seal(to, "x", []byte("4711"))
	if err != nil {
		t.Fatalf("nothing was sealed: %v", err)
	}
	if plain, err := events.Open(back, "x", sealed); err != nil || string(plain) != "4711" {
		t.Errorf("keys that were read back give %q with error %v", plain, err)
	}
	for _, text := range []string{"", public, strings.TrimSpace(private)[:60], private + "A", strings.TrimPrefix(private, "matricula-seal-private:")} {
		if _, err := events.ParseSealKey(text); err == nil {
			t.Errorf("%d bytes that are no private key were taken for one", len(text))
		}
	}
	if _, err := events.ParseSealPublicKey(private); err == nil || strings.Contains(err.Error(), strings.TrimSpace(private)[25:]) {
		t.Errorf("the private key as public one answers %v", err)
	}
	for _, form := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if text := fmt.Sprintf(form, key); strings.Contains(text, strings.TrimSpace(private)[25:]) || strings.Contains(text, "0x") {
			t.Errorf("the key printed with %s shows itself", form)
		}
	}
}

func TestDerivedKeyIsTheSameAgainAndAnotherForAnotherPurpose(t *testing.T) {
	t.Parallel()
	secret := bytes.Repeat([]byte{7}, 32)
	k, err := events.DeriveSealKey(secret, "letters")
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := events.Seal(k.Public(), "info", []byte("17912099997"))
	if err != nil {
		t.Fatal(err)
	}
	for purpose, opens := range map[string]bool{"letters": true, "others": false} {
		again, err := events.DeriveSealKey(secret, purpose)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := events.Open(again, "info", sealed); (err == nil) != opens {
			t.Errorf("the key for %s: %v", purpose, err)
		}
	}
	if _, err := events.DeriveSealKey(secret[:31], "letters"); err == nil {
		t.Error("a short secret makes a key")
	}
}
