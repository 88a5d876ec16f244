package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with the configuration: which key, on
// which line of the file (0 where no line is to blame), what is wrong, and
// what to do about it. It never quotes a value that could be secret.
type Problem struct {
	Key  string
	Line int
	Text string
	Fix  string
}

func (p Problem) String() string {
	s := p.Key + " " + p.Text
	if p.Line > 0 {
		s = fmt.Sprintf("line %d: %s", p.Line, s)
	}
	if p.Fix != "" {
		s += "; " + p.Fix
	}
	return s
}

// ConfigError is everything that is wrong with one configuration.
type ConfigError struct {
	Path     string // of the file, empty where there is none
	Problems []Problem
}

// Error lists the problems, one a line.
func (e *ConfigError) Error() string {
	from := e.Path
	if from == "" {
		from = "environment"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "config %s: %d problem", from, len(e.Problems))
	if len(e.Problems) > 1 {
		b.WriteByte('s')
	}
	for _, p := range e.Problems {
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// add keeps one problem per key and line: what cannot be read needs no second
// remark that it is out of range.
func (e *ConfigError) add(p Problem) {
	if !slices.ContainsFunc(e.Problems, func(q Problem) bool { return q.Key == p.Key && q.Line == p.Line }) {
		e.Problems = append(e.Problems, p)
	}
}

func (e *ConfigError) orNil() error {
	if len(e.Problems) == 0 {
		return nil
	}
	return e
}

// need adds a problem unless ok.
func (e *ConfigError) need(ok bool, key, text, fix string) {
	if !ok {
		e.add(Problem{Key: key, Text: text, Fix: fix})
	}
}

// oneOf adds a problem unless value is one of allowed.
func (e *ConfigError) oneOf(key, value string, allowed ...string) {
	e.need(slices.Contains(allowed, value), key, fmt.Sprintf("is %q", value), "use one of "+strings.Join(allowed, ", "))
}

// between adds a problem unless low <= value <= high.
func (e *ConfigError) between(key string, value, low, high int) {
	e.need(value >= low && value <= high, key, fmt.Sprintf("is %d", value), fmt.Sprintf("use %d to %d", low, high))
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "yes or no"
	case reflect.Int:
		return "a whole number"
	}
	return "this kind of value"
}

func kindExample(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a number such as 5"
	}
	return "it as in the sample"
}
