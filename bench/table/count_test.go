package table

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"usn.no/matricula/events"
)

func TestCensusSeesWhatIsLostAndDoubled(t *testing.T) {
	t.Parallel()
	var c census
	c.each("letters", []string{"a", "b", "c"}, map[string]int{"a": 1, "c": 3})
	if c.lost != 1 || c.doubled != 2 {
		t.Errorf("one of three is missing and one is there three times, counted as %d lost and %d doubled", c.lost, c.doubled)
	}
	if !strings.Contains(c.String(), "letters: 1 lost, 2 doubled") {
		t.Errorf("the table does not say what is lost: %s", c)
	}
}

func TestTakeoverSeesWhatIsTurnedRoundAndHowLongNothingWasDone(t *testing.T) {
	t.Parallel()
	killed := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return killed.Add(time.Duration(seconds) * time.Second) }
	var evs []events.Event
	for _, id := range []string{"p-00", "p-01", "p-02", "q-00"} {
		evs = append(evs, events.Event{Meta: events.Meta{ID: id}})
	}
	x := takeover{events: len(evs)}
	x.weigh([]fact{
		{at: at(-5), Account: "p", Cause: "p-00"}, {at: at(1), Account: "p", Cause: "p-02"},
		{at: at(8), Account: "p", Cause: "p-01"}, {at: at(9), Account: "p", Cause: "p-01"},
	}, evs, killed)
	if x.lost != 1 || x.doubled != 1 || x.inversions != 2 || x.stood != 7*time.Second {
		t.Errorf("counted %d lost, %d doubled, %d turned round, %s of standstill; there are 1, 1, 2 and 7 s", x.lost, x.doubled, x.inversions, x.stood)
	}
}

func TestTextQuotesNothingThatWasNotMeasured(t *testing.T) {
	t.Parallel()
	r := &record{Command: "make bench", Values: map[string]float64{}}
	for _, d := range []string{"results.md.tmpl", "capacity.md.tmpl"} {
		text, err := r.fill(d)
		if err != nil {
			t.Errorf("%s quotes what a run without parts did not measure: %v", d, err)
		}
		if strings.Contains(string(text), "<no value>") || strings.Contains(string(text), "NaN") {
			t.Errorf("%s has a hole where a figure should be", d)
		}
	}
}

// A run that ended half way has measured some of what a text quotes: the text
// keeps silent about it, whatever it is that is missing.
func TestTextsHaveNoHoleWhicheverFigureIsMissing(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile(`"([a-z]+(?:\.[a-z0-9]+)+)"`)
	for _, d := range []string{"results.md.tmpl", "capacity.md.tmpl"} {
		text, err := texts.ReadFile(d)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]float64{"cores": 2}
		for _, m := range named.FindAllSubmatch(text, -1) {
			all[string(m[1])] = 2
		}
		for missing := range all {
			r := &record{Command: "make bench", Values: maps.Clone(all), KratosHash: "bcrypt cost 12"}
			delete(r.Values, missing)
			made, err := r.fill(d)
			if err != nil {
				t.Errorf("%s cannot be written without %s: %v", d, missing, err)
			}
			for _, hole := range []string{"<no value>", "NaN", "Inf", "%!"} {
				if strings.Contains(string(made), hole) {
					t.Errorf("%s has %q where a figure should be when %s is missing", d, hole, missing)
				}
			}
		}
	}
}

func TestWhatIsLeftOfARunIsGuessedFromWhatItTookSoFar(t *testing.T) {
	t.Parallel()
	p := newProgress([]string{"latency", "loops"}, false, 1)
	p.begin("latency")
	p.end("latency")
	p.took["latency"] = 3*p.expect["latency"] + 2*60 // three times as slow as known
	p.begin("loops")
	if left, want := p.left(p.since), 3*p.expect["loops"]; math.Abs(left-want) > 1 {
		t.Errorf("%.0f s are said to be left where it is %.0f: parts to come are not stretched as those before were", left, want)
	}
}

func TestTwoRunsOfALoopCountAsOneOverBoth(t *testing.T) {
	t.Parallel()
	got := looped{}.with(looped{rate: 1000, loop: 2 * time.Millisecond, inversions: 1}).with(looped{rate: 3000, loop: 4 * time.Millisecond, inversions: 2})
	if math.Abs(got.rate-1500) > 1e-6 || got.loop != 3*time.Millisecond || got.inversions != 3 {
		t.Errorf("1000/s and 3000/s over as many messages make %.0f/s at %s with %d turned round; it is 1500/s at 3 ms with 3", got.rate, got.loop, got.inversions)
	}
}

func TestRunThatDidNotEndLeavesWhatItMeasured(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	r := &report{began: time.Now(), folder: folder, record: record{Command: "make bench-long", Values: map[string]float64{}}}
	r.add(row{work: "growth", what: "at 1000 accounts", figure: "400/s"})
	text, err := os.ReadFile(filepath.Join(folder, partialResults))
	if err != nil || !strings.Contains(string(text), "at 1000 accounts") || !strings.Contains(string(text), "Not a whole run") {
		t.Errorf("the table so far is not kept, or does not say that it is not whole: %v\n%s", err, text)
	}
	r.complete()
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 0 {
		t.Errorf("a run that ended leaves %v behind: %v", left, err)
	}
}

func TestFiguresAreWrittenAsPeopleReadThem(t *testing.T) {
	t.Parallel()
	for x, want := range map[float64]string{14519.3: "14,519", 274: "274", 40.92: "40.9", 3.256: "3.26"} {
		if got := number0(x); got != want {
			t.Errorf("%g is written %q, not %q", x, got, want)
		}
	}
	for seconds, want := range map[float64]string{73: "73 s", 1100: "18 min", 40000: "11 h", 600000: "7 days"} {
		if got := span(seconds); got != want {
			t.Errorf("%g seconds are written %q, not %q", seconds, got, want)
		}
	}
}
