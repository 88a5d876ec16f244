package mailer

import (
	"strings"
	text "text/template"
	"unicode/utf8"
)

// A letter is nearly all what every letter of its kind is. A stencil is such a
// letter with the sentences and the markup written out once, by the templates
// themselves, and the places of a person's data left open. Filling one in
// takes a few microseconds where executing the templates takes two hundred.
//
// It is made by executing the templates for a page whose values are marks.
// That is right only while a template does nothing with a value but ask
// whether it is there and write it into text. The templates that ship do no
// more, and at the start every stencil is held against them, byte by byte, for
// the sample people. A letter whose files an institution has replaced has no
// stencil: its templates are executed for each letter.
type stencil struct {
	html []piece
	text []paragraph
	size [2]int // of the constant parts of both
}

// shape is what decides which parts a letter has.
type shape struct {
	letter, language, role                                   string
	name, username, opens, expires, deadline, number, ticket bool
	locked                                                   bool
}

// Marks stand for values. They are private characters, which clean takes out
// of every name, sentence and setting, so that none can come from there.
const (
	markName rune = '\ue001' + iota
	markUsername
	markOpens
	markExpires
	markDeadline
	markNumber
	markTicket
	markLast = markTicket

	beginWrap rune = '\ue011'
	beginItem rune = '\ue012'
	endFill   rune = '\ue013'

	// ticketMark stands for the ticket where only what a ticket is made of
	// comes through unchanged: in an address.
	ticketMark = "0ticket0goes0here0"
)

// piece is constant text or, where value is a mark, the place of a value.
type piece struct {
	text  string
	value rune
}

// paragraph is text in the letter's plain form. Where begin is set it is
// broken into lines, which depends on what the values are.
type paragraph struct {
	begin  rune // beginWrap, beginItem, or 0: as it stands
	pieces []piece
}

func isValue(r rune) bool { return r >= markName && r <= markLast }

func isFill(r rune) bool { return r >= beginWrap && r <= endFill }

// shapeOf answers the shape of a letter, and false where it has a value that a
// stencil cannot take.
func (t *Templates) shapeOf(p *page) (shape, string, bool) {
	s := shape{
		letter: p.letter, language: p.Language, role: p.Role,
		name: p.name != "", username: p.Username != "", opens: p.Opens != "", expires: p.Expires != "",
		deadline: p.Deadline != "", locked: p.Locked, number: p.number != "", ticket: p.link != "",
	}
	ticket, ok := strings.CutPrefix(p.link, p.base+"/a/")
	return s, ticket, p.link == "" || ok && isTicket(ticket)
}

// isTicket tells whether s is made of what no escaping changes anywhere.
func isTicket(s string) bool {
	for i := 0; i < len(s); i++ {
		if !isAlnum(s[i]) && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return s != ""
}

// stencil answers the stencil of a shape; it is made at first use.
func (t *Templates) stencil(s shape, p *page) (*stencil, error) {
	if kept, ok := t.stencils.Load(s); ok {
		return kept.(*stencil), nil
	}
	blank := *p
	for _, v := range []struct {
		into *string
		mark string
	}{
		{&blank.name, string(markName)}, {&blank.Username, string(markUsername)}, {&blank.Opens, string(markOpens)},
		{&blank.Expires, string(markExpires)}, {&blank.Deadline, string(markDeadline)}, {&blank.number, string(markNumber)},
		{&blank.link, p.base + "/a/" + ticketMark},
	} {
		if *v.into != "" {
			*v.into = v.mark
		}
	}
	h, x, err := t.execute(s.letter, t.marked[s.letter], &blank)
	if err != nil {
		return nil, err
	}
	made := &stencil{html: piecesOf(h), text: paragraphsOf(x), size: [2]int{len(h), len(x)}}
	t.stencils.Store(s, made)
	return made, nil
}

// markFills makes the functions of the text templates leave marks where they
// would break lines.
func markFills(t *text.Template) (*text.Template, error) {
	c, err := t.Clone()
	if err != nil {
		return nil, err
	}
	mark := func(begin rune) func(string) string {
		return func(s string) string { return string(begin) + s + string(endFill) }
	}
	return c.Funcs(text.FuncMap{"wrap": mark(beginWrap), "item": mark(beginItem)}), nil
}

func piecesOf(s string) []piece {
	s = strings.ReplaceAll(s, ticketMark, string(markTicket))
	var out []piece
	for s != "" {
		i := strings.IndexFunc(s, isValue)
		if i < 0 {
			return append(out, piece{text: s})
		}
		if i > 0 {
			out = append(out, piece{text: s[:i]})
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		out = append(out, piece{value: r})
		s = s[i+n:]
	}
	return out
}

func paragraphsOf(s string) []paragraph {
	var out []paragraph
	add := func(begin rune, s string) {
		pieces := piecesOf(s)
		if len(pieces) == 0 {
			return
		}
		if begin != 0 && len(pieces) == 1 && pieces[0].value == 0 { // the lines are always the same
			pieces[0].text, begin = fillAs(begin, pieces[0].text), 0
		}
		if last := len(out) - 1; begin == 0 && last >= 0 && out[last].begin == 0 {
			out[last].pieces = join(out[last].pieces, pieces)
			return
		}
		out = append(out, paragraph{begin, pieces})
	}
	var begin rune
	for s != "" {
		i := strings.IndexFunc(s, isFill)
		if i < 0 {
			add(begin, s)
			break
		}
		add(begin, s[:i])
		r, n := utf8.DecodeRuneInString(s[i:])
		if begin = r; r == endFill {
			begin = 0
		}
		s = s[i+n:]
	}
	return out
}

func join(a, b []piece) []piece {
	if last := len(a) - 1; a[last].value == 0 && b[0].value == 0 {
		a[last].text += b[0].text
		b = b[1:]
	}
	return append(a, b...)
}

func fillAs(begin rune, s string) string {
	if begin == beginItem {
		return item(s)
	}
	return wrap(s)
}

// escapeHTML is what html/template does to a value that stands in text.
var escapeHTML = strings.NewReplacer(`&`, "&amp;", `<`, "&lt;", `>`, "&gt;", `"`, "&#34;", `'`, "&#39;", `+`, "&#43;")

// roomForValues is what the values of a letter usually need.
const roomForValues = 512

// fill writes the letter with the values of p.
func (s *stencil) fill(p *page, ticket string) (html, plain string) {
	value := func(mark rune) string {
		switch mark {
		case markName:
			return p.name
		case markUsername:
			return p.Username
		case markOpens:
			return p.Opens
		case markExpires:
			return p.Expires
		case markDeadline:
			return p.Deadline
		case markNumber:
			return p.number
		}
		return ticket
	}
	var h, x, one strings.Builder
	h.Grow(s.size[0] + roomForValues)
	for _, c := range s.html {
		if c.value == 0 {
			h.WriteString(c.text)
		} else {
			_, _ = escapeHTML.WriteString(&h, value(c.value))
		}
	}
	x.Grow(s.size[1] + roomForValues)
	for _, par := range s.text {
		into := &x
		if par.begin != 0 {
			one.Reset()
			into = &one
		}
		for _, c := range par.pieces {
			if c.value == 0 {
				into.WriteString(c.text)
			} else {
				into.WriteString(value(c.value))
			}
		}
		if par.begin != 0 {
			x.WriteString(fillAs(par.begin, one.String()))
		}
	}
	return h.String(), x.String()
}
