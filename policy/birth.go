package policy

import "time"

// parts are a number's date without its marks, and its individual number.
type parts struct{ day, month, yy, individual int }

// unmark takes the marks off a number and refuses those that do not belong to
// the declared type:
//
//	day   + 40  D-number
//	month + 40  H-number (health) and NAV test
//	month + 50  SO-number, FS number
//	month + 65  NHN test
//	month + 80  Tenor test
//	first digit 8 or 9  FH-number (health)
//
// Months 51 and 52 belong to two kinds; the declared type decides.
func unmark(typ string, d [11]int, synthetic bool) (parts, error) {
	p := parts{day: d[0]*10 + d[1], month: d[2]*10 + d[3], yy: d[4]*10 + d[5], individual: d[6]*100 + d[7]*10 + d[8]}
	if d[0] >= 8 {
		return p, refuse(CodeFH, "number is an FH-number of the health services: send the person's own number")
	}
	mark, err := monthMark(typ, p.month)
	if err != nil {
		return p, err
	}
	if mark >= 65 && !synthetic {
		return p, refuse(CodeSynthetic, "number is synthetic: only allow_synthetic takes test numbers")
	}
	p.month -= mark
	marked := p.day >= 41 && p.day <= 71
	switch {
	case marked && typ != NumberDnr:
		return p, refuse(CodeType, "%s number has the day of a D-number: correct its type", typ)
	case !marked && typ == NumberDnr && p.day >= 1 && p.day <= 31:
		return p, refuse(CodeType, "dnr number has no D-number's day: correct its type")
	case marked:
		p.day -= 40
	}
	return p, nil
}

// monthMark answers what was added to the month, 0 also for a month that no
// kind of number has.
func monthMark(typ string, month int) (int, error) {
	admission := typ == NumberSO || typ == NumberFS
	switch {
	case month >= 51 && month <= 62 && admission:
		return 50, nil
	case month >= 41 && month <= 52:
		return 0, refuse(CodeTest, "number has the month of an H-number or NAV test number: send the person's own number")
	case month >= 53 && month <= 62:
		return 0, refuse(CodeType, "%s number has the month of an SO-number: correct its type", typ)
	case admission && (month >= 1 && month <= 12 || month >= 66 && month <= 77 || month >= 81 && month <= 92):
		return 0, refuse(CodeType, "%s number does not have the month of an SO-number: correct its type", typ)
	case month >= 66 && month <= 77:
		return 65, nil
	case month >= 81 && month <= 92:
		return 80, nil
	}
	return 0, nil
}

// checkDate refuses a date that no calendar has in any century the number can
// belong to. With ranges, the individual number narrows the centuries.
func (p parts) checkDate(typ string, ranges bool) error {
	centuries := []int{1800, 1900, 2000}
	if ranges {
		switch typ {
		case NumberFnr:
			centuries = fnrCenturies(p.yy, p.individual)
		case NumberDnr:
			centuries = dnrCenturies(p.yy, p.individual)
		}
	}
	for _, c := range centuries {
		if isDate(c+p.yy, p.month, p.day) {
			return nil
		}
	}
	return refuse(CodeDate, "%s number has a date or an individual number that cannot be", typ)
}

// fnrCenturies answers the centuries that issue an individual number to people
// born in year yy, before 2032: 1854-99 500-749; 1900-99 000-499; 1940-99 also
// 900-999; 2000-39 500-999.
func fnrCenturies(yy, i int) (c []int) {
	if yy >= 54 && i >= 500 && i <= 749 {
		c = append(c, 1800)
	}
	if i <= 499 || yy >= 40 && i >= 900 {
		c = append(c, 1900)
	}
	if yy <= 39 && i >= 500 {
		c = append(c, 2000)
	}
	return c
}

// dnrCenturies is fnrCenturies for D-numbers, by the ranges of November 2021,
// which hold what was issued before: 1858-99 500-599; 1900-39 000-199; 1940-99
// 000-499 and 600-999; 2000-39 200-999.
func dnrCenturies(yy, i int) (c []int) {
	if yy >= 58 && i >= 500 && i <= 599 {
		c = append(c, 1800)
	}
	if yy <= 39 && i <= 199 || yy >= 40 && (i <= 499 || i >= 600) {
		c = append(c, 1900)
	}
	if yy <= 39 && i >= 200 {
		c = append(c, 2000)
	}
	return c
}

func isDate(year, month, day int) bool {
	if month < 1 || month > 12 || day < 1 || day > 31 {
		return false
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return t.Day() == day
}
