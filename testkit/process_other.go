//go:build !linux

package testkit

import "os/exec"

func dieWithUs(*exec.Cmd) {}
