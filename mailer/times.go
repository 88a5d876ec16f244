package mailer

import (
	"fmt"
	"time"
	_ "time/tzdata" // Europe/Oslo must be there also on a machine without a zone database
)

var (
	weekdays = map[string][7]string{
		"nb": {"søndag", "mandag", "tirsdag", "onsdag", "torsdag", "fredag", "lørdag"},
		"nn": {"søndag", "måndag", "tysdag", "onsdag", "torsdag", "fredag", "laurdag"},
		"en": {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"},
	}
	norwegianMonths = [12]string{
		"januar", "februar", "mars", "april", "mai", "juni",
		"juli", "august", "september", "oktober", "november", "desember",
	}
)

// spell writes an instant as a person reads it in Norway: "søndag 1. august
// 2027 kl. 00.00" (Språkrådet: full stop in clock times), in English with the
// zone, because English letters are read abroad.
func spell(t time.Time, oslo *time.Location, lang string) string {
	t = t.In(oslo)
	day := weekdays[lang][t.Weekday()]
	if lang == "en" {
		return fmt.Sprintf("%s %d %s %d at %s (Norwegian time)", day, t.Day(), t.Month(), t.Year(), t.Format("15:04"))
	}
	return fmt.Sprintf("%s %d. %s %d kl. %s", day, t.Day(), norwegianMonths[t.Month()-1], t.Year(), t.Format("15.04"))
}
