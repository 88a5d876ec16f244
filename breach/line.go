package breach

import (
	"errors"
	"fmt"
)

// line is one line of a corpus or a range: hex digits, a colon, a count.
type line struct {
	digits []byte
	count  uint64
}

// parseLine reads a line of exactly so many hex digits. It tells what is wrong
// and holds no part of the line. Corpora with lines of 32 digits (NTLM) and
// without a colon have been met in the wild.
func parseLine(b []byte, digits int) (line, error) {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	colon := 0
	for colon < len(b) && nibble[b[colon]] < 16 {
		colon++
	}
	switch {
	case colon == len(b):
		return line{}, errors.New("no colon and count behind the hash")
	case b[colon] != ':':
		return line{}, errors.New("something other than hex digits in the hash")
	case colon == digits-8:
		return line{}, fmt.Errorf("hash of %d digits is NTLM: take the SHA-1 corpus", colon)
	case colon != digits:
		return line{}, fmt.Errorf("hash has %d digits, want %d", colon, digits)
	}
	l := line{digits: b[:colon]}
	for _, c := range b[colon+1:] {
		if c < '0' || c > '9' || l.count > 1<<53 {
			return line{}, errors.New("count is no number")
		}
		l.count = l.count*10 + uint64(c-'0')
	}
	if colon+1 == len(b) {
		return line{}, errors.New("count is missing")
	}
	return l, nil
}

// nibble is the value of a hex digit, and 16 for any other byte: the build
// reads 40 of them for each of 10^9 lines.
var nibble = func() (t [256]byte) {
	for i := range t {
		t[i] = 16
	}
	for i, c := range "0123456789ABCDEF" {
		t[c] = byte(i)
	}
	for i, c := range "abcdef" {
		t[c] = byte(10 + i)
	}
	return t
}()

// value reads up to 16 hex digits.
func value(digits []byte) (v uint64) {
	for _, c := range digits {
		v = v<<4 | uint64(nibble[c])
	}
	return v
}
