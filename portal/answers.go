package portal

import (
	"strings"

	"usn.no/matricula/account"
)

// answers puts every rule into words, in the order of the page, with what the
// server found beside it. Without answers the rules stand there unanswered.
// A rule that is always kept by what people type is shown only when broken.
func (s *site) answers(lang string, given []account.Answer) []ruleAnswer {
	all := []ruleAnswer{{Rule: "length", Text: s.say(lang, "rule_length", "n", s.Password.MinLength)}}
	if s.Password.Groups > 0 {
		all = append(all, ruleAnswer{Rule: "groups", Text: s.say(lang, "rule_groups", "n", s.Password.Groups)})
	}
	if s.Password.MaxRepeat > 0 {
		all = append(all, ruleAnswer{Rule: "repeat", Text: s.say(lang, "rule_repeat", "n", s.Password.MaxRepeat)})
	}
	all = append(all, ruleAnswer{Rule: "name", Text: s.say(lang, "rule_name")})
	for i := range all {
		all[i].State = "unknown"
	}
	for _, a := range given {
		i := 0
		for i < len(all) && all[i].Rule != a.Rule {
			i++
		}
		if i == len(all) {
			if a.OK {
				continue
			}
			all = append(all, ruleAnswer{Rule: a.Rule, Text: s.rareRule(lang, a.Rule)})
		}
		all[i].State, all[i].Detail = "no", s.detail(lang, a)
		if a.OK {
			all[i].State, all[i].Detail = "ok", ""
		}
	}
	return all
}

func (s *site) rareRule(lang, rule string) string {
	switch rule {
	case "characters":
		return s.say(lang, "rule_characters")
	case "too_long":
		return s.say(lang, "rule_too_long", "n", s.Password.MaxLength)
	case "breached":
		return s.say(lang, "rule_breached")
	}
	return s.say(lang, "rule_other")
}

// detail says what decided, so that nobody has to guess.
func (s *site) detail(lang string, a account.Answer) string {
	switch {
	case a.Rule == "groups":
		var names []string
		for _, g := range strings.Fields(a.Detail) {
			switch g {
			case "upper":
				names = append(names, s.say(lang, "group_upper"))
			case "lower":
				names = append(names, s.say(lang, "group_lower"))
			case "digit":
				names = append(names, s.say(lang, "group_digit"))
			case "special":
				names = append(names, s.say(lang, "group_special"))
			}
		}
		if len(names) == 0 {
			return s.say(lang, "found_no_group")
		}
		return s.say(lang, "found_groups", "groups", strings.Join(names, ", "), "n", len(names), "of", s.Password.Groups)
	case a.Detail == "":
		return ""
	case a.Rule == "length":
		return s.say(lang, "found_length", "n", a.Detail)
	case a.Rule == "repeat":
		return s.say(lang, "found_repeat", "c", a.Detail)
	case a.Rule == "name":
		return s.say(lang, "found_name", "part", a.Detail)
	}
	return ""
}
