//go:build !linux

package directory

func hugePages([]byte) {}
