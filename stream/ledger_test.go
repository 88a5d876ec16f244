package stream

import (
	"maps"
	"testing"
)

func TestLedgerShowsWhatIsHeldAndNothingElse(t *testing.T) {
	t.Parallel()
	_, js, p := declared(t)
	claims, ctx := NewClaims(p), patience(t)
	read := func() map[string]string {
		held := map[string]string{}
		if err := (&Ledger{JS: js}).Each(ctx, func(key string, value []byte) { held[key] = string(value) }); err != nil {
			t.Fatal(err)
		}
		return held
	}
	if held := read(); len(held) != 0 {
		t.Errorf("an empty bucket holds %v", held)
	}
	for key, value := range map[string]string{"num.1.a": "kari", "uid.karnor": "kari", "src.1.b": "ola"} {
		if _, err := claims.Take(ctx, []string{key}, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := claims.Move(ctx, []string{"src.1.b"}, nil, []byte("ola"), nil); err != nil {
		t.Fatal(err)
	}
	if held := read(); !maps.Equal(held, map[string]string{"num.1.a": "kari", "uid.karnor": "kari"}) {
		t.Errorf("of two claims that are held and one that was let go it shows %v", held)
	}
}
