package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
)

// command runs one and answers what it printed.
func pinCommandLine(t *testing.T, args ...string) (string, int) {
	t.Helper()
	root := rootCommand()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(args)
	err := root.ExecuteContext(t.Context())
	if err == nil {
		return out.String(), exitDone
	}
	return out.String() + err.Error(), exitCode(err)
}

func TestPINKeyIsMadeOnceAndItsHalvesBelongTogether(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pin.key")
	out, code := pinCommandLine(t, "pin", "key", path)
	if code != exitDone {
		t.Fatalf("pin key ended with %d: %s", code, out)
	}
	keys, err := PINConfig{PrivateKeyFile: Secret{Path: path}}.private()
	if err != nil || len(keys) != 1 {
		t.Fatalf("the private half: %v", err)
	}
	public, ok, err := PINConfig{PublicKeyFile: File(path + ".pub")}.public()
	if err != nil || !ok || public.Print() != keys[0].Public().Print() || !strings.Contains(out, public.Print()) {
		t.Errorf("the public half is of another key, or unnamed: %v, %s", err, out)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if out, code := pinCommandLine(t, "pin", "key", path); code != exitRefused {
		t.Errorf("a second time it ends with %d: %s", code, out)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the key was replaced: %v", err)
	}
	if _, _, err := (PINConfig{PublicKeyFile: File(path)}).public(); err == nil || !strings.Contains(err.Error(), "other half") {
		t.Errorf("a private key was taken for a public one: %v", err)
	}
}

func TestReceivedPINIsShownOnDemandOnly(t *testing.T) {
	t.Parallel()
	p := receivedPIN{Account: "acc1", Campus: "Drammen", Sequence: 7, Set: time.Date(2027, 8, 1, 8, 0, 0, 0, time.UTC), Holder: &pinHolder{"karnor", []string{"employee:104711"}, "8361"}}
	for _, c := range []struct {
		f     pinFlags
		shows bool
	}{{pinFlags{}, false}, {pinFlags{asJSON: true}, false}, {pinFlags{show: true}, true}, {pinFlags{show: true, asJSON: true}, true}} {
		var out bytes.Buffer
		if err := p.print(&out, c.f); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		if strings.Contains(text, "8361") != c.shows || strings.Contains(text, "karnor") != c.shows || !strings.Contains(text, "acc1") || !strings.Contains(text, "Drammen") {
			t.Errorf("%+v prints %q", c.f, text)
		}
	}
	if text := fmt.Sprintf("%v %s", p, p); strings.Contains(text, "8361") || strings.Contains(text, "karnor") {
		t.Errorf("printed it says %q", text)
	}
}

func TestPortalOpensWithoutAPINKeyAndNotWithABrokenOne(t *testing.T) {
	t.Parallel()
	if key, ok, err := (PINConfig{}).public(); ok || err != nil || key != (events.SealPublicKey{}) {
		t.Errorf("without a key: %t, %v", ok, err)
	}
	if _, _, err := (PINConfig{PublicKeyFile: File(filepath.Join(t.TempDir(), "none"))}).public(); err == nil {
		t.Error("a key that is not there was taken")
	}
	if got := (PINConfig{Elsewhere: "At the desk.", ElsewhereNN: "Ved skranken."}).elsewhere(); got["nb"] != "At the desk." || got["nn"] != "Ved skranken." || got["en"] != "At the desk." {
		t.Errorf("elsewhere is %v", got)
	}
}
