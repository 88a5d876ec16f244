package testkit

import (
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
)

// given are the addresses FreeAddress has handed out in this process.
var given sync.Map

// FreeAddress is an IP address and port of loopback for a server that is about
// to start: nobody listens there and nobody else was told of it. Test programs
// run at the same time, so each has an IP address of its own where the system
// has the whole of 127.0.0.0/8, which Linux has; 127.0.0.1 elsewhere.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	for range 100 {
		l, err := net.Listen("tcp", net.JoinHostPort(ownIP(), "0"))
		if err != nil {
			l, err = net.Listen("tcp", "127.0.0.1:0")
		}
		if err != nil {
			tb.Fatal(err)
		}
		address := l.Addr().String()
		if err := l.Close(); err != nil {
			tb.Fatal(err)
		}
		if _, taken := given.LoadOrStore(address, true); !taken {
			return address
		}
	}
	tb.Fatal("no loopback port is free")
	return ""
}

// ownIP is this process's own address of loopback, from its process ID.
func ownIP() string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 64+pid>>16&63, pid>>8&255, pid&255)
}
