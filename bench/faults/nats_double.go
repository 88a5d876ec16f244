package faults

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// natsDouble stands between our roles and the broker and loses or delays
// acknowledgements, those of messages and those of publishes, and nothing else:
// the line itself works.
type natsDouble struct {
	h    *house
	lose atomic.Bool

	mu     sync.Mutex
	random *rand.Rand
}

// acksLost loses one acknowledgement in ten, and lets one in ten come later
// than anybody waits for it.
func (h *house) acksLost() (func(context.Context), error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h.t.Cleanup(func() { _ = l.Close() })
	d := &natsDouble{h: h, random: h.dice()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go d.carry(client, strings.TrimPrefix(h.broker.URL, "nats://"))
		}
	}()
	for _, r := range h.roles {
		r.wires = append(r.wires, "MATRICULA_NATS_URL=nats://"+l.Addr().String())
	}
	return func(ctx context.Context) {
		d.lose.Store(true)
		<-ctx.Done()
		d.lose.Store(false)
	}, nil
}

func (d *natsDouble) carry(client net.Conn, target string) {
	server, err := net.Dial("tcp", target)
	if err != nil {
		_ = client.Close()
		return
	}
	hangUp := func() { _, _ = client.Close(), server.Close() }
	go func() {
		defer hangUp()
		d.pass(client, server, func(f frame) bool {
			return strings.HasPrefix(f.subject, "$JS.ACK.")
		})
	}()
	defer hangUp()
	d.pass(server, client, func(f frame) bool {
		body := bytes.TrimPrefix(f.body, []byte(`{"type":"io.nats.jetstream.api.v1.pub_ack_response",`))
		return len(f.body) == 0 && !f.headed || bytes.HasPrefix(body, []byte(`{"stream":`)) || bytes.HasPrefix(body, []byte(`"stream":`))
	})
}

// frame is one thing that one side says to the other.
type frame struct {
	subject   string
	headed    bool // with headers
	raw, body []byte
}

// pass carries frames; some of those that are acknowledgements are lost or late.
func (d *natsDouble) pass(from io.Reader, to io.Writer, acknowledges func(frame) bool) {
	var mu sync.Mutex
	write := func(raw []byte) error {
		mu.Lock()
		defer mu.Unlock()
		_, err := to.Write(raw)
		return err
	}
	in := bufio.NewReaderSize(from, 1<<16)
	for {
		f, err := readFrame(in)
		if err != nil {
			return
		}
		if f.subject != "" && d.lose.Load() && acknowledges(f) {
			switch d.luck() {
			case 0:
				d.h.killed("F21 lost")
				continue
			case 1:
				d.h.killed("F21 late")
				time.AfterFunc(12*time.Second, func() { _ = write(f.raw) }) // longer than the broker waits
				continue
			}
		}
		if write(f.raw) != nil {
			return
		}
	}
}

// luck is 0 and 1 for one of ten each.
func (d *natsDouble) luck() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.IntN(10)
}

// readFrame reads a line, and what follows where the line says how much.
func readFrame(in *bufio.Reader) (frame, error) {
	said, err := in.ReadBytes('\n')
	if err != nil {
		return frame{}, err
	}
	f := frame{raw: said}
	words := strings.Fields(string(said))
	if len(words) < 2 {
		return f, nil
	}
	switch words[0] {
	case "PUB", "MSG":
	case "HPUB", "HMSG":
		f.headed = true
	default:
		return f, nil
	}
	size, err := strconv.Atoi(words[len(words)-1])
	if err != nil {
		return f, err
	}
	rest := make([]byte, size+2)
	if _, err := io.ReadFull(in, rest); err != nil {
		return f, err
	}
	f.subject, f.body, f.raw = words[1], rest[:size], append(said, rest...)
	if f.headed {
		if n, err := strconv.Atoi(words[len(words)-2]); err == nil && n <= size {
			f.body = f.body[n:]
		}
	}
	return f, nil
}
