package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
)

// TOML writes the configuration in force as a file: the sample with its
// comments, and the values of c in it. It can be loaded again. Secrets are not
// in it, only the paths of their files.
func (c *Config) TOML(sample string) string {
	values := map[string]string{}
	for _, s := range settings(reflect.ValueOf(c)) {
		if s.List == "" {
			values[s.Key] = tomlValue(s.Value)
		}
	}
	var b strings.Builder
	section, remarks := "", "" // remarks wait for what they are about
	for line := range strings.Lines(sample) {
		name, list := header(line)
		if list { // the sample's own windows are the end of it
			break
		}
		if strings.HasPrefix(line, "#") {
			remarks += line
			continue
		}
		if name != "" {
			section = name + "."
		}
		b.WriteString(remarks + replaceValue(line, section, values))
		remarks = ""
	}
	c.writeWindows(&b)
	return b.String()
}

// header reads "[nats.worker]" and, as a list, "[[window]]".
func header(line string) (name string, list bool) {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "[") {
		return "", false
	}
	return strings.Trim(line, "[]"), strings.HasPrefix(line, "[[")
}

func replaceValue(line, section string, values map[string]string) string {
	key, _, ok := strings.Cut(line, " = ")
	if v, known := values[section+key]; ok && known {
		return key + " = " + v + "\n"
	}
	return line
}

func (c *Config) writeWindows(b *strings.Builder) {
	for i := range c.Window {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("[[window]]\n")
		v := reflect.ValueOf(&c.Window[i]).Elem()
		for _, s := range walk(v, "", "", "") {
			if text := tomlValue(s.Value); text != `""` && text != "[]" {
				fmt.Fprintf(b, "%s = %s\n", s.Key, text)
			}
		}
	}
}

func tomlValue(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case fmt.Stringer: // Secret, Span
		return quote(x.String())
	case []string:
		quoted := make([]string, len(x))
		for i, one := range x {
			quoted[i] = quote(one)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case bool:
		return strconv.FormatBool(x)
	case int:
		return strconv.Itoa(x)
	}
	return quote(hideLogin(v.String()))
}

// quote writes a TOML basic string, whose escapes are those of JSON.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return strconv.Quote(s) // a string always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// hideLogin takes the password out of an address. LoadConfig refuses such an
// address; a Config that was made otherwise is not printed with it either.
func hideLogin(s string) string {
	if !strings.Contains(s, "://") || !strings.Contains(s, "@") {
		return s
	}
	u, err := url.Parse(s)
	if err != nil {
		return "hidden"
	}
	return u.Redacted()
}
