package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"usn.no/matricula/policy"
)

func code(err error) string {
	var n *policy.NumberError
	if errors.As(err, &n) {
		return n.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// Every number here is synthetic: a person cannot have it.
func TestNumbersAreJudgedByTheirDeclaredType(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ why, typ, value, synthetic, production string }{
		{"Tenor number", "fnr", "17912099997", "", "synthetic"},
		{"Tenor number", "fnr", "05840399895", "", "synthetic"},
		{"Tenor number, century of 1900", "fnr", "29822099635", "", "synthetic"},
		{"Tenor number", "fnr", "12829499914", "", "synthetic"},
		{"Tenor number", "fnr", "21883649874", "", "synthetic"},
		{"Tenor D-number", "dnr", "57912075186", "", "synthetic"},
		{"Tenor D-number of the 2021 ranges", "dnr", "41814061033", "", "synthetic"},
		{"check digit of the 2032 rule", "fnr", "30908299902", "", "synthetic"},
		{"check digit of the 2032 rule", "fnr", "01902450013", "", "synthetic"},
		{"SO-number", "so", "01512510074", "", ""},
		{"SO-number", "so", "15532510071", "", ""},
		{"SO-number of December", "so", "31622510025", "", ""},
		{"FS number", "fs", "01512590086", "", ""},
		{"SO-number declared fs: the tail only warns", "fs", "01512510074", "", ""},

		{"FH-number", "fnr", "80000000098", "fh", "fh"},
		{"FH-number", "so", "90000000098", "fh", "fh"},
		{"second check digit off", "fnr", "17912099998", "check_digit", "synthetic"},
		{"first check digit off", "fnr", "17912099987", "check_digit", "synthetic"},
		{"30 February", "fnr", "30822050049", "date", "synthetic"},
		{"29 February of a year without", "fnr", "29822150010", "date", "synthetic"},
		{"month 13", "fnr", "01932450077", "date", "date"},
		{"month 0", "fnr", "01002512345", "date", "date"},
		{"day 0", "fnr", "00812512345", "date", "synthetic"},
		{"day 32", "fnr", "32812512345", "date", "synthetic"},
		{"day 72 is no D-number's", "dnr", "72812512345", "date", "synthetic"},

		{"D-number declared fnr", "fnr", "57912075186", "type", "synthetic"},
		{"fnr declared D-number", "dnr", "17912099997", "type", "synthetic"},
		{"SO-number of March declared fnr", "fnr", "15532510071", "type", "type"},
		{"SO-number of January declared fnr looks like NAV's", "fnr", "01512510074", "test", "test"},
		{"Tenor number declared so", "so", "17912099997", "type", "type"},
		{"D-number's day and SO-number's month", "so", "55532510071", "type", "type"},
		{"H-number", "fnr", "01412512345", "test", "test"},
		{"H-number declared so", "so", "01412512345", "test", "test"},
		{"NHN number with a wrong digit", "fnr", "01662512345", "check_digit", "synthetic"},

		{"what payroll writes for no number", "fnr", "01010100000", "placeholder", "placeholder"},
		{"what payroll writes for no number", "dnr", "41019900200", "placeholder", "placeholder"},
		{"nothing", "fnr", "", "length", "length"},
		{"ten digits", "fnr", "1791209999", "length", "length"},
		{"a letter", "fnr", "1791209999x", "digits", "digits"},
		{"digits of another script", "fnr", "١٧٩١٢٠٩٩٩٩٧", "digits", "digits"},
		{"spaces are for people, not for events", "fnr", "179120 99997", "digits", "digits"},
		{"no such type", "ssn", "17912099997", "unknown_type", "unknown_type"},
		{"upper case is no type", "FNR", "17912099997", "unknown_type", "unknown_type"},
		{"passport", "passport", "N-1234567", "", ""},
		{"empty passport", "passport", "", "length", "length"},
		{"passport of markup", "passport", "<b>", "digits", "digits"},
	} {
		for synthetic, want := range map[bool]string{true: row.synthetic, false: row.production} {
			if got := code(policy.CheckNumber(row.typ, row.value, policy.NumberOptions{Synthetic: synthetic})); got != want {
				t.Errorf("%s (%s, synthetic allowed: %v): answered %q, want %q", row.why, row.typ, synthetic, got, want)
			}
		}
	}
}

func TestIndividualNumberRangesEndIn2032(t *testing.T) {
	t.Parallel()
	// Born 45, individual number 560: issued to nobody before 2032.
	value := complete(t, "018145560", 0)
	if got := code(policy.CheckNumber("fnr", value, policy.NumberOptions{Synthetic: true})); got != "date" {
		t.Errorf("before 2032 the number answers %q, want date", got)
	}
	after := policy.NumberOptions{Synthetic: true, At: time.Date(2032, 1, 1, 0, 0, 0, 0, time.UTC)}
	if err := policy.CheckNumber("fnr", value, after); err != nil {
		t.Errorf("in 2032 the number is refused: %v", err)
	}
}

func TestPlaceholderMeansNoNumber(t *testing.T) {
	t.Parallel()
	if err := policy.CheckNumber("fnr", "01010100100", policy.NumberOptions{}); !policy.IsPlaceholder(err) {
		t.Errorf("01010100100 is not seen as a placeholder: %v", err)
	}
	if err := policy.CheckNumber("fnr", "01010100300", policy.NumberOptions{}); policy.IsPlaceholder(err) {
		t.Error("a tail of 00300 is seen as a placeholder")
	}
}

func TestNumberErrorsNeverHoldTheNumber(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`[0-9]{3,13}`).Draw(t, "value")
		typ := rapid.SampledFrom([]string{"fnr", "dnr", "so", "fs", value}).Draw(t, "type")
		if err := policy.CheckNumber(typ, value, policy.NumberOptions{}); err != nil && strings.Contains(err.Error(), value) {
			t.Fatalf("the error repeats the number: %v", err)
		}
	})
}

// complete appends check digits so that the first remainder is r; it answers ""
// where the number has none.
func complete(t interface{ Helper() }, nine string, r int) string {
	t.Helper()
	sum := func(s string, weights ...int) (n int) {
		for i, w := range weights {
			n += w * int(s[i]-'0')
		}
		return n
	}
	for k1 := range 10 {
		if (sum(nine, 3, 7, 6, 1, 8, 9, 4, 5, 2)+k1)%11 != r {
			continue
		}
		ten := fmt.Sprint(nine, k1)
		if k2 := (11 - sum(ten, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)%11) % 11; k2 < 10 {
			return fmt.Sprint(ten, k2)
		}
	}
	return ""
}

type marks struct {
	typ        string
	day, month int
	remainders int // largest first remainder that is accepted
}

func drawNumber(t *rapid.T) (m marks, value string, remainder int) {
	m = rapid.SampledFrom([]marks{
		{"fnr", 0, 80, 3}, {"fnr", 0, 65, 3}, {"dnr", 40, 80, 3}, {"dnr", 40, 65, 3}, {"so", 0, 50, 0}, {"fs", 0, 50, 0},
	}).Draw(t, "marks")
	born := rapid.IntRange(0, 139*365).Draw(t, "born")
	date := time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, born)
	low, high := 100, 499
	if m.typ == "dnr" && date.Year() < 1940 {
		high = 199
	} else if date.Year() >= 2000 {
		low, high = 500, 999
	}
	individual := rapid.IntRange(low, high).Draw(t, "individual")
	remainder = rapid.IntRange(0, 9).Draw(t, "remainder")
	nine := fmt.Sprintf("%02d%02d%02d%03d", date.Day()+m.day, int(date.Month())+m.month, date.Year()%100, individual)
	return m, complete(t, nine, remainder), remainder
}

func TestEveryIssuableNumberIsAcceptedAndNoOtherRemainder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m, value, remainder := drawNumber(t)
		if value == "" || strings.HasSuffix(value, "0000") {
			t.Skip("the issuer skips this one")
		}
		want := ""
		if remainder > m.remainders {
			want = "check_digit"
		}
		if got := code(policy.CheckNumber(m.typ, value, policy.NumberOptions{Synthetic: true})); got != want {
			t.Fatalf("%s %s with remainder %d answers %q, want %q", m.typ, value, remainder, got, want)
		}
	})
}

func TestOneMistypedDigitIsRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m, value, remainder := drawNumber(t)
		if value == "" || remainder > m.remainders {
			t.Skip("no valid number")
		}
		i := rapid.IntRange(0, 10).Draw(t, "position")
		by := rapid.IntRange(1, 9).Draw(t, "by")
		wrong := value[:i] + string('0'+(value[i]-'0'+byte(by))%10) + value[i+1:]
		if policy.CheckNumber(m.typ, wrong, policy.NumberOptions{Synthetic: true}) == nil {
			t.Fatalf("%s is accepted as a slip of %s", wrong, value)
		}
	})
}

func TestAcceptedNumberHasOneTypePerMark(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		_, value, _ := drawNumber(t)
		if value == "" {
			t.Skip("no such number")
		}
		o := policy.NumberOptions{Synthetic: true}
		fnr, dnr, so := policy.CheckNumber("fnr", value, o), policy.CheckNumber("dnr", value, o), policy.CheckNumber("so", value, o)
		n := 0
		for _, err := range []error{fnr, dnr, so} {
			if err == nil {
				n++
			}
		}
		if n > 1 {
			t.Fatalf("%s is accepted as %d types", value, n)
		}
	})
}

func TestRankRisesFromFsToFnr(t *testing.T) {
	t.Parallel()
	order := []string{"passport", "fs", "so", "dnr", "fnr"}
	for i, typ := range order {
		if got := policy.NumberRank(typ); got != i {
			t.Errorf("rank of %s is %d, want %d", typ, got, i)
		}
		if got := policy.Proves(typ); got != (i > 0) {
			t.Errorf("%s proves: %v", typ, got)
		}
	}
	if policy.NumberRank("") != 0 || policy.Proves("driving-licence") {
		t.Error("an unknown type ranks or proves")
	}
}

func TestTypedNumbersLoseTheirSpaces(t *testing.T) {
	t.Parallel()
	for _, typed := range []string{"015125 10074", " 01.51.25-10074\n", "015125\u00a010074", "015125–10074"} {
		if got := policy.NormalizeNumber(typed); got != "01512510074" {
			t.Errorf("%q becomes %q", typed, got)
		}
	}
}

func TestTailOutsideTheUsualRangeOnlyWarns(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		typ, value string
		want       bool
	}{
		{"so", "01512510074", false}, {"so", "01512590086", true}, {"fs", "01512590086", false},
		{"fs", "01512510074", true}, {"fnr", "17912099997", false}, {"so", "short", false},
	} {
		if got := policy.UnusualTail(row.typ, row.value); got != row.want {
			t.Errorf("tail of the %s number is unusual: %v, want %v", row.typ, got, row.want)
		}
	}
}

func FuzzCheckNumber(f *testing.F) {
	for _, s := range []string{"17912099997", "57912075186", "01512510074", "00000000000", "٣", "\xff", ""} {
		f.Add("fnr", s, true)
		f.Add("so", s, false)
	}
	f.Fuzz(func(t *testing.T, typ, value string, synthetic bool) {
		err := policy.CheckNumber(typ, value, policy.NumberOptions{Synthetic: synthetic})
		var n *policy.NumberError
		if err != nil && (!errors.As(err, &n) || n.Code == "" || n.Text == "") {
			t.Fatalf("error has no code: %v", err)
		}
		if err == nil && typ != "passport" && len(value) != 11 {
			t.Fatalf("%d characters are accepted", len(value))
		}
		if err == nil && !synthetic && policy.CheckNumber(typ, value, policy.NumberOptions{Synthetic: true}) != nil {
			t.Fatal("allowing test numbers refuses one that production takes")
		}
	})
}

func BenchmarkCheckNumber(b *testing.B) {
	b.ReportAllocs()
	o := policy.NumberOptions{Synthetic: true}
	for b.Loop() {
		if err := policy.CheckNumber("dnr", "41814061033", o); err != nil {
			b.Fatal(err)
		}
	}
}
